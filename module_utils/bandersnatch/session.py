"""Requests: which connection, whose credentials, which redirects. One try each; `retry.py` knows of more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .connection import Connection
from .errors import FetchError
from .message import Head, TransportError, header
from .proxies import Route, basic, check_proxy, find_route, netrc_login, tls_context
from .retry import TryLaterError, retry_after
from .urls import Origin, Target, check_scheme, parse, redirected

MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_IDLE = 8  # connections kept; an index has its pages on one host and its files on one or two others
_MAX_DRAINED = 65536  # bytes of an unwanted body that cost less to read than a new connection


class NetSettings(NamedTuple):
    """How a Client behaves."""

    timeout: float  # seconds that one operation may take
    deadline: float  # seconds that one get, stream or download may take, retries and all
    user_agent: str
    proxy: str | None  # http://[user:password@]host:port; None: the environment says
    allow_http: bool  # plain http to other hosts than this one
    attempts: int = 4
    logins: tuple[str, ...] = ()  # the configured URLs: the user:password in one holds for all of its origin


class _Way(NamedTuple):
    """What does not change from request to request to one origin."""

    route: Route
    before_path: bytes  # the rest of the absolute form, for a proxy
    headers: bytes
    login: bytes  # the Authorization line, or b""


class Answer:
    """A response whose body is still to be read."""

    def __init__(self, session: Session, target: Target, head: Head, connection: Connection) -> None:
        self.target = target
        self.status = head.status
        self.reason = head.reason
        self.fields = head.fields
        self.length = head.length
        self.chunked = head.chunked
        self._session = session
        self._connection: Connection | None = connection
        if head.length == 0 and connection.spent:
            self._release()

    def pieces(self) -> Iterator[memoryview]:
        """Yield the body as sent; a piece is valid until the next. FetchError where it breaks off."""
        if self._connection is None:
            return
        try:
            yield from self._connection.pieces()
        except TransportError as error:
            raise self.error(str(error)) from None
        if self._connection.spent:
            self._release()

    def drain(self) -> None:
        """Be done with a body that nobody wants, so that the connection can serve again."""
        try:
            read = 0
            for piece in self.pieces():
                read += len(piece)
                if read > _MAX_DRAINED:
                    break
        except FetchError:
            pass  # the answer is judged by its status alone
        self.close()

    def close(self) -> None:
        """Close the connection unless the whole body was read."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def error(self, reason: str, *, permanent: bool = False) -> FetchError:
        """Return an error that concerns this URL."""
        return FetchError(f"{self.target.shown}: {reason}", self.status, permanent)

    def refusal(self) -> FetchError:
        """Return what a status without a usable body means: 408, 429 and 5xx may pass, others are final."""
        status = self.status
        said = f"{status} {self.reason}".strip()[:80].encode("unicode_escape").decode("ascii")
        if status in (401, 403):
            return self.error(f"{said}: check the credentials in the URL or in ~/.netrc", permanent=True)
        if status == 407:
            return self.error(f"{said}: check the credentials in the proxy's URL", permanent=True)
        if status >= 500 or status in (408, 429):
            wait = retry_after(self.fields.get("retry-after", ""))
            return TryLaterError(f"{self.target.shown}: {said}", status, wait=wait)
        return self.error(said, permanent=True)

    def _release(self) -> None:
        if self._connection is not None:
            self._session.keep(self.target.origin, self._connection)
            self._connection = None


class Session:
    """Connections kept alive, one for each origin. One Session per thread."""

    def __init__(self, settings: NetSettings) -> None:
        self._settings = settings
        self._idle: dict[Origin, Connection] = {}
        self._ways: dict[Origin, _Way] = {}
        self._logins: dict[Origin, str] = {}
        for url in settings.logins:
            target = parse(url)
            if target.login:
                self._logins[target.origin] = target.login
            self._way(target.origin)  # a ConfigError now rather than in the middle of the work
            if target.origin.scheme == "https":
                tls_context()
        if settings.proxy:
            check_proxy(settings.proxy)

    def close(self) -> None:
        while self._idle:
            self._idle.popitem()[1].close()

    def keep(self, origin: Origin, connection: Connection) -> None:
        """Put a connection aside for the next request to its origin."""
        while origin in self._idle or len(self._idle) >= _MAX_IDLE:
            self._idle.pop(origin if origin in self._idle else next(iter(self._idle))).close()
        self._idle[origin] = connection

    def send(self, url: str, headers: bytes, stop_at: float) -> Answer:
        """GET `url`, follow redirects, and return the first answer that is none.

        Args:
            headers: further header lines, each ended by CRLF.
            stop_at: the `time.monotonic()` at which everything ends.

        Raises:
            FetchError: no answer, or a redirect that is not followed.
        """
        target = first = parse(url)
        login = basic("Authorization", first.login) if first.login else b""
        came_from: Target | None = None
        seen: set[str] = set()
        while True:
            check_scheme(target, came_from, self._settings.allow_http)
            own = login if target.origin == first.origin else b""  # never on to another origin
            answer = self._exchange(target, headers, own, stop_at)
            location = answer.fields.get("location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            answer.drain()
            seen.add(target.url)
            came_from, target = target, redirected(target, location)
            if target.url in seen:
                raise answer.error("redirects in a loop", permanent=True)
            if len(seen) > MAX_REDIRECTS:
                raise answer.error(f"more than {MAX_REDIRECTS} redirects", permanent=True)

    def _exchange(self, target: Target, headers: bytes, login: bytes, stop_at: float) -> Answer:
        origin = target.origin
        way = self._ways.get(origin) or self._way(origin)
        request = b"GET %b%b HTTP/1.1\r\n%b%b%b\r\n" % (
            way.before_path, target.path.encode("ascii"), way.headers, login or way.login, headers,
        )  # fmt: skip
        while True:
            connection = self._idle.pop(origin, None)
            if connection is not None and not connection.idle():
                connection.close()
                connection = None
            reused = connection is not None
            try:
                if connection is None:
                    connection = Connection(origin, way.route, self._settings.timeout, stop_at)
                head = connection.ask(request, stop_at)
            except TransportError as error:
                if connection is not None:
                    connection.close()
                if reused and error.unanswered:  # closed while idle, as a server may: not a failed attempt
                    continue
                raise FetchError(f"{target.shown}: {error}", permanent=error.permanent) from None
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            return Answer(self, target, head, connection)

    def _way(self, origin: Origin) -> _Way:
        route = find_route(origin, self._settings.proxy)
        headers = header("Host", origin.authority) + header("User-Agent", self._settings.user_agent)
        before_path = b""
        if route.proxied and origin.scheme == "http":  # RFC 9112, 3.2.2: the absolute form
            before_path = f"http://{origin.authority}".encode("ascii")
            headers += route.login
        login = self._logins.get(origin) or netrc_login(origin.host)
        way = _Way(route, before_path, headers, basic("Authorization", login) if login else b"")
        self._ways[origin] = way
        return way
