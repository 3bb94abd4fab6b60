"""message.py: heads and chunked bodies, right, wrong, and in any pieces."""

from __future__ import annotations

import pytest
from bandersnatch.message import Dechunker, TransportError, header, parse_head
from hypothesis import given
from hypothesis import strategies as st


def test_a_head_is_read() -> None:
    head = parse_head(
        b'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag:"a:b" \r\nX-Long: one\r\n\t two\r\n'
        b"Vary: a\r\nvary: b\r\nContent-Length: 12"
    )
    assert (head.status, head.reason, head.length, head.chunked, head.keep) == (200, "OK", 12, False, True)
    assert head.fields == {
        "content-type": "text/html",
        "etag": '"a:b"',
        "x-long": "one two",
        "vary": "a, b",
        "content-length": "12",
    }


def test_bare_line_feeds_and_a_missing_reason_are_read_too() -> None:
    head = parse_head(b"HTTP/1.0 404\nContent-Length: 0")
    assert (head.status, head.reason, head.length) == (404, "", 0)


@pytest.mark.parametrize(
    ("lines", "length", "chunked", "keep"),
    [
        ("HTTP/1.1 200 OK", None, False, False),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5", 5, False, True),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Close", 5, False, False),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5", 5, False, True),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5", 5, False, False),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive", 5, False, True),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", None, True, True),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", None, True, False),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5", 0, False, True),
        ("HTTP/1.1 204 No Content", 0, False, True),
        ("HTTP/1.1 100 Continue", 0, False, True),
    ],
)
def test_the_framing_follows_rfc_9112(lines: str, length: int | None, chunked: bool, keep: bool) -> None:
    head = parse_head(lines.encode())
    assert (head.length, head.chunked, head.keep) == (length, chunked, keep)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"220 smtp.example.org",
        b"HTTP/2 200",
        b"HTTP/1.1 20",
        b"HTTP/1.1 600 What",
        b"HTTP/1.1 200 OK\r\nno colon",
        b"HTTP/1.1 200 OK\r\n: nameless",
        b"HTTP/1.1 200 OK\r\na b: c",
        b"HTTP/1.1 200 OK\r\n folded from nothing",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5_0",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5",
        b"HTTP/1.1 200 OK\r\nContent-Length:",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        b"HTTP/1.1 200 OK" + b"\r\na: b" * 101,
    ],
)
def test_what_is_garbled_or_ambiguous_is_refused(block: bytes) -> None:
    with pytest.raises(TransportError):
        parse_head(block)


@given(st.binary(max_size=300))
def test_no_head_brings_the_parser_down(block: bytes) -> None:
    try:
        head = parse_head(b"HTTP/1.1 200 OK\r\n" + block)
    except TransportError:
        return
    assert head.length is None or head.length >= 0


def test_header_lines_hold_what_they_are_given_and_never_two() -> None:
    assert header("If-None-Match", 'a"\r\nX: y\u00e9') == b'If-None-Match: a"??X: y?\r\n'


def dechunk(data: bytes, piece: int) -> tuple[bytes, int, bool]:
    """Feed in pieces: the body, the bytes used, whether it ended."""
    dechunker = Dechunker()
    body, used = b"", 0
    for start in range(0, len(data), piece):
        parts, count = dechunker.feed(memoryview(data)[start : start + piece])
        body += b"".join(parts)
        used += count
        if dechunker.done:
            break
    return body, used, dechunker.done


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.integers(1, 50), st.binary(max_size=5))
def test_chunks_come_together_however_they_are_cut(chunks: list[bytes], piece: int, after: bytes) -> None:
    message = b"".join(b"%X;ext=1\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\nTrailer: x\r\n\r\n"
    body, used, done = dechunk(message + after, piece)
    assert (body, done) == (b"".join(chunks), True)
    assert used == len(message)


@pytest.mark.parametrize(
    "data",
    [
        b"xyz\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b"1_0\r\n", b"\r\n", b" 1\r\n", b"1\r\nab\r\n",
        b"fffffffffffffffff\r\n", b"1;" + b"x" * 5000 + b"\r\n", b"1" * 5000, b"0\r\n" + b"a: b\r\n" * 200,
    ],
)  # fmt: skip
@pytest.mark.parametrize("piece", [1, 7, 100000])
def test_garbled_chunks_are_refused(data: bytes, piece: int) -> None:
    with pytest.raises(TransportError):
        dechunk(data, piece)


def test_an_unfinished_body_is_not_done() -> None:
    assert dechunk(b"3\r\nabc\r\n0\r\n", 100) == (b"abc", 11, False)
