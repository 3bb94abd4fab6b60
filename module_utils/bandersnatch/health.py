"""What `/healthz` answers by: marker files in `<directory>/health/` that nginx finds by the time of day.

nginx can look whether a file is there, and cannot compare dates. So each good sync leaves files named by the
first digits of a time (POSIX seconds): `1795827` stands for the 1,000 seconds that begin at 1795827000.
Together they cover the time for which the sync counts as fresh; nginx looks for the first digits of its own
clock. When the last of them has passed, none is found, and it says so: no daemon, and no job that must run.
"""

from __future__ import annotations

import contextlib
import os

FOLDER = "health"
CONTENT = b"ok\n"
DIGITS = (2, 3, 4, 5)  # that a name may leave out: it stands for 100 s, 1,000 s, 10,000 s, 100,000 s
GRAIN = 10 ** DIGITS[0]  # seconds: so much later than at the limit it may turn stale


def cover(first: int, last: int) -> set[str]:
    """The names that stand for each second from `first` to `last`, and for under GRAIN more at each end."""
    names = set()
    start, end = first // GRAIN * GRAIN, last // GRAIN * GRAIN + GRAIN
    while start < end:
        digits = max(d for d in DIGITS if start % 10**d == 0 and (start + 10**d <= end or d == DIGITS[0]))
        names.add(str(start // 10**digits))
        start += 10**digits
    return names


def mark(directory: str, now: float, limit: float) -> None:
    """Say that the mirror is fresh from now on for `limit` seconds. Raises OSError."""
    folder = f"{directory}/{FOLDER}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o755)
    wanted = cover(int(now), int(now + limit))
    there = set(os.listdir(folder))
    for name in wanted - there:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        # Found while it is empty still, it says the same: what counts is that it is there.
        with open(os.open(f"{folder}/{name}", flags, 0o644), "wb") as file:
            file.write(CONTENT)
    for name in there - wanted:
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(f"{folder}/{name}")
