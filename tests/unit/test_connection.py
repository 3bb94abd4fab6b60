"""connection.py: connections that die, hang and drip, TLS, and the ways through a proxy."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bandersnatch import connection
from bandersnatch.net import Client, FetchError, NetSettings, Reply
from bandersnatch.proxies import CA_VARIABLES
from loopback import Last, Request, Server, certificate, head, reply, server_context


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in (*CA_VARIABLES, "REQUEST_METHOD"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", "/nonexistent")


def fetch(url: str, **changes: object) -> Reply:
    """One GET with its own client, which does not sleep."""
    settings = NetSettings(5.0, 60.0, "bandersnatch/test", None, False, attempts=1)._replace(**changes)
    client = Client(settings, sleep=lambda seconds: None)
    try:
        return client.get(url, accept="*/*", limit=1_000_000)
    finally:
        client.close()


def failure(url: str, **changes: object) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(url, **changes)
    assert str(caught.value).isprintable()
    return caught.value


# --- idle connections ---


def wait_for_server(client: Client) -> None:
    """Return when what the server did to the idle connection has reached the client."""
    [idle] = client._session._idle.values()
    deadline = time.monotonic() + 10
    while idle.idle() and time.monotonic() < deadline:
        time.sleep(0.001)


@pytest.mark.parametrize("stray", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"])
def test_a_connection_that_was_not_left_alone_is_not_used_again(stray: bytes) -> None:
    answered = threading.Event()

    def first() -> Iterator[bytes]:
        yield reply(b"1")
        answered.wait()
        yield stray  # an answer to nothing, or nothing; then the connection is closed

    def handler(request: Request) -> bytes | Iterator[bytes]:
        return first() if request.number == 1 else reply(b"2")

    client = Client(NetSettings(5.0, 60.0, "t", None, False, attempts=1))
    with Server(handler) as server:
        assert client.get(server.url, accept="*/*", limit=99).body == b"1"
        answered.set()
        wait_for_server(client)
        assert client.get(server.url, accept="*/*", limit=99).body == b"2"
        assert [request.connection for request in server.requests] == [1, 2]
    client.close()


def test_a_connection_closed_under_the_request_is_opened_again_without_an_attempt() -> None:
    def handler(request: Request) -> bytes:
        return Last(b"") if request.number == 2 else reply(b"%d" % request.number)

    client = Client(NetSettings(5.0, 60.0, "t", None, False, attempts=1))
    with Server(handler) as server:
        assert client.get(server.url, accept="*/*", limit=99).body == b"1"
        assert client.get(server.url, accept="*/*", limit=99).body == b"3"
        assert [request.connection for request in server.requests] == [1, 1, 2]
    client.close()


def test_only_a_few_idle_connections_are_kept() -> None:
    client = Client(NetSettings(5.0, 60.0, "t", None, False, attempts=1))
    servers = [Server(lambda _: reply(b"x")) for _ in range(10)]
    for server in servers:
        client.get(server.url, accept="*/*", limit=99)
    assert len(client._session._idle) == 8
    for server in servers:
        server.__exit__()
    client.close()
    assert not client._session._idle


# --- time ---


def test_a_server_that_says_nothing_is_given_up_after_its_attempts() -> None:
    with Server(lambda _: server.hang()) as server:
        error = failure(server.url, timeout=0.1, attempts=2)
        assert len(server.requests) == 2
    assert "nothing came for 0.1 s (timeout); tried 2 times" in str(error)
    assert (error.status, error.permanent) == (0, False)


def test_silence_on_a_connection_used_before_is_a_failed_attempt() -> None:
    client = Client(NetSettings(1.0, 60.0, "t", None, False, attempts=1))
    with Server(lambda request: reply(b"x") if request.number == 1 else server.hang()) as server:
        client.get(server.url, accept="*/*", limit=99)
        with pytest.raises(FetchError, match="nothing came"):
            client.get(server.url, accept="*/*", limit=99)
        assert len(server.requests) == 2
    client.close()


def test_a_body_that_stops_coming_is_given_up() -> None:
    def handler(_: Request) -> Iterator[bytes]:
        yield head(content_length="100") + b"some"
        server.hang()

    with Server(handler) as server:
        assert "nothing came for 0.1 s" in str(failure(server.url, timeout=0.1))


@pytest.fixture
def tenths(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the connection each look at the clock is 0.1 s after the last, so each receive waits 0.1 s."""
    ticks = itertools.count(time.monotonic(), 0.1)
    monkeypatch.setattr(connection, "monotonic", lambda: next(ticks))


@pytest.mark.usefixtures("tenths")
@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", head(content_length="9999"), head(), head() + b"x" * 200_000],
)
def test_what_drips_is_given_up(start: bytes) -> None:
    def handler(_: Request) -> Iterator[bytes]:
        yield start
        for _ in range(3000):
            time.sleep(0.002)
            yield b"x"

    with Server(handler) as server:
        error = failure(server.url, timeout=5.0, deadline=1e6)
    assert "slower than 1,000 bytes/s for 5 s" in str(error)
    assert not error.permanent


@pytest.mark.usefixtures("tenths")
def test_a_slow_but_sufficient_body_is_taken() -> None:
    def handler(_: Request) -> Iterator[bytes]:
        yield head(content_length="40000")
        for _ in range(100):
            time.sleep(0.002)
            yield b"x" * 400

    with Server(handler) as server:
        assert len(fetch(server.url, timeout=2.0, deadline=1e6).body) == 40000


def test_the_deadline_ends_everything() -> None:
    def handler(_: Request) -> bytes:
        server.stopped.wait(10)
        return reply(b"too late")

    with Server(handler) as server:
        error = failure(server.url, timeout=30.0, deadline=0.1, attempts=4)
        assert len(server.requests) <= 1
    assert "global-timeout" in str(error)
    assert not error.permanent


