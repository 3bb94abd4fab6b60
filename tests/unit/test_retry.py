"""retry.py: how often, how long, and when no more."""

from __future__ import annotations

import pytest
from bandersnatch.errors import FetchError
from bandersnatch.retry import Attempts, TryLaterError, retry_after


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def attempts(self, attempts: int = 4, stop_at: float = 1000.0, jitter: float = 0.5) -> Attempts:
        return Attempts(attempts, stop_at, self.sleep, lambda: jitter, lambda: self.now)


BROKEN = FetchError("https://example.org/: broken", 500)


def test_waits_double_until_the_attempts_are_used_up() -> None:
    clock = Clock()
    attempts = clock.attempts()
    for _ in range(3):
        attempts.failed(BROKEN)
    with pytest.raises(FetchError, match="broken; tried 4 times") as caught:
        attempts.failed(BROKEN)
    assert clock.slept == [0.5, 1.0, 2.0]
    assert (caught.value.status, caught.value.permanent) == (500, False)


@pytest.mark.parametrize(("jitter", "first"), [(0.0, 0.25), (0.999, 0.7495)])
def test_waits_are_spread_by_half_either_way(jitter: float, first: float) -> None:
    clock = Clock()
    clock.attempts(jitter=jitter).failed(BROKEN)
    assert clock.slept == [first]


def test_a_permanent_error_is_not_tried_again() -> None:
    clock = Clock()
    gone = FetchError("gone", 404, permanent=True)
    with pytest.raises(FetchError) as caught:
        clock.attempts().failed(gone)
    assert caught.value is gone
    assert clock.slept == []


def test_progress_starts_the_count_anew() -> None:
    clock = Clock()
    attempts = clock.attempts(attempts=2)
    attempts.failed(BROKEN)
    for _ in range(5):
        attempts.failed(BROKEN, progress=True)
    attempts.failed(BROKEN)
    with pytest.raises(FetchError, match="tried 8 times"):
        attempts.failed(BROKEN)


def test_retry_after_is_waited_for() -> None:
    clock = Clock()
    clock.attempts().failed(TryLaterError("busy", 429, wait=120.0))
    assert clock.slept == [120.0]


def test_a_retry_after_that_is_too_long_ends_it_and_is_named() -> None:
    clock = Clock()
    with pytest.raises(FetchError, match="busy; it wants to be asked again in 3600 s") as caught:
        clock.attempts().failed(TryLaterError("busy", 503, wait=3600.0))
    assert clock.slept == []
    assert (caught.value.status, caught.value.permanent) == (503, False)


def test_no_wait_goes_past_the_deadline() -> None:
    clock = Clock()
    attempts = clock.attempts(stop_at=1.6)
    attempts.failed(BROKEN)
    attempts.failed(BROKEN)
    with pytest.raises(FetchError, match="no time left"):
        attempts.failed(BROKEN)
    assert clock.now == 1.5


def test_a_sleep_that_is_interrupted_ends_it() -> None:
    attempts = Attempts(4, 1e12, sleep=lambda seconds: True)
    with pytest.raises(FetchError) as caught:
        attempts.failed(BROKEN)
    assert caught.value is BROKEN


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("17", 17.0),
        ("9" * 400, 999999999.0),
        ("Mon, 23 Nov 2026 18:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 17:00:00 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("Mon, 99 Nov 2026 18:00:30 GMT", None),
        ("\u0661", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(value, now=lambda: 1795456800.0) == seconds
