"""One run at a time, and a second one that can say who is at it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

import pytest
from bandersnatch import lock
from bandersnatch.errors import LockedError, StorageError


def test_a_second_holder_learns_who_and_since_when(tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    with lock.hold(path, "bandersnatch mirror"), pytest.raises(LockedError) as caught, lock.hold(path, "x"):
        pass
    assert f"bandersnatch mirror, process {os.getpid()} on " in str(caught.value)
    assert ", since 20" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_lock_is_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    for _ in range(2):
        with lock.hold(str(path), "bandersnatch mirror"):
            pass
        assert path.read_bytes() == b""


def test_the_lock_is_free_and_empty_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with pytest.raises(ZeroDivisionError), lock.hold(str(path), "bandersnatch mirror"):
        raise ZeroDivisionError
    assert path.read_bytes() == b""
    with lock.hold(str(path), "bandersnatch mirror"):
        pass


def test_a_holder_without_a_purpose_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text("left by a dead process")
    with lock.hold(str(path), ""):
        assert path.read_text() == "left by a dead process"
    path.write_text("")
    with lock.hold(str(path), ""), pytest.raises(LockedError, match="a dry run"), lock.hold(str(path), "x"):
        pass


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        fcntl.flock(os.open(path, os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)
        os.write(tell, b"x")
        os.kill(os.getpid(), 9)
    os.read(ready, 1)
    os.waitpid(child, 0)
    with lock.hold(path, "bandersnatch mirror"):
        pass
    os.close(ready)
    os.close(tell)


def test_junk_in_the_lock_file_does_not_reach_the_message(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with lock.hold(str(path), "bandersnatch mirror"):
        path.write_bytes(b"\x1b[2J\xff\nforged line")
        with pytest.raises(LockedError) as caught, lock.hold(str(path), "x"):
            pass
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", ["directory", "link", "nowhere"])
def test_a_lock_that_cannot_be_opened_is_said(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("no/such" if kind == "nowhere" else "") / ".lock"
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match=r"cannot lock .*\.lock"), lock.hold(str(path), "x"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorageError, match="flock"), lock.hold(str(tmp_path / ".lock"), "x"):
        pass


def test_others_can_ask_whether_a_run_is_at_work(tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    assert not lock.is_held(path)
    with lock.hold(path, "bandersnatch mirror"):
        assert lock.is_held(path)
    assert not lock.is_held(path)
    Path(path).write_text("a run that was killed")
    assert not lock.is_held(path)


def test_who_is_patient_gets_the_lock_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_INTERVAL", 0.01)
    path = str(tmp_path / ".lock")
    held = contextlib.ExitStack()
    held.enter_context(lock.hold(path, "bandersnatch mirror"))
    attempts = []

    def run() -> str:
        attempts.append(len(attempts))
        if len(attempts) == 3:
            held.close()
        with lock.hold(path, "another"):
            return "done"

    assert lock.patiently(run, 60) == "done"
    assert len(attempts) == 3


def test_patience_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_INTERVAL", 0.01)
    path = str(tmp_path / ".lock")

    def run() -> None:
        with lock.hold(path, "another"):
            raise AssertionError("it is not free")

    for wait in (0, 0.03):
        with lock.hold(path, "bandersnatch mirror"), pytest.raises(LockedError, match="bandersnatch mirror"):
            lock.patiently(run, wait)
