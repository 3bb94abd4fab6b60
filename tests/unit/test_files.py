"""files.py: what is read and written, one at a time."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from bandersnatch.files import hash_file, read_chunks, read_file, replace_file, storage_error


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EROFS, "remount"),
        (errno.EACCES, "must belong"),
        (errno.EIO, "kernel log"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_an_error_names_the_path_and_the_remedy(number: int, remedy: str) -> None:
    error = storage_error("/srv/mirror", OSError(number, os.strerror(number), "/srv/mirror/web"))
    assert str(error).startswith("/srv/mirror/web: ")
    assert remedy in str(error)


def test_neither_a_link_nor_a_pipe_nor_a_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    assert read_file(f"{tmp_path}/file") == b"content"
    for name in ("link", "pipe", "."):
        with pytest.raises(OSError):  # noqa: PT011 - of three kinds
            read_file(f"{tmp_path}/{name}")


def test_a_long_file_comes_whole(tmp_path: Path) -> None:
    content = os.urandom(1_000_001)
    (tmp_path / "long").write_bytes(content)
    assert b"".join(read_chunks(f"{tmp_path}/long")) == content


def test_a_file_is_hashed_as_asked(tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "link").symlink_to("file")
    wanted = f"sha256:{hashlib.sha256(content).hexdigest()} md5:{hashlib.md5(content).hexdigest()}"
    asked = f"sha256:{'0' * 64} md5:{'0' * 32}"
    assert hash_file(f"{tmp_path}/file", asked) == wanted
    assert hash_file(f"{tmp_path}/file", "") == wanted.split(maxsplit=1)[0]
    for name in ("link", "."):
        with pytest.raises(OSError):  # noqa: PT011 - of two kinds
            hash_file(f"{tmp_path}/{name}", asked)


def test_a_file_is_replaced_only_where_it_differs(tmp_path: Path) -> None:
    target, part = tmp_path / "target", tmp_path / "part"
    assert replace_file(str(target), b"one", str(part))
    before = target.stat().st_ino
    assert not replace_file(str(target), b"one", str(part))
    assert target.stat().st_ino == before
    assert replace_file(str(target), b"two", str(part))
    assert target.read_bytes() == b"two"
    assert not part.exists()


def test_what_replaces_a_file_is_readable_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        replace_file(f"{tmp_path}/target", b"x", f"{tmp_path}/part")
    finally:
        os.umask(before)
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o644


def test_what_cannot_replace_a_file_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(f"{tmp_path}/target", b"x", f"{tmp_path}/part")
    assert not (tmp_path / "part").exists()
