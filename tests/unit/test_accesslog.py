"""accesslog.py: which lines count, and how much is held."""

from __future__ import annotations

import io
import tempfile
from collections import Counter
from datetime import date

import pytest
from bandersnatch import accesslog, logsource
from bandersnatch.accesslog import PAIR_BITS, PAIR_MASK, Tally, Words, agent_text, download_path, utc_day
from hypothesis import given, settings
from hypothesis import strategies as st

DAY = date(2026, 11, 23).toordinal()
STAMP = "23/Nov/2026:10:11:12 +0000"


def line(
    request: str = "GET /packages/aa/bb/cc/six-1.0.tar.gz HTTP/1.1",
    status: int = 200,
    agent: str = "pip/24.0",
    stamp: str = STAMP,
    address: str = "192.0.2.1",
    tail: str = "",
) -> bytes:
    return f'{address} - - [{stamp}] "{request}" {status} 4711 "-" "{agent}"{tail}\n'.encode()


GOOD = line()
OTHERS = [
    line("GET /simple/six/ HTTP/1.1"),
    line(status=404),
    line(status=304),
    line("HEAD /packages/aa/bb/cc/six-1.0.tar.gz HTTP/1.1"),
    line("\\x16\\x03\\x01", 400),
    line("-", 408),
    line("GET /simple/ HTTP/1.1", agent="GET /packages/aa/bb/cc/six-1.0.tar.gz HTTP/1.1"),
]
BROKEN = [
    b"\n",
    b"\0\0\0\0\n",
    b"\xff\xfe" + bytes(range(11, 200)) + b"\n",
    b'"' * 6 + b"\n",
    b'"a"b"c" "d"\n',
    GOOD[:-3] + b"\n",
    GOOD[:40] + b"\n",
    GOOD[60:],
    line(stamp="99/Nov/2026:10:11:12 +0000"),
    line(stamp="23/Nov/2026:25:11:12 +0000"),
    line(stamp="23/Foo/2026:10:11:12 +0000"),
    GOOD.replace(b'"-" "', b'"-"  "'),
]


class Told:
    """What a tally says of some blocks, in words."""

    def __init__(self, *blocks: bytes) -> None:
        words = Words()
        tally = Tally(words)
        for block in blocks:
            tally.feed(io.BytesIO(block).readlines())
        tally.settle()
        requests, agents = list(words.requests), list(words.agents)

        def pair(number: int) -> tuple[bytes, bytes]:
            return requests[number >> PAIR_BITS], agents[number & PAIR_MASK]

        self.lines, self.broken = tally.lines, tally.broken
        self.whole = {
            day: {pair(number): count for number, count in pairs.items()}
            for day, pairs in tally.whole.items()
        }
        self.parts = {
            day: {(address, *pair(number)) for address, number in clients}
            for day, clients in tally.parts.items()
        }
        self.downloads = sum(sum(pairs.values()) for pairs in self.whole.values())


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/2", "HTTP/3.0", "HTTP/3"])
def test_a_download_counts_in_every_version_of_http(protocol: str) -> None:
    request = f"GET /packages/aa/bb/cc/six-1.0.tar.gz {protocol}"
    tally = Told(line(request))
    assert (tally.lines, tally.broken) == (1, 0)
    assert tally.whole == {DAY: {(request.encode(), b"pip/24.0"): 1}}
    assert download_path(request.encode()) == "/packages/aa/bb/cc/six-1.0.tar.gz"


@pytest.mark.parametrize("other", OTHERS)
def test_other_requests_are_lines_but_no_downloads(other: bytes) -> None:
    tally = Told(other * 3)
    assert (tally.lines, tally.broken, tally.downloads, tally.parts) == (3, 0, 0, {})


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_lines_are_counted_and_harm_no_others(broken: bytes) -> None:
    tally = Told(GOOD + broken + GOOD)
    assert (tally.lines, tally.broken, tally.downloads) == (3, 1, 2)


def test_answers_with_parts_are_kept_by_client() -> None:
    tally = Told(
        line(status=206) * 5 + line(status=206, address="2001:db8::1") + line("GET /simple/ HTTP/1.1", 206)
    )
    pair = (b"GET /packages/aa/bb/cc/six-1.0.tar.gz HTTP/1.1", b"pip/24.0")
    assert tally.parts == {DAY: {(b"192.0.2.1", *pair), (b"2001:db8::1", *pair)}}
    assert tally.downloads == 0


def test_fields_behind_the_agent_are_allowed() -> None:
    tally = Told(line(tail=" 0.003"), line(tail=' "192.0.2.7" 0.1') * 2)
    assert (tally.lines, tally.broken, tally.downloads) == (3, 0, 3)


def test_days_are_told_apart_within_a_block() -> None:
    tally = Told(line(stamp="23/Nov/2026:23:59:59 +0000") * 2 + line(stamp="24/Nov/2026:00:00:00 +0000"))
    assert {day: sum(pairs.values()) for day, pairs in tally.whole.items()} == {DAY: 2, DAY + 1: 1}


@pytest.mark.parametrize(
    ("stamp", "shift"),
    [
        ("23/Nov/2026:00:00:00 +0000", 0),
        ("23/Nov/2026:00:59:59 +0100", -1),
        ("23/Nov/2026:01:00:00 +0100", 0),
        ("23/Nov/2026:05:44:59 +0545", -1),
        ("23/Nov/2026:05:45:00 +0545", 0),
        ("23/Nov/2026:19:59:00 -0400", 0),
        ("23/Nov/2026:20:00:00 -0400", 1),
        ("23/Nov/2026:23:59:60 +0000", 0),
    ],
)
def test_days_are_those_of_utc(stamp: str, shift: int) -> None:
    assert utc_day(f"[{stamp}] ".encode()) == DAY + shift


