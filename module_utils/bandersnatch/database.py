"""An SQLite database of the mirror: how it is opened and changed, what its errors mean to an operator.

A rollback journal, not a write-ahead log: the log's shared memory ends a process with SIGBUS when the volume
is full.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from .errors import StorageError
from .files import storage_error

Values = Sequence[object] | dict[str, object]


class Database:
    """The database of one run. Every method raises StorageError where SQLite cannot do it."""

    SCHEMA: ClassVar[str]
    VERSION: ClassVar[int]  # of the schema; another one in the file is refused
    CACHE_KIB: ClassVar[int]
    WITHOUT_IT: ClassVar[str]  # what an operator may expect who moves the file away

    def __init__(self, path: str, dry: bool = False) -> None:
        """With `dry`, nothing reaches the disk: all is one transaction, which `close` rolls back."""
        self._path = path
        self._dry = dry
        if os.path.islink(path):
            raise StorageError(f"{path} is a symbolic link, which is not followed: move it away")
        if os.path.lexists(path) and not os.path.isfile(path):
            raise StorageError(f"{path} is not a plain file: move it away, {self.WITHOUT_IT}")
        if dry and not (os.path.exists(path) and os.path.getsize(path)):
            path = ":memory:"
        with self._guarded():
            self._db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute(f"PRAGMA journal_mode = {'MEMORY' if dry else 'TRUNCATE'}")
            if dry:
                self._db.execute("PRAGMA cache_spill = OFF")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA temp_store = MEMORY")
            self._db.execute(f"PRAGMA cache_size = -{self.CACHE_KIB}")
            self._check_version()
            if dry:
                self._db.execute("BEGIN")

    def _check_version(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN; {self.SCHEMA} PRAGMA user_version = {self.VERSION}; COMMIT;")
        elif version != self.VERSION:
            raise StorageError(
                f"{self._path} is of version {version}, this program writes {self.VERSION}: "
                f"move it away, {self.WITHOUT_IT}"
            )

    def close(self) -> None:
        """Close the database."""
        if self._dry:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, or nothing of it."""
        with self._guarded():
            if self._dry:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """One look at the file for all that the block reads: else each query locks and unlocks it."""
        if self._dry:
            yield
            return
        with self._guarded():
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    # Remembered values: every database has a table `meta` of (key, value)

    def get(self, key: str) -> str | None:
        """A remembered value."""
        value = self._value("SELECT value FROM meta WHERE key = ?", (key,))
        return None if value is None else str(value)

    def put(self, key: str, value: str | None) -> None:
        """Remember a value."""
        self._query("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # What the databases are written with

    def _query(self, text: str, values: Values = ()) -> None:
        with self._guarded():
            self._db.execute(text, values)

    def _rows(self, text: str, values: Values = ()) -> list[Any]:
        with self._guarded():  # reading on may fail, too
            return self._db.execute(text, values).fetchall()

    def _value(self, text: str, values: Values = ()) -> Any:
        """The first column of the first row, or None."""
        with self._guarded():
            row = self._db.execute(text, values).fetchone()
            return None if row is None else row[0]

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "full" in str(error):
                raise storage_error(self._path, OSError(errno.ENOSPC, "full")) from error
            raise StorageError(f"{self._path}: {error}. {self._remedy(str(error))}") from error

    def _remedy(self, reason: str) -> str:
        if "readonly" in reason or "unable to open" in reason or "disk I/O" in reason:
            return "The file and its directory must be writable for the user that runs bandersnatch."
        if "locked" in reason:
            return "Another program reads or writes it: end that, then run again."
        return f"Move the file away: {self.WITHOUT_IT}."
