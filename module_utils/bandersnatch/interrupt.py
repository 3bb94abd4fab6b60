"""SIGINT and SIGTERM end a run in good order: what is complete is put in place, the rest comes next time."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from .errors import StoppedError

_LOOK = 0.1  # seconds: a signal handler does not cut a sleep short


class Stop:
    """Set when the run shall end.

    No threading.Event: its lock may be held by the very thread that a signal interrupts.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Ask for the end."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether the run shall end."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Sleep for so long, or until it is set; true where it is."""
        until = time.monotonic() + seconds
        while not self._is_set and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK))
        return self._is_set

    def check(self) -> None:
        """Raise StoppedError if the run shall end."""
        if self._is_set:
            raise StoppedError("interrupted; the next run takes up the rest")


@contextlib.contextmanager
def noticed() -> Iterator[Stop]:
    """Take note of SIGINT and SIGTERM inside the block; a second one raises KeyboardInterrupt."""
    stop = Stop()

    def note(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
