"""When to ask again, and after how long. Pure but for the sleep."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from .errors import FetchError

MAX_WAIT = 120.0  # seconds: the longest Retry-After that we wait for
_FIRST_WAIT = 0.5  # seconds; doubled for each further attempt


class TryLaterError(FetchError):
    """The server cannot answer now. `wait`: in how many seconds it wants to be asked again, if it said so."""

    def __init__(self, message: str, status: int, *, wait: float | None) -> None:
        super().__init__(message, status)
        self.wait = wait


def retry_after(value: str, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds of a Retry-After field (RFC 9110, 10.2.3: seconds or a date); None if unusable."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    if not value:
        return None
    from email.utils import parsedate_to_datetime  # late: servers send a date rarely

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (ValueError, TypeError, OverflowError):
        return None


class Attempts:
    """The tries of one request to one URL."""

    def __init__(
        self,
        attempts: int,
        stop_at: float,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempts = attempts
        self._stop_at = stop_at
        self._sleep = sleep
        self._jitter = jitter
        self._clock = clock
        self._tried = 0  # all tries, for the reader
        self._spent = 0  # those that brought nothing

    def failed(self, error: FetchError, progress: bool = False) -> None:
        """Wait until the next try is due; raise an error that says why there is none.

        Args:
            progress: the try brought enough to not count.
        """
        if error.permanent:
            raise error
        self._tried += 1
        if progress:
            self._spent = 0
        else:
            self._spent += 1
        delay = _FIRST_WAIT * 2 ** max(0, self._spent - 1) * (0.5 + self._jitter())
        wait = error.wait if isinstance(error, TryLaterError) else None
        if wait is not None and wait > MAX_WAIT:
            raise self._given_up(error, f"it wants to be asked again in {wait:.0f} s, no sooner")
        delay = max(delay, wait or 0.0)
        if self._spent >= self._attempts:
            raise self._given_up(error, f"tried {self._tried} times" if self._tried > 1 else "")
        if self._clock() + delay >= self._stop_at:
            raise self._given_up(error, "no time left for another try (global-timeout)")
        if self._sleep(delay):  # a truthy answer, as of Event.wait, means: stop
            raise error

    @staticmethod
    def _given_up(error: FetchError, why: str) -> FetchError:
        return FetchError(f"{error}; {why}" if why else str(error), error.status)
