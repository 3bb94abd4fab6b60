"""SIGINT and SIGTERM end a run in good order: what is complete is put in place, the rest comes next time."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Stop(threading.Event):
    """Set when the run shall end."""


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
