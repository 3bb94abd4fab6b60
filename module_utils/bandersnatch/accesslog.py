"""Lines of nginx's `combined` access log to counts of downloads: pure, and fast.

    203.0.113.7 - - [23/Nov/2026:10:11:12 +0000] "GET /packages/... HTTP/1.1" 200 4711 "-" "pip/24.0 ..."

A download is a successful GET of a file under /packages/. Blocks of whole lines are split at every quote at
once: nginx writes a quote inside a field as \\x22, so in a block of good lines each column is a slice with a
step of six. Whether a block is such a one is checked exactly; any other is read line by line, with the same
result.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from operator import itemgetter
from urllib.parse import unquote_to_bytes

_QUOTES = 6  # of a line: around the request, the referrer, the agent
_PREFIX = b"GET /packages/"
_WHOLE = b" 200 "
_PART = b" 206 "
_NEWLINE = 10
PAIR_BITS = 32  # a pair of numbers as one: request << PAIR_BITS | agent
PAIR_MASK = (1 << PAIR_BITS) - 1

_STAMP = re.compile(rb"\[(\d\d)/([A-Z][a-z][a-z])/(\d{4}):(\d\d):(\d\d):\d\d ([+-])(\d\d)(\d\d)\] ")
_STAMP_BYTES = slice(-29, None)  # of what stands before the request
_MONTHS = {name: at for at, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_REQUEST = re.compile(rb"GET (/packages/[^ ?#]*)(?:[?#][^ ]*)? HTTP/[0-9](?:\.[0-9])?")
_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_MOST_STAMPS = 100_000

_stamp = itemgetter(_STAMP_BYTES)
_first_byte = itemgetter(0)


class _Days(dict[bytes, int]):
    """The UTC day of a stamp: its ordinal, 0 where it is no time."""

    def __missing__(self, stamp: bytes) -> int:
        if len(self) >= _MOST_STAMPS:
            self.clear()
        day = self[stamp] = utc_day(stamp)
        return day


class Numbers(dict[bytes, int]):
    """Numbers each key as it is first asked for: 0, step, 2 * step, ..."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def __missing__(self, key: bytes) -> int:
        number = self[key] = len(self) * self._step
        return number


class Words:
    """The request lines and User-Agents that occurred, as logged, in the order of their numbers.

    A pair of them is one number: `request << PAIR_BITS | agent`.
    """

    def __init__(self) -> None:
        self.requests = Numbers(1 << PAIR_BITS)
        self.agents = Numbers(1)


class Tally:
    """What a stretch of log says, in numbers of `words`: each is looked at once, later.

    Memory grows with the distinct pairs of request and agent (and clients that fetch in parts), not with the
    lines: see `size`.
    """

    def __init__(self, words: Words) -> None:
        self.lines = 0
        self.broken = 0  # lines that are none of this format: cut off, binary, without a time
        self.whole: dict[int, Counter[int]] = {}  # UTC day -> pair -> how many answers with 200
        self.parts: dict[int, set[tuple[bytes, int]]] = {}  # UTC day -> (client's address, pair) with 206
        self._words = words
        self._days = _Days()

    @property
    def size(self) -> int:
        """How many distinct pairs and clients are held."""
        return sum(map(len, self.whole.values())) + sum(map(len, self.parts.values()))

    def feed(self, block: bytes) -> None:
        """Count a block of whole lines, each with its newline."""
        if not self._feed_regular(block):
            for line in block.split(b"\n")[:-1]:
                self._feed_line(line)

    def _feed_regular(self, block: bytes) -> bool:
        """Count a block of lines with six quotes each and one day; False where it is no such block."""
        fields = block.split(b'"')
        lines = len(fields) // _QUOTES
        if len(fields) % _QUOTES != 1 or fields[4::_QUOTES].count(b" ") != lines:
            return False
        heads, requests, statuses, referrers, _, agents = (fields[at:-1:_QUOTES] for at in range(_QUOTES))
        # A head begins with the newline of the line before it: each with one, and no other field with any.
        if b"" in heads or fields[-1] != b"\n" or not set(map(_first_byte, heads[1:])) <= {_NEWLINE}:
            return False
        if b"".join(heads).count(b"\n") != lines - 1:
            return False
        all_statuses = b"".join(statuses)
        if b"\n" in all_statuses or any(
            b"\n" in b"".join(column) for column in (requests, referrers, agents)
        ):
            return False
        days = {self._days[stamp] for stamp in set(map(_stamp, heads))}
        if len(days) != 1 or 0 in days:
            return False
        self.lines += lines
        day = days.pop()
        request_number, agent_number = self._words.requests, self._words.agents
        pairs = [
            request_number[request] + agent_number[agent]
            for request, status, agent in zip(requests, statuses, agents, strict=True)
            if status.startswith(_WHOLE) and request.startswith(_PREFIX)
        ]
        if pairs:
            self.whole.setdefault(day, Counter()).update(pairs)
        if _PART in all_statuses:
            for at in [at for at, status in enumerate(statuses) if status.startswith(_PART)]:
                self._add_part(day, heads[at], requests[at], agents[at])
        return True

    def _feed_line(self, line: bytes) -> None:
        self.lines += 1
        fields = line.split(b'"', _QUOTES)
        day = self._days[fields[0][_STAMP_BYTES]] if len(fields) > _QUOTES and fields[4] == b" " else 0
        if not day:
            self.broken += 1
            return
        head, request, status, _, _, agent, _ = fields
        if status.startswith(_PART):
            self._add_part(day, head, request, agent)
        elif status.startswith(_WHOLE) and request.startswith(_PREFIX):
            self.whole.setdefault(day, Counter())[self._pair(request, agent)] += 1

    def _add_part(self, day: int, head: bytes, request: bytes, agent: bytes) -> None:
        if request.startswith(_PREFIX):
            address = head.lstrip(b"\n").partition(b" ")[0]
            self.parts.setdefault(day, set()).add((address, self._pair(request, agent)))

    def _pair(self, request: bytes, agent: bytes) -> int:
        return self._words.requests[request] + self._words.agents[agent]


def utc_day(stamp: bytes) -> int:
    """The ordinal of the UTC day of `[23/Nov/2026:10:11:12 +0000] `; 0 where it is no such time."""
    found = _STAMP.fullmatch(stamp)
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
