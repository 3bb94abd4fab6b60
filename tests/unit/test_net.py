"""net.py: pages and the root index from servers that do well, badly, or worse."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from bandersnatch.errors import ConfigError
from bandersnatch.net import Client, FetchError, NetSettings, Reply
from loopback import Handler, Last, Request, Server, chunked, head, reply

IN_TINY_CHUNKS = chunked(*(bytes([byte]) for byte in gzip.compress(b"body")))
ACCEPT = "application/vnd.pypi.simple.v1+json"
LIMIT = 1000


def settings(**changes: object) -> NetSettings:
    return NetSettings(2.0, 30.0, "bandersnatch/test", None, False)._replace(**changes)


class Asked(Client):
    """A client that notes how long it would have slept."""

    def __init__(self, **changes: object) -> None:
        self.slept: list[float] = []
        super().__init__(settings(**changes), sleep=self.slept.append, jitter=lambda: 0.5)

    def page(self, url: str, etag: str | None = None, limit: int = LIMIT, fresh: bool = False) -> Reply:
        return self.get(url, accept=ACCEPT, etag=etag, limit=limit, fresh=fresh)


@pytest.fixture(autouse=True)
def _no_netrc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", "/nonexistent")


@pytest.fixture
def client() -> Iterator[Asked]:
    asked = Asked()
    yield asked
    asked.close()


def one_after_another(*answers: bytes) -> Handler:
    """Answer the first request with the first, and so on; the last one for ever."""
    return lambda request: answers[min(request.number, len(answers)) - 1]


def failure(client: Asked, url: str, **arguments: object) -> FetchError:
    with pytest.raises(FetchError) as caught:
        client.page(url, **arguments)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    return caught.value


def test_a_page_comes_with_what_is_known_about_it(client: Asked) -> None:
    answer = reply(b"{}", content_type="text/html", etag='"1"', x_pypi_last_serial="17")
    with Server(lambda _: answer) as server:
        assert client.page(f"{server.url}/simple/six/") == Reply(
            200, b"{}", "text/html", '"1"', 17, f"{server.url}/simple/six/"
        )
    assert server.requests[0].raw.decode().split("\r\n") == [
        "GET /simple/six/ HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: bandersnatch/test",
        f"Accept: {ACCEPT}",
        "Accept-Encoding: gzip",
        "",
        "",
    ]


def test_connections_are_kept_alive(client: Asked) -> None:
    bodies = [
        reply(b"a"),
        head(transfer_encoding="chunked") + chunked(b"b"),
        reply(status="404 No"),
        reply(b"d"),
    ]
    with Server(one_after_another(*bodies)) as server:
        assert [client.page(server.url).body for _ in range(4)] == [b"a", b"b", b"", b"d"]
    assert {request.connection for request in server.requests} == {1}


@pytest.mark.parametrize(
    "answer",
    [
        Last(reply(b"body", connection="close")),
        Last(b"HTTP/1.0 200 OK\r\n\r\nbody"),
        Last(head(server="x") + b"body"),
        head(transfer_encoding="chunked") + chunked(b"b", b"od", b"y"),
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + reply(b"body"),
        reply(gzip.compress(b"body"), content_encoding="gzip"),
        reply(gzip.compress(b"bo") + gzip.compress(b"dy"), content_encoding="x-gzip"),
        head(transfer_encoding="chunked", content_encoding="gzip") + IN_TINY_CHUNKS,
        reply(b"body", content_encoding="identity"),
    ],
)  # fmt: skip
def test_bodies_come_whole_however_they_are_framed_and_coded(answer: bytes, client: Asked) -> None:
    with Server(lambda _: answer) as server:
        assert client.page(server.url).body == b"body"
        assert client.page(server.url).body == b"body"


def test_a_body_that_drips_in_pieces_is_put_together(client: Asked) -> None:
    def pieces(_: Request) -> Iterator[bytes]:
        message = reply(b"abcdefgh")
        for at in range(len(message)):
            time.sleep(0.0005)  # lets most bytes travel alone; nothing depends on it
            yield message[at : at + 1]

    with Server(pieces) as server:
        assert client.page(server.url).body == b"abcdefgh"


def test_an_etag_makes_the_request_conditional(client: Asked) -> None:
    with Server(lambda _: reply(status="304 Not Modified", etag='"1"')) as server:
        assert client.page(server.url, etag='"1"').status == 304
        assert server.requests[0].headers["if-none-match"] == '"1"'
        assert "cache-control" not in server.requests[0].headers


def test_an_etag_that_could_end_the_line_is_not_sent(client: Asked) -> None:
    with Server(lambda _: reply(b"x")) as server:
        client.page(server.url, etag='"1"\r\nX-Evil: 1')
        assert "if-none-match" not in server.requests[0].headers
        assert b"Evil" not in server.requests[0].raw


def test_a_304_that_nobody_asked_for_is_an_error(client: Asked) -> None:
    with Server(lambda _: reply(status="304 Not Modified")) as server:
        assert failure(client, server.url).permanent


def test_a_fresh_page_is_asked_for_past_the_caches(client: Asked) -> None:
    with Server(lambda _: reply(b"x")) as server:
        client.page(server.url, fresh=True)
        assert server.requests[0].headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("status", [404, 410])
def test_absent_pages_are_an_answer(status: int, client: Asked) -> None:
    with Server(lambda _: reply(b"<h1>no</h1>", status=f"{status} No")) as server:
        got = client.page(server.url)
    assert (got.status, got.body) == (status, b"")


@pytest.mark.parametrize("serial", ["", "x", "-1", "1" * 30, "\u00b2"])
def test_a_serial_that_is_none_is_left_out(serial: str, client: Asked) -> None:
    with Server(lambda _: reply(x_pypi_last_serial=serial)) as server:
        assert client.page(server.url).serial is None


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("400 Bad Request", "400 Bad Request"),
        ("401 Unauthorized", "check the credentials"),
        ("403 Forbidden", "check the credentials"),
        ("407 Proxy Authentication Required", "proxy"),
        ("451 \x1b[31mred", r"451 \x1b[31mred"),
        ("204 No Content", "204"),
        ("206 Partial Content", "206"),
        ("300 Multiple Choices", "300"),
        ("302 Found", "302"),
    ],
)
def test_other_statuses_are_permanent_at_once(status: str, says: str, client: Asked) -> None:
    with Server(lambda _: reply(status=status)) as server:
        error = failure(client, f"{server.url}/x")
        assert len(server.requests) == 1
    assert error.permanent
    assert error.status == int(status[:3])
    assert says in str(error)


@pytest.mark.parametrize(
    "status", ["500 Oops", "502 Bad", "503 Busy", "504 Late", "429 Slow down", "408 Late"]
)
def test_statuses_that_may_pass_are_tried_again_four_times(status: str, client: Asked) -> None:
    with Server(lambda _: reply(status=status)) as server:
        error = failure(client, f"{server.url}/x")
        assert len(server.requests) == 4
    assert (error.status, error.permanent) == (int(status[:3]), False)
    assert client.slept == [0.5, 1.0, 2.0]
    assert f"/x: {status}; tried 4 times" in str(error)


def test_a_server_that_comes_back_is_forgiven(client: Asked) -> None:
    answers = [
        Last(reply(status="500 Oops")),
        Last(b""),
        Last(head(content_length="10") + b"short"),
        reply(b"fine"),
    ]
    with Server(one_after_another(*answers)) as server:
        assert client.page(server.url).body == b"fine"
    assert len(client.slept) == 3


def test_retry_after_is_honoured_and_its_limit_too(client: Asked) -> None:
    answers = [reply(status="429 Wait", retry_after="7"), reply(status="503 Wait", retry_after="7200")]
    with Server(one_after_another(*answers)) as server:
        error = failure(client, server.url)
        assert len(server.requests) == 2
    assert client.slept == [7.0]
    assert "asked again in 7200 s" in str(error)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Last(b""), "closed without an answer"),
        (Last(b"HTTP/1.1 200"), "closed without an answer"),
        (Last(b"SSH-2.0-x\r\n\r\n"), "not HTTP/1.1"),
        (Last(head(content_length="10") + b"short"), "ended after 5 of 10 bytes"),
        (Last(head(content_length="3") + b"longer"), "longer than the announced 3 bytes"),
        (Last(head(content_length="0") + b"longer"), "longer than the announced 0 bytes"),
        (Last(head(transfer_encoding="chunked") + b"5\r\nab"), "before its last chunk"),
        (Last(head(transfer_encoding="chunked") + b"zz\r\n"), "garbled"),
        (Last(head(content_encoding="gzip") + gzip.compress(b"x" * 99)[:-9]), "breaks off"),
        (Last(head(content_encoding="gzip") + b"plain text"), "gzip coding is broken"),
        (Last(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "Content-Length"),
        (Last(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000), "longer than 65,536 bytes"),
        (Last(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101 + b"\r\n"), "more than 100 header fields"),
        (Last(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), "interim answers"),
    ],
)
def test_broken_answers_are_tried_again_and_named(answer: bytes, says: str, client: Asked) -> None:
    with Server(lambda _: answer) as server:
        error = failure(client, f"{server.url}/simple/six/")
        assert len(server.requests) == 4
    assert not error.permanent
    assert says in str(error)
    assert "/simple/six/" in str(error)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply(b"x" * 1001), "larger than 1,000 bytes"),
        (Last(head() + b"x" * 1001), "larger than 1,000 bytes"),
        (head(content_length="99999999999"), "larger than 1,000 bytes"),
        (head(transfer_encoding="chunked") + chunked(b"x" * 600, b"x" * 401), "larger than 1,000 bytes"),
        (reply(gzip.compress(b"x" * 1001), content_encoding="gzip"), "larger than 1,000 bytes"),
        (reply(b"x", content_encoding="br"), "content coding that was not asked for: 'br'"),
        (reply(b"x", content_encoding="gzip, gzip"), "content coding"),
        (head(transfer_encoding="gzip, chunked"), "transfer coding"),
    ],
)
def test_what_will_be_no_better_next_time_is_permanent(answer: bytes, says: str, client: Asked) -> None:
    with Server(lambda _: answer) as server:
        error = failure(client, server.url)
        assert len(server.requests) == 1
    assert error.permanent
    assert says in str(error)


def test_a_body_of_just_the_limit_is_taken(client: Asked) -> None:
    packed = gzip.compress(b"x" * LIMIT)
    with Server(one_after_another(reply(b"x" * LIMIT), reply(packed, content_encoding="gzip"))) as server:
        assert [len(client.page(server.url).body) for _ in range(2)] == [LIMIT, LIMIT]


def test_an_upstream_that_is_down_is_not_asked_four_times_for_everything(client: Asked) -> None:
    healthy = threading.Event()
    with Server(lambda _: reply(b"{}") if healthy.is_set() else b"") as server:

        def requests(number: int) -> int:
            before = len(server.requests)
            failure(client, f"{server.url}/{number}/")
            return len(server.requests) - before

        assert [requests(number) for number in range(7)] == [4] * 5 + [1] * 2
        healthy.set()
        client.page(f"{server.url}/up/")
        healthy.clear()
        assert requests(8) == 4


def test_a_refused_connection_is_tried_again_and_named(client: Asked) -> None:
    with Server(lambda _: reply()) as server:
        pass
    error = failure(client, server.url)
    assert (error.status, error.permanent) == (0, False)
    assert "Connection refused" in str(error)
    assert len(client.slept) == 3


def test_redirects_are_followed_to_the_final_url(client: Asked) -> None:
    def handler(request: Request) -> bytes:
        hop = int(request.path[1:])
        return reply(status="302 Found", location=f"/{hop + 1}") if hop < 5 else reply(b"here")

    with Server(handler) as server:
        got = client.page(f"{server.url}/0", etag='"1"')
        assert (got.body, got.url) == (b"here", f"{server.url}/5")
        assert all(request.headers["if-none-match"] == '"1"' for request in server.requests)


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("/{next}", "more than 5 redirects"),
        ("/0", "redirects in a loop"),
        ("file:///etc/passwd", "redirects astray"),
        ("ftp://127.0.0.1/", "redirects astray"),
        ("http://files.example.org/", "plain http"),
    ],
)
def test_redirects_that_lead_nowhere_are_permanent(location: str, says: str, client: Asked) -> None:
    def handler(request: Request) -> bytes:
        return reply(status="301 Moved", location=location.format(next=request.number))

    with Server(handler) as server:
        error = failure(client, f"{server.url}/0")
        assert len(server.requests) <= 6
    assert error.permanent
    assert says in str(error)
    assert client.slept == []


def test_credentials_stay_with_their_origin() -> None:
    with Server(lambda _: reply(b"theirs")) as other:

        def handler(request: Request) -> bytes:
            return reply(status="302 Found", location=f"{other.url}/" if request.path == "/away" else "/away")

        with Server(handler) as server:
            client = Asked(logins=(server.url.replace("//", "//user:geheim@") + "/simple/",))
            got = client.page(f"{server.url}/start")
            client.close()
    sent = [request.headers.get("authorization") for request in server.requests + other.requests]
    assert sent == ["Basic dXNlcjpnZWhlaW0="] * 2 + [None]
    assert "geheim" not in got.url


def test_credentials_of_one_url_are_used_for_it_and_shown_nowhere(client: Asked) -> None:
    with Server(lambda _: reply(status="403 Forbidden")) as server:
        error = failure(client, server.url.replace("//", "//user:geheim@") + "/a?token=geheim")
        failure(client, f"{server.url}/b")
    assert [request.headers.get("authorization") for request in server.requests] == [
        "Basic dXNlcjpnZWhlaW0=",
        None,
    ]
    assert "geheim" not in str(error)


def test_credentials_of_one_url_do_not_follow_a_redirect_elsewhere(client: Asked) -> None:
    with Server(lambda _: reply(b"theirs")) as other:
        moved = reply(status="302 Found", location=other.url)
        with Server(lambda _: moved) as server:
            client.page(server.url.replace("//", "//user:geheim@"))
    assert "authorization" in server.requests[0].headers
    assert "authorization" not in other.requests[0].headers


def test_an_error_page_is_not_read_for_ever(client: Asked) -> None:
    long = reply(b"x" * 1_000_000, status="404 No")
    with Server(lambda _: long) as server:
        assert [client.page(server.url).status for _ in range(2)] == [404, 404]
        assert [request.connection for request in server.requests] == [1, 2]


def test_a_url_cannot_smuggle_a_header(client: Asked) -> None:
    with Server(lambda _: reply(b"x")) as server:
        client.page(f"{server.url}/a b HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET /")
        assert len(server.requests) == 1
    assert server.requests[0].path == "/a%20b%20HTTP/1.1%0D%0AX-Evil:%201%0D%0A%0D%0AGET%20/"


def test_plain_http_to_other_hosts_is_refused_unasked(client: Asked) -> None:
    error = failure(client, "http://index.example.org/simple/")
    assert error.permanent
    assert "allow-non-https" in str(error)


def test_an_unusable_proxy_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match="socks5 proxies cannot be used"):
        Asked(proxy="socks5://proxy.example.org:1080")


def test_a_proxy_of_the_environment_is_checked_for_the_configured_urls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("all_proxy", "socks5://proxy.example.org:1080")
    monkeypatch.setenv("no_proxy", "mirror.example.org")
    Asked(logins=("http://mirror.example.org/",)).close()
    with pytest.raises(ConfigError, match="socks5 proxies cannot be used"):
        Asked(logins=("http://mirror.example.org/", "http://index.example.org/simple/"))


def test_a_ca_bundle_is_checked_for_the_configured_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/ca.pem")
    Asked(logins=("http://127.0.0.1/",)).close()
    with pytest.raises(ConfigError, match=r"/nonexistent/ca\.pem"):
        Asked(logins=("https://index.example.org/simple/",))


def test_an_interrupted_sleep_ends_the_attempts() -> None:
    stop = threading.Event()
    stop.set()
    client = Client(settings(), sleep=stop.wait)
    with Server(lambda _: reply(status="500 Oops")) as server:
        with pytest.raises(FetchError):
            client.get(server.url, accept=ACCEPT, limit=LIMIT)
        assert len(server.requests) == 1
    client.close()


def stream(
    client: Client, url: str, limit: int = 1 << 30, etag: str | None = None
) -> tuple[Reply, list[bytes]]:
    with client.stream(url, accept=ACCEPT, limit=limit, etag=etag) as (got, chunks):
        return got, list(chunks)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_stream_comes_in_bounded_chunks(pack: Callable[[bytes], bytes], client: Asked) -> None:
    body = b"0123456789" * 300_000
    coding = {"content_encoding": "gzip"} if pack is gzip.compress else {}
    with Server(lambda _: reply(pack(body), etag='"e"', **coding)) as server:
        got, chunks = stream(client, server.url)
        assert (got.body, got.etag, b"".join(chunks)) == (b"", '"e"', body)
        assert len(chunks) > 10
        assert max(map(len, chunks)) <= 262144
        stream(client, server.url)
    assert {request.connection for request in server.requests} == {1}


def test_a_stream_is_tried_again_until_its_first_byte(client: Asked) -> None:
    answers = [Last(reply(status="500 Oops")), Last(b""), Last(head(content_length="9")), reply(b"fine")]
    with Server(one_after_another(*answers)) as server:
        assert stream(client, server.url)[1] == [b"fine"]
    assert len(client.slept) == 3


def test_a_stream_that_breaks_off_is_an_error_and_not_tried_again(client: Asked) -> None:
    with Server(lambda _: Last(head(content_length="10") + b"short")) as server:
        with client.stream(server.url, accept=ACCEPT, limit=LIMIT) as (_, chunks):
            assert next(chunks) == b"short"
            with pytest.raises(FetchError, match="ended after 5 of 10"):
                next(chunks)
        assert len(server.requests) == 1


def test_a_stream_bomb_is_cut_off(client: Asked) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with Server(lambda _: reply(bomb, content_encoding="gzip")) as server:
        with pytest.raises(FetchError, match="larger than 1,000,000 bytes") as caught:
            stream(client, server.url, limit=1_000_000)
        assert len(server.requests) == 1
    assert caught.value.permanent


@pytest.mark.parametrize("status", [304, 404])
def test_a_stream_without_a_body_is_empty(status: int, client: Asked) -> None:
    with Server(lambda _: reply(status=f"{status} x")) as server:
        got, chunks = stream(client, server.url, etag='"1"')
    assert (got.status, chunks) == (status, [])


def test_pages_can_be_asked_for_while_a_stream_is_open(client: Asked) -> None:
    def handler(request: Request) -> bytes:
        if request.path == "/root":
            return head(transfer_encoding="chunked") + chunked(*[b"%05d" % n for n in range(1000)])
        return reply(b"page")

    with (
        Server(handler) as server,
        client.stream(f"{server.url}/root", accept=ACCEPT, limit=1 << 20) as (_, chunks),
    ):
        first = next(chunks)
        assert client.page(f"{server.url}/page").body == b"page"
        assert first + b"".join(chunks) == b"".join(b"%05d" % n for n in range(1000))


def test_a_stream_left_early_does_not_spoil_the_next_request(client: Asked) -> None:
    body = b"x" * 3_000_000
    with Server(lambda request: reply(body if request.path == "/root" else b"page")) as server:
        with client.stream(f"{server.url}/root", accept=ACCEPT, limit=1 << 30) as (_, chunks):
            next(chunks)
        assert client.page(f"{server.url}/page").body == b"page"
