"""HTTP/1.1 messages (RFC 9112): requests written, response heads and chunked bodies read. Pure.

Ours rather than `http.client`, whose e-mail parser takes two thirds of the CPU of a small request, and
whose reads in C cannot be held to a time limit when the server drips.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_HEAD = 65536  # bytes of status line and header fields together
MAX_FIELDS = 100
_MAX_LINE = 4096  # bytes of a chunk's size line, and of a trailer field

_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5]\d\d)(?: (.*))?", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_UNPRINTABLE = re.compile(r"[^\t\x20-\x7e]")
END_OF_HEAD = re.compile(rb"\r?\n\r?\n")  # RFC 9112, 2.2: "MAY recognize a single LF as a line terminator"


class TransportError(Exception):
    """The connection or what came over it is no good; asking again may help unless `permanent`.

    `unanswered`: the server closed before the first byte of an answer, as it may do with an idle connection.
    """

    def __init__(self, reason: str, *, unanswered: bool = False, permanent: bool = False) -> None:
        super().__init__(reason)
        self.unanswered = unanswered
        self.permanent = permanent


class Head(NamedTuple):
    """A response's status line and header fields, with the framing that follows from them."""

    status: int
    reason: str
    fields: dict[str, str]  # lower-case names; repeated fields joined by ", "
    length: int | None  # bytes of the body; None: chunked, or up to the end of the connection
    chunked: bool
    keep: bool  # the connection can serve another request afterwards


def header(name: str, value: str) -> bytes:
    """Return one header line. What could end the line, or is not ASCII, becomes "?"."""
    return f"{name}: {_UNPRINTABLE.sub('?', value)}\r\n".encode("ascii")


def parse_head(block: bytes | bytearray) -> Head:
    """Parse a response head, up to and without its empty line.

    Raises:
        TransportError: it is not a head of HTTP/1.0 or 1.1, or its framing is ambiguous.
    """
    lines = block.decode("latin-1").replace("\r\n", "\n").split("\n")
    status_line = _STATUS.fullmatch(lines[0])
    if status_line is None:
        raise TransportError("the answer is not HTTP/1.1")
    if len(lines) > MAX_FIELDS + 1:
        raise TransportError(f"the answer has more than {MAX_FIELDS} header fields")
    fields: dict[str, str] = {}
    name = ""
    for line in lines[1:]:
        if line[:1] in " \t":  # obs-fold: replaced "with one or more SP octets" (RFC 9112, 5.2)
            if not name:
                raise TransportError("the answer's header is garbled")
            fields[name] = f"{fields[name]} {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not _TOKEN.fullmatch(name):
            raise TransportError("the answer's header is garbled")
        value = value.strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    minor, status, reason = status_line.groups()
    return _framed(int(status), reason or "", fields, minor == "1")


def _framed(status: int, reason: str, fields: dict[str, str], persistent: bool) -> Head:
    """RFC 9112, 6.3: how long the body is, and whether the connection lives on."""
    options = fields.get("connection", "").lower()
    if options:
        persistent = "close" not in options and (persistent or "keep-alive" in options)
    if status in (204, 304) or status < 200:
        return Head(status, reason, fields, 0, False, persistent)
    coding = fields.get("transfer-encoding")
    stated = fields.get("content-length")
    if coding is not None:
        if coding.lower() != "chunked":
            raise TransportError("the answer has a transfer coding that we do not know", permanent=True)
        # "Transfer-Encoding overrides the Content-Length … MUST close the connection after"
        return Head(status, reason, fields, None, True, persistent and stated is None)
    if stated is None:
        return Head(status, reason, fields, None, False, False)
    values = {value.strip() for value in stated.split(",")} if "," in stated else {stated}
    length = values.pop()
    if values or not _LENGTH.fullmatch(length):
        raise TransportError("the answer's Content-Length is garbled")
    return Head(status, reason, fields, int(length), False, persistent)


class Dechunker:
    """The chunked transfer coding (RFC 9112, 7.1), taken off a piece at a time."""

    __slots__ = ("_fields", "_left", "_line", "_state", "done")

    def __init__(self) -> None:
        self.done = False  # the last chunk and the trailers were seen
        self._state = "size"
        self._left = 0
        self._line = b""
        self._fields = 0

    def feed(self, data: memoryview) -> tuple[list[memoryview], int]:
        """Return the body's parts in `data`, and how many bytes of it belong to the message."""
        parts: list[memoryview] = []
        at = 0
        while at < len(data) and not self.done:
            if self._state == "data":
                part = data[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                if not self._left:
                    self._state = "end of data"
                continue
            piece = bytes(data[at : at + _MAX_LINE])
            newline = piece.find(b"\n") + 1
            self._line += piece[:newline] if newline else piece
            at += newline or len(piece)
            if len(self._line) > _MAX_LINE:
                raise TransportError("the chunked body is garbled")
            if newline:
                line, self._line = self._line.rstrip(b"\r\n"), b""
                self._take(line)
        return parts, at

    def _take(self, line: bytes) -> None:
        if self._state == "size":
            size = _CHUNK_SIZE.fullmatch(line)
            if size is None:
                raise TransportError("the chunked body is garbled")
            self._left = int(size[1], 16)
            self._state = "data" if self._left else "trailer"
        elif self._state == "end of data":
            if line:
                raise TransportError("the chunked body is garbled")
            self._state = "size"
        else:  # trailer fields: nothing that we need, up to the empty line
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise TransportError("the chunked body is garbled")
            self.done = not line
