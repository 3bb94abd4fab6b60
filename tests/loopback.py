"""A small HTTP server on loopback that does exactly what a test tells it to, rightly or wrongly."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class Request(NamedTuple):
    number: int  # of all requests to this server, from 1
    connection: int  # over which they came, from 1
    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    raw: bytes


class Last(bytes):
    """An answer after which the server closes the connection."""


Handler = Callable[[Request], "bytes | Iterator[bytes]"]


class Server:
    """Answers every request with the bytes that `handler` returns, or yields one after the other."""

    def __init__(self, handler: Handler, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.stopped = threading.Event()
        self.inner: ssl.SSLContext | None = None  # what speaks at the other end of a tunnel
        self._handler = handler
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def hang(self, _request: Request | None = None) -> bytes:
        """Say nothing for as long as the server lives."""
        self.stopped.wait()
        return Last(b"")

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with self._lock:
                    self._connections.append(connection)
                    number = len(self._connections)
                threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.suppress(OSError))
            stack.enter_context(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                connection = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
            while raw := _read_request(connection):
                request = self._record(raw, number)
                answer = self._handler(request)
                if not isinstance(answer, bytes):
                    for piece in answer:
                        connection.sendall(piece)
                    return
                connection.sendall(answer)
                if isinstance(answer, Last):
                    return
                if request.method == "CONNECT" and self.inner:
                    connection = stack.enter_context(self.inner.wrap_socket(connection, server_side=True))

    def _record(self, raw: bytes, connection: int) -> Request:
        lines = raw.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        with self._lock:
            request = Request(len(self.requests) + 1, connection, method, path, headers, raw)
            self.requests.append(request)
        return request


def _read_request(connection: socket.socket) -> bytes:
    raw = b""
    while not raw.endswith(b"\r\n\r\n"):
        piece = connection.recv(65536)
        if not piece:
            return b""
        raw += piece
    return raw


def reply(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer; header names with _ for -."""
    fields = {"content-length": str(len(body))} | {k.replace("_", "-"): v for k, v in headers.items()}
    return head(status, **fields) + body


def head(status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}"] + [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def certificate(directory: Path, *names: str) -> Path:
    """Make a self-signed certificate for these host names and addresses; one PEM with its key."""
    pem, key = directory / f"{names[0]}.pem", directory / f"{names[0]}.key"
    alternatives = ",".join(f"IP:{n}" if n[0].isdigit() else f"DNS:{n}" for n in names)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternatives}",
         "-keyout", str(key), "-out", str(pem)],
        check=True, capture_output=True,
    )  # fmt: skip
    pem.write_bytes(pem.read_bytes() + key.read_bytes())
    return pem


def server_context(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
