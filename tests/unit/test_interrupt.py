"""A signal asks for the end, a second one insists."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from bandersnatch import interrupt
from bandersnatch.errors import EXIT_INTERRUPTED, StoppedError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noticed(number: signal.Signals) -> None:
    with interrupt.noticed() as stop:
        assert not stop.is_set()
        stop.check()
        signal.raise_signal(number)
        assert stop.is_set()


def test_a_second_signal_ends_at_once() -> None:
    with interrupt.noticed():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_the_handlers_of_before_come_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ZeroDivisionError), interrupt.noticed():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_run_in_another_thread_takes_no_handlers() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def run() -> None:
        with interrupt.noticed() as stop:
            seen.append((stop.is_set(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


def test_check_raises_what_exits_with_130() -> None:
    stop = interrupt.Stop()
    stop.check()
    stop.set()
    with pytest.raises(StoppedError, match="next run") as caught:
        stop.check()
    assert caught.value.exit_code == EXIT_INTERRUPTED


def test_a_wait_lasts_as_long_as_asked_and_says_that_nothing_came() -> None:
    started = time.monotonic()
    assert interrupt.Stop().wait(0.15) is False
    assert time.monotonic() - started >= 0.15


def test_a_signal_ends_a_wait() -> None:
    """Also one that comes at any instruction of it: there is no lock that the handler could wait for."""
    with interrupt.noticed() as stop:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        assert stop.wait(600) is True


def test_a_wait_after_the_end_does_not_wait() -> None:
    stop = interrupt.Stop()
    stop.set()
    assert stop.wait(600) is True
