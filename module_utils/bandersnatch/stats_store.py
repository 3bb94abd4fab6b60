"""What the access logs said so far: an SQLite database, `<directory>/stats.sqlite`.

Counts and how far a log was read are written in one transaction, so that a run killed at any moment counts
no line twice and misses none. A rollback journal, not a write-ahead log: the log's shared memory ends a
process with SIGBUS when the volume is full.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

from . import accesslog, releasefile, useragent
from .errors import StorageError
from .logsource import Found, Stream, digest
from .releasefile import Release
from .useragent import Agent

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
-- a log, by its first bytes; position = its uncompressed bytes that are counted
CREATE TABLE stream (number INTEGER PRIMARY KEY, position INTEGER, head_length INTEGER, head BLOB, path TEXT);
CREATE INDEX stream_head ON stream (head_length, head);
-- the files that it was read from; size and mtime are null where the file was not read to its end
CREATE TABLE log (key TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, stream INTEGER) WITHOUT ROWID;
CREATE TABLE release (number INTEGER PRIMARY KEY, filename TEXT, project TEXT, version TEXT,
    UNIQUE (filename, project));
CREATE TABLE agent (number INTEGER PRIMARY KEY, text TEXT, installer TEXT, python TEXT, system TEXT,
    UNIQUE (text, installer, python, system));
-- days are ordinals (1 = 0001-01-01), in UTC
CREATE TABLE download (day INTEGER, release INTEGER, agent INTEGER, count INTEGER,
    PRIMARY KEY (day, release, agent)) WITHOUT ROWID;
-- sums for the running summary; kind is a column of release or agent
CREATE TABLE facet (day INTEGER, kind TEXT, value TEXT, count INTEGER, PRIMARY KEY (day, kind, value))
    WITHOUT ROWID;
-- stale: there are counts that its files do not have yet; ours: its files were written from this database
CREATE TABLE day (day INTEGER PRIMARY KEY, count INTEGER, stale INTEGER, ours INTEGER DEFAULT 0);
-- clients that fetched a file in parts, as keyed digests, for a month
CREATE TABLE part (day INTEGER, client BLOB, PRIMARY KEY (day, client)) WITHOUT ROWID;
"""
_VERSION = 1
_ADD_DOWNLOADS = """INSERT INTO download VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET count = count + excluded.count"""
_ADD_FACET = "INSERT INTO facet VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
_ADD_DAY = """INSERT INTO day VALUES (?, ?, 1, 0)
    ON CONFLICT DO UPDATE SET count = count + excluded.count, stale = 1"""
_ADD_RELEASE = "INSERT OR IGNORE INTO release VALUES (NULL, ?, ?, ?)"
_FIND_RELEASE = "SELECT number FROM release WHERE filename = ? AND project = ?"
_ADD_AGENT = "INSERT OR IGNORE INTO agent VALUES (NULL, ?, ?, ?, ?)"
_FIND_AGENT = "SELECT number FROM agent WHERE text = ? AND installer = ? AND python = ? AND system = ?"
_MOST_CACHED = 500_000
PARTS_KEPT_DAYS = 30
KINDS = ("project", *Agent._fields)

_Row = tuple[int, int, int]  # release, agent, downloads


class Day(NamedTuple):
    """A day with downloads."""

    day: date
    downloads: int
    stale: bool
    ours: bool


class Fetched(NamedTuple):
    """The downloads of a file on one day: (agent as text, what it says, how many)."""

    release: Release
    agents: list[tuple[str, Agent, int]]


