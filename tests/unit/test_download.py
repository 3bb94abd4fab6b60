"""download.py through the client: a file is whole and right, or it is not there."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from bandersnatch import download as module
from bandersnatch.errors import StorageError
from bandersnatch.net import Client, FetchError, Got, NetSettings
from loopback import Handler, Last, Request, Server, chunked, head, reply

BODY = bytes(range(256)) * 4000  # a megabyte: several pieces
DIGEST = "sha256:" + hashlib.sha256(BODY).hexdigest()
SMALL = b"a small wheel"
SMALL_DIGEST = "sha256:" + hashlib.sha256(SMALL).hexdigest()


@pytest.fixture(autouse=True)
def _no_netrc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", "/nonexistent")


class Bringer(Client):
    """A client that downloads to one place, and notes how long it would have slept."""

    def __init__(self, part: Path, **changes: object) -> None:
        self.part = part
        self.slept: list[float] = []
        settings = NetSettings(5.0, 60.0, "bandersnatch/test", None, False)._replace(**changes)
        super().__init__(settings, sleep=self.slept.append, jitter=lambda: 0.5)

    def bring(self, *urls: str, digest: str = DIGEST, size: int = len(BODY)) -> Got:
        return self.download(urls, str(self.part), digest, size)

    def small(self, *urls: str, digest: str = SMALL_DIGEST, size: int = len(SMALL)) -> Got:
        return self.download(urls, str(self.part), digest, size)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Bringer]:
    bringer = Bringer(tmp_path / "file.part")
    yield bringer
    bringer.close()


def with_ranges(body: bytes = BODY, cut: int = 0, etag: str = "") -> Handler:
    """A server that knows ranges. `cut`: it breaks every answer off after so many bytes of the body."""

    def handler(request: Request) -> bytes:
        fields = {"etag": etag} if etag else {}
        start = 0
        status = "200 OK"
        if "range" in request.headers and request.headers.get("if-range", etag) == etag:
            start = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return reply(status="416 Range Not Satisfiable")
            status = "206 Partial Content"
            fields["content-range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        answer = reply(body[start:], status=status, **fields)
        if cut and len(body) - start > cut:
            return Last(answer[: cut - (len(body) - start)])
        return answer

    return handler


def ranges(server: Server) -> list[str | None]:
    return [request.headers.get("range") for request in server.requests]


def failure(client: Bringer, *urls: str, **arguments: object) -> FetchError:
    with pytest.raises(FetchError) as caught:
        client.bring(*urls, **arguments)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    return caught.value


def test_a_new_file_is_brought_with_one_plain_request(client: Bringer) -> None:
    with Server(lambda _: reply(SMALL, etag='"1"')) as server:
        assert client.small(f"{server.url}/a.whl") == Got(len(SMALL), SMALL_DIGEST, len(SMALL))
    assert client.part.read_bytes() == SMALL
    assert client.part.stat().st_mode & 0o777 == 0o644 & ~_umask()
    [request] = server.requests
    assert request.headers["accept-encoding"] == "identity"
    assert not request.headers.keys() & {"range", "if-range", "cache-control"}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "blake2b", "md5", "SHA256"])
def test_the_stated_algorithm_decides(algorithm: str, client: Bringer) -> None:
    digest = f"{algorithm}:{hashlib.new(algorithm, BODY).hexdigest()}"
    with Server(with_ranges()) as server:
        assert client.bring(server.url, digest=digest).digest == digest.lower()


@pytest.mark.parametrize("algorithm", ["sha3000", "shake_128", "\x1b[1m"])
def test_an_unknown_algorithm_is_a_permanent_error(algorithm: str, client: Bringer) -> None:
    with Server(with_ranges()) as server:
        assert failure(client, server.url, digest=f"{algorithm}:00").permanent
        assert not server.requests


@pytest.mark.parametrize("size", [-1, len(SMALL)])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_without_a_hash_the_sha256_is_told(size: int, framing: str, client: Bringer) -> None:
    answer = reply(SMALL) if framing == "length" else head(transfer_encoding="chunked") + chunked(SMALL)
    with Server(lambda _: answer) as server:
        assert client.small(server.url, digest="", size=size) == Got(len(SMALL), SMALL_DIGEST, len(SMALL))


def test_without_hash_and_length_nothing_is_taken_for_whole(client: Bringer) -> None:
    with Server(lambda _: Last(head() + SMALL)) as server:
        error = failure(client, server.url, digest="", size=-1)
    assert error.permanent
    assert "cannot be verified" in str(error)
    assert not client.part.exists()


def test_an_empty_file_is_brought(client: Bringer) -> None:
    digest = "sha256:" + hashlib.sha256(b"").hexdigest()
    with Server(lambda _: reply(b"")) as server:
        assert client.small(server.url, digest=digest, size=-1).size == 0
    assert client.part.read_bytes() == b""


# --- resuming ---


def test_a_part_that_is_complete_needs_no_request(client: Bringer) -> None:
    client.part.write_bytes(BODY)
    with Server(with_ranges()) as server:
        assert client.bring(server.url) == Got(len(BODY), DIGEST, 0)
        assert client.bring(server.url, size=-1) == Got(len(BODY), DIGEST, 0)
        assert not server.requests


@pytest.mark.parametrize("size", [-1, len(BODY)])
def test_a_part_is_continued_where_it_ends(size: int, client: Bringer) -> None:
    client.part.write_bytes(BODY[:1000])
    with Server(with_ranges()) as server:
        assert client.bring(server.url, size=size) == Got(len(BODY), DIGEST, len(BODY) - 1000)
    assert ranges(server) == ["bytes=1000-"]
    assert client.part.read_bytes() == BODY


@pytest.mark.parametrize("rubbish", [b"x" * len(BODY), BODY + b"x", b"x" * 1000])
def test_a_part_with_rubbish_is_replaced(rubbish: bytes, client: Bringer) -> None:
    client.part.write_bytes(rubbish)
    with Server(with_ranges()) as server:
        assert client.bring(server.url).size == len(BODY)
        assert len(server.requests) == (2 if len(rubbish) < len(BODY) else 1)
    assert client.part.read_bytes() == BODY
    assert server.requests[-1].headers.get("range") is None
    assert client.slept == []


def test_a_part_of_unknown_content_is_not_continued_without_a_hash(client: Bringer) -> None:
    client.part.write_bytes(b"x" * 1000)
    with Server(with_ranges()) as server:
        assert client.bring(server.url, digest="") == Got(len(BODY), DIGEST, len(BODY))
    assert ranges(server) == [None]


def test_a_server_without_ranges_sends_it_all_again(client: Bringer) -> None:
    client.part.write_bytes(BODY[:1000])
    with Server(lambda _: reply(BODY)) as server:
        assert client.bring(server.url).fetched == len(BODY)
    assert client.part.read_bytes() == BODY


@pytest.mark.parametrize(
    "content_range",
    [
        "",
        "bytes 999-{last}/{size}",
        "bytes 1001-{last}/{size}",
        "bytes 1000-1999/{size}",
        "bytes 1000-{last}/1",
        "items 1000-{last}/{size}",
        "bytes */{size}",
    ],
)
def test_a_range_that_was_not_asked_for_is_thrown_away(content_range: str, client: Bringer) -> None:
    def handler(request: Request) -> bytes:
        if "range" not in request.headers:
            return reply(BODY)
        stated = content_range.format(last=len(BODY) - 1, size=len(BODY))
        return reply(BODY[1000:], status="206 Partial Content", content_range=stated)

    client.part.write_bytes(BODY[:1000])
    with Server(handler) as server:
        assert client.bring(server.url).digest == DIGEST
    assert ranges(server) == ["bytes=1000-", None]


def test_a_range_of_unknown_total_is_taken_where_the_size_is_known(client: Bringer) -> None:
    stated = f"bytes 1000-{len(BODY) - 1}/*"
    client.part.write_bytes(BODY[:1000])
    answer = reply(BODY[1000:], status="206 Partial Content", content_range=stated)
    with Server(lambda _: answer) as server:
        assert client.bring(server.url).fetched == len(BODY) - 1000


def test_a_416_starts_over(client: Bringer) -> None:
    client.part.write_bytes(BODY + b"more")
    with Server(with_ranges()) as server:
        assert client.bring(server.url, size=-1).digest == DIGEST
    assert ranges(server) == [f"bytes={len(BODY) + 4}-", None]
    assert client.part.read_bytes() == BODY


def test_a_broken_transfer_goes_on_where_it_broke(client: Bringer) -> None:
    with Server(with_ranges(cut=400_000, etag='"v1"')) as server:
        assert client.bring(server.url) == Got(len(BODY), DIGEST, len(BODY))
    assert ranges(server) == [None, "bytes=400000-", "bytes=800000-"]
    assert [request.headers.get("if-range") for request in server.requests] == [None, '"v1"', '"v1"']
    assert client.slept == [0.5, 1.0]


@pytest.mark.parametrize("etag", ['W/"v1"', 'v1"\r\nX: y', ""])
def test_a_weak_etag_is_no_condition_for_a_range(etag: str, client: Bringer) -> None:
    with Server(with_ranges(cut=800_000, etag=etag)) as server:
        client.bring(server.url)
    assert ranges(server) == [None, "bytes=800000-"]
    assert "if-range" not in server.requests[1].headers


@pytest.mark.parametrize(("etag", "second"), [('"v1"', "bytes=800000-"), ("", None)])
def test_without_a_hash_only_an_etag_lets_it_go_on(etag: str, second: str | None, client: Bringer) -> None:
    cut = with_ranges(cut=800_000, etag=etag)
    with Server(lambda request: (cut if request.number == 1 else with_ranges(etag=etag))(request)) as server:
        assert client.bring(server.url, digest="").digest == DIGEST
    assert ranges(server) == [None, second]


def test_attempts_that_bring_a_megabyte_do_not_count(tmp_path: Path) -> None:
    body = BODY * 8
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    client = Bringer(tmp_path / "big.part", attempts=2)
    with Server(with_ranges(body, cut=1 << 20)) as server:
        assert client.bring(server.url, digest=digest, size=len(body)).size == len(body)
        assert len(server.requests) == 8
    client.close()


def test_what_came_is_kept_for_the_next_time(client: Bringer) -> None:
    with Server(lambda _: Last(reply(BODY)[:-1000])) as server:
        error = failure(client, server.url)
        assert len(server.requests) == 4
    assert not error.permanent
    assert "tried 4 times" in str(error)
    assert client.part.read_bytes() == BODY[:-1000]


def test_nothing_is_left_where_nothing_came(client: Bringer) -> None:
    with Server(lambda _: reply(status="503 Busy")) as server:
        assert failure(client, server.url).status == 503
    assert not client.part.exists()


# --- wrong content ---


def test_wrong_data_are_asked_for_once_more_past_the_caches(client: Bringer) -> None:
    answers = [reply(SMALL[::-1]), reply(SMALL)]
    with Server(lambda request: answers[request.number - 1]) as server:
        assert client.small(server.url).digest == SMALL_DIGEST
    assert [request.headers.get("cache-control") for request in server.requests] == [None, "no-cache"]
    assert client.part.read_bytes() == SMALL


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply(BODY[::-1]), f"not {DIGEST} as stated"),
        (reply(BODY + b"x"), "1,024,001 bytes, not 1,024,000 as stated"),
        (reply(BODY[:-1]), "1,023,999 bytes, not 1,024,000 as stated"),
        (head(transfer_encoding="chunked") + chunked(BODY, b"x"), "longer than 1,024,000 bytes"),
        (head(transfer_encoding="chunked") + chunked(BODY[:-1]), "1,023,999 bytes, not"),
        (Last(head() + BODY[:-1]), "1,023,999 bytes, not"),
        (reply(BODY[::-1], content_encoding="gzip"), "sent with Content-Encoding 'gzip'"),
        (reply(b"<html>sorry</html>", content_type="text/html"), "18 bytes, not"),
    ],
)
def test_data_that_are_wrong_twice_are_permanently_so_and_deleted(
    answer: bytes, says: str, client: Bringer
) -> None:
    with Server(lambda _: answer) as server:
        error = failure(client, f"{server.url}/a.whl")
        assert len(server.requests) == 2
    assert (error.status, error.permanent) == (200, True)
    assert says in str(error)
    assert "/a.whl" in str(error)
    assert not client.part.exists()


def test_a_wrong_part_does_not_count_as_wrong_data(client: Bringer) -> None:
    client.part.write_bytes(b"x" * 1000)
    answers = {2: reply(BODY[::-1])}
    right = with_ranges()
    with Server(lambda request: answers.get(request.number) or right(request)) as server:
        assert client.bring(server.url).digest == DIGEST
    assert ranges(server) == ["bytes=1000-", None, None]


def test_a_server_that_resumes_wrongly_for_ever_is_given_up(client: Bringer) -> None:
    wrong = with_ranges(BODY[::-1], cut=600_000)
    with Server(wrong) as server:
        error = failure(client, server.url)
        assert len(server.requests) <= 6
    assert "wrong content twice" in str(error)


def test_a_file_of_unknown_size_is_capped(client: Bringer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SIZE", 1000)
    with Server(lambda _: head(transfer_encoding="chunked") + chunked(BODY)) as server:
        error = failure(client, server.url, size=-1)
    assert "longer than 1,000 bytes" in str(error)


def test_a_body_longer_than_stated_is_cut_off_at_once(client: Bringer) -> None:
    def endless(_: Request) -> Iterator[bytes]:
        yield head()
        while not server.stopped.is_set():
            yield b"x" * 65536

    with Server(endless) as server:
        assert "longer than 1,024,000 bytes" in str(failure(client, server.url))


def test_compressed_data_are_not_unpacked_by_mistake(client: Bringer) -> None:
    with Server(lambda _: reply(SMALL, content_encoding="x-gzip")) as server:
        assert client.small(server.url).digest == SMALL_DIGEST  # the hash says that the label is wrong
        assert failure(client, server.url, digest="", size=-1).permanent


# --- addresses ---


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "403 Forbidden"])
def test_an_absent_file_is_permanent_at_once(status: str, client: Bringer) -> None:
    client.part.write_bytes(BODY[:1000])
    with Server(lambda _: reply(status=status)) as server:
        error = failure(client, server.url)
        assert len(server.requests) == 1
    assert (error.status, error.permanent) == (int(status[:3]), True)
    assert not client.part.exists()


@pytest.mark.parametrize("answer", [reply(status="404 No"), Last(b""), reply(SMALL[::-1]), reply(b"short")])
def test_the_next_address_is_asked_where_the_first_fails(answer: bytes, client: Bringer) -> None:
    with Server(lambda _: answer) as first, Server(lambda _: reply(SMALL)) as second:
        assert client.small(first.url, second.url).digest == SMALL_DIGEST
        assert len(second.requests) == 1
    assert client.part.read_bytes() == SMALL


def test_what_the_first_address_brought_is_not_fetched_again(client: Bringer) -> None:
    with Server(lambda _: Last(reply(BODY, etag='"1"')[:-1000])) as first, Server(with_ranges()) as second:
        assert client.bring(first.url, second.url).digest == DIGEST
    assert ranges(second) == [f"bytes={len(BODY) - 1000}-"]
    assert "if-range" not in second.requests[0].headers


def test_the_last_addresss_failure_is_the_one_that_counts(client: Bringer) -> None:
    with (
        Server(lambda _: reply(status="404 No")) as first,
        Server(lambda _: reply(status="500 No")) as second,
    ):
        error = failure(client, first.url, second.url)
    assert (error.status, error.permanent) == (500, False)


def test_no_address_is_an_error(client: Bringer) -> None:
    assert failure(client).permanent


# --- the disk ---


def test_a_missing_directory_is_a_storage_error(tmp_path: Path) -> None:
    client = Bringer(tmp_path / "absent" / "file.part")
    with pytest.raises(StorageError, match=r"absent.*No such file or directory"):
        client.bring("http://127.0.0.1:1/")


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
def test_only_a_regular_file_is_written_to(kind: str, client: Bringer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    if kind == "link":
        client.part.symlink_to(other)
    elif kind == "directory":
        client.part.mkdir()
    else:
        os.mkfifo(client.part)
    with Server(with_ranges()) as server, pytest.raises(StorageError, match="cannot write in"):
        client.bring(server.url)
    assert other.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-write"),
        (errno.EACCES, "own"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EIO, "check the volume"),
    ],
)
def test_a_disk_that_does_not_take_it_is_a_storage_error_with_the_remedy(
    number: int, remedy: str, client: Bringer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with Server(with_ranges()) as server:
        monkeypatch.setattr(module.os, "pwrite", refuse)
        with pytest.raises(StorageError, match=f"{client.part.parent}.*{os.strerror(number)}.*{remedy}"):
            client.bring(server.url)
        assert len(server.requests) == 1
    assert not client.part.exists()


def test_short_writes_are_continued(client: Bringer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(module.os, "pwrite", lambda fd, data, at: real(fd, data[:1000], at))
    with Server(with_ranges()) as server:
        client.bring(server.url)
    assert client.part.read_bytes() == BODY
