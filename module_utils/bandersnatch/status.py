"""How the mirror is doing, as one value: for the page, `status.json`, the metrics, `bandersnatch status`.

Pure: built from what the history, the statistics and the config say. Times are POSIX seconds inside, ISO 8601
in UTC outside.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from . import VERSION
from .config import Config
from .history import Past, Record, Size
from .summary import count_of, human_bytes, human_time, one_line

SCHEMA = 1
RUNS_SHOWN = 20
DAYS_SHOWN = 366
_GROWTH_DAYS = 30  # the present growth is that of the last month
_TOLERATED = 10  # a run is good as long as no more than one project in so many failed

# By exit code. The page and the JSON have these words for it.
OUTCOMES = {
    0: "in sync",
    3: "some projects failed",
    4: "refused by the deletion guard",
    6: "upstream did not answer",
    7: "the volume could not take it",
    130: "interrupted",
}


class Status(NamedTuple):
    """How the mirror is doing."""

    now: float  # when this was put together
    url: str  # where clients reach it, with a slash at its end
    upstream: str  # the index that it mirrors, without a password
    stale_after: float  # seconds
    past: Past
    growth: float | None = None  # bytes a day
    downloads: Mapping[str, Any] | None = (
        None  # local-stats/summary.json; None: statistics are off, or none yet
    )
    statistics: bool = False  # whether they are on
    progress: Mapping[str, Any] | None = None  # progress.json, while a run is going
    page: str = "ours"  # "foreign": index.html is another program's or the operator's; "none": not there yet

    @property
    def simple(self) -> str:
        """The URL that installers want."""
        return f"{self.url}simple/"

    @property
    def stale_at(self) -> float | None:
        """When the mirror counts as stale unless a good sync comes before; None: it never had one."""
        return self.past.good.ended + self.stale_after if self.past.good else None

    @property
    def fresh(self) -> bool:
        """Whether the last good sync is young enough. One in the future was timed by a wrong clock."""
        good = self.past.good
        return good is not None and good.ended - 3600 <= self.now < good.ended + self.stale_after

    @property
    def lag_serials(self) -> int | None:
        """How many serials upstream is ahead, as far as it was asked."""
        good, last = self.past.good, self.past.last
        if good is None or last is None or good.serial is None or last.upstream_serial is None:
            return None
        return max(0, last.upstream_serial - good.serial)

    @property
    def lag_seconds(self) -> float | None:
        """How long ago the mirror was as upstream: it may lack what came since the last good sync began."""
        return max(0.0, self.now - self.past.good.started) if self.past.good else None

    @property
    def next_run(self) -> float | None:
        """When the next run is due, if they go on as they did."""
        past = self.past
        return past.last.started + past.interval if past.last and past.interval else None

    @property
    def days_left(self) -> float | None:
        """In how many days the volume is full at the present growth; None where it does not grow."""
        free = self.past.size.free
        return free / self.growth if free is not None and self.growth and self.growth > 0 else None


def build(
    config: Config,
    past: Past,
    now: float,
    *,
    downloads: Mapping[str, Any] | None = None,
    progress: Mapping[str, Any] | None = None,
    page: str = "ours",
) -> Status:
    """Put the status together."""
    return Status(
        now=now,
        url=config.public_url,
        upstream=config.origin,
        stale_after=config.stale_after * 3600,
        past=past,
        growth=_growth(past),
        downloads=downloads,
        statistics=bool(config.access_log_pattern),
        progress=progress,
        page=page,
    )


def is_good(exit_code: int, failed: int, projects: int) -> bool:
    """Whether a run left the mirror in step with upstream.

    A few projects that fail for long must not make the whole mirror look down; when many fail, it is.
    One in ten is the limit, but a single one never counts.
    """
    return exit_code == 0 or (exit_code == 3 and failed <= max(1, projects // _TOLERATED))


def _growth(past: Past) -> float | None:
    """Bytes a day, of the last month; None where less than a day is known."""
    days = [(_ordinal(day), size.bytes) for day, size in past.days if size.bytes is not None]
    if not days:
        return None
    last, now = days[-1]
    first, then = next(one for one in days if one[0] >= last - _GROWTH_DAYS)
    return (now - then) / (last - first) if last > first else None


def _ordinal(day: str) -> int:
    from datetime import date  # a run without change has only one day to look at

    return date.fromisoformat(day).toordinal()


def iso(when: float | None) -> str | None:
    """`2026-11-28T09:05:00Z`."""
    return None if when is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def outcome(record: Record) -> str:
    """In a few words, how a run ended."""
    return OUTCOMES.get(record.exit_code, "ended by a fault")


# As JSON


def as_dict(status: Status) -> dict[str, Any]:
    """What `status.json` holds, `bandersnatch status --json` prints and `bandersnatch_info` returns."""
    past = status.past
    size = past.size
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "generated": iso(status.now),
        "url": status.url,
        "index_url": status.simple,
        "upstream": status.upstream,
        "fresh": status.fresh,
        "stale_after_seconds": round(status.stale_after),
        "stale_at": iso(status.stale_at),
        "serial": past.good.serial if past.good else None,
        "upstream_serial": past.last.upstream_serial if past.last else None,
        "lag_serials": status.lag_serials,
        "lag_seconds": None if status.lag_seconds is None else round(status.lag_seconds),
        "last_run": _run(past.last),
        "last_good_run": _run(past.good),
        "next_run_expected": iso(status.next_run),
        "size": {
            **size._asdict(),
            "growth_bytes_per_day": None if status.growth is None else round(status.growth),
            "days_until_full": None if status.days_left is None else round(status.days_left, 1),
        },
        "runs": [_run(record) for record in past.runs],
        "days": [{"day": day, **one._asdict()} for day, one in past.days],
        "statistics": status.statistics,
        "downloads": _downloads(status.downloads),
        "running": _running(status),
    }


def _run(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "started": iso(record.started),
        "ended": iso(record.ended),
        "seconds": round(max(0.0, record.ended - record.started), 3),
        "good": record.good,
        "changed": record.changed,
        "exit_code": record.exit_code,
        "outcome": outcome(record),
        "error": record.error or None,
        "full_check": record.full_check,
        "serial": record.serial,
        "upstream_serial": record.upstream_serial,
        "added": record.added,
        "updated": record.updated,
        "removed": record.removed,
        "failed": record.failed,
        "files_added": record.files_added,
        "files_removed": record.files_removed,
        "bytes_added": record.bytes_added,
        "names": {key: list(names) for key, names in record.names.items()},
        "failures": [{"name": name, "reason": reason} for name, reason in record.failures],
        "repeated": record.repeated,
        "first_started": iso(record.first_started),
    }


def _downloads(summary: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What of the statistics belongs here: the totals; `local-stats/summary.json` has the rest."""
    if summary is None:
        return None
    days = summary.get("days") or {}
    return {
        "total": summary.get("downloads", 0),
        "days": {day: row["downloads"] for day, row in days.items()},
    }


