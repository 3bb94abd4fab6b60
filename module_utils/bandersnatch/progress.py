"""What a long run shows: a bar on a terminal, else a log line now and then; and a file for others to read.

Nothing is drawn inside a transfer: whoever commits work calls `advance`, and what is shown is at most so old.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from .summary import human_bytes, human_time, one_line

if TYPE_CHECKING:
    from .config import Config

log = logging.getLogger(__name__)

FILE_NAME = "progress.json"
FILE_INTERVAL = 1.0  # seconds between two writes of the progress file
BAR_INTERVAL = 0.2
LOG_INTERVAL = 30.0
WINDOW = 30  # samples, one a second: the rate is that of the last half minute
UNITS = ("projects", "files", "bytes")
BAR_WIDTH = 20
CLEAR_LINE = "\r\x1b[K"


class Snapshot(NamedTuple):
    """Where a phase stands."""

    phase: str
    done: dict[str, int]  # by unit
    total: dict[str, int]  # 0 where it is not known
    failed: int
    rate: float  # bytes per second, lately
    eta: float | None  # seconds; None where it cannot be told yet

    @property
    def fraction(self) -> float | None:
        """How much of the least advanced unit is done, 0 to 1; None where no total is known."""
        parts = [min(1.0, self.done[unit] / self.total[unit]) for unit in UNITS if self.total[unit] > 0]
        return min(parts) if parts else None

    def text(self) -> str:
        """`download: projects 12/40, files 30/120, 1.0 MiB/4.0 MiB, 512.0 KiB/s, 6.0 s left`."""
        parts = [
            f"{unit} {self.done[unit]:,}" + (f"/{self.total[unit]:,}" if self.total[unit] else "")
            for unit in ("projects", "files")
            if self.done[unit] or self.total[unit]
        ]
        if self.done["bytes"] or self.total["bytes"]:
            whole = f" of {human_bytes(self.total['bytes'])}" if self.total["bytes"] else ""
            parts.append(human_bytes(self.done["bytes"]) + whole)
            parts.append(f"{human_bytes(self.rate)}/s")
        if self.eta is not None:
            parts.append(f"{human_time(self.eta)} left")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        return f"{self.phase}: {', '.join(parts)}" if parts else self.phase


class TerminalView:
    """One line on a terminal, drawn over itself."""

    interval = BAR_INTERVAL

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, now: Snapshot) -> None:
        line = now.text()
        fraction = now.fraction
        if fraction is not None:
            full = int(fraction * BAR_WIDTH)
            line = f"[{'#' * full}{'.' * (BAR_WIDTH - full)}] {fraction:4.0%} {line}"
        try:
            width = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            width = 0  # not a real terminal, or one that does not know
        self._write(CLEAR_LINE + line[: (width or 80) - 1])

    def clear(self) -> None:
        self._write(CLEAR_LINE)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            pass  # the terminal went away: that is no reason to stop


class LogView:
    """A log line now and then, for cron and journals."""

    interval = LOG_INTERVAL

    def show(self, now: Snapshot) -> None:
        log.info("%s", now.text())

    def clear(self) -> None:
        pass


class Progress:
    """Counts what is done of a phase and shows it. Without arguments it only counts.

    `advance` may be called from one thread beside the main one.

    Args:
        view: what people see; None shows nothing.
        path: the progress file; None writes none.
        clock: monotonic seconds, for intervals.
    """

    def __init__(
        self,
        view: TerminalView | LogView | None = None,
        path: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._view = view
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._phase = ""
        self._failed = 0
        self._done = dict.fromkeys(UNITS, 0)
        self._total = dict.fromkeys(UNITS, 0)
        self._began = time.time()  # of the run, for readers of the file
        now = clock()
        self._next_show = now + (view.interval if view else 0)
        self._next_file = now
        self._samples: deque[tuple[float, dict[str, int]]] = deque(maxlen=WINDOW)
        self._file_written = False

    # The names of the units are the contract: `bytes` shadows the type in these two signatures only.
    def start(self, phase: str, *, projects: int = 0, files: int = 0, bytes: int = 0) -> None:
        """Begin a phase; the numbers are its totals, 0 where they are not known."""
        with self._lock:
            self._phase = phase
            self._done = dict.fromkeys(UNITS, 0)
            self._total = {"projects": projects, "files": files, "bytes": bytes}
            self._samples.clear()
            now = self._clock()
            self._samples.append((now, dict(self._done)))
            self._next_file = now
            self._tick(now)

    def advance(self, projects: int = 0, files: int = 0, bytes: int = 0) -> None:
        """Add to what is done."""
        with self._lock:
            self._done["projects"] += projects
            self._done["files"] += files
            self._done["bytes"] += bytes
            self._tick(self._clock())

    def note(self, message: str) -> None:
        """Say something once, above the bar."""
        with self._lock:
            if self._view:
                self._view.clear()
            log.info("%s", one_line(message))

    def failed(self, name: str, reason: str) -> None:
        """Count a failed project. Its line comes with the summary: one failure, one line."""
        with self._lock:
            self._failed += 1
            log.debug("%s failed: %s", one_line(name), one_line(reason))

    def close(self) -> None:
        """The run is over: the bar goes, and so does the progress file. May be called twice."""
        with self._lock:
            if self._view:
                self._view.clear()
            if self._path and self._file_written:
                self._file_written = False
                with contextlib.suppress(OSError):  # a progress file never fails a run
                    os.unlink(self._path)

    def snapshot(self) -> Snapshot:
        """Where the phase stands now."""
        with self._lock:
            return self._snapshot(self._clock())

    def _tick(self, now: float) -> None:
        if now - self._samples[-1][0] >= 1:
            self._samples.append((now, dict(self._done)))
        show = self._view is not None and now >= self._next_show
        write = self._path is not None and now >= self._next_file
        if not show and not write:
            return
        snapshot = self._snapshot(now)
        if self._view and show:
            self._view.show(snapshot)
            self._next_show = now + self._view.interval
        if self._path and write:
            self._write_file(self._path, snapshot)
            self._next_file = now + FILE_INTERVAL

    def _snapshot(self, now: float) -> Snapshot:
        then, before = self._samples[0] if self._samples else (now, self._done)
        elapsed = now - then
        rates = {unit: (self._done[unit] - before[unit]) / elapsed if elapsed > 0 else 0.0 for unit in UNITS}
        # The unit that takes longest decides: a few big files at the end are not hidden by many small ones.
        waits = [
            (self._total[unit] - self._done[unit]) / rates[unit] if rates[unit] > 0 else None
            for unit in UNITS
            if self._total[unit] > self._done[unit]
        ]
        known = [wait for wait in waits if wait is not None]
        eta = max(known) if known and len(known) == len(waits) else None
        return Snapshot(self._phase, dict(self._done), dict(self._total), self._failed, rates["bytes"], eta)

    def _write_file(self, path: str, now: Snapshot) -> None:
        content: dict[str, Any] = {"phase": now.phase}
        content |= {unit: {"done": now.done[unit], "total": now.total[unit]} for unit in UNITS}
        content |= {
            "failed": now.failed,
            "rate": round(now.rate),
            "eta_seconds": None if now.eta is None else round(now.eta),
            "started": self._began,
            "updated": time.time(),
            "pid": os.getpid(),
        }
        new = path + ".new"
        try:
            # A run as root writes into a directory of another user: links there are not followed.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(new, flags, 0o644), "w", encoding="utf-8") as file:
                json.dump(content, file)
            os.replace(new, path)
            self._file_written = True
        except OSError:
            pass  # a full disk is found, and told, by what matters: the files and pages


def make_progress(config: Config, *, quiet: bool = False, file: bool = True) -> Progress:
    """The progress of a run of this process.

    Args:
        config: its directory takes `progress.json`.
        quiet: show nothing (Ansible); the file is written all the same.
        file: False where another run may own the progress file (a dry run).
    """
    view: TerminalView | LogView | None = None
    if not quiet:
        view = TerminalView(sys.stderr) if sys.stderr and sys.stderr.isatty() else LogView()
    return Progress(view, os.fspath(config.directory / FILE_NAME) if file else None)
