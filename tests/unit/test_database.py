"""database.py: all or nothing, what a dry run leaves behind, and how it says what it cannot do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bandersnatch.database import Database
from bandersnatch.errors import StorageError


class Notes(Database):
    SCHEMA = "CREATE TABLE note (text TEXT PRIMARY KEY);"
    VERSION = 3
    CACHE_KIB = 100
    WITHOUT_IT = "it begins anew"

    def write(self, text: str) -> None:
        self._query("INSERT INTO note VALUES (?)", (text,))

    def read(self) -> list[str]:
        return [text for (text,) in self._rows("SELECT text FROM note")]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return f"{tmp_path}/notes"


@pytest.fixture
def notes(path: str) -> Iterator[Notes]:
    opened = Notes(path)
    yield opened
    opened.close()


def test_a_transaction_is_all_or_nothing(notes: Notes) -> None:
    def fail() -> None:
        with notes.transaction():
            notes.write("text")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with notes.transaction():  # the failed one is closed
        assert notes.read() == []


def test_what_is_committed_survives_a_reopening(path: str) -> None:
    notes = Notes(path)
    with notes.transaction():
        notes.write("text")
    notes.close()
    again = Notes(path)
    assert again.read() == ["text"]
    again.close()


def test_a_dry_one_leaves_no_trace(path: str, tmp_path: Path) -> None:
    Notes(path).close()
    before = Path(path).read_bytes(), sorted(os.listdir(tmp_path))
    dry = Notes(path, dry=True)
    with dry.transaction():  # more than the cache holds
        for number in range(5000):
            dry.write(f"{number:0100}")
    assert len(dry.read()) == 5000
    dry.close()
    assert (Path(path).read_bytes(), sorted(os.listdir(tmp_path))) == before


@pytest.mark.parametrize("empty", [False, True])
def test_a_dry_one_of_nothing_makes_no_database(path: str, empty: bool, tmp_path: Path) -> None:
    if empty:  # as a killed run may have left it
        Path(path).touch()
    dry = Notes(path, dry=True)
    dry.write("text")
    dry.close()
    assert [entry.stat().st_size for entry in os.scandir(tmp_path)] == [0] * empty


def test_another_version_is_refused(path: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StorageError, match=r"version 99, .* writes 3: move it away, it begins anew"):
        Notes(path)


def test_a_symbolic_link_is_refused(path: str) -> None:
    Path(path).symlink_to(f"{path}-elsewhere")
    with pytest.raises(StorageError, match="symbolic link"):
        Notes(path)
    assert not Path(f"{path}-elsewhere").exists()


def test_a_file_that_is_no_database_is_said(path: str) -> None:
    Path(path).write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match=r"notes: file is not a database\. Move the file away: it begins"):
        Notes(path)


def test_a_place_that_cannot_be_opened_is_said(path: str) -> None:
    with pytest.raises(StorageError, match="must be writable"):
        Notes(f"{path}/no/such/place")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_said(path: str, make: Callable[[str], None]) -> None:
    make(path)
    with pytest.raises(StorageError, match=r"notes is not a plain file: move it away, it begins anew"):
        Notes(path)


def test_another_program_at_it_is_said(path: str, notes: Notes) -> None:
    notes._query("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match=r"is locked\. Another program"):
        notes.write("text")
    other.close()