def _running(status: Status) -> dict[str, Any] | None:
    run = status.progress
    if run is None:
        return None
    units = {
        unit: {"done": run[unit]["done"], "total": run[unit]["total"]}
        for unit in ("projects", "files", "bytes")
    }
    return {
        "phase": run["phase"],
        "started": iso(run["started"]),
        "eta_seconds": run["eta_seconds"],
        "failed": run["failed"],
        **units,
    }


# For people


def text(status: Status) -> str:
    """What `bandersnatch status` prints."""
    past, now = status.past, status.now
    lines = [f"{'Fresh' if status.fresh else 'Stale'}: {_freshness(status)}"]
    if status.progress is not None:
        lines.append(f"Running:    {_progress_text(status.progress)}")
    lines.append(f"Mirror:     {status.simple} of {one_line(status.upstream)}")
    if past.good and past.good.serial is not None:
        behind = status.lag_serials
        more = f", {behind:,} behind upstream" if behind else ", as upstream was when it was last asked"
        lines.append(f"Serial:     {past.good.serial:,}{more}")
    if past.size.bytes is not None:
        lines.append(f"Size:       {_size_text(past.size)}")
    if past.size.free is not None and past.size.total:
        lines.append(f"Free:       {_free_text(status)}")
    if past.last:
        lines.append(f"Last run:   {iso(past.last.started)}, {run_text(past.last)}")
        lines += [f"  {one_line(name)}: {one_line(why)}" for name, why in past.last.failures]
        if past.last.failed > len(past.last.failures):
            lines.append(f"  ... and {past.last.failed - len(past.last.failures):,} more")
    if status.next_run is not None:
        wait = status.next_run - now
        lines.append(
            f"Next run:   {iso(status.next_run)}" + (f", {human_time(-wait)} overdue" if wait < -300 else "")
        )
    if status.downloads is not None:
        lines.append(f"Downloads:  {_downloads_text(status.downloads)}")
    if status.page == "foreign":
        lines.append(
            "Page:       web/index.html is not ours and is left alone; delete it to have the mirror's own"
        )
    changes = [record for record in past.runs if record.changed or not record.good][:5]
    if changes:
        lines += ["", "Lately:"]
        lines += [f"  {iso(record.started)}  {run_text(record)}" for record in changes]
    return "\n".join(lines)


