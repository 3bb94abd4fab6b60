"""The status as Prometheus reads it: text format 0.0.4. Pure.

What is not known is left out. Times are absolute: a file that is no longer written must not look fresh.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from . import VERSION
from .status import Status


class Metric(NamedTuple):
    """A metric and its samples: (labels, value)."""

    name: str  # without its prefix
    help: str
    samples: tuple[tuple[dict[str, str], float | None], ...]
    kind: str = "gauge"


def render(status: Status) -> str:
    """The whole text."""
    return "".join(line for metric in metrics(status) for line in _lines(metric))


def metrics(status: Status) -> Iterator[Metric]:
    """Every metric. docs/status.md has the table."""
    past = status.past
    last, good, size = past.last, past.good, past.size

    def one(name: str, text: str, value: float | None) -> Metric:
        return Metric(name, text, (({}, value),))

    yield Metric("info", "The engine.", (({"version": VERSION, "upstream": status.upstream}, 1),))
    yield one("serial", "Upstream's serial at the last good sync.", good and good.serial)
    yield one("upstream_serial", "Upstream's serial when it was last asked.", last and last.upstream_serial)
    yield one("lag_serials", "How many serials upstream was ahead after the last run.", status.lag_serials)
    yield one(
        "lag_seconds",
        "How old the beginning of the last good sync was after the last run. "
        "For alerts take last_success_timestamp_seconds.",
        status.lag_seconds,
    )
    yield one(
        "last_success_timestamp_seconds", "When the last good sync ended.", good and round(good.ended, 3)
    )
    yield one("last_run_timestamp_seconds", "When the last run ended.", last and round(last.ended, 3))
    yield one(
        "last_run_duration_seconds",
        "How long it took.",
        last and max(0.0, round(last.ended - last.started, 3)),
    )
    yield one("last_run_exit_code", "What it exited with; 0 is good.", last and last.exit_code)
    yield one("last_run_failed_projects", "How many projects failed in it.", last and last.failed)
    yield one("stale_after_seconds", "How old the last good sync may be.", status.stale_after)
    yield one("projects", "Projects in the mirror.", size.projects)
    yield one("files", "Files in the mirror.", size.files)
    yield one("bytes", "Bytes of these files.", size.bytes)
    yield one("volume_free_bytes", "What is free on the volume.", size.free)
    yield one("volume_size_bytes", "The size of the volume.", size.total)
    yield one(
        "growth_bytes_per_day", "By how much the mirror grew each day of the last month.", status.growth
    )
    yield from _last_change(status)
    if status.downloads is not None:
        yield one("downloads", "Downloads that were counted so far.", status.downloads.get("downloads"))


def _last_change(status: Status) -> Iterator[Metric]:
    """What the last run that changed something changed."""
    last = next((record for record in status.past.runs if record.changed), None)
    if last is None:
        return
    ended = round(last.ended, 3)
    yield Metric("last_change_timestamp_seconds", "When the last run with a change ended.", (({}, ended),))
    yield Metric(
        "last_change_projects",
        "What that run did to how many projects.",
        tuple(({"what": what}, getattr(last, what)) for what in ("added", "updated", "removed")),
    )
    yield Metric(
        "last_change_files",
        "What that run did to how many files.",
        (({"what": "added"}, last.files_added), ({"what": "removed"}, last.files_removed)),
    )
    yield Metric("last_change_added_bytes", "Bytes of the files that it added.", (({}, last.bytes_added),))


def _lines(metric: Metric) -> Iterator[str]:
    samples = [(labels, value) for labels, value in metric.samples if value is not None]
    if not samples:
        return
    name = f"bandersnatch_{metric.name}"
    yield f"# HELP {name} {metric.help}\n"
    yield f"# TYPE {name} {metric.kind}\n"
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        number = repr(float(value)) if isinstance(value, float) else str(int(value))
        yield f"{name}{{{inside}}} {number}\n" if inside else f"{name} {number}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
