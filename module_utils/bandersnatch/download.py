"""One file on its way to the disk: resumed, capped, hashed while it streams, never taken for whole if not."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from types import TracebackType
from typing import NamedTuple

from .errors import FetchError, StorageError
from .hashes import Hasher
from .message import header
from .session import Answer

MAX_SIZE = 20 << 30  # bytes of a file whose size the index does not state
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_STRONG_ETAG = re.compile(r'"[!#-~]{0,1000}"')
_ACCEPT = b"Accept: */*\r\nAccept-Encoding: identity\r\n"
_REMEDIES = {
    errno.ENOSPC: "free space there, or enlarge the volume",
    errno.EDQUOT: "raise the quota of the mirror's user",
    errno.EROFS: "remount the volume read-write (the kernel log says why it is not)",
    errno.EACCES: "make the directory the mirror user's own",
    errno.EPERM: "make the directory the mirror user's own",
    errno.EMFILE: "raise the limit of open files (ulimit -n), or lower `workers`",
}


class Got(NamedTuple):
    """A file that is complete and verified at its temporary path."""

    size: int  # bytes
    digest: str  # as asked for; "sha256:<hex>" where none was
    fetched: int  # bytes that came over the network


class Download:
    """The part file, and what is known about it. A context manager; the part is kept for a later resume
    unless it is complete, empty, or its failure is permanent (then it is deleted).

    Raises:
        StorageError: the disk does not take it.
        FetchError: (permanent) the digest's algorithm is unknown.
    """

    def __init__(self, part: str, digest: str, size: int) -> None:
        self.fetched = 0
        self._part = part
        self._digest = digest.lower()
        self._size = size
        self._cap = size if size >= 0 else MAX_SIZE
        self._have = 0  # bytes in the part, all of them hashed
        self._hasher = self._new_hasher()
        self._fd = -1
        self.new_url()

    def __enter__(self) -> Download:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(self._part, flags | os.O_EXCL, 0o644)
        except FileExistsError:
            self._open_existing(flags)
        except OSError as error:
            raise self._trouble(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
        if error is not None and (not self._have or (isinstance(error, FetchError) and error.permanent)):
            with contextlib.suppress(OSError):  # the error under way matters more
                os.unlink(self._part)

    def complete_already(self) -> bool:
        """Tell whether the part is the whole file. One that cannot become it is emptied."""
        if self._digest and self._have == (self._size if self._size >= 0 else self._have):
            if self._hash() == self._digest:
                return True
            if self._size >= 0:
                self._restart()
        elif self._have > self._cap:
            self._restart()
        return False

    def got(self) -> Got:
        return Got(self._have, self._digest or self._hash(), self.fetched)

    def new_url(self) -> None:
        """Forget what was learnt from another URL; what it brought is kept if a hash can judge it."""
        self._etag = ""
        self._uncached = False
        self._wrong = 0  # times that fresh data were wrong
        self._resumed = False  # part of the data is from an earlier answer
        self._restarted = False  # resumed data were wrong, and thrown away

    def headers(self) -> bytes:
        """Return the header lines for the next request."""
        lines = _ACCEPT
        if self._uncached:
            lines += b"Cache-Control: no-cache\r\n"
        if not self._digest and not self._etag:  # nothing could say whether the rest fits what lies there
            self._restart()
        if self._have:
            lines += b"Range: bytes=%d-\r\n" % self._have
            if self._etag:
                lines += header("If-Range", self._etag)
        return lines

    def take(self, answer: Answer) -> bool:
        """Take the answer to a request with `headers()`.

        Returns:
            Whether the file is complete; if not, ask again at once.

        Raises:
            FetchError: what came is kept.
        """
        if not self._fits(answer):
            return False
        etag = answer.fields.get("etag", "")
        self._etag = etag if _STRONG_ETAG.fullmatch(etag) else ""
        if answer.length is not None and self._size >= 0 and self._have + answer.length != self._size:
            return self._refuse(answer, f"{self._have + answer.length:,} bytes, not {self._size:,} as stated")
        for piece in answer.pieces():
            if self._have + len(piece) > self._cap:
                return self._refuse(answer, f"longer than {self._cap:,} bytes")
            self._write(piece)
            self._hasher.update(piece)
            self._have += len(piece)
            self.fetched += len(piece)
        if self._size >= 0 and self._have != self._size:
            return self._refuse(answer, f"{self._have:,} bytes, not {self._size:,} as stated")
        if self._digest and self._hash() != self._digest:
            return self._refuse(answer, f"hash {self._hash()}, not {self._digest} as stated")
        return True

    def _fits(self, answer: Answer) -> bool:
        """Tell whether the body continues the part, or begins anew; FetchError if it does neither."""
        if answer.status == 206 and self._have:
            if not self._continues(answer):
                self._restart()
                return False
            self._resumed = True
        elif answer.status == 200:
            self._restart()
        elif answer.status == 416 and self._have:
            answer.drain()
            self._restart()
            return False
        else:
            answer.drain()
            raise answer.refusal()
        coding = answer.fields.get("content-encoding", "identity").strip().lower()
        if not self._digest:
            # With a hash we take what comes as it is, and the hash decides.
            if coding not in ("", "identity"):
                raise answer.error("sent compressed, though that was not asked for", permanent=True)
            if answer.length is None and not answer.chunked and self._size < 0:
                raise answer.error("neither length nor hash: it cannot be verified", permanent=True)
        return True

    def _continues(self, answer: Answer) -> bool:
        """RFC 9110, 14.4: a range has to be the one that we asked for, up to the end."""
        found = _CONTENT_RANGE.fullmatch(answer.fields.get("content-range", ""))
        if found is None:
            return False
        first, last = int(found[1]), int(found[2])
        total = self._size if found[3] == "*" else int(found[3])
        return (
            first == self._have
            and last + 1 == total
            and self._size in (-1, total)
            and answer.length in (None, total - first)
        )

    def _refuse(self, answer: Answer, reason: str) -> bool:
        """Throw wrong data away. Resumed ones once, fresh ones once past all caches; then it is final."""
        self._wrong += 0 if self._resumed and not self._restarted else 1
        self._restarted = self._restarted or self._resumed
        self._uncached = True
        self._restart()
        if self._wrong < 2:
            return False
        coding = answer.fields.get("content-encoding")
        if coding:
            reason += f" (sent with Content-Encoding {coding[:40]!a}, though that was not asked for)"
        raise answer.error(f"wrong content twice: {reason}", permanent=True)

    def _open_existing(self, flags: int) -> None:
        fd = -1
        try:
            fd = os.open(self._part, flags, 0o644)
            os.lseek(fd, 0, os.SEEK_SET)  # fails on a pipe or socket
            while block := os.read(fd, 1 << 18):
                self._hasher.update(block)
                self._have += len(block)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            raise self._trouble(error) from error
        self._fd = fd
        self._resumed = True

    def _restart(self) -> None:
        if self._have:
            try:
                os.ftruncate(self._fd, 0)
            except OSError as error:
                raise self._trouble(error) from error
            self._have = 0
            self._hasher = self._new_hasher()
        self._resumed = False

    def _write(self, piece: memoryview) -> None:
        at = self._have
        try:
            done = os.pwrite(self._fd, piece, at)
            while done < len(piece):
                done += os.pwrite(self._fd, piece[done:], at + done)
        except OSError as error:
            raise self._trouble(error) from error

    def _new_hasher(self) -> Hasher:
        try:
            return Hasher(self._digest)
        except ValueError:
            raise FetchError(f"{self._digest[:40]!a}: no such hash algorithm here", permanent=True) from None

    def _hash(self) -> str:
        return self._hasher.digest()

    def _trouble(self, error: OSError) -> StorageError:
        place = os.path.dirname(self._part) or "."
        remedy = _REMEDIES.get(error.errno or 0, "check the volume and its owner")
        return StorageError(f"cannot write in {place!r} ({error.strerror}): {remedy}")
