"""logsource.py: finding logs, reading them in every compression, and knowing them again."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bandersnatch import logsource
from bandersnatch.logsource import DamagedError, Stream, continued, digest, discover, opened

TEXT = b"".join(b"line %d of the log\n" % number for number in range(20_000))


def zstd(data: bytes) -> bytes:
    if shutil.which("zstd") is None:
        pytest.skip("no zstd here")
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
}


def read(path: Path, offset: int = 0) -> tuple[bytes, int]:
    """What is read from an offset on, and the offset reached."""
    text = b""
    with opened(str(path)) as log:
        log.skip(offset)
        for block, length in log.blocks():
            assert all(line.endswith(b"\n") for line in block)
            text += b"".join(block)
            offset += length
    return text, offset


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("offset", [0, 19, 5000, len(TEXT) - 24, len(TEXT)])
def test_a_log_is_read_on_from_its_offset_whatever_its_compression(
    tmp_path: Path, kind: str, offset: int
) -> None:
    path = tmp_path / "access.log.1"  # without an ending: the content tells
    path.write_bytes(PACKERS[kind](TEXT))
    assert read(path, offset) == (TEXT[offset:], len(TEXT))
    with opened(str(path)) as log:
        assert log.head == TEXT[: logsource.HEAD_BYTES]
        assert log.fingerprinted(100) == TEXT[:100]


@pytest.mark.parametrize("kind", PACKERS)
def test_an_unfinished_last_line_waits_in_a_plain_log_only(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(PACKERS[kind](b"one\ntw"))
    assert read(path) == ((b"one\n", 4) if kind == "plain" else (b"one\ntw\n", 6))


def test_several_gzip_members_are_one_log(tmp_path: Path) -> None:
    path = tmp_path / "access.log.1.gz"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert read(path)[0] == b"one\ntwo\n"


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_a_cut_compressed_log_gives_what_it_has_and_says_so(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "access.log.1.gz"
    text = b"".join(os.urandom(8).hex().encode() + b"\n" for _ in range(200_000))
    packed = PACKERS[kind](text)
    path.write_bytes(packed[: len(packed) * 3 // 4])
    lines: list[bytes] = []
    with opened(str(path)) as log, pytest.raises(DamagedError) as raised:
        lines.extend(line for block, _ in log.blocks() for line in block)
    got = b"".join(lines)
    assert raised.value.cut
    assert text.startswith(got)
    assert len(got) > len(text) // 3


@pytest.mark.parametrize("kind", ["gz", "xz"])
def test_a_damaged_compressed_log_says_so(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "access.log.1"
    packed = bytearray(PACKERS[kind](TEXT))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    with pytest.raises(DamagedError, match="damaged"):
        read(path)


def test_a_log_without_line_ends_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"\0" * (3 << 20) + b"\nlast\n")
    with opened(str(path)) as log:
        blocks = list(log.blocks())
    assert sum(length for _, length in blocks) == (3 << 20) + 6
    assert max(len(line) for block, _ in blocks for line in block) < 2 << 20
    assert blocks[-1][0][-1] == b"last\n"


def test_zstandard_without_its_program_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "access.log.1.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DamagedError, match="install the package `zstd`"):
        read(path)


def test_a_log_that_is_emptied_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"first\nsecond\n")
    with opened(str(path)) as log:
        assert log.is_intact(13)
        with path.open("ab") as more:
            more.write(b"third\n")
        assert log.is_intact(19)
        os.truncate(path, 0)
        assert not log.is_intact(13)
        path.write_bytes(b"another log, as long\n")
        assert not log.is_intact(13)


def test_files_are_found_oldest_first_and_each_once(tmp_path: Path) -> None:
    for at, name in enumerate(["access.log.2.gz", "access.log.1", "access.log"]):
        (tmp_path / name).write_bytes(b"x\n")
        os.utime(tmp_path / name, (at, at))
    (tmp_path / "access.log.d").mkdir()
    (tmp_path / "access.log.link").symlink_to("access.log")
    os.link(tmp_path / "access.log.1", tmp_path / "access.log.same")
    (tmp_path / "access.log.gone").symlink_to("nowhere")
    found, problems = discover(f"{tmp_path}/access.log*")
    assert [Path(one.path).name for one in found] == ["access.log.2.gz", "access.log.1", "access.log"]
    assert problems == []


def test_what_is_no_file_is_named_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "access.log")
    found, problems = discover(f"{tmp_path}/*")
    assert found == []
    assert problems == [f"{tmp_path}/access.log: is not a regular file"]


def test_no_log_directory_yet_is_no_problem(tmp_path: Path) -> None:
    assert discover(f"{tmp_path}/nginx/access.log*") == ([], [])


def test_a_directory_that_cannot_be_listed_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert discover(f"{tmp_path}/*.log") == (
        [],
        [f"{tmp_path}: Permission denied: the user that runs update-stats must be able to list it"],
    )


def stream(number: int, text: bytes, path: Path, length: int | None = None) -> Stream:
    head = text[: length or len(text)]
    return Stream(number, len(text), len(head), digest(head), str(path))


def test_which_log_a_file_continues(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"one\ntwo\n")
    before = stream(1, b"one\n", path)
    other = stream(2, b"other\n", path)
    with opened(str(path)) as log:
        assert continued(log, before, [], {}) == before, "the same file, longer"
        assert continued(log, other, [], {}) is None, "the same inode, another content: emptied or used again"
        assert continued(log, None, [before], {}) == before, "a copy, or renamed across file systems"
        assert continued(log, other, [before], {}) == before
        assert continued(log, None, [before], {1: str(path)}) is None, "a new one where a renamed one was"
        assert continued(log, None, [before], {1: "elsewhere"}) == before
        longer = Stream(3, 100, 4, digest(b"one\n"), str(path))
        assert continued(log, longer, [], {}) is None, "emptied, and begun with the same line"
        assert continued(log, None, [longer], {}) == longer, "a copy that is not finished"


def test_a_compressed_log_may_be_smaller_than_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "access.log.1.gz"
    path.write_bytes(gzip.compress(TEXT))
    known = stream(1, TEXT, path, logsource.HEAD_BYTES)
    with opened(str(path)) as log:
        assert continued(log, known, [], {}) == known
