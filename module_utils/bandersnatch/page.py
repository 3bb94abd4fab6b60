"""The mirror's page, `web/index.html`: what it says, as values. `page_template.py` says how it looks. Pure.

Jinja takes longer to start than a run that changed nothing. So the page is made in two steps: a frame, which
is made anew only if what it shows has changed; and in it the few things that each run changes, times mostly.
"""

from __future__ import annotations

import hashlib
import html
import time
from collections.abc import Iterator
from typing import NamedTuple

from . import VERSION, plots
from .history import Record
from .page_template import TEMPLATE
from .status import Status, days_text, iso, run_text
from .summary import human_bytes, human_time
from .urls import parse

GENERATOR = "bandersnatch mirror page"  # by which we know our own page from an operator's
_RUNS = 8
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PROJECTS, _VALUES = 10, 8


class Run(NamedTuple):
    """A run, as the page shows it."""

    when: str  # ISO 8601
    text: str
    repeated: int
    first: str  # when the first of these started
    bad: bool
    groups: tuple[tuple[str, tuple[str, ...], int], ...]  # (what was done, to whom, and to how many more)
    failures: tuple[tuple[str, str], ...]
    more_failures: int


class Page(NamedTuple):
    """What the frame shows. The names of `volatile` stand in it where `fill` puts the values."""

    host: str
    simple: str
    trusted_host: str  # what pip must be told to trust; "" where it need not
    upstream: str
    version: str
    synced: bool
    serial: int | None
    behind: int  # serials
    trouble: str  # why the last run was no good one
    projects: int | None
    files: int | None
    bytes: str
    runs: tuple[Run, ...]
    statistics: bool
    sizes: plots.Line | None
    downloads: plots.Columns | None
    charts: tuple[tuple[str, str, tuple[plots.Row, ...]], ...]  # (id, title, bars)
    recent: tuple[str, str]  # first and last day of these


def content(status: Status) -> Page:
    """What is to be shown."""
    past = status.past
    last, size = past.last, past.size
    origin = parse(status.url).origin
    summary = status.downloads or {}
    recent = summary.get("recent") or {}
    days = {
        day: (row["downloads"], bool(row.get("complete", True)))
        for day, row in (summary.get("days") or {}).items()
    }
    kinds = (
        ("projects", "Most downloaded projects", _PROJECTS),
        ("pythons", "Python versions", _VALUES),
        ("installers", "Installers", _VALUES),
    )
    charts = ((key, title, plots.rows(recent.get(key) or {}, limit)) for key, title, limit in kinds)
    return Page(
        host=origin.authority,
        simple=status.simple,
        trusted_host=origin.authority if origin.scheme == "http" and not origin.loopback else "",
        upstream=status.upstream,
        version=VERSION,
        synced=past.good is not None,
        serial=past.good.serial if past.good else None,
        behind=status.lag_serials or 0,
        trouble=run_text(last, repeats=False) if last and not last.good else "",
        projects=size.projects,
        files=size.files,
        bytes="" if size.bytes is None else human_bytes(size.bytes),
        runs=tuple(_run(record) for record in past.runs[:_RUNS]),
        statistics=status.statistics,
        sizes=plots.line([(day, one.bytes) for day, one in past.days if one.bytes is not None]),
        downloads=plots.columns(days),
        charts=tuple(chart for chart in charts if chart[2]),
        recent=(str(recent.get("first", "")), str(recent.get("last", ""))),
    )


def _run(record: Record) -> Run:
    counts = {"added": record.added, "updated": record.updated, "removed": record.removed}
    return Run(
        when=iso(record.started) or "",
        text="in step with upstream again" if _is_quiet(record) else run_text(record, repeats=False),
        repeated=record.repeated,
        first=iso(record.first_started) or "",
        bad=not record.good or bool(record.failed),
        groups=tuple(
            (what, tuple(names), counts[what] - len(names)) for what, names in record.names.items() if names
        ),
        failures=tuple(record.failures),
        more_failures=record.failed - len(record.failures),
    )


def _is_quiet(record: Record) -> bool:
    return record.good and not record.changed and not record.failed


def key(page: Page) -> str:
    """Changes when the frame must be made anew."""
    return hashlib.blake2b(
        f"{TEMPLATE}{page!r}".encode("utf-8", "backslashreplace"), digest_size=16
    ).hexdigest()


def frame(page: Page) -> str:
    """The page but for what `fill` puts in."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["bytes"] = human_bytes
    environment.globals.update(mark=_mark, generator=GENERATOR)
    environment.globals["when"] = lambda moment: Markup(_time(moment))  # noqa: S704 - it has no other text
    return environment.from_string(TEMPLATE).render(page=page)


def fill(made: str, status: Status) -> bytes:
    """The page: the frame with what each run changes."""
    for name, text in volatile(status):
        made = made.replace(_mark(name), text)
    return made.encode("utf-8", "backslashreplace")


def volatile(status: Status) -> Iterator[tuple[str, str]]:
    """What each run changes, as HTML: (name, text)."""
    past = status.past
    size = past.size
    for name, moment in (
        ("good", past.good and past.good.ended),
        ("stale", status.stale_at),
        ("last", past.last and past.last.started),
        ("next", status.next_run),
        ("now", status.now),
    ):
        yield name, "not known yet" if moment is None else _time(iso(moment) or "")
        day, _, clock = human_moment(iso(moment) or "").partition(", ") if moment else ("", "", "")
        yield f"{name} clock", clock or "–"
        yield f"{name} day", day or "not known yet"
    good = past.good
    yield "took", human_time(max(0.0, good.ended - good.started)) if good else "–"
    yield "free", "not known" if size.free is None else human_bytes(size.free)
    yield "total", "not known" if not size.total else human_bytes(size.total)
    used = 0.0 if not size.total or size.free is None else 100 * (1 - size.free / size.total)
    yield "used", f"{used:.1f}"
    growth = status.growth
    left = status.days_left
    if left is not None and growth:
        text = f"Full in {days_text(left)} at the present growth of {human_bytes(growth)} a day."
    else:
        text = "It has not grown lately." if growth is not None else ""
    yield "left", html.escape(text)


def _mark(name: str) -> str:
    return f"\x01{name}\x01"


def _time(moment: str) -> str:
    """A time element: absolute, as the page does not know when it is read."""
    return f'<time datetime="{moment}">{human_moment(moment)}</time>'


def human_moment(moment: str) -> str:
    """`2026-11-28T01:05:09Z` as `28 Nov 2026, 01:05 UTC`."""
    parts = time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")
    month = _MONTHS[parts.tm_mon - 1]
    return f"{parts.tm_mday} {month} {parts.tm_year}, {parts.tm_hour:02}:{parts.tm_min:02} UTC"
