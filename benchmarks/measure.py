"""What a command costs: wall, processor, memory of its whole process tree."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_PERIOD = 0.05  # seconds between two looks at the memory
_SHARE = 20  # looking may take one part in so many of the time


class Usage(NamedTuple):
    """What a command took."""

    wall: float  # seconds
    cpu: float  # seconds, user and system, of the process and all that it waited for
    memory: int  # bytes: see _Watch


def run(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Usage:
    """Run a command to its end and measure it; it must succeed."""
    with log.open("wb") as output:
        start = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment)
        )
        with _Watch(process.pid) as watch:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\nended with {process.returncode}:\n{tail(log)}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, watch.peak)


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


class _Watch:
    """Looks at a process tree's memory until it ends.

    The peak is the largest sum of the processes' proportional set sizes (what forked processes share counts
    once), looked at every 50 ms, and never less than the high-water mark of any one of them, which the kernel
    keeps. (The rusage of wait4 has a mark too, but it begins with that of the benchmark itself.)
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak = 0

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        wait = 0.005
        while not self._ended.wait(wait):
            start = time.thread_time()
            total = 0
            for pid in _tree(self._pid):
                total += _field(f"/proc/{pid}/smaps_rollup", "Pss:")
                self.peak = max(self.peak, _field(f"/proc/{pid}/status", "VmHWM:"))
            self.peak = max(self.peak, total)
            wait = max(_PERIOD, _SHARE * (time.thread_time() - start))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        children = [Path(f"/proc/{pid}/task/{thread}/children").read_text() for thread in threads]
    except OSError:  # it has ended
        return
    for child in " ".join(children).split():
        yield from _tree(int(child))


def _field(path: str, name: str) -> int:
    """A line "Name:  123 kB" of a file in /proc, in bytes; 0 where the process has ended."""
    try:
        text = Path(path).read_text()
    except OSError:
        return 0
    start = text.find(f"\n{name}")
    return int(text[start:].split(None, 2)[1]) * 1024 if start >= 0 else 0
