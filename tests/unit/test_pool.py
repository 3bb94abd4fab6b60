"""The worker processes: every task has its answer, whatever travels together; a death is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Pipe
from pathlib import Path

import pytest
from bandersnatch.config import Config
from bandersnatch.errors import BandersnatchError
from bandersnatch.model import Blob
from bandersnatch.net import NetSettings
from bandersnatch.pool import Pool, _Outbox
from bandersnatch.store import Store
from bandersnatch.worker import Answer, FileAnswer, FileTask, PageTask, Task, Worker

SETTINGS = NetSettings(timeout=5, deadline=5, user_agent="test", proxy=None, allow_http=True, attempts=1)


def make(tmp_path: Path) -> Pool:
    config = Config(directory=tmp_path / "mirror", master="http://127.0.0.1:9/simple/", workers=4)
    store = Store(config.directory)
    store.create()
    store.prepare()
    (tmp_path / "mirror/web/packages/there").write_bytes(b"")
    return Pool(config, store, SETTINGS, held=None, dry=False)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    made = make(tmp_path)
    yield made
    made.close()


def looks(count: int) -> Iterator[FileTask]:
    """Files that are in place: they are looked at and not fetched."""
    for number in range(count):
        blob = Blob("packages/there", "http://127.0.0.1:9/there", "", 0, 0)
        yield FileTask(f"p{number}", blob, check=True)


def test_each_task_has_one_answer(pool: Pool) -> None:
    for count in (0, 1, 7, 8, 9, 1_000):
        answers = [answer for answer in pool.run(looks(count)) if answer is not None]
        assert {answer.outcome for answer in answers} <= {"kept"}
        assert sorted(answer.name for answer in answers) == sorted(f"p{number}" for number in range(count))


def test_no_answer_stays_behind_whichever_thread_ends_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads that ended at about the same time left an answer unsent, and the run waited for ever."""
    monkeypatch.setattr(Worker, "do", lambda _, task: FileAnswer(task.name, "packages/there", "kept"))
    pool = make(tmp_path)
    try:
        for count in [*range(2, 40)] * 40:
            waited = 0
            for answer in pool.run(looks(count)):
                waited += answer is None
                assert waited < 30, "no answer came for half a minute"
    finally:
        pool.close()


def test_a_process_that_is_killed_has_a_successor(pool: Pool) -> None:
    os.kill(pool._processes[-1].pid, signal.SIGKILL)
    answers = [answer for answer in pool.run(looks(1_000)) if answer is not None]
    assert sorted(answer.name for answer in answers) == sorted(f"p{number}" for number in range(1_000))
    assert {answer.outcome for answer in answers} == {"kept"}


def deadly(names: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks with these names kill the process that does them."""
    do = Worker.do

    def do_or_die(worker: Worker, task: Task) -> Answer:
        if task.name in names:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(worker, task)

    monkeypatch.setattr(Worker, "do", do_or_die)


def test_a_task_that_kills_its_process_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deadly({"p5", "p300"}, monkeypatch)
    pool = make(tmp_path)
    answers = [answer for answer in pool.run(looks(400)) if answer is not None]
    pages = [answer for answer in pool.run([PageTask("p5", None, None, False)]) if answer is not None]
    pool.close()
    assert sorted(answer.name for answer in answers) == sorted(f"p{number}" for number in range(400))
    assert {answer.name for answer in answers if answer.outcome == "failed"} == {"p5", "p300"}
    assert {answer.outcome for answer in answers} == {"kept", "failed"}
    assert [(page.name, page.outcome) for page in pages] == [("p5", "failed")]
    assert "kernel log" in pages[0].reason


def test_a_host_that_kills_every_process_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly({f"p{number}" for number in range(100)}, monkeypatch)
    pool = make(tmp_path)
    with pytest.raises(BandersnatchError, match="kernel log"):
        list(pool.run(looks(100)))
    pool.close()


def test_answers_travel_together_unless_they_would_wait() -> None:
    ours, theirs = Pipe()
    outbox = _Outbox(theirs)
    answer: Answer = FileAnswer("six", "path", "kept")
    for _ in range(7):
        outbox.put(answer)
    assert not ours.poll()
    outbox.put(answer)
    assert ours.poll()
    ours.recv_bytes()
    outbox.put(answer)
    assert not ours.poll()
    outbox.send()
    assert ours.poll()
