"""Worker processes: enough of them to keep every core busy, a few threads in each.

More threads in one process gain nothing where answers come at once (the interpreter's lock); more processes
than cores gain nothing either. What waits for the network waits in threads.
"""

from __future__ import annotations

import functools
import gc
import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, Pipe, wait

from . import syscalls
from .config import Config
from .errors import BandersnatchError
from .net import NetSettings
from .store import Store
from .worker import Answer, Task, Worker

_AHEAD = 6  # tasks that wait in a process for each of its threads, so that none is idle while we commit


class Pool:
    """The worker processes of a run. They end with their parent, however it ends."""

    def __init__(
        self, config: Config, store: Store, settings: NetSettings, *, held: int | None, dry: bool
    ) -> None:
        """`held`: the descriptor of the run's lock, which the workers close; `dry`: they write nothing."""
        # Pages are thousands of small objects without cycles: the collector would look at them in vain. What
        # exists by now is shared with the workers and stays.
        gc.set_threshold(200_000, 20, 20)
        gc.freeze()
        count = max(1, min(os.cpu_count() or 1, config.workers))
        self._processes: list[_Process] = []
        for number in range(count):
            threads = config.workers // count + (number < config.workers % count)
            try:
                ours, theirs = Pipe()
                pid = os.fork()
            except OSError as error:
                self.close()
                raise BandersnatchError(
                    f"cannot start a worker process: {error.strerror}. Lower `workers`, or raise the limits"
                ) from error
            if pid == 0:
                for other in self._processes:
                    other.connection.close()
                ours.close()
                if held is not None:
                    os.close(held)
                make = functools.partial(Worker, config, store, settings, dry)
                _serve(theirs, make, threads)
            theirs.close()
            self._processes.append(_Process(pid, ours, threads))

    def run(self, tasks: Iterable[Task]) -> Iterator[Answer | None]:
        """Give out the tasks and yield the answers as they come; None every second without one.

        A caller that leaves the loop early must not run the pool again.
        """
        source = iter(tasks)
        exhausted = False
        while True:
            for process in self._processes:
                free = process.threads * _AHEAD - process.waiting
                if exhausted or free < process.threads:
                    continue
                chunk = [task for _, task in zip(range(free), source, strict=False)]
                exhausted = len(chunk) < free
                if chunk:
                    process.send(chunk)
            busy = {process.connection: process for process in self._processes if process.waiting}
            if not busy:
                return
            ready = wait(list(busy), timeout=1)
            if not ready:
                yield None
            for connection in ready:
                yield busy[connection].receive()  # type: ignore[index]

    def close(self) -> None:
        """End the processes. What they were fetching stays behind as parts."""
        for process in self._processes:
            process.connection.close()
            os.kill(process.pid, signal.SIGKILL)
        for process in self._processes:
            os.waitpid(process.pid, 0)
        self._processes.clear()


class _Process:
    def __init__(self, pid: int, connection: Connection, threads: int) -> None:
        self.pid = pid
        self.connection = connection
        self.threads = threads
        self.waiting = 0

    def send(self, tasks: list[Task]) -> None:
        try:
            self.connection.send_bytes(pickle.dumps(tasks, 5))
        except OSError as error:
            raise self._death() from error
        self.waiting += len(tasks)

    def receive(self) -> Answer:
        try:
            answer = pickle.loads(self.connection.recv_bytes())  # noqa: S301 (from our own process)
        except (EOFError, OSError) as error:
            raise self._death() from error
        self.waiting -= 1
        if isinstance(answer, str):
            raise RuntimeError(f"a worker failed:\n{answer}")  # noqa: TRY004
        return answer  # type: ignore[no-any-return]

    def _death(self) -> BandersnatchError:
        return BandersnatchError(
            f"worker process {self.pid} ended unexpectedly (out of memory, or killed): look at the kernel log"
        )


def _serve(connection: Connection, make: Callable[[], Worker], threads: int) -> None:
    """The life of a worker process: from tasks to answers until the parent closes the pipe. Never returns."""
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the parent ends us
        tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        lock = threading.Lock()
        for _ in range(threads):
            threading.Thread(target=_work, args=(make(), tasks, connection, lock), daemon=True).start()
        while True:
            for task in pickle.loads(connection.recv_bytes()):  # noqa: S301 (from our own process)
                tasks.put(task)
    except BaseException:
        os._exit(0)


def _work(
    worker: Worker, tasks: queue.SimpleQueue[Task], connection: Connection, lock: threading.Lock
) -> None:
    while True:
        task = tasks.get()
        try:
            answer: Answer | str = worker.do(task)
        except BaseException:
            answer = traceback.format_exc()
        message = pickle.dumps(answer, 5)
        try:
            with lock:
                connection.send_bytes(message)
        except OSError:
            os._exit(0)
