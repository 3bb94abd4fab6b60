"""The kinds of values that the roles' meta/values.yml can name: a ValueError says what is wrong."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from bandersnatch import config_values

# cron, fstab, logrotate and nginx's config each have characters that mean something to them
_PATH = re.compile(r"/[\w./+@:=,~-]*", re.ASCII)
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")  # what useradd takes everywhere
_SIZE = re.compile(r"\d+(\.\d+)?\s*[KMGTPEZY]?[Bb]?")  # what the filter human_to_bytes takes
_HOST = re.compile(
    r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.IGNORECASE | re.ASCII
)

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# crontab(5): its five fields with their limits and names
_FIELDS = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of the month", 1, 31, []),
    ("month", 1, 12, ["", *_MONTHS]),
    ("day of the week", 0, 7, _DAYS),
)
_NICKNAMES = {"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}


def path(text: str) -> None:
    """An absolute path that needs no quotes anywhere on the host."""
    config_values.path().read(text)
    if not _PATH.fullmatch(text):
        raise ValueError(
            "has characters that cron, fstab or nginx take for their own: only letters, digits, ./_+@:=,~-"
        )
    if len(text) > 200:
        raise ValueError("is longer than 200 characters: cron's lines could not hold it")
    if not text.strip("/"):
        raise ValueError("is the root of all files: name a directory of its own")


def user(text: str) -> None:
    """The name of a user or a group."""
    if not _USER.fullmatch(text):
        raise ValueError("is no user name: small letters, digits, - and _, at most 32")


def size(text: str) -> None:
    """An amount of bytes."""
    if not _SIZE.fullmatch(text.strip()):
        raise ValueError("is not a size like 500G")


def host(text: str) -> None:
    """The name of a host or of a website."""
    if len(text) > 253 or not _HOST.fullmatch(text):
        raise ValueError("is not a host name like pypi.example.org")


def address(text: str) -> None:
    """An IP address as nginx has it: one of version 6 in brackets."""
    bracketed = text.startswith("[") and text.endswith("]")
    try:
        found = ipaddress.ip_address(text[1:-1] if bracketed else text)
    except ValueError:
        found = None
    if found is None or "%" in text or bracketed != (found.version == 6):
        raise ValueError("is not an address like 192.0.2.1 or [2001:db8::1]")


def schedule(text: str) -> None:
    """When cron starts a job: five fields, or a nickname for them."""
    if text.startswith("@"):
        if text not in _NICKNAMES:
            raise ValueError(f"is none of {', '.join(sorted(_NICKNAMES))}")
        return
    if "\n" in text:
        raise ValueError("is more than one line")
    words = text.split()
    if len(words) != len(_FIELDS):
        raise ValueError(
            "has not five fields, for minute, hour, day of the month, month, day of the week: 17 3 * * *"
        )
    for word, (name, low, high, names) in zip(words, _FIELDS, strict=True):
        for part in word.split(","):
            if not _fits(part.lower(), low, high, names):
                raise ValueError(f"has {part!r} for the {name}, which goes from {low} to {high}")


def _fits(part: str, low: int, high: int, names: list[str]) -> bool:
    """Whether it is `*`, a number or name, or a range; the first and the last may have a step."""
    span, slash, step = part.partition("/")
    first, dash, last = span.partition("-")
    if slash and not (step.isdecimal() and 0 < int(step) <= high):
        return False
    if span == "*":
        return True
    if slash and not dash:
        return False
    ends = [names.index(end) if end and end in names else end for end in ([first, last] if dash else [first])]
    numbers = [int(end) for end in ends if isinstance(end, int) or (end.isascii() and end.isdecimal())]
    return len(numbers) == len(ends) and low <= numbers[0] <= numbers[-1] <= high


_KINDS: dict[str, Callable[[str], object]] = {
    "absolute path": path,
    "user name": user,
    "size such as 500G": size,
    "host names": host,
    "IP addresses": address,
    "crontab(5) schedule": schedule,
    "path on the controller": str,
}


def reader(label: str) -> Callable[[str], object]:
    """What checks a value of the kind that `label` says.

    Raises:
        KeyError: there is no such kind.
    """
    limits = re.fullmatch(r"whole number, (\d+) to (\d+)", label)
    if limits:
        return config_values.whole(int(limits[1]), int(limits[2])).read
    return _KINDS[label]
