"""One connection to one origin: opened, asked, read, and never waited for longer than allowed."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from time import monotonic

from .message import END_OF_HEAD, MAX_HEAD, Dechunker, Head, TransportError, parse_head
from .proxies import Route, tls_context
from .urls import Origin

_BUFFER = 262144  # bytes; what one recv may bring
_MIN_SPEED = 1000  # bytes per second, averaged over `timeout`
_MAX_INTERIM = 10  # 1xx answers before the real one


class Connection:
    """A kept-alive connection. Not for several threads.

    Each operation ends within `timeout` seconds, an answer that once began brings at least 1,000 bytes a
    second averaged over each `timeout` seconds, and nothing goes on past `stop_at`.
    All methods raise TransportError.
    """

    __slots__ = (
        "_armed", "_began", "_buffer", "_end", "_head", "_left_over", "_poll", "_received", "_sock",
        "_start", "_stop_at", "_timeout", "_view", "_waited",
    )  # fmt: skip

    def __init__(self, origin: Origin, route: Route, timeout: float, stop_at: float) -> None:
        self._timeout = timeout
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0  # what lies in the buffer, received and not yet used
        self._begin(stop_at)
        self._sock = self._connect(route)
        try:
            self._armed = timeout
            self._sock.settimeout(timeout)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                if route.proxied:
                    self._tunnel(origin, route)
                self._sock = self._encrypt(origin.host)
        except BaseException:
            self._sock.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._sock, select.POLLIN)

    def close(self) -> None:
        self._sock.close()

    def idle(self) -> bool:
        """Tell whether the connection is as we left it: not closed, and nothing unasked came in."""
        return not self._poll.poll(0)

    def ask(self, request: bytes, stop_at: float) -> Head:
        """Send a request, and return the head of its answer."""
        self._begin(stop_at)
        self._send(request)
        for _ in range(_MAX_INTERIM):
            self._head = self._read_head()
            if self._head.status >= 200:
                return self._head
            if self._head.status == 101:
                break
        raise TransportError("the server sends interim answers without end")

    @property
    def spent(self) -> bool:
        """The answer was read whole, nothing is left over, and another request can follow."""
        return self._head.keep and self._start == self._end

    def pieces(self) -> Iterator[memoryview]:
        """Yield the body. Each piece is valid until the next one is asked for.

        A body that is shorter or longer than announced raises TransportError.
        """
        if self._head.chunked:
            yield from self._chunks()
            return
        left = self._head.length
        received = 0
        while left is None or received < left:
            if self._start < self._end:
                piece = self._view[self._start : self._end]
            else:
                piece = self._view[: self._receive(0)]
                if not piece and left is not None:
                    raise TransportError(f"the body ended after {received:,} of {left:,} bytes")
                if not piece:
                    return
            received += len(piece)
            self._start = self._end = 0
            if left is not None and received > left:
                break
            yield piece
        if left is not None and (received > left or self._start < self._end):
            raise TransportError(f"the body is longer than the announced {left:,} bytes")

    def _chunks(self) -> Iterator[memoryview]:
        dechunker = Dechunker()
        while not dechunker.done:
            if self._start == self._end:
                self._start, self._end = 0, self._receive(0)
                if not self._end:
                    raise TransportError("the chunked body ended before its last chunk")
            parts, used = dechunker.feed(self._view[self._start : self._end])
            self._start += used
            yield from parts

    def _begin(self, stop_at: float) -> None:
        self._stop_at = stop_at
        self._began = False
        self._waited = 0.0
        self._received = 0

    def _connect(self, route: Route) -> socket.socket:
        place = f"proxy {route.host!r}" if route.proxied else f"{route.host!r}"
        try:
            addresses = socket.getaddrinfo(route.host, route.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise TransportError(f"the name of {place} does not resolve ({_cause(error)})") from None
        problem: OSError = TimeoutError()
        for family, kind, protocol, _, address in addresses:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(self._allowance())
                sock.connect(address)
            except OSError as error:
                sock.close()
                problem = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise TransportError(f"no connection to {place}, port {route.port} ({_cause(problem)})")

    def _tunnel(self, origin: Origin, route: Route) -> None:
        """RFC 9110, 9.3.6: CONNECT takes host and port, always with the port."""
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        place = f"{host}:{origin.port}".encode("ascii")
        self._send(b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (place, place, route.login))
        head = self._read_head()
        if head.status == 407:
            raise TransportError("the proxy wants credentials: http://user:password@proxy", permanent=True)
        if not 200 <= head.status < 300:
            refused = 400 <= head.status < 500 and head.status not in (408, 429)
            raise TransportError(f"the proxy refuses the tunnel with {head.status}", permanent=refused)
        if self._start != self._end:
            raise TransportError("the proxy sends before it is asked")

    def _encrypt(self, host: str) -> socket.socket:
        context = tls_context()
        import ssl  # late, as in tls_context

        try:
            return context.wrap_socket(self._sock, server_hostname=host, suppress_ragged_eofs=False)
        except ssl.SSLCertVerificationError as error:
            raise TransportError(
                f"its certificate does not verify ({error.verify_message}): install the certificate of its"
                " authority on this host, or name the PEM file in SSL_CERT_FILE",
                permanent=True,
            ) from None
        except (OSError, ValueError) as error:
            raise TransportError(f"no TLS session ({_cause(error)})") from None

    def _allowance(self) -> float:
        """Return how many seconds the next operation may take."""
        left = self._stop_at - monotonic()
        if left <= 0:
            raise TransportError("not done within the time limit of a transfer (global-timeout)")
        return min(self._timeout, left)

    def _arm(self) -> None:
        allowed = self._allowance()
        if allowed != self._armed:  # each change is a system call; it changes near `stop_at` only
            self._armed = allowed
            self._sock.settimeout(allowed)

    def _send(self, request: bytes) -> None:
        self._arm()
        try:
            self._sock.sendall(request)
        except OSError as error:
            raise TransportError(self._trouble(error), unanswered=_closed(error)) from None

    def _receive(self, at: int) -> int:
        """Receive into the buffer from `at`, and return how many bytes; 0 at the end of the connection."""
        self._arm()
        before = monotonic()
        try:
            count = self._sock.recv_into(self._view[at:])
        except OSError as error:
            raise TransportError(
                self._trouble(error), unanswered=_closed(error) and not self._began
            ) from None
        if not self._began:  # how long a server thinks is bounded by the time-out alone
            self._began = True
            return count
        self._waited += monotonic() - before
        self._received += count
        if self._waited >= self._timeout:
            if count and self._received < _MIN_SPEED * self._waited:
                raise TransportError(f"slower than {_MIN_SPEED:,} bytes/s for {self._waited:.0f} s")
            self._waited = 0.0
            self._received = 0
        return count

    def _read_head(self) -> Head:
        """Read up to the empty line. What follows it stays in the buffer."""
        if self._start < self._end:  # after an interim answer
            rest = bytes(self._view[self._start : self._end])
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        else:
            self._start = self._end = 0
        searched = 0
        while True:
            found = END_OF_HEAD.search(self._buffer, searched, self._end)
            if found:
                self._start = found.end()
                return parse_head(self._buffer[: found.start()])
            searched = max(0, self._end - 3)
            if self._end >= MAX_HEAD:
                raise TransportError(f"the answer's header is longer than {MAX_HEAD:,} bytes")
            count = self._receive(self._end)
            if not count:
                raise TransportError("the server closed without an answer", unanswered=not self._end)
            self._end += count

    def _trouble(self, error: OSError) -> str:
        if isinstance(error, TimeoutError):
            self._allowance()  # says so if it was the last moment of the whole transfer
            return f"nothing came for {self._timeout:g} s (timeout)"
        return f"the connection broke ({_cause(error)})"


def _closed(error: OSError) -> bool:
    """Tell whether the server gave the connection up while idle: RST, EPIPE, or TLS without goodbye."""
    return isinstance(error, ConnectionError) or "EOF" in str(error)


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.encode("unicode_escape").decode("ascii")