@pytest.mark.parametrize(
    "stamp",
    ["", "[23/Nov/2026:10:11:12 +0000]", "[31/Feb/2026:10:11:12 +0000] ", "[01/Jan/0000:10:11:12 +0000] "],
)
def test_what_is_no_time_has_no_day(stamp: str) -> None:
    assert utc_day(stamp.encode()) == 0


def test_the_first_and_the_last_day_of_the_calendar_do_not_overflow() -> None:
    assert utc_day(b"[01/Jan/0001:00:00:00 +0100] ") == 1
    assert utc_day(b"[31/Dec/9999:23:00:00 -0200] ") == date.max.toordinal()


@pytest.mark.parametrize(
    ("request_line", "path"),
    [
        ("GET /packages/a%20b/six%2B1.whl HTTP/1.1", "/packages/a b/six+1.whl"),
        ("GET /packages/six.whl?x=/y#z HTTP/2.0", "/packages/six.whl"),
        ("GET /packages/\\xC3\\xA9.whl HTTP/1.1", "/packages/é.whl"),
        ("GET /packages/%FF.whl HTTP/1.1", None),
        ("GET /packages/six.whl", None),
        ("GET /packages/six.whl HTTP/1.1 HTTP/1.1", None),
        ("GET /simple/ HTTP/1.1", None),
        ("POST /packages/six.whl HTTP/1.1", None),
    ],
)
def test_the_path_of_a_request(request_line: str, path: str | None) -> None:
    assert download_path(request_line.encode()) == path


def test_agents_are_as_the_client_sent_them_on_one_line() -> None:
    assert agent_text(rb"pip/24.0 {\x22ci\x22:null}") == 'pip/24.0 {"ci":null}'
    assert agent_text(rb"back\x5Cslash \x0A\x1B[31m") == "back\\slash \\n\\x1b[31m"
    assert agent_text(rb"\xC3\xA9 \xFF") == "é \\xff"
    assert agent_text(rb"\xE2\x80\xA8") == "\\u2028"


LINES = st.one_of(
    st.sampled_from([GOOD, line(status=206), line(agent='"'), *OTHERS, *BROKEN]),
    st.sampled_from(["23/Nov/2026:23:59:59 +0000", "24/Nov/2026:01:00:00 +0200"]).map(
        lambda at: line(stamp=at)
    ),
    st.text(st.sampled_from('"ab \\[]'), max_size=12).map(lambda text: text.encode() + b"\n"),
    st.builds(lambda start, end: GOOD[start:-end] + b"\n", st.integers(0, 90), st.integers(1, 90)),
)


def plainly(lines: list[bytes]) -> tuple[int, Counter[tuple[int, bytes, bytes]], set[tuple[int, bytes, ...]]]:
    """What the lines say, the plain way: (broken, downloads, clients of parts)."""
    broken, whole, parts = 0, Counter[tuple[int, bytes, bytes]](), set()
    for text in lines:
        head, *fields = text.split(b'"')
        day = utc_day(head[-29:])
        asks = bool(fields) and fields[0].startswith(b"GET /packages/")
        claims = asks and len(fields) > 1 and fields[1].startswith((b" 200 ", b" 206 "))
        whole_line = len(fields) > 5 and fields[3] == b" " if claims else b'" "' in b'"'.join(fields[2:])
        if not day or len(fields) < 3 or not whole_line:
            broken += 1
        elif claims and fields[1].startswith(b" 200 "):
            whole[day, fields[0], fields[4]] += 1
        elif claims:
            parts.add((day, head.split(b" ")[0], fields[0], fields[4]))
    return broken, whole, parts


@settings(deadline=None)  # it writes files
@given(st.lists(LINES, max_size=12), st.integers(1, 300))
def test_what_is_counted_is_what_the_lines_say_wherever_blocks_end(lines: list[bytes], size: int) -> None:
    broken, whole, parts = plainly(lines)
    with tempfile.NamedTemporaryFile() as file, pytest.MonkeyPatch.context() as patched:
        patched.setattr(logsource, "BLOCK_BYTES", size)
        file.write(b"".join(lines))
        file.flush()
        with logsource.opened(file.name) as log:
            blocks = list(log.blocks())
    assert sum(length for _, length in blocks) == sum(map(len, lines))
    told = Told(*(b"".join(block) for block, _ in blocks))
    assert (told.lines, told.broken) == (len(lines), broken)
    assert {(day, *pair): n for day, pairs in told.whole.items() for pair, n in pairs.items()} == whole
    assert {(day, *one) for day, clients in told.parts.items() for one in clients} == parts


def test_what_is_held_is_bounded() -> None:
    tally = Tally(Words())
    for number in range(40):
        tally.feed([line(agent=f"{number % 20}")] * 5)
        assert tally.is_full(20) == (number >= 19)
    assert sum(map(len, tally.whole.values())) == 20
    assert sum(tally.whole[DAY].values()) == 200


@pytest.mark.parametrize("field", ["agent", "request_line"])
def test_long_words_do_not_fill_the_memory(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accesslog, "MOST_BYTES", 1_000_000)
    tally = Tally(Words())
    for number in range(12):
        long = f"{number:0100000}"
        tally.feed([line(agent=long) if field == "agent" else line(f"GET /packages/{long} HTTP/1.1")])
        assert tally.is_full(10**6) == (number >= 9)
