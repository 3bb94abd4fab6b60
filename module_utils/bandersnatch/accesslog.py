"""Lines of nginx's `combined` access log to counts of downloads: pure, and fast.

    203.0.113.7 - - [23/Nov/2026:10:11:12 +0000] "GET /packages/... HTTP/1.1" 200 4711 "-" "pip/24.0 ..."

A download is a successful GET of a file under /packages/. nginx writes a quote inside a field as \\x22, so a
line is split at its quotes. The loop over the lines does little: agents are looked at once for each distinct
one, later. Only a line that claims to be a download is looked at to its end.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_PREFIX = b"GET /packages/"
_WHOLE = b" 200 "
_PART = b" 206 "
PAIR_BITS = 32  # a pair of numbers as one: request << PAIR_BITS | agent
PAIR_MASK = (1 << PAIR_BITS) - 1
MOST_BYTES = 1 << 26  # of distinct requests and agents held: hostile ones may be long

_MINUTE = re.compile(rb"\[(\d\d)/([A-Z][a-z][a-z])/(\d{4}):(\d\d):(\d\d): ([+-])(\d\d)(\d\d)\] ")
_STAMP_LENGTH = 29
_NO_STAMP = b"\n"  # no line has it before its end
_MONTHS = {name: at for at, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_REQUEST = re.compile(rb"GET (/packages/[^ ?#]*)(?:[?#][^ ]*)? HTTP/[0-9](?:\.[0-9])?")
_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")


class Numbers(dict[bytes, int]):
    """Numbers each key as it is first asked for: 0, 1, 2, ..."""

    length = 0  # of all keys, in bytes

    def __missing__(self, key: bytes) -> int:
        number = self[key] = len(self)
        self.length += len(key)
        return number


class _Fetched(dict[bytes, list[int]]):
    """Numbers of requests, by what stands behind their answer: referrer and agent, not yet looked at.

    By agent, for these are fewer: the lists at hand stay in the processor's cache, which makes it quick.
    """

    length = 0  # of all keys, in bytes

    def __missing__(self, key: bytes) -> list[int]:
        requests: list[int] = []
        self[key] = requests
        self.length += len(key)
        return requests


class Words:
    """The request lines and User-Agents that occurred, as logged, in the order of their numbers.

    A pair of them is one number: `request << PAIR_BITS | agent`.
    """

    def __init__(self) -> None:
        self.requests = Numbers()
        self.agents = Numbers()

    def pair(self, request: bytes, agent: bytes) -> int:
        """The number of a pair."""
        return self.requests[request] << PAIR_BITS | self.agents[agent]

    @property
    def length(self) -> int:
        """Of all of them, in bytes."""
        return self.requests.length + self.agents.length


class Tally:
    """What a stretch of log says, in numbers of `words`: each is looked at once, later.

    `whole`, `parts` and `broken` are up to date after `settle`. Memory grows with the distinct pairs of
    request and agent (and clients that fetch in parts), not with the lines: see `is_full`.
    """

    def __init__(self, words: Words) -> None:
        self.lines = 0
        self.broken = 0  # lines that are none of this format: cut off, binary, without a time
        self.whole: dict[int, Counter[int]] = {}  # UTC day -> pair -> how many answers with 200
        self.parts: dict[int, set[tuple[bytes, int]]] = {}  # UTC day -> (client's address, pair) with 206
        self._words = words
        self._unsettled: dict[int, _Fetched] = {}  # UTC day -> answers with 200
        self._unsettled_lines = 0

    def feed(self, lines: list[bytes]) -> None:
        """Count whole lines, each with its newline."""
        self.lines += len(lines)
        self._unsettled_lines += len(lines)
        numbers = self._words.requests
        broken, day, stamp, fetched = 0, 0, _NO_STAMP, _Fetched()
        for line in lines:
            try:
                head, request, status, rest = line.split(b'"', 3)
            except ValueError:
                broken += 1
                continue
            if not head.endswith(stamp):  # another second than the line before
                stamp = head[-_STAMP_LENGTH:]
                day = utc_day(stamp)
                if not day:
                    stamp = _NO_STAMP
                    broken += 1
                    continue
                fetched = self._of_day(day)
            if request[:14] == _PREFIX and status[:5] == _WHOLE:
                fetched[rest].append(numbers[request])
            elif request[:14] == _PREFIX and status[:5] == _PART:
                self._add_part(day, head, request, rest)
            elif b'" "' not in rest:
                broken += 1
        self.broken += broken

    def settle(self) -> None:
        """Bring `whole` and `broken` up to date."""
        for day, fetched in self._unsettled.items():
            for rest, requests in fetched.items():
                agent = _agent(rest)
                if agent is None:
                    self.broken += len(requests)
                    continue
                counts = self.whole.setdefault(day, Counter())
                number = self._words.agents[agent]
                for request, count in Counter(requests).items():
                    counts[request << PAIR_BITS | number] += count
        self._unsettled = {}
        self._unsettled_lines = 0

    def is_full(self, most_pairs: int) -> bool:
        """Whether so many distinct pairs and clients are held, or more words than MOST_BYTES."""
        if self._pairs + self._unsettled_lines < most_pairs and self._length < MOST_BYTES:
            return False  # at most so many
        self.settle()
        return self._pairs >= most_pairs or self._length >= MOST_BYTES

    @property
    def _pairs(self) -> int:
        return sum(map(len, self.whole.values())) + sum(map(len, self.parts.values()))

    @property
    def _length(self) -> int:
        return self._words.length + sum(fetched.length for fetched in self._unsettled.values())

    def _of_day(self, day: int) -> _Fetched:
        fetched = self._unsettled.get(day)
        if fetched is None:
            fetched = self._unsettled[day] = _Fetched()
        return fetched

    def _add_part(self, day: int, head: bytes, request: bytes, rest: bytes) -> None:
        agent = _agent(rest)
        if agent is None:
            self.broken += 1
            return
        client = head.partition(b" ")[0], self._words.pair(request, agent)
        self.parts.setdefault(day, set()).add(client)


def _agent(rest: bytes) -> bytes | None:
    """The agent in `referrer" "agent"...`; None where the line is cut off."""
    fields = rest.split(b'"', 3)
    return fields[2] if len(fields) == 4 and fields[1] == b" " else None


def utc_day(stamp: bytes) -> int:
    """The ordinal of the UTC day of `[23/Nov/2026:10:11:12 +0000] `; 0 where it is no such time."""
    return _day_of_minute(stamp[:19] + stamp[21:]) if stamp[19:21].isdigit() else 0


@lru_cache(maxsize=4096)
def _day_of_minute(stamp: bytes) -> int:
    """Of a stamp without its seconds: so the cache answers nearly always."""
    found = _MINUTE.fullmatch(stamp)
    if found is None:
        return 0
    day, month, year, hour, minute, sign, hours, minutes = found.groups()
    try:
        local = date(int(year), _MONTHS.get(month, 0), int(day)).toordinal()
    except ValueError:
        return 0
    offset = int(hours) * 60 + int(minutes)
    if int(hour) > 23 or int(minute) > 59 or offset >= 24 * 60:
        return 0
    shifted = int(hour) * 60 + int(minute) + (offset if sign == b"-" else -offset)
    return min(max(local + shifted // (24 * 60), 1), date.max.toordinal())


def download_path(request: bytes) -> str | None:
    """The path that a request line asks for, unquoted, without its query; None where it is no download."""
    found = _REQUEST.fullmatch(request)
    if found is None:
        return None
    try:
        path = _unescaped(found[1])
        return (unquote_to_bytes(path) if b"%" in path else path).decode()
    except UnicodeDecodeError:
        return None


def agent_text(agent: bytes) -> str:
    """A logged User-Agent as the client sent it; control characters and broken UTF-8 as escapes."""
    text = _unescaped(agent).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _unescaped(text: bytes) -> bytes:
    """nginx writes quotes, backslashes and bytes outside of printable ASCII as \\xHH."""
    if b"\\" not in text:
        return text
    text = text.replace(b"\\x22", b'"')  # most of them, in pip's JSON
    return _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), text)
