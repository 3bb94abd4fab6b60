"""Access logs on disk: which there are, how they are opened, and which log a file continues.

A log is known by its first bytes, so that it is the same one after a rename, a copy (copytruncate) and
compression. What was read of it is an offset into its uncompressed bytes.
"""

from __future__ import annotations

import bz2
import contextlib
import glob
import gzip
import hashlib
import io
import lzma
import os
import re
import shutil
import stat
import subprocess
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, NamedTuple, cast

HEAD_BYTES = 4096  # of a log's beginning that tell it from others: ten lines or more, each with its second
BLOCK_BYTES = 1 << 17  # so that what it is split into stays in the cache
_LONGEST_LINE = 1 << 20  # bytes; nginx's own limits keep lines far below

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_MAGIC_BYTES = 6
_WILD = re.compile(r"[*?\[]")


class DamagedError(Exception):
    """A compressed log breaks where it should not. `cut`: it just ends, so may be still in the writing."""

    def __init__(self, reason: str, cut: bool = False) -> None:
        super().__init__(reason)
        self.cut = cut


class Found(NamedTuple):
    """A regular file that the pattern matches."""

    path: str
    key: str  # "device:inode"
    size: int
    mtime_ns: int


class Stream(NamedTuple):
    """A log that was read before, whatever its file is called now."""

    number: int
    offset: int  # uncompressed bytes that are counted
    head_length: int
    head: bytes  # digest of its first `head_length` bytes
    path: str  # where it was last read


def digest(head: bytes) -> bytes:
    """The fingerprint of a log's first bytes."""
    return hashlib.sha256(head).digest()


def discover(pattern: str) -> tuple[list[Found], list[str]]:
    """The regular files that a glob pattern matches, oldest first, each once; and a sentence for each thing
    that could not be looked at."""
    found: dict[str, Found] = {}
    problems = []
    fixed = os.path.dirname(_WILD.split(pattern)[0])
    try:
        os.listdir(fixed or ".")  # glob would find nothing, and say nothing
    except FileNotFoundError:
        return [], []  # nothing was logged there yet
    except OSError as error:
        return [], [f"{fixed}: {error.strerror}: the user that runs update-stats must be able to list it"]
    for path in sorted(glob.glob(pattern)):
        try:
            status = os.stat(path)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):  # rotated away since
                problems.append(f"{path}: {error.strerror}")
            continue
        if stat.S_ISREG(status.st_mode):
            one = Found(path, f"{status.st_dev}:{status.st_ino}", status.st_size, status.st_mtime_ns)
            found.setdefault(one.key, one)
        elif not stat.S_ISDIR(status.st_mode):
            problems.append(f"{path}: is not a regular file")
    return sorted(found.values(), key=lambda one: (one.mtime_ns, one.path)), problems


