"""`bandersnatch update-stats`: access logs to statistics. This file gives the order; the others do the work.

Logs are read on from where they were left, in pieces; each piece's counts and position are one transaction.
Then the files of web/local-stats/ are brought in line with the database.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from . import announce, lock, logsource
from .accesslog import Tally
from .config import Config
from .errors import EXIT_OK, EXIT_SOME_FAILED
from .stats_report import Report
from .stats_store import StatsStore
from .summary import count_of, one_line

MOST_PAIRS = 500_000  # distinct (file, agent) pairs held before they go to the database: about 100 MB
PIECE_BYTES = 1 << 30  # of a log, at most, that a killed run reads again
_FRESH_NS = 3600 * 10**9
_READABLE = "; the user that runs update-stats must be able to read it"


class StatsSummary(NamedTuple):
    """What a run counted and wrote, or in a dry run would."""

    pattern: str | None = None
    logs: int = 0  # files that the pattern matches
    logs_read: int = 0  # of these, those with something new
    lines: int = 0  # read for the first time
    downloads: int = 0  # counted in this run
    not_downloads: int = 0  # lines of the format that are no download, or a further part of one
    broken: int = 0  # lines of no access log: cut off, binary
    days_written: tuple[str, ...] = ()  # YYYY-MM-DD, whose files changed
    days_kept: tuple[str, ...] = ()  # whose file another program wrote
    summary_changed: bool = False
    problems: tuple[str, ...] = ()  # a sentence for each log that could not be read
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        """Whether a file under web/ changed."""
        return bool(self.days_written) or self.summary_changed

    @property
    def exit_code(self) -> int:
        """3 where a log could not be read, else 0."""
        return EXIT_SOME_FAILED if self.problems else EXIT_OK

    def text(self) -> str:
        """The summary for people: one line, and one for each problem."""
        lines = [f"update-stats: {problem}" for problem in self.problems]
        if self.pattern is None:
            return "update-stats: statistics are off: set `access-log-pattern` in [statistics]"
        if not self.logs:
            lines.append(f"update-stats: no log matches {one_line(self.pattern)} yet")
            return "\n".join(lines)
        said = [
            f"{count_of(self.downloads, 'download')} in {count_of(self.lines, 'new line')} "
            f"of {count_of(self.logs_read, 'log')}"
        ]
        if self.broken:
            said.append(f"{count_of(self.broken, 'broken line')}")
        if self.days_written:
            said.append(f"{'would write' if self.dry_run else 'wrote'} {_days(self.days_written)}")
        if self.days_kept:
            said.append(
                f"left {_days(self.days_kept)} as another program wrote it (delete the file to have ours)"
            )
        if not self.changed:
            said.append("nothing to write")
        return "\n".join([*lines, f"update-stats: {'; '.join(said)}"])

    def as_dict(self) -> dict[str, Any]:
        """The summary for Ansible and JSON."""
        values = self._asdict()
        for key in ("days_written", "days_kept", "problems"):
            values[key] = list(values[key])
        return {**values, "changed": self.changed, "exit_code": self.exit_code}


def update_stats(config: Config, dry_run: bool = False, now: datetime | None = None) -> StatsSummary:
    """Read what is new in the access logs and write the statistics that changed.

    Raises:
        LockedError: another update-stats is at work.
        StorageError: the mirror directory cannot take the statistics.
    """
    pattern = config.access_log_pattern
    if not pattern:
        return StatsSummary(dry_run=dry_run)
    directory = str(config.directory)
    with contextlib.ExitStack() as stack:
        guard = f"{directory}/.stats.lock"
        if not dry_run or os.path.exists(guard):  # a dry run leaves nothing behind, not even this file
            stack.enter_context(lock.hold(guard, "update-stats"))
        store = StatsStore(f"{directory}/stats.sqlite", fold_agents=config.fold_user_agents, dry=dry_run)
        stack.callback(store.close)
        now = now or datetime.now(timezone.utc)
        run = _Run(store)
        run.read_all(pattern, now)
        days = store.days()
        if not run.logs and not days:
            return run.summary(pattern)._replace(dry_run=dry_run)
        report = Report(store, str(config.web), f"{directory}/.stats.part", now, dry=dry_run)
        written, kept = report.write_days()
        changed = report.write_summary()
        if changed and not dry_run:
            announce.refresh(config)
        store.forget_parts(min([now.date(), *(day.day for day in days[-1:])]))
        return run.summary(pattern)._replace(
            days_written=tuple(written), days_kept=tuple(kept), summary_changed=changed, dry_run=dry_run
        )


class _Run:
    """Reads the logs of one run into the database."""

    def __init__(self, store: StatsStore) -> None:
        self._store = store
        self._seen: set[str] = set()
        self.logs = 0
        self._read = self._lines = self._downloads = self._broken = 0
        self._problems: list[str] = []

    def summary(self, pattern: str) -> StatsSummary:
        """What was read."""
        return StatsSummary(
            pattern=pattern,
            logs=self.logs,
            logs_read=self._read,
            lines=self._lines,
            downloads=self._downloads,
            not_downloads=self._lines - self._broken - self._downloads,
            broken=self._broken,
            problems=tuple(map(one_line, self._problems)),
        )

    def read_all(self, pattern: str, now: datetime) -> None:
        """Read every log on from where it was left, the oldest first."""
        found, problems = logsource.discover(pattern)
        self.logs = len(found)
        self._problems += problems
        moved = {}
        for one in found:
            stream = self._store.stream_of(one.key)
            if stream is not None and stream.path != one.path:
                moved[stream.number] = stream.path
        for one in found:
            if self._store.is_unchanged(one):
                continue
            try:
                with logsource.opened(one.path) as log:
                    self._read_log(log, moved)
            except FileNotFoundError:
                continue  # rotated away since; its new name is for the next run
            except logsource.DamagedError as error:
                age = abs(now.timestamp() * 1e9 - one.mtime_ns)  # of a time to come: a clock jumped
                if not (error.cut and age < _FRESH_NS):  # else it is being compressed just now
                    self._problems.append(f"{one.path}: {error}")
            except OSError as error:
                remedy = _READABLE if isinstance(error, PermissionError) else ""
                self._problems.append(f"{one.path}: {error.strerror or error}: not counted{remedy}")

    def _read_log(self, log: logsource.Log, moved: dict[int, str]) -> None:
        store, key = self._store, log.found.key
        if key in self._seen or not log.head:
            return
        self._seen.add(key)
        stream = logsource.continued(log, store.stream_of(key), store.streams_like(log.head), moved)
        start = stream.offset if stream is not None else 0
        log.skip(start)
        for tally, position, done in _pieces(log, start, store):
            if not position or not log.is_intact(position):
                break  # a lost piece is in the copy, for the next run
            head = log.fingerprinted(position)
            stream, added = store.add(tally, log.found, stream, position, head, done)
            self._lines += tally.lines
            self._broken += tally.broken
            self._downloads += added
        self._read += stream is not None and stream.offset > start


def _pieces(log: logsource.Log, position: int, store: StatsStore) -> Iterator[tuple[Tally, int, bool]]:
    """(what it says, up to which offset, whether that is the end) of a log, piece by piece."""
    tally, start = Tally(store.words), position
    try:
        for lines, length in log.blocks():
            tally.feed(lines)
            position += length
            if tally.is_full(MOST_PAIRS) or position - start >= PIECE_BYTES:
                tally.settle()
                yield tally, position, False
                tally, start = Tally(store.words), position
    except (logsource.DamagedError, OSError):
        tally.settle()
        yield tally, position, False
        raise
    tally.settle()
    yield tally, position, True


def _days(days: tuple[str, ...]) -> str:
    return days[0] if len(days) == 1 else f"{len(days)} days ({days[0]} to {days[-1]})"
