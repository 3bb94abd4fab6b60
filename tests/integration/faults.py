"""What goes wrong between an index and its mirror: a fault spoils the answers to paths that it matches."""

from __future__ import annotations

import gzip
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simserver import Handler, Reply

Act = Callable[[Handler, Reply], None]


@dataclass
class Fault:
    """Answers the first `count` matching requests (None: all of them)."""

    pattern: str  # a regular expression for the whole percent-decoded path
    act: Act
    count: int | None = None
    status: int = 0  # for the log

    def matches(self, path: str) -> bool:
        if self.count == 0 or not re.fullmatch(self.pattern, path):
            return False
        if self.count is not None:
            self.count -= 1
        return True


def answer(pattern: str, status: int, count: int | None = None, body: bytes = b"", **headers: str) -> Fault:
    """A fixed answer; header names are given with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(pattern, lambda handler, _: handler.send(Reply(status, named, body)), count, status)


def busy(pattern: str, status: int = 503, count: int | None = None, retry_after: str = "1") -> Fault:
    return answer(pattern, status, count, b"come back later", Retry_After=retry_after)


def error_page(pattern: str, count: int | None = None) -> Fault:
    """An error page that says 200."""
    body = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>Maintenance</h1></body></html>"
    return answer(pattern, 200, count, body, Content_Type="text/html")


def redirect(pattern: str, to: str, count: int | None = None) -> Fault:
    return answer(pattern, 302, count, Location=to)


def redirect_loop(pattern: str, count: int | None = None) -> Fault:
    def act(handler: Handler, _: Reply) -> None:
        handler.send(Reply(302, {"Location": handler.path.split("?")[0] + "?again"}))

    return Fault(pattern, act, count, 302)


def _cut(handler: Handler) -> None:
    """Close with RST instead of FIN."""
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def reset(pattern: str, count: int | None = None) -> Fault:
    """The connection is reset before any answer."""
    return Fault(pattern, lambda handler, _: _cut(handler), count)


def reset_midway(pattern: str, count: int | None = None) -> Fault:
    """The connection is reset after half the body."""

    def act(handler: Handler, reply: Reply) -> None:
        handler.head(reply, len(reply.body))
        handler.wfile.write(reply.body[: len(reply.body) // 2])
        _cut(handler)

    return Fault(pattern, act, count, 200)


def hang(pattern: str, count: int | None = None) -> Fault:
    """No answer until the test heals the upstream."""

    def act(handler: Handler, _: Reply) -> None:
        handler.server.servers.released.wait()
        handler.close_connection = True

    return Fault(pattern, act, count)


def drip(pattern: str, count: int | None = None, seconds: float = 0.2) -> Fault:
    """A byte now and then: never silent for as long as a socket's timeout, never done."""

    def act(handler: Handler, reply: Reply) -> None:
        handler.head(reply, len(reply.body))
        released = handler.server.servers.released
        for byte in reply.body:
            handler.wfile.write(bytes([byte]))
            if released.wait(seconds):
                break
        handler.close_connection = True

    return Fault(pattern, act, count, 200)


def truncated(pattern: str, count: int | None = None) -> Fault:
    """Half the body, although the length says more."""

    def act(handler: Handler, reply: Reply) -> None:
        handler.head(reply, len(reply.body))
        handler.wfile.write(reply.body[: len(reply.body) // 2])
        handler.close_connection = True

    return Fault(pattern, act, count, 200)


def truncated_silently(pattern: str, count: int | None = None) -> Fault:
    """Half the body, no length: the end of the connection looks like the end of the body."""

    def act(handler: Handler, reply: Reply) -> None:
        handler.head(reply, None)
        handler.wfile.write(reply.body[: len(reply.body) // 2])

    return Fault(pattern, act, count, 200)


def truncated_chunks(pattern: str, count: int | None = None) -> Fault:
    """Half the body in a chunk, and no last chunk."""

    def act(handler: Handler, reply: Reply) -> None:
        half = reply.body[: len(reply.body) // 2]
        handler.head(Reply(200, reply.headers | {"Transfer-Encoding": "chunked"}), None)
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(half), half))

    return Fault(pattern, act, count, 200)


def short_length(pattern: str, count: int | None = None) -> Fault:
    """A Content-Length of half the body that follows."""

    def act(handler: Handler, reply: Reply) -> None:
        handler.send(reply, length=len(reply.body) // 2)
        handler.close_connection = True

    return Fault(pattern, act, count, 200)


def wrong_bytes(pattern: str, count: int | None = None) -> Fault:
    """Right length, wrong content."""

    def act(handler: Handler, reply: Reply) -> None:
        handler.send(Reply(200, reply.headers, bytes(255 - byte for byte in reply.body)))

    return Fault(pattern, act, count, 200)


def gzip_bomb(pattern: str, count: int | None = None, megabytes: int = 200) -> Fault:
    """A small body that unpacks to a very large one."""
    packed = gzip.compress(b"[" * (megabytes << 20), 6)

    def act(handler: Handler, reply: Reply) -> None:
        handler.send(Reply(200, reply.headers | {"Content-Encoding": "gzip"}, packed))

    return Fault(pattern, act, count, 200)


class Gate(Fault):
    """Holds matching requests back until `open`; `reached` is set when the first one arrives."""

    def __init__(self, pattern: str) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()
        super().__init__(pattern, self._hold, None, 200)

    def _hold(self, handler: Handler, reply: Reply) -> None:
        self.reached.set()
        released = handler.server.servers.released
        while not self._open.wait(0.05) and not released.is_set():
            pass
        handler.send(reply)

    def open(self) -> None:
        self._open.set()


def replay(pattern: str, reply: Any, count: int | None = None) -> Fault:
    """An answer of the past: a stale cache, a root index that shrank."""
    return Fault(pattern, lambda handler, _: handler.send(reply), count, reply.status)
