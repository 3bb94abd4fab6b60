"""What the runs did, and how the mirror grew: an SQLite database, `<directory>/history`.

Not in the state: that may be deleted to force a full check, which shall not lose the history. It is bounded:
a run that changed nothing leaves no row of its own, the same failure again is counted on the row that it has,
and sizes have one row a day. Losing it costs the past, never data; so a damaged one is begun anew.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from .database import Database
from .errors import StorageError

FILE_NAME = "history"
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
-- runs that changed something or failed, and the first good one after these; content: a Record as JSON
CREATE TABLE run (number INTEGER PRIMARY KEY, content TEXT);
-- the mirror's size as the last run of a day (UTC) left it
CREATE TABLE day (day TEXT PRIMARY KEY, projects INTEGER, files INTEGER, bytes INTEGER, free INTEGER,
    total INTEGER) WITHOUT ROWID;
"""
RUNS_KEPT = 200
DAYS_KEPT = 3660
NAMES_KEPT = 10  # of the projects that a run added, updated, removed, or that failed
_STARTS_KEPT = 21  # the median of twenty intervals says when the next run is due
_STARTS_NEEDED = 4


class Size(NamedTuple):
    """How big the mirror is. What cannot be told is None."""

    projects: int | None = None
    files: int | None = None
    bytes: int | None = None
    free: int | None = None  # of the volume
    total: int | None = None


class Record(NamedTuple):
    """A run, as far as it is remembered. Times are POSIX seconds."""

    started: float
    ended: float
    exit_code: int = 0
    error: str = ""  # why it ended early, on one line
    full_check: bool = False
    serial: int | None = None  # upstream's, as of which the mirror is complete but for the failures
    upstream_serial: int | None = None  # what upstream said last
    added: int = 0
    updated: int = 0
    removed: int = 0
    files_added: int = 0
    files_removed: int = 0
    bytes_added: int = 0
    failed: int = 0
    names: Mapping[str, Sequence[str]] = {}  # the first of those that were added, updated, removed
    failures: Sequence[tuple[str, str]] = ()  # the first (project, reason)
    good: bool = False  # the mirror was in step with upstream when it ended
    repeated: int = 0  # how many times it came out the same again
    first_started: float | None = None  # where it is repeated: when the first one started

    @property
    def changed(self) -> bool:
        """Whether it changed what is served."""
        counts = (self.added, self.updated, self.removed, self.files_added, self.files_removed)
        return any(counts)

    @property
    def outcome(self) -> tuple[object, ...]:
        """What is the same in two runs that fail in the same way."""
        return (self.exit_code, self.error, self.failed, tuple(self.failures), self.changed)


class Past(NamedTuple):
    """What the history says."""

    last: Record | None = None
    good: Record | None = None  # the last one that was
    size: Size = Size()
    runs: tuple[Record, ...] = ()  # the newest first
    days: tuple[tuple[str, Size], ...] = ()  # (YYYY-MM-DD, size), in order
    interval: float | None = None  # seconds between the starts of two runs, usually


class DamagedError(StorageError):
    """The history cannot be made sense of."""