class StatsStore:
    """The database of one run. Every method raises StorageError where SQLite cannot do it."""

    def __init__(self, path: str, *, fold_agents: bool = False, dry: bool = False) -> None:
        """With `dry`, nothing reaches the disk: all is one transaction, which `close` rolls back."""
        self._path = path
        self._fold = fold_agents
        self._dry = dry
        self._releases: dict[bytes, int] = {}  # request line -> number, 0 where it is no download
        self._projects: dict[int, str] = {}
        self._agents: dict[bytes, int] = {}
        self._says: dict[int, Agent] = {}
        with self._guarded():
            target = ":memory:" if dry and not (os.path.exists(path) and os.path.getsize(path)) else path
            self._db = sqlite3.connect(target, timeout=30, isolation_level=None)
            self._db.execute(f"PRAGMA journal_mode = {'MEMORY' if dry else 'TRUNCATE'}")
            self._db.execute(f"PRAGMA cache_spill = {'OFF' if dry else 'ON'}")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA cache_size = -64000")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            elif version != _VERSION:
                raise StorageError(
                    f"{path} is of version {version}, this program writes {_VERSION}: move it away, "
                    "counting then starts anew with the logs that are still there"
                )
            if dry:
                self._db.execute("BEGIN")
        self._salt = self._make_salt()

    def close(self) -> None:
        """Close the database."""
        if self._dry:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
        self._db.close()

    # How far logs are read

    def is_unchanged(self, found: Found) -> bool:
        """Whether this file was read to its end and is as it was then."""
        row = self._query("SELECT size, mtime_ns FROM log WHERE key = ?", (found.key,)).fetchone()
        return row is not None and tuple(row) == (found.size, found.mtime_ns)

    def stream_of(self, key: str) -> Stream | None:
        """The log that the file with this device and inode was."""
        text = "SELECT stream.* FROM stream JOIN log ON log.stream = stream.number WHERE key = ?"
        row = self._query(text, (key,)).fetchone()
        return None if row is None else Stream(*row)

    def streams_like(self, head: bytes) -> list[Stream]:
        """The logs that begin like `head`, those that more is known of first."""
        text = "SELECT DISTINCT head_length FROM stream WHERE head_length <= ? ORDER BY head_length DESC"
        found = []
        for (length,) in self._query(text, (len(head),)).fetchall():
            terms = (length, digest(head[:length]))
            rows = self._query(
                "SELECT * FROM stream WHERE head_length = ? AND head = ? ORDER BY number", terms
            )
            found += [Stream(*row) for row in rows]
        return found

    # Counting

    def add(
        self,
        tally: accesslog.Tally,
        found: Found,
        stream: Stream | None,
        position: int,
        head: bytes,
        done: bool,
    ) -> tuple[Stream, int]:
        """Add what a piece of a log says, and that it is read up to `position`, as one transaction.

        `head` is the log's beginning as far as it tells it from others; `done`: the file is read to its end.
        Gives the log, and how many downloads were added.
        """
        with self._transaction():
            number = self._place(found, stream, position, head, done)
            added = sum(self._add_day(day, rows) for day, rows in self._rows(tally).items())
        return Stream(number, position, len(head), digest(head), found.path), added

    def _place(self, found: Found, stream: Stream | None, position: int, head: bytes, done: bool) -> int:
        number = self._db.execute(
            "INSERT OR REPLACE INTO stream VALUES (?, ?, ?, ?, ?)",
            (stream.number if stream else None, position, len(head), digest(head), found.path),
        ).lastrowid
        assert number is not None
        size, mtime = (found.size, found.mtime_ns) if done else (None, None)
        self._db.execute("INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?)", (found.key, size, mtime, number))
        return number

    def _rows(self, tally: accesslog.Tally) -> dict[int, list[_Row]]:
        """UTC day -> what to add, ordered; each distinct request and agent is looked at once."""
        days = {}
        for day in sorted({*tally.whole, *tally.parts}):
            rows = []
            for (request, agent), count in tally.whole.get(day, {}).items():
                if release := self._release(request):
                    rows.append((release, self._agent(agent), count))
            for address, (request, agent) in tally.parts.get(day, ()):
                release = self._release(request)
                if release and self._is_new_client(day, address, release, self._agent(agent)):
                    rows.append((release, self._agent(agent), 1))
            if rows:
                days[day] = sorted(rows)
        return days

    def _add_day(self, day: int, rows: list[_Row]) -> int:
        releases: Counter[int] = Counter()
        agents: Counter[int] = Counter()
        for release, agent, count in rows:
            releases[release] += count
            agents[agent] += count
        facets: Counter[tuple[str, str]] = Counter()
        for release, count in releases.items():
            facets["project", self._projects[release]] += count
        for agent, count in agents.items():
            for kind, value in zip(Agent._fields, self._says[agent], strict=True):
                facets[kind, value] += count
        total = sum(agents.values())
        self._db.executemany(_ADD_DOWNLOADS, ((day, *row) for row in rows))
        self._db.executemany(_ADD_FACET, ((day, *facet, count) for facet, count in sorted(facets.items())))
        self._db.execute(_ADD_DAY, (day, total))
        return total

    def _release(self, request: bytes) -> int:
        number = self._releases.get(request)
        if number is None:
            if len(self._releases) >= _MOST_CACHED:
                self._releases.clear()
            path = accesslog.download_path(request)
            release = None if path is None else releasefile.parse(path)
            number = 0 if release is None else self._number_of(release)
            self._releases[request] = number
        return number

    def _number_of(self, release: Release) -> int:
        values = (release.filename, release.project, release.version)
        number = self._number(_ADD_RELEASE, values, _FIND_RELEASE, values[:2])
        self._projects[number] = release.project
        return number

    def _agent(self, logged: bytes) -> int:
        number = self._agents.get(logged)
        if number is None:
            if len(self._agents) >= _MOST_CACHED:
                self._agents.clear()
            text = accesslog.agent_text(logged)
            says = useragent.parse(text)
            values = (says.installer if self._fold else text, *says)
            number = self._number(_ADD_AGENT, values, _FIND_AGENT, values)
            self._says[number] = says
            self._agents[logged] = number
        return number

    def _number(self, add: str, values: Sequence[str], find: str, key: Sequence[str]) -> int:
        """The number of a row that is added if there is none like it."""
        added = self._db.execute(add, values)
        if added.rowcount == 1 and added.lastrowid is not None:
            return added.lastrowid
        return int(self._db.execute(find, key).fetchone()[0])

    def _is_new_client(self, day: int, address: bytes, release: int, agent: int) -> bool:
        """Whether this client was not yet sent a part of this file on this day."""
        text = address + b" %d %d" % (release, agent)
        client = hashlib.blake2b(text, key=self._salt, digest_size=16).digest()
        return self._db.execute("INSERT OR IGNORE INTO part VALUES (?, ?)", (day, client)).rowcount == 1

    def forget_parts(self, last: date) -> None:
        """Forget who fetched in parts longer than a month before the `last` day."""
        oldest = last.toordinal() - PARTS_KEPT_DAYS
        if self._query("SELECT EXISTS (SELECT 1 FROM part WHERE day < ?)", (oldest,)).fetchone()[0]:
            self._query("DELETE FROM part WHERE day < ?", (oldest,))

    # Reading

    def days(self) -> list[Day]:
        """Every day with downloads, in order."""
        rows = self._query("SELECT day, count, stale, ours FROM day ORDER BY day")
        return [
            Day(date.fromordinal(day), count, bool(stale), bool(ours)) for day, count, stale, ours in rows
        ]

    def mark(self, day: date, *, stale: bool, ours: bool) -> None:
        """Say of a day's files whether they lack counts, and whether they are written from here."""
        self._query("UPDATE day SET stale = ?, ours = ? WHERE day = ?", (stale, ours, day.toordinal()))

    def fetched(self, day: date) -> Iterator[Fetched]:
        """The downloads of a day, by project and file name."""
        ordinal = day.toordinal()
        text = """SELECT number, project, version, filename FROM release
            WHERE number IN (SELECT release FROM download WHERE day = ?)"""
        releases = [(Release(*row[1:]), row[0]) for row in self._query(text, (ordinal,))]
        text = """SELECT text, installer, python, system, count FROM download
            JOIN agent ON agent.number = download.agent WHERE day = ? AND release = ?"""
        for release, number in sorted(releases, key=lambda one: (one[0].project, one[0].filename)):
            rows = self._query(text, (ordinal, number)).fetchall()
            yield Fetched(release, [(row[0], Agent(*row[1:4]), row[4]) for row in rows])

    def sums(self, kind: str, first: date, last: date, limit: int) -> list[tuple[str, int]]:
        """The `limit` biggest values of a kind (project, installer, python, system) in these days."""
        rows = self._query(
            """SELECT value, SUM(count) AS n FROM facet WHERE day BETWEEN ? AND ? AND kind = ?
            GROUP BY value ORDER BY n DESC, value LIMIT ?""",
            (first.toordinal(), last.toordinal(), kind, limit),
        )
        return [(value, count) for value, count in rows]

    # SQLite

    def _make_salt(self) -> bytes:
        """A secret of this database, without which a digest of a client's address could be guessed."""
        row = self._query("SELECT value FROM meta WHERE key = 'salt'").fetchone()
        if row is None:
            row = (secrets.token_bytes(32),)
            self._query("INSERT INTO meta VALUES ('salt', ?)", row)
        return bytes(row[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._guarded():
            if self._dry:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._forget_numbers()
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def _forget_numbers(self) -> None:
        """Those given in a transaction that is undone are not in the database."""
        for numbers in (self._releases, self._projects, self._agents, self._says):
            numbers.clear()

    def _query(self, text: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        with self._guarded():
            return self._db.execute(text, values)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(f"{self._path}: {error}. {_remedy(str(error))}") from error


def _remedy(reason: str) -> str:
    if "full" in reason:
        return "Make room on the volume, then run again."
    if "readonly" in reason or "unable to open" in reason or "disk I/O" in reason:
        return "The file and its directory must be writable for the user that runs update-stats."
    if "locked" in reason:
        return "Another program reads or writes it: end that, then run again."
    return "Move the file away: counting then starts anew with the logs that are still there."
