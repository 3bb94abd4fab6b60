"""One file or directory at a time: read, write, compare, and what an OSError means for the operator."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from .errors import StorageError
from .hashes import Hasher

_BLOCK = 1 << 20  # bytes read at once of a file that is hashed

_REMEDIES = {
    errno.ENOSPC: "the volume is full (space or inodes): make room or grow it, then run again",
    errno.EDQUOT: "the quota is used up: raise it, then run again",
    errno.EROFS: "the volume is read-only: look at the kernel log, repair and remount it",
    errno.EACCES: "permission denied: the mirror directory must belong to the user that runs the mirror",
    errno.EPERM: "not permitted: the mirror directory must belong to the user that runs the mirror",
    errno.EIO: "the device reports an input/output error: look at the kernel log",
    errno.ENOENT: "no such directory: make it, or mend `directory` in the config file",
}
VOLUME = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})  # which concern all files on it


def storage_error(path: str, error: OSError) -> StorageError:
    """What an OSError means for the operator: the path, the reason, the remedy."""
    remedy = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
    return StorageError(f"{error.filename or path}: {remedy}")


@contextlib.contextmanager
def as_storage_error(path: str) -> Iterator[None]:
    """Let an OSError out as the StorageError that it means."""
    try:
        yield
    except OSError as error:
        raise storage_error(path, error) from error


def opener(path: str, flags: int) -> int:
    """For `open`: readable for nginx, no symbolic link followed, not handed on to other programs."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)


def read_file(path: str) -> bytes:
    """The content of a file of the mirror, no symbolic link followed, no pipe waited for. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return file.read()


def hash_file(path: str, digest: str) -> str:
    """What a file's digest is, in the spelling of `digest`. Raises OSError; no symbolic link is followed."""
    hasher = Hasher(digest)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        while block := os.read(descriptor, _BLOCK):
            hasher.update(block)
    finally:
        os.close(descriptor)
    return hasher.digest()


def read_chunks(path: str) -> Iterator[bytes]:
    """The content of a long file, piece by piece. Raises OSError."""
    with open(path, "rb") as file:
        while chunk := file.read(1 << 18):
            yield chunk


def replace_file(target: str, content: bytes, part: str) -> bool:
    """Write a small file and rename it over `target`, unless that is the same; true where it was not.

    `part`: the temporary file, on the same file system. Not flushed: no page links to what is written so.

    Raises OSError.
    """
    with contextlib.suppress(OSError):
        if read_file(target) == content:
            return False
    try:
        with open(part, "wb", opener=opener) as file:
            os.fchmod(file.fileno(), 0o644)  # nginx reads it, whatever the umask
            file.write(content)
        os.rename(part, target)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)  # it may be what fills the volume
        raise
    return True


def write(path: str, content: bytes) -> None:
    """Write a small file, in half the time that `open` takes. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o644)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def is_same(first: str, second: str) -> bool:
    """Whether both are files with the same content; false where the second is no file. Raises OSError."""
    size = 1 << 20
    try:
        if not stat.S_ISREG(os.lstat(second).st_mode):
            return False
        with open(first, "rb") as one, open(second, "rb") as two:
            if os.fstat(one.fileno()).st_size != os.fstat(two.fileno()).st_size:
                return False
            while chunk := one.read(size):
                if chunk != two.read(size):
                    return False
    except FileNotFoundError:
        return False
    return True


def directories(path: str) -> list[str]:
    """The directories in a directory, symbolic links apart; none where it is none itself."""
    if os.path.islink(path):
        return []
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