class History(Database):
    """The database. Every method raises StorageError; DamagedError where it makes no sense."""

    SCHEMA = _SCHEMA
    VERSION = 1
    CACHE_KIB = 2_000
    WITHOUT_IT = "another one is begun then"

    def __init__(self, directory: str, dry: bool = False) -> None:
        super().__init__(f"{directory}/{FILE_NAME}", dry)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with super()._guarded():
                yield
        except StorageError as error:
            if any(word in str(error.__cause__) for word in ("malformed", "not a database")):
                raise DamagedError(str(error)) from error
            raise

    # Writing

    def add(self, record: Record, size: Size, day: str) -> None:
        """Remember a run and the size that it left. `day`: today, YYYY-MM-DD. Call it in a transaction."""
        with self._sensible():
            last, number = self._last()
            starts = json.loads(self.get("starts") or "[]")
            known = self._size()
        bad = bool(record.failed) or not record.good
        if bad and not record.changed and last and number is not None and record.outcome == last.outcome:
            first = last.started if last.first_started is None else last.first_started
            record = record._replace(repeated=last.repeated + 1, first_started=first)
            self._query("UPDATE run SET content = ? WHERE number = ?", (_dump(record), number))
        elif bad or record.changed or (last is not None and (last.failed or not last.good)):
            number = self._value("SELECT COALESCE(MAX(number), 0) + 1 FROM run")
            self._query("INSERT INTO run VALUES (?, ?)", (number, _dump(record)))
            self._query("DELETE FROM run WHERE number <= ?", (number - RUNS_KEPT,))
        else:
            number = None
        self.put("last", json.dumps([_dump(record), number]))
        if record.good:
            self.put("good", _dump(record))
        self.put("starts", json.dumps([*starts, record.started][-_STARTS_KEPT:]))
        self._add_size(known, size, day)

    def _add_size(self, known: Size, size: Size, day: str) -> None:
        size = Size(*(old if new is None else new for old, new in zip(known, size, strict=True)))
        self.put("size", json.dumps(size))
        if size.bytes is not None:
            self._query("INSERT OR REPLACE INTO day VALUES (?, ?, ?, ?, ?, ?)", (day, *size))
            self._query(
                "DELETE FROM day WHERE day IN (SELECT day FROM day ORDER BY day DESC LIMIT -1 OFFSET ?)",
                (DAYS_KEPT,),
            )

    # Reading

    def past(self, *, runs: int, days: int) -> Past:
        """What is remembered: of the newest `runs` and `days`."""
        good = self.get("good")
        rows = self._rows("SELECT content FROM run ORDER BY number DESC LIMIT ?", (runs,))
        sizes = self._rows("SELECT * FROM day ORDER BY day DESC LIMIT ?", (days,))
        with self._sensible():
            return Past(
                last=self._last()[0],
                good=_load(good) if good else None,
                size=self._size(),
                runs=tuple(_load(content) for (content,) in rows),
                days=tuple((row[0], Size(*row[1:])) for row in reversed(sizes)),
                interval=_interval(json.loads(self.get("starts") or "[]")),
            )

    def _last(self) -> tuple[Record | None, int | None]:
        text = self.get("last")
        if text is None:
            return None, None
        content, number = json.loads(text)
        return _load(content), number

    def _size(self) -> Size:
        return Size(*json.loads(self.get("size") or "[]"))

    @contextlib.contextmanager
    def _sensible(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedError(
                f"{self._path} is damaged ({error!r}): move it away, {self.WITHOUT_IT}"
            ) from error


def read(directory: str, *, runs: int = RUNS_KEPT, days: int = DAYS_KEPT) -> Past:
    """What the history of a mirror says; nothing where there is none yet. Raises StorageError."""
    if not os.path.lexists(f"{directory}/{FILE_NAME}"):
        return Past()
    history = History(directory, dry=True)
    try:
        return history.past(runs=runs, days=days)
    finally:
        history.close()


def _interval(starts: Sequence[float]) -> float | None:
    """The usual time between two runs: the median, which one more by hand or a night's gap does not move."""
    if len(starts) < _STARTS_NEEDED:
        return None
    gaps = sorted(later - earlier for earlier, later in pairwise(starts))
    usual = gaps[len(gaps) // 2]
    return usual if usual > 0 else None


def begin_anew(directory: str) -> None:
    """Forget a damaged history."""
    for ending in ("", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{directory}/{FILE_NAME}{ending}")


def _dump(record: Record) -> str:
    return json.dumps(record._asdict())


def _load(content: str) -> Record:
    values: dict[str, Any] = json.loads(content)
    values["failures"] = tuple((name, reason) for name, reason in values["failures"])
    return Record(**values)
