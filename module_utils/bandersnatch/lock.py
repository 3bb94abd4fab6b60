"""One run at a time: a lock that the kernel frees when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from .errors import LockedError, StorageError
from .files import VOLUME, storage_error
from .summary import one_line

T = TypeVar("T")

_INTERVAL = 2.0  # seconds between two attempts at a lock that another run holds


@contextlib.contextmanager
def hold(path: str, purpose: str) -> Iterator[int]:
    """Hold the lock file `path` (flock(2)) and give its descriptor.

    `purpose` says to others what holds it; without one, the file is left as it is.

    Raises LockedError, which says who holds it since when; StorageError where the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = (
                os.pread(descriptor, 500, 0).decode("utf-8", "replace").strip() or "a dry run, or flock(1)"
            )
            raise LockedError(f"another run holds {path}: {one_line(holder)}. Wait for it to end.") from error
        except OSError as error:  # a network file system without locks, for instance
            raise _unusable(path, error) from error
        if purpose:
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            text = f"{purpose}, process {os.getpid()} on {socket.gethostname()}, since {since}\n"
            with contextlib.suppress(OSError):  # a full volume is reported by those who need its space
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, text.encode(), 0)
        try:
            yield descriptor
        finally:
            if purpose:  # nobody shall read of us when a later run holds it that leaves no text
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def patiently(run: Callable[[], T], wait: float) -> T:
    """What `run` gives; where it raises LockedError, it is tried again for `wait` seconds."""
    deadline = time.monotonic() + wait
    while True:
        try:
            return run()
        except LockedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_INTERVAL)


def is_held(path: str) -> bool:
    """Whether a run that says what it is holds the lock file `path` now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if not os.fstat(descriptor).st_size:  # ours for a moment would be in the way of one that begins
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _unusable(path: str, error: OSError) -> StorageError:
    if error.errno in VOLUME:
        return storage_error(path, error)
    return StorageError(
        f"cannot lock {path}: {error.strerror}. It must be a plain file that the user who runs this may "
        "write, on a file system with flock(2)"
    )
