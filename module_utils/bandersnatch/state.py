"""What is mirrored, at which serial and ETag: an SQLite database, `<directory>/state`.

It says only what the disk holds: a row is written after its page and files are in place, and deleted after
they are gone. Losing it costs a full check, never data.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from .database import Database
from .model import Listed

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
-- what upstream lists; wanted = the filters let it in
CREATE TABLE listed (name TEXT PRIMARY KEY, display TEXT, serial INTEGER, wanted INTEGER) WITHOUT ROWID;
-- listed_serial: what the root index said when the page was read; serial: what the page said
CREATE TABLE project (name TEXT PRIMARY KEY, display TEXT, serial INTEGER, listed_serial INTEGER, etag TEXT,
    next_check INTEGER, fingerprint TEXT) WITHOUT ROWID;
CREATE TABLE file (path TEXT PRIMARY KEY, project TEXT, digest TEXT, size INTEGER, verified INTEGER)
    WITHOUT ROWID;
CREATE INDEX file_project ON file (project);
CREATE INDEX project_check ON project (next_check);
CREATE TABLE failure (name TEXT PRIMARY KEY, reason TEXT, since INTEGER) WITHOUT ROWID;
-- files and new pages (paths under web/) that are being put in place: what a killed run may have left there
CREATE TABLE begun (path TEXT PRIMARY KEY, project TEXT) WITHOUT ROWID;
"""

_LIST = """INSERT INTO listed VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE
    SET display = excluded.display, serial = excluded.serial, wanted = excluded.wanted
    WHERE display IS NOT excluded.display OR serial IS NOT excluded.serial OR wanted IS NOT excluded.wanted"""
_AT_ONCE = 500  # values in a query: every SQLite takes 999

# A page is read when upstream says something new of it, when it failed before, when the settings that shape
# pages changed, when its turn for a re-read has come (or the clock jumped), or when the index has no serials.
_DUE = """
    FROM listed AS l LEFT JOIN project AS p ON p.name = l.name
    WHERE l.wanted AND (:all OR p.name IS NULL OR l.serial IS NULL
        OR (l.serial IS NOT p.serial AND l.serial IS NOT p.listed_serial)
        OR p.fingerprint IS NOT :fingerprint OR p.next_check <= :now OR p.next_check > :horizon
        OR EXISTS (SELECT 1 FROM failure AS f WHERE f.name = l.name))
"""

# How many files there are and what they hold, kept up by whatever changes the table: counting millions of
# rows takes longer than most runs. A size of -1 is not known yet. Temporary: the schema stays as it is.
_TOTALS = """
CREATE TEMP TRIGGER file_comes AFTER INSERT ON main.file BEGIN
    UPDATE meta SET value = value + 1 WHERE key = 'files';
    UPDATE meta SET value = value + MAX(NEW.size, 0) WHERE key = 'bytes';
END;
CREATE TEMP TRIGGER file_goes AFTER DELETE ON main.file BEGIN
    UPDATE meta SET value = value - 1 WHERE key = 'files';
    UPDATE meta SET value = value - MAX(OLD.size, 0) WHERE key = 'bytes';
END;
"""

# The root index shows the names as upstream spells them now.
_SPELLING = """
CREATE TEMP TRIGGER spelt_anew AFTER UPDATE OF display ON main.listed
WHEN OLD.display IS NOT NEW.display BEGIN
    UPDATE meta SET value = 'stale' WHERE key = 'root';
END;
"""


class Due(NamedTuple):
    """A page to read. `known` is false for a project that is not mirrored yet."""

    name: str
    display: str
    listed_serial: int | None
    known: bool
    etag: str | None  # None: read it without a condition


class Row(NamedTuple):
    """A file on disk."""

    path: str
    digest: str
    size: int
    verified: bool  # false: found on disk or taken over, its content was not looked at yet


class Project(NamedTuple):
    """A mirrored project."""

    name: str
    display: str
    serial: int | None
    listed_serial: int | None
    etag: str | None
    next_check: int
    fingerprint: str


