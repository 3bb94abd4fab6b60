"""What the access logs said so far: an SQLite database, `<directory>/stats.sqlite`.

Counts and how far a log was read are written in one transaction, so that a run killed at any moment counts
no line twice and misses none.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import islice
from typing import NamedTuple

from . import accesslog, releasefile, useragent
from .accesslog import PAIR_BITS, PAIR_MASK
from .database import Database
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
_ADD_DOWNLOADS = """INSERT INTO download VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET count = count + excluded.count"""
_ADD_FACET = "INSERT INTO facet VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
_ADD_DAY = """INSERT INTO day VALUES (?, ?, 1, 0)
    ON CONFLICT DO UPDATE SET count = count + excluded.count, stale = 1"""
_ADD_RELEASE = "INSERT OR IGNORE INTO release VALUES (NULL, ?, ?, ?)"
_FIND_RELEASE = "SELECT number FROM release WHERE filename = ? AND project = ?"
_ADD_AGENT = "INSERT OR IGNORE INTO agent VALUES (NULL, ?, ?, ?, ?)"
_FIND_AGENT = "SELECT number FROM agent WHERE text = ? AND installer = ? AND python = ? AND system = ?"
_MOST_WORDS = 500_000
PARTS_KEPT_DAYS = 30
KINDS = ("project", *Agent._fields)


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


class StatsStore(Database):
    """The database of one run. Every method raises StorageError where SQLite cannot do it."""

    SCHEMA = _SCHEMA
    VERSION = 1
    CACHE_KIB = 64_000
    WITHOUT_IT = "counting then starts anew with the logs that are still there"

    def __init__(self, path: str, *, fold_agents: bool = False, dry: bool = False) -> None:
        """With `dry`, nothing reaches the disk: all is one transaction, which `close` rolls back."""
        super().__init__(path, dry)
        self._fold = fold_agents
        self._forget_words()
        self._salt = self._make_salt()

    # How far logs are read

    def is_unchanged(self, found: Found) -> bool:
        """Whether this file was read to its end and is as it was then."""
        terms = (found.key, found.size, found.mtime_ns)
        return self._value("SELECT 1 FROM log WHERE key = ? AND size = ? AND mtime_ns = ?", terms) is not None

    def stream_of(self, key: str) -> Stream | None:
        """The log that the file with this device and inode was."""
        text = "SELECT stream.* FROM stream JOIN log ON log.stream = stream.number WHERE key = ?"
        return next((Stream(*row) for row in self._rows(text, (key,))), None)

    def streams_like(self, head: bytes) -> list[Stream]:
        """The logs that begin like `head`, those that more is known of first."""
        text = "SELECT DISTINCT head_length FROM stream WHERE head_length <= ? ORDER BY head_length DESC"
        found = []
        for (length,) in self._rows(text, (len(head),)):
            terms = (length, digest(head[:length]))
            rows = self._rows(
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

        `tally` is in our `words`; `head` is the log's beginning as far as it tells it from others; `done`:
        the file is read to its end. Gives the log, and how many downloads were added.
        """
        with self.transaction():
            self._look_at_words()
            number = self._place(found, stream, position, head, done)
            added = 0
            for day in sorted({*tally.whole, *tally.parts}):
                added += self._add_day(day, tally.whole.get(day, Counter()), tally.parts.get(day, ()))
        words = self.words
        if len(words.requests) + len(words.agents) >= _MOST_WORDS or words.length >= accesslog.MOST_BYTES:
            self._forget_words()
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

    def _look_at_words(self) -> None:
        """Give what is new in `words` its number in the database."""
        for request in islice(self.words.requests, len(self._releases), None):
            path = accesslog.download_path(request)
            release = None if path is None else releasefile.parse(path)
            number = 0
            if release is not None:
                values = (release.filename, release.project, release.version)
                number = self._number(_ADD_RELEASE, values, _FIND_RELEASE, values[:2])
            self._releases.append(number)
            self._projects.append(release.project if release is not None else "")
        for logged in islice(self.words.agents, len(self._agents), None):
            text = accesslog.agent_text(logged)
            says = useragent.parse(text)
            described = (says.installer if self._fold else text, *says)
            self._agents.append(self._number(_ADD_AGENT, described, _FIND_AGENT, described))
            self._says.append(says)

    def _forget_words(self) -> None:
        self.words = accesslog.Words()
        self._releases: list[int] = []  # by the number of a request: its row, 0 where it is no download
        self._projects: list[str] = []
        self._agents: list[int] = []
        self._says: list[Agent] = []

    def _number(self, add: str, values: Sequence[str], find: str, key: Sequence[str]) -> int:
        """The number of a row, which is added if there is none like it."""
        added = self._db.execute(add, values)
        if added.rowcount == 1 and added.lastrowid is not None:
            return added.lastrowid
        return int(self._db.execute(find, key).fetchone()[0])

    def _add_day(self, day: int, counts: Counter[int], parts: Iterable[tuple[bytes, int]]) -> int:
        """Add a day's downloads by pair, and those in parts by client; gives how many they are."""
        counts.update(pair for address, pair in parts if self._is_new_client(day, address, pair))
        releases, agents = self._releases, self._agents
        by_request, by_agent = [0] * len(releases), [0] * len(agents)
        rows = []
        for pair, count in counts.items():
            request, agent = pair >> PAIR_BITS, pair & PAIR_MASK
            release = releases[request]
            if release:
                rows.append((day, release, agents[agent], count))
                by_request[request] += count
                by_agent[agent] += count
        total = sum(by_agent)
        if total:
            facets: Counter[tuple[str, str]] = Counter()
            for project, count in zip(self._projects, by_request, strict=True):
                facets["project", project] += count
            for says, count in zip(self._says, by_agent, strict=True):
                for facet in zip(Agent._fields, says, strict=True):
                    facets[facet] += count
            sums = ((day, *facet, count) for facet, count in sorted(facets.items()) if count)
            self._db.executemany(_ADD_DOWNLOADS, sorted(rows))
            self._db.executemany(_ADD_FACET, sums)
            self._db.execute(_ADD_DAY, (day, total))
        return total

    def _is_new_client(self, day: int, address: bytes, pair: int) -> bool:
        """Whether this client was not yet sent a part of this file on this day."""
        text = b"%s %d %d" % (address, self._releases[pair >> PAIR_BITS], self._agents[pair & PAIR_MASK])
        client = hashlib.blake2b(text, key=self._salt, digest_size=16).digest()
        return self._db.execute("INSERT OR IGNORE INTO part VALUES (?, ?)", (day, client)).rowcount == 1

    def forget_parts(self, last: date) -> None:
        """Forget who fetched in parts longer than a month before the `last` day."""
        oldest = last.toordinal() - PARTS_KEPT_DAYS
        if self._value("SELECT EXISTS (SELECT 1 FROM part WHERE day < ?)", (oldest,)):
            self._query("DELETE FROM part WHERE day < ?", (oldest,))

    # Reading

    def days(self) -> list[Day]:
        """Every day with downloads, in order."""
        rows = self._rows("SELECT day, count, stale, ours FROM day ORDER BY day")
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
        releases = [(Release(*row[1:]), row[0]) for row in self._rows(text, (ordinal,))]
        text = """SELECT text, installer, python, system, count FROM download
            JOIN agent ON agent.number = download.agent WHERE day = ? AND release = ?"""
        for release, number in sorted(releases, key=lambda one: (one[0].project, one[0].filename)):
            rows = self._rows(text, (ordinal, number))
            yield Fetched(release, [(row[0], Agent(*row[1:4]), row[4]) for row in rows])

    def sums(self, kind: str, first: date, last: date, limit: int) -> list[tuple[str, int]]:
        """The `limit` biggest values of a kind (project, installer, python, system) in these days."""
        rows = self._rows(
            """SELECT value, SUM(count) AS n FROM facet WHERE day BETWEEN ? AND ? AND kind = ?
            GROUP BY value ORDER BY n DESC, value LIMIT ?""",
            (first.toordinal(), last.toordinal(), kind, limit),
        )
        return [(value, count) for value, count in rows]

    # SQLite

    def _make_salt(self) -> bytes:
        """A secret of this database, without which a digest of a client's address could be guessed."""
        salt = self._value("SELECT value FROM meta WHERE key = 'salt'")
        if salt is None:
            salt = secrets.token_bytes(32)
            self._query("INSERT INTO meta VALUES ('salt', ?)", (salt,))
        return bytes(salt)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, or nothing of it."""
        try:
            with super().transaction():
                yield
        except BaseException:
            self._forget_words()  # their numbers are undone
            raise