def _freshness(status: Status) -> str:
    good = status.past.good
    if good is None:
        return "there was no good sync yet"
    ago = human_time(max(0.0, status.now - good.ended))
    said = f"the last good sync ended {ago} ago, {iso(good.ended)}"
    return said if status.fresh else f"{said}; {human_time(status.stale_after)} are allowed"


def _size_text(size: Size) -> str:
    assert size.bytes is not None
    counts = f"{count_of(size.projects or 0, 'project')}, {count_of(size.files or 0, 'file')}"
    return f"{counts}, {human_bytes(size.bytes)}"


def _free_text(status: Status) -> str:
    size = status.past.size
    assert size.free is not None
    assert size.total
    said = f"{human_bytes(size.free)} of {human_bytes(size.total)} ({size.free / size.total:.0%})"
    if status.days_left is None:
        return said
    growth = f"the present growth of {human_bytes(status.growth or 0)} a day"
    return f"{said}, full in {days_text(status.days_left)} at {growth}"


def days_text(days: float) -> str:
    """`less than a day`, `12 days`, `5 years`."""
    if days < 1:
        return "less than a day"
    if days < 730:
        return count_of(int(days), "day")
    return f"{int(days / 365.25)} years" if days < 36525 else "more than a century"


def run_text(record: Record, repeats: bool = True) -> str:
    """A run on one line, with or without how often it came out the same."""
    said = [
        f"{count_of(number, 'project')} {verb}"
        for number, verb in (
            (record.added, "added"),
            (record.updated, "updated"),
            (record.removed, "removed"),
        )
        if number
    ]
    if record.files_added:
        said.append(f"{count_of(record.files_added, 'file')} added ({human_bytes(record.bytes_added)})")
    if record.files_removed:
        said.append(f"{count_of(record.files_removed, 'file')} removed")
    if record.failed:
        said.append(f"{count_of(record.failed, 'project')} failed")
    if not said and record.good:
        said.append("nothing changed")
    if record.exit_code not in {0, 3}:
        said.append(outcome(record) + (f": {one_line(record.error)}" if record.error else ""))
    if record.repeated and repeats:
        said.append(f"{record.repeated + 1:,} times in a row since {iso(record.first_started)}")
    return f"{', '.join(said)} ({human_time(max(0.0, record.ended - record.started))})"


def _progress_text(run: Mapping[str, Any]) -> str:
    parts = [
        f"{run[unit]['done']:,}" + (f" of {run[unit]['total']:,}" if run[unit]["total"] else "") + f" {unit}"
        for unit in ("projects", "files")
        if run[unit]["done"] or run[unit]["total"]
    ]
    if run["bytes"]["done"]:
        parts.append(f"{human_bytes(run['bytes']['done'])}, {human_bytes(run['rate'])}/s")
    if run["eta_seconds"] is not None:
        parts.append(f"{human_time(run['eta_seconds'])} left")
    return one_line(f"{run['phase']}: {', '.join(parts)}; since {iso(run['started'])}")


def _downloads_text(summary: Mapping[str, Any]) -> str:
    days = summary.get("days") or {}
    last = max(days, default=None)
    said = f"{summary.get('downloads', 0):,}"
    return said if last is None else f"{said} since {min(days)}; {days[last]['downloads']:,} on {last}"
