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
import select
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, Pipe

from . import syscalls
from .config import Config
from .errors import BandersnatchError
from .net import NetSettings
from .store import Store
from .worker import Answer, Task, Worker

_AHEAD = 6  # tasks that wait in a process for each of its threads, so that none is idle while we commit
_TOGETHER = 8  # answers that travel in one message
_HELD_BACK = 0.05  # seconds after which the next answer takes the waiting ones along


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
        self._poll = select.poll()
        for process in self._processes:
            self._poll.register(process.connection, select.POLLIN)

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
            if not any(process.waiting for process in self._processes):
                return
            ready = dict(self._poll.poll(1000))
            if not ready:
                yield None
            for process in self._processes:
                if process.connection.fileno() in ready:
                    yield from process.receive()

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

    def receive(self) -> list[Answer]:
        try:
            answers = pickle.loads(self.connection.recv_bytes())  # noqa: S301 (from our own process)
        except (EOFError, OSError) as error:
            raise self._death() from error
        self.waiting -= len(answers)
        for answer in answers:
            if isinstance(answer, str):
                raise RuntimeError(f"a worker failed:\n{answer}")  # noqa: TRY004
        return answers  # type: ignore[no-any-return]

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
        outbox = _Outbox(connection)
        for _ in range(threads):
            threading.Thread(target=_work, args=(make(), tasks, outbox), daemon=True).start()
        while True:
            for task in pickle.loads(connection.recv_bytes()):  # noqa: S301 (from our own process)
                tasks.put(task)
    except BaseException:
        os._exit(0)


def _work(worker: Worker, tasks: queue.SimpleQueue[Task], outbox: _Outbox) -> None:
    while True:
        task = tasks.get()
        try:
            answer: Answer | str = worker.do(task)
        except BaseException:
            answer = traceback.format_exc()
        outbox.put(answer, more=not tasks.empty())


class _Outbox:
    """Answers on their way to the parent: a message for each one would cost more than making a small one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._answers: list[Answer | str] = []
        self._since = 0.0

    def put(self, answer: Answer | str, more: bool) -> None:
        """Take an answer, and send what has gathered unless `more` will soon follow."""
        with self._lock:
            now = time.monotonic()
            if not self._answers:
                self._since = now
            self._answers.append(answer)
            if more and len(self._answers) < _TOGETHER and now - self._since < _HELD_BACK:
                return
            try:
                self._connection.send_bytes(pickle.dumps(self._answers, 5))
            except OSError:
                os._exit(0)
            self._answers.clear()