def test_the_deadline_ends_a_body_that_never_does() -> None:
    def handler(_: Request) -> Iterator[bytes]:
        yield head()
        while not server.stopped.is_set():
            time.sleep(0.01)
            yield b"x" * 100

    with Server(handler) as server:
        assert "global-timeout" in str(failure(server.url, timeout=30.0, deadline=0.2))


# --- names ---


def test_a_name_that_does_not_resolve_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure("https://index.example.org/simple/")
    assert "the name of 'index.example.org' does not resolve" in str(error)
    assert not error.permanent


def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(lambda _: reply(b"x")) as closed:
        pass
    with Server(lambda _: reply(b"x")) as server:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        addresses = [(*stream, ("127.0.0.1", port)) for port in (closed.port, server.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        assert fetch(f"http://localhost:{server.port}/").body == b"x"


# --- TLS ---


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1", "secure.example.org")


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_tls_trusts_the_named_bundle(variable: str, pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, str(pem))
    with Server(lambda _: reply(b"safe"), server_context(pem)) as server:
        assert server.url.startswith("https:")
        assert fetch(server.url).body == b"safe"


def test_tls_connections_are_kept_alive(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    client = Client(NetSettings(5.0, 60.0, "t", None, False, attempts=1))
    with Server(lambda _: reply(b"x" * 300_000), server_context(pem)) as server:
        assert {len(client.get(server.url, accept="*/*", limit=1 << 20).body) for _ in range(3)} == {300_000}
        assert {request.connection for request in server.requests} == {1}
    client.close()


def test_a_certificate_that_does_not_verify_is_permanent_with_the_remedy(pem: Path) -> None:
    with Server(lambda _: reply(b"x"), server_context(pem)) as server:
        error = failure(server.url, attempts=4)
        assert not server.requests
    assert error.permanent
    assert "certificate does not verify" in str(error)
    assert "SSL_CERT_FILE" in str(error)


def test_a_certificate_for_another_name_does_not_verify(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with Server(lambda _: reply(b"x"), server_context(pem)) as server:
        error = failure(server.url.replace("127.0.0.1", "localhost"))
    assert error.permanent
    assert "certificate does not verify" in str(error)


def test_plain_text_where_tls_should_be_is_an_error() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        assert "timed out" in str(failure(url, timeout=0.1))  # accepted by the kernel, never answered


def test_a_tls_body_without_length_that_ends_without_goodbye_is_cut_short(
    pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with Server(lambda _: Last(head() + b"{}"), server_context(pem)) as server:
        assert "broke" in str(failure(server.url))


def test_https_does_not_redirect_to_plain_http(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with Server(lambda _: reply(b"plain")) as plain:
        answer = reply(status="302 Found", location=plain.url)
        with Server(lambda _: answer, server_context(pem)) as server:
            error = failure(server.url)
            assert error.permanent
            assert "redirects from https to http://127.0.0.1" in str(error)
            assert not plain.requests
            assert fetch(server.url, allow_http=True).body == b"plain"


# --- proxies ---


def test_a_proxy_is_asked_for_http_with_the_whole_url() -> None:
    with Server(lambda _: reply(b"via")) as proxy:
        got = fetch(
            "http://user:pw@files.example.org:81/a",
            proxy=f"http://me:secret@127.0.0.1:{proxy.port}",
            allow_http=True,
        )
    assert (got.body, got.url) == (b"via", "http://files.example.org:81/a")
    [request] = proxy.requests
    assert request.path == "http://files.example.org:81/a"
    assert request.headers["host"] == "files.example.org:81"
    assert request.headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
    assert request.headers["authorization"] == "Basic dXNlcjpwdw=="


def test_a_proxy_tunnels_https_and_sees_nothing_of_it(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with Server(lambda request: reply() if request.method == "CONNECT" else reply(b"safe")) as proxy:
        proxy.inner = server_context(pem)
        got = fetch("https://secure.example.org/a", proxy=f"http://me:secret@127.0.0.1:{proxy.port}")
    assert got.body == b"safe"
    tunnel, inner = proxy.requests
    assert (tunnel.method, tunnel.path) == ("CONNECT", "secure.example.org:443")
    assert tunnel.headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
    assert "user-agent" not in tunnel.headers
    assert (inner.method, inner.path, inner.headers["host"]) == ("GET", "/a", "secure.example.org")
    assert "proxy-authorization" not in inner.headers


@pytest.mark.parametrize(
    ("answer", "permanent", "says"),
    [
        (reply(status="407 Who are you"), True, "the proxy wants credentials"),
        (reply(status="403 No"), True, "refuses the tunnel with 403"),
        (reply(status="503 Later"), False, "refuses the tunnel with 503"),
        (Last(b""), False, "closed without an answer"),
        (reply(b"x" * 20), False, "sends before it is asked"),
    ],
)
def test_a_tunnel_that_is_refused_says_so(answer: bytes, permanent: bool, says: str) -> None:
    with Server(lambda _: answer) as proxy:
        error = failure("https://secure.example.org/a", proxy=f"http://me:geheim@127.0.0.1:{proxy.port}")
    assert error.permanent is permanent
    assert says in str(error)
    assert "geheim" not in str(error)


def test_a_proxy_that_is_not_there_is_named_without_its_password() -> None:
    with Server(lambda _: reply()) as proxy:
        pass
    error = failure("https://files.example.org/", proxy=f"http://me:geheim@127.0.0.1:{proxy.port}")
    assert f"no connection to proxy '127.0.0.1', port {proxy.port}" in str(error)
    assert "geheim" not in str(error)
