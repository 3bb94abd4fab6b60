"""The simulator's sockets: HTTP/1.1 with keep-alive, conditional and Range requests, a log of requests."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit


class Request(NamedTuple):
    """A line of the log. `status` is 0 where a fault answered with no status at all."""

    method: str
    path: str  # percent-decoded
    status: int
    headers: dict[str, str]  # names in lower case
    port: int


@dataclass
class Reply:
    """What goes back."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        """Silent: the log is a list."""

    def do_GET(self) -> None:
        servers = self.server.servers
        path = unquote(urlsplit(self.path).path, errors="surrogateescape")
        servers.seen(path)
        fault = servers.fault_for(path)
        reply = servers.answer(path, self.headers.get("Accept", ""))
        if fault is not None:
            self._log(path, fault.status)
            fault.act(self, reply)
            return
        reply = self._conditional(reply)
        self._log(path, reply.status)
        self.send(reply)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _log(self, path: str, status: int) -> None:
        headers = {k.lower(): v for k, v in self.headers.items()}
        port = self.server.server_address[1]
        self.server.servers.log.append(Request(self.command, path, status, headers, port))

    def _conditional(self, reply: Reply) -> Reply:
        """RFC 9110: If-None-Match, then Range with If-Range."""
        etag = reply.headers.get("ETag")
        if reply.status != 200:
            return reply
        if etag and etag in self.headers.get("If-None-Match", ""):
            return Reply(304, reply.headers)
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and reply.headers.get("Accept-Ranges") and self.headers.get("If-Range", etag) == etag:
            first, size = int(match[1]), len(reply.body)
            if first >= size:
                return Reply(416, {"Content-Range": f"bytes */{size}"})
            span = {"Content-Range": f"bytes {first}-{size - 1}/{size}"}
            return Reply(206, reply.headers | span, reply.body[first:])
        return reply

    def send(self, reply: Reply, length: int | None = None) -> None:
        """Write a reply; `length` overrides the true Content-Length."""
        self.head(reply, len(reply.body) if length is None else length)
        if self.command != "HEAD" and reply.status != 304:
            self.wfile.write(reply.body)

    def head(self, reply: Reply, length: int | None) -> None:
        """Write the status line and the headers; without a length the body ends with the connection."""
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if length is None:
            self.close_connection = True
            self.send_header("Connection", "close")
        elif reply.status != 304:
            self.send_header("Content-Length", str(length))
        self.end_headers()


class Server(ThreadingHTTPServer):
    """A listening socket on an ephemeral port; closes the kept-alive connections too."""

    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed, or a fault that cut the line: both are what the tests are about."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):  # it went by itself
                connection.shutdown(socket.SHUT_RDWR)


class Servers:
    """Two ports with the same content (the second for files on another host), the log and the faults."""

    def __init__(self, answer: Callable[[str, str], Reply]) -> None:
        self.answer = answer
        self.log: list[Request] = []
        self.faults: list[Any] = []
        self.released = threading.Event()
        self.on_request: Callable[[str], None] | None = None
        self._lock = threading.Lock()
        self._servers = [Server(self), Server(self)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}"

    @property
    def files_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_address[1]}"

    def start(self) -> None:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.heal()
        for server in self._servers:
            server.stop()

    def seen(self, path: str) -> None:
        if self.on_request:
            self.on_request(path)

    def take_log(self) -> list[Request]:
        taken, self.log = self.log, []
        return taken

    def fault_for(self, path: str) -> Any:
        """The first fault that matches and is not used up."""
        with self._lock:
            for fault in self.faults:
                if fault.matches(path):
                    return fault
        return None

    def heal(self) -> None:
        with self._lock:
            self.faults.clear()
            self.released.set()
            self.released = threading.Event()


class MirrorHandler(SimpleHTTPRequestHandler):
    """Plain files of a mirror; `negotiate` picks the JSON page by the Accept header, as our site does."""

    protocol_version = "HTTP/1.1"
    negotiate = True

    def log_message(self, *args: object) -> None:
        """Silent."""

    def send_head(self) -> Any:
        if self.negotiate and self.path.endswith("/") and "simple.v1+json" in self.headers.get("Accept", ""):
            self.path += "index.v1_json"
        return super().send_head()

    def guess_type(self, path: Any) -> str:
        if str(path).endswith("index.v1_json"):
            return "application/vnd.pypi.simple.v1+json"
        return super().guess_type(path)


class StaticSite:
    """`web/` of a mirror over plain HTTP, with no serial header and no ETag. Use as a context manager."""

    def __init__(self, web: Path, negotiate: bool = True) -> None:
        kind = type("SiteHandler", (MirrorHandler,), {"negotiate": negotiate})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=str(web)))
        self._server.daemon_threads = True
        self._server.block_on_close = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> StaticSite:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