class Log:
    """An open log, plain or compressed: which one it is goes by its content, not by its name."""

    def __init__(self, path: str) -> None:
        """Raises OSError, and DamagedError where not even its beginning can be read."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            status = os.fstat(self._descriptor)  # not of the path: a rotation may have come between
            self.found = Found(path, f"{status.st_dev}:{status.st_ino}", status.st_size, status.st_mtime_ns)
            magic = os.pread(self._descriptor, _MAGIC_BYTES, 0)
            self.compressed = magic.startswith((_GZIP, _BZIP2, _XZ, _ZSTD))
            self._file = self._opened(magic)
            self._ahead = self._exactly(HEAD_BYTES) if self.compressed else b""
            self.head = self._ahead if self.compressed else os.pread(self._descriptor, HEAD_BYTES, 0)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and end the decompressor."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        os.close(self._descriptor)

    def skip(self, offset: int) -> None:
        """Go to an offset of the uncompressed bytes. Once, before anything is read."""
        if not self.compressed:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
        while self.compressed and offset > 0:
            passed = self._read(min(offset, BLOCK_BYTES))
            if not passed:
                break
            offset -= len(passed)

    def blocks(self) -> Iterator[tuple[list[bytes], int]]:
        """(some lines, each with its newline; how many bytes of the log they are), up to the end.

        A last line without its newline is left for later, for it may still be written; in a compressed log it
        is given, for nothing will follow. Raises OSError and DamagedError.
        """
        rest = b""
        while chunk := self._read(BLOCK_BYTES):
            lines = io.BytesIO(chunk).readlines()
            lines[0] = rest + lines[0]
            length = len(rest) + len(chunk)
            rest = b"" if chunk.endswith(b"\n") else lines.pop()
            if len(rest) > _LONGEST_LINE:  # no log line: let go of it before it fills the memory
                lines.append(rest + b"\n")
                rest = b""
            if lines:
                yield lines, length - len(rest)
        if rest and self.compressed:
            yield [rest + b"\n"], len(rest)

    def fingerprinted(self, offset: int) -> bytes:
        """The bytes that tell this log from others, once `offset` bytes are read."""
        count = min(offset, HEAD_BYTES)
        return self.head[:count] if self.compressed else os.pread(self._descriptor, count, 0)

    def is_intact(self, offset: int) -> bool:
        """False where a plain log was emptied under us (copytruncate): what was read may be of two logs."""
        if self.compressed:
            return True
        size = os.fstat(self._descriptor).st_size
        return size >= offset and os.pread(self._descriptor, len(self.head), 0) == self.head

    def _opened(self, magic: bytes) -> IO[bytes]:
        if magic.startswith(_ZSTD):
            return self._zstd()
        raw = os.fdopen(self._descriptor, "rb", buffering=0, closefd=False)
        if magic.startswith(_GZIP):
            return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
        if magic.startswith(_BZIP2):
            return bz2.BZ2File(raw)
        return lzma.LZMAFile(raw) if magic.startswith(_XZ) else cast(IO[bytes], raw)

    def _zstd(self) -> IO[bytes]:
        program = shutil.which("zstd")
        if program is None:
            raise DamagedError("is compressed with Zstandard: install the package `zstd` to have it counted")
        self._process = subprocess.Popen(  # noqa: S603 (no shell; the file is its standard input)
            [program, "-dcq"], stdin=self._descriptor, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        return cast(IO[bytes], self._process.stdout)

    def _read(self, count: int) -> bytes:
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            if len(ahead) > count:
                ahead, self._ahead = ahead[:count], ahead[count:]
            return ahead
        try:
            data = self._file.read(count)
        except EOFError as error:
            raise DamagedError("ends in the middle of its compressed data", cut=True) from error
        except (zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
            raise DamagedError(f"is damaged: {error}") from error
        if not data and self._process is not None and self._process.wait() != 0:
            raise DamagedError("ends in the middle of its compressed data, or is damaged", cut=True)
        return data

    def _exactly(self, count: int) -> bytes:
        """`count` bytes, fewer at the end only."""
        self._ahead = b""
        data = b""
        while len(data) < count and (more := self._read(count - len(data))):
            data += more
        return data


@contextlib.contextmanager
def opened(path: str) -> Iterator[Log]:
    """An open log, closed afterwards."""
    log = Log(path)
    try:
        yield log
    finally:
        log.close()


def continued(
    log: Log, known: Stream | None, alike: Iterable[Stream], moved: Mapping[int, str]
) -> Stream | None:
    """Which log a file continues; None for a new one.

    `known`: what this very file (device and inode) was last time. `alike`: the logs that begin as this one
    does. `moved`: the former path of each log whose file now has another name.
    """
    if known is not None and known.head == digest(log.head[: known.head_length]):
        if log.compressed or log.found.size >= known.offset:
            return known
        return None  # it was emptied and begins with the same line again
    for stream in alike:
        # A log that was renamed, and a new one in its place that happens to begin with the same lines.
        if moved.get(stream.number) != log.found.path:
            return stream
    return None
