"""Worker processes: enough of them to keep every core busy, a few threads in each.

More threads in one process gain nothing where answers come at once (the interpreter's lock); more processes
than cores gain nothing either. What waits for the network waits in threads.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
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
from .worker import Answer, FileAnswer, PageAnswer, PageTask, Task, Worker

_AHEAD = 6  # tasks that wait in a process for each of its threads, so that none is idle while we commit
_TOGETHER = 8  # answers that travel in one message
_HELD_BACK = 0.05  # seconds after which the next answer takes the waiting ones along
_DEATHS = 20  # killed worker processes after which the fault is the host's, not a task's
_KILLED = (
    "a worker process was killed, for lack of memory it seems: "
    "look at the kernel log; fewer `workers` need less of it"
)


class Pool:
    """The worker processes of a run. They end with their parent, however it ends.

    One that is killed (for lack of memory, most often) has a successor. What it had been given is then tried
    task by task, each alone in a process: the one that kills its process again has failed, and no other.
    """

    def __init__(
        self, config: Config, store: Store, settings: NetSettings, *, held: int | None, dry: bool
    ) -> None:
        """`held`: the descriptor of the run's lock, which the workers close; `dry`: they write nothing."""
        # Pages are thousands of small objects without cycles: the collector would look at them in vain. What
        # exists by now is shared with the workers and stays.
        gc.set_threshold(200_000, 20, 20)
        gc.freeze()
        self._make = functools.partial(Worker, config, store, settings, dry)
        self._held = held
        self._processes: list[_Process] = []
        self._poll = select.poll()
        self._suspects: list[Task] = []
        self._deaths = 0
        count = max(1, min(os.cpu_count() or 1, config.workers))
        for number in range(count):
            self._start(config.workers // count + (number < config.workers % count))

    def _start(self, threads: int) -> None:
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
            if self._held is not None:
                os.close(self._held)
            _serve(theirs, self._make, threads)
        theirs.close()
        self._processes.append(_Process(pid, ours, threads))
        self._poll.register(ours, select.POLLIN)

    def run(self, tasks: Iterable[Task]) -> Iterator[Answer | None]:
        """Give out the tasks and yield the answers as they come; None every second without one.

        A caller that leaves the loop early must not run the pool again. Raises BandersnatchError where one
        process after the other is killed.
        """
        source = iter(tasks)
        while True:
            for process in self._processes:
                process.send(self._next(process, source))
            if not any(process.waiting for process in self._processes):
                return
            ready = dict(self._poll.poll(1000))
            if not ready:
                yield None
            for process in list(self._processes):
                if process.connection.fileno() in ready:
                    answers = process.receive()
                    yield from self._after_death(process) if answers is None else answers

    def _next(self, process: _Process, source: Iterator[Task]) -> list[Task]:
        """What a process is to do next: a suspect alone, else as much as keeps it busy."""
        free = process.threads * _AHEAD - len(process.waiting)
        if process.alone or free < process.threads:
            return []
        if self._suspects:
            process.alone = not process.waiting
            return [self._suspects.pop()] if process.alone else []
        return list(itertools.islice(source, free))

    def _after_death(self, process: _Process) -> Iterator[Answer]:
        """Put a new process in the place of one that has ended, and say what has failed by that."""
        self._deaths += 1
        lost = list(process.waiting.values())
        self._poll.unregister(process.connection)
        self._processes.remove(process)
        process.end()
        if self._deaths > _DEATHS:
            raise BandersnatchError(f"{_KILLED}, for the {self._deaths}th time in this run")
        self._start(process.threads)
        if not process.alone:
            self._suspects += reversed(lost)
            return
        for task in lost:
            if isinstance(task, PageTask):
                yield PageAnswer(task.name, "failed", _KILLED)
            else:
                yield FileAnswer(task.name, task.blob.path, "failed", _KILLED)

    def close(self) -> None:
        """End the processes. What they were fetching stays behind as parts."""
        for process in self._processes:
            process.end()
        self._processes.clear()


class _Process:
    def __init__(self, pid: int, connection: Connection, threads: int) -> None:
        self.pid = pid
        self.connection = connection
        self.threads = threads
        self.waiting: dict[tuple[str, str], Task] = {}  # tasks without an answer, by project and path
        self.alone = False  # it has one task, which it may not survive

    def send(self, tasks: list[Task]) -> None:
        if not tasks:
            return
        for task in tasks:
            self.waiting[task.name, "" if isinstance(task, PageTask) else task.blob.path] = task
        with contextlib.suppress(OSError):  # it has ended: `receive` will find that
            self.connection.send_bytes(pickle.dumps(tasks, 5))

    def receive(self) -> list[Answer] | None:
        """The next answers; None where the process has ended."""
        try:
            answers = pickle.loads(self.connection.recv_bytes())  # noqa: S301 (from our own process)
        except (EOFError, OSError):
            return None
        for answer in answers:
            if isinstance(answer, str):
                raise RuntimeError(f"a worker failed:\n{answer}")  # noqa: TRY004
            del self.waiting[answer.name, "" if isinstance(answer, PageAnswer) else answer.path]
        self.alone = False
        return answers  # type: ignore[no-any-return]

    def end(self) -> None:
        self.connection.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


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
        try:
            task = tasks.get_nowait()
        except queue.Empty:
            outbox.send()  # nobody else might: what is held back must not wait with this thread
            task = tasks.get()
        try:
            answer: Answer | str = worker.do(task)
        except BaseException:
            answer = traceback.format_exc()
        outbox.put(answer)


class _Outbox:
    """Answers on their way to the parent: a message for each one would cost more than making a small one.

    Whoever puts an answer in takes another task next, or calls `send` before it waits: so none stays behind.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._answers: list[Answer | str] = []
        self._since = 0.0

    def put(self, answer: Answer | str) -> None:
        """Take an answer; send what has gathered where that is much, or has waited long."""
        with self._lock:
            now = time.monotonic()
            if not self._answers:
                self._since = now
            self._answers.append(answer)
            if len(self._answers) >= _TOGETHER or now - self._since >= _HELD_BACK:
                self._send()

    def send(self) -> None:
        """Send what has gathered."""
        with self._lock:
            if self._answers:
                self._send()

    def _send(self) -> None:
        try:
            self._connection.send_bytes(pickle.dumps(self._answers, 5))
        except OSError:
            os._exit(0)
        self._answers.clear()