class State(Database):
    """The database of one run. Every method raises StorageError where SQLite cannot do it."""

    SCHEMA = _SCHEMA
    VERSION = 2
    CACHE_KIB = 32_000
    WITHOUT_IT = "the next run then checks everything and fetches only what is missing"

    def __init__(self, path: str, dry: bool = False) -> None:
        super().__init__(path, dry)
        if not dry:
            with self._guarded():
                if self.get("bytes") is None:  # new, or made before there were totals
                    self.recount()
                self._db.execute("PRAGMA recursive_triggers = ON")  # REPLACE deletes, too
                self._db.executescript(_TOTALS + _SPELLING)

    # What upstream lists

    def replace_listed(
        self, lines: Iterable[Listed], wanted: Callable[[str], bool], judged: bool = False
    ) -> None:
        """Forget what upstream listed and take these lines. What stays the same is not written.

        Quickest for lines in the order of their names, as indexes have them: then one walk along both is all.

        Args:
            wanted: whether a project is mirrored, by its name.
            judged: `wanted` says of known names what it said last time: lines that stay are not asked about.
        """
        strays = array("q")  # hashes of names that were not met in order: 700,000 names would take 60 MB
        passed: list[str] = []  # names of the old list that were not met in order

        def changes() -> Iterator[tuple[object, ...]]:
            old = self._db.execute("SELECT name, display, serial FROM listed ORDER BY name")
            row = old.fetchone()
            for line in lines:
                name = line.name
                while row is not None and row[0] < name:
                    passed.append(row[0])
                    row = old.fetchone()
                if row is None or row[0] != name:
                    strays.append(hash(name))
                    yield (*line, wanted(name))
                    continue
                if not judged or row != line:
                    yield (*line, wanted(name))
                row = old.fetchone()
            while row is not None:
                passed.append(row[0])
                row = old.fetchone()

        with self._guarded():
            # What is written lies behind the walk, which it does not disturb.
            self._db.executemany(_LIST, changes())
            came = set(strays) if passed else set()
            self._db.executemany(
                "DELETE FROM listed WHERE name = ?", [(name,) for name in passed if hash(name) not in came]
            )

    def count_due(self, terms: dict[str, object]) -> int:
        """How many pages `due` will give."""
        return int(self._value("SELECT COUNT(*)" + _DUE, terms))

    def due(self, terms: dict[str, object], after: str, limit: int) -> list[Due]:
        """The next pages to read, by name. `terms`: all, fingerprint, now, horizon.

        Where upstream states a new serial there is no ETag: a cache that does not know of it yet would say
        "not modified", and nothing in that could be seen to be stale.
        """
        columns = """SELECT l.name, l.display, l.serial, p.name IS NOT NULL,
            CASE WHEN p.fingerprint IS :fingerprint AND l.serial IS p.listed_serial
                AND NOT EXISTS (SELECT 1 FROM failure AS f WHERE f.name = l.name) THEN p.etag END"""
        clause = f"{columns}{_DUE} AND l.name > :after ORDER BY l.name LIMIT :limit"
        rows = self._rows(clause, {**terms, "after": after, "limit": limit})
        return [Due(name, display, serial, bool(known), etag) for name, display, serial, known, etag in rows]

    def anything_due(self, terms: dict[str, object]) -> bool:
        """Whether a page must be read though upstream says nothing new. Quick, whatever the mirror's size."""
        return bool(
            self._value(
                """SELECT EXISTS (SELECT 1 FROM project WHERE next_check <= :now)
                OR EXISTS (SELECT 1 FROM project WHERE next_check > :horizon)
                OR EXISTS (SELECT 1 FROM failure)""",
                terms,
            )
        )

    def gone(self) -> list[str]:
        """Mirrored projects that upstream does not list, or that the filters keep out."""
        rows = self._rows(
            """SELECT name FROM project AS p WHERE NOT EXISTS
            (SELECT 1 FROM listed AS l WHERE l.name = p.name AND l.wanted) ORDER BY name"""
        )
        return [name for (name,) in rows]

    def kept(self, fingerprint: str) -> list[str]:
        """Those of `gone` whose pages were written with other settings than these."""
        rows = self._rows(
            """SELECT name FROM project AS p WHERE fingerprint IS NOT ? AND NOT EXISTS
            (SELECT 1 FROM listed AS l WHERE l.name = p.name AND l.wanted) ORDER BY name""",
            (fingerprint,),
        )
        return [name for (name,) in rows]

    def restyled(self, names: Iterable[str], fingerprint: str) -> None:
        """Remember with which settings the pages of these projects are written now."""
        with self._guarded():
            rows = ((fingerprint, name) for name in names)
            self._db.executemany("UPDATE project SET fingerprint = ? WHERE name = ?", rows)

    # What is mirrored

    def count_projects(self) -> int:
        """How many projects are mirrored."""
        return int(self._value("SELECT COUNT(*) FROM project"))

    def roots(self) -> Iterator[tuple[str, str, int | None]]:
        """(name, display name, serial) of every mirrored project, ordered by name."""
        with self._guarded():
            yield from self._db.execute(
                """SELECT p.name, COALESCE(l.display, p.display), p.serial
                FROM project AS p LEFT JOIN listed AS l ON l.name = p.name ORDER BY p.name"""
            )

    def count_files(self) -> tuple[int, int]:
        """How many files are mirrored, and their bytes. Quick, whatever the mirror's size."""
        return int(self.get("files") or 0), int(self.get("bytes") or 0)

    def recount(self) -> None:
        """Count the files anew."""
        with self.transaction():
            self._query(
                """INSERT OR REPLACE INTO meta SELECT 'files', COUNT(*) FROM file
                UNION ALL SELECT 'bytes', COALESCE(SUM(MAX(size, 0)), 0) FROM file"""
            )

    def root_serial(self) -> int | None:
        """The serial that upstream's root index stated when it was last read."""
        text = self.get("root serial")
        return int(text) if text else None

    def serial(self) -> int | None:
        """The serial that the mirror stands for: the root index's, else the highest of a page."""
        stated = self.root_serial()
        return self.highest_serial() if stated is None else stated

    def highest_serial(self) -> int | None:
        """The highest serial of a mirrored page."""
        serial: int | None = self._value("SELECT MAX(serial) FROM project")
        return serial

    def has_project(self, name: str) -> bool:
        """Whether this normalised name is mirrored."""
        return self._value("SELECT 1 FROM project WHERE name = ?", (name,)) is not None

    def put_projects(self, rows: Iterable[Project]) -> None:
        """Remember projects whose page and files are in place."""
        with self._guarded():
            self._db.executemany("INSERT OR REPLACE INTO project VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def confirm(self, rows: Iterable[tuple[int | None, int, str]]) -> None:
        """(listed serial, next check, name) of pages that were read and had not changed."""
        with self._guarded():
            self._db.executemany("UPDATE project SET listed_serial = ?, next_check = ? WHERE name = ?", rows)

    def files_of(self, name: str) -> dict[str, Row]:
        """The files of a project, by path."""
        rows = self._rows("SELECT path, digest, size, verified FROM file WHERE project = ?", (name,))
        return {row[0]: Row(row[0], row[1], row[2], bool(row[3])) for row in rows}

    def owners(self, paths: Sequence[str]) -> dict[str, str]:
        """The projects that these paths belong to; a path of nobody's is left out."""
        found: dict[str, str] = {}
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            found |= self._rows(f"SELECT path, project FROM file WHERE path IN ({marks})", some)  # noqa: S608
        return found

    def put_files(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Remember files: (project, file)."""
        with self._guarded():
            self._db.executemany(
                "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?)",
                ((row.path, name, row.digest, row.size, row.verified) for name, row in rows),
            )

    def drop_files(self, paths: Iterable[str]) -> None:
        """Forget files that are gone."""
        with self._guarded():
            self._db.executemany("DELETE FROM file WHERE path = ?", ((path,) for path in paths))

    def drop_project(self, name: str) -> None:
        """Forget a project that is gone, with its files and failures."""
        for table, column in (("file", "project"), ("project", "name"), ("failure", "name")):
            self._query(f"DELETE FROM {table} WHERE {column} = ?", (name,))  # noqa: S608 (fixed names)

    def doom(self, names: Iterable[str]) -> None:
        """Note that these projects are being removed: should they come back, all of them is checked."""
        with self._guarded():
            self._db.executemany(
                "UPDATE project SET etag = NULL, fingerprint = '' WHERE name = ?", ((name,) for name in names)
            )

    def begin(self, rows: Iterable[tuple[str, str]]) -> None:
        """Note what is being put in place: (path, project). `ended` forgets it when other tables know."""
        with self._guarded():
            self._db.executemany("INSERT OR REPLACE INTO begun VALUES (?, ?)", rows)

    def ended(self, paths: Iterable[str]) -> None:
        """Forget what `begin` noted."""
        with self._guarded():
            self._db.executemany("DELETE FROM begun WHERE path = ?", ((path,) for path in paths))

    def begun(self) -> list[tuple[str, str]]:
        """(path, project) of what killed runs put in place, or of projects that could not be completed."""
        return self._rows("SELECT path, project FROM begun")

    def has_file(self, path: str) -> bool:
        """Whether this path belongs to a mirrored project."""
        return self._value("SELECT 1 FROM file WHERE path = ?", (path,)) is not None

    def forget_all(self) -> None:
        """Empty what an unfinished take-over of the disk has written."""
        self._query("DELETE FROM project")
        self._query("DELETE FROM file")

    def all_read(self) -> bool:
        """Whether the files of each mirrored project are known: of each one taken over, too."""
        return not self._value("SELECT EXISTS (SELECT 1 FROM project WHERE fingerprint = '')")

    def serials_known(self) -> bool:
        """Whether upstream states a serial for every project that is wanted."""
        return not self._value("SELECT EXISTS (SELECT 1 FROM listed WHERE wanted AND serial IS NULL)")

    # What failed

    def failed(self, rows: Sequence[tuple[str, str, int]]) -> None:
        """Remember failures: (project, reason, POSIX seconds). The first time of a lasting one is kept."""
        with self._guarded():
            self._db.executemany(
                "INSERT INTO failure VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET reason = excluded.reason",
                rows,
            )

    def mended(self, names: Iterable[str]) -> None:
        """Forget the failures of these projects."""
        with self._guarded():
            self._db.executemany("DELETE FROM failure WHERE name = ?", ((name,) for name in names))

    def forget_unlisted_failures(self) -> None:
        """Forget failures of projects that nobody asks for any more."""
        self._query("DELETE FROM failure WHERE name NOT IN (SELECT name FROM listed WHERE wanted)")
