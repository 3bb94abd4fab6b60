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
from bandersnatch.worker import Answer, FileAnswer, FileTask

SETTINGS = NetSettings(timeout=5, deadline=5, user_agent="test", proxy=None, allow_http=True, attempts=1)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    config = Config(directory=tmp_path / "mirror", master="http://127.0.0.1:9/simple/", workers=4)
    store = Store(config.directory)
    store.create()
    store.prepare()
    (tmp_path / "mirror/web/packages/there").write_bytes(b"")
    made = Pool(config, store, SETTINGS, held=None, dry=False)
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


def test_a_process_that_ends_is_an_error_that_says_so(pool: Pool) -> None:
    os.kill(pool._processes[-1].pid, signal.SIGKILL)
    with pytest.raises(BandersnatchError, match="ended unexpectedly"):
        list(pool.run(looks(1_000)))


def test_answers_travel_together_unless_they_would_wait() -> None:
    ours, theirs = Pipe()
    outbox = _Outbox(theirs)
    answer: Answer = FileAnswer("six", "path", "kept")
    for _ in range(7):
        outbox.put(answer, more=True)
    assert not ours.poll()
    outbox.put(answer, more=True)
    assert ours.poll()
    ours.recv_bytes()
    outbox.put(answer, more=False)
    assert ours.poll()
