"""The client that brings pages, the root index and files: retries, limits, resume. It knows no index.

Raises FetchError for what concerns one URL, StorageError for the disk, ConfigError for proxy and CA bundle.
"""

from __future__ import annotations

import random
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from .download import Download, Got
from .errors import FetchError
from .message import header
from .retry import Attempts
from .session import Answer, NetSettings, Session

__all__ = ["Client", "FetchError", "Got", "NetSettings", "Reply"]

_DOWN = 5  # requests in a row that had no answer, whatever was tried, after which each is tried once
_CHUNK = 262144  # bytes: the most that decoding puts out at once
_ETAG = re.compile(r"[!-~]{1,1000}")  # what of a stored ETag goes into a header line


class Reply(NamedTuple):
    """An answer that says something about a page."""

    status: int  # 200, 304 (only if an ETag was given), 404 or 410
    body: bytes  # decoded; empty unless the status is 200
    content_type: str
    etag: str | None
    serial: int | None  # X-PyPI-Last-Serial
    url: str  # after redirects: what relative URLs of the body refer to; without credentials


class Client:
    """One per thread: it keeps one connection alive for each origin."""

    def __init__(
        self,
        settings: NetSettings,
        *,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Raise ConfigError if the proxy cannot be used.

        Args:
            sleep: called with the seconds between two attempts; a truthy answer (`Event.wait`) ends them.
            jitter: returns 0 <= x < 1.
        """
        self._settings = settings
        self._session = Session(settings)
        self._sleep = sleep
        self._jitter = jitter
        self._unanswered = 0  # requests in a row: where upstream is down, patience with each takes hours

    def close(self) -> None:
        self._session.close()

    def get(
        self, url: str, *, accept: str, etag: str | None = None, limit: int, fresh: bool = False
    ) -> Reply:
        """Return a page.

        Args:
            etag: of the copy that we have: then the answer may be 304.
            limit: bytes of the decoded body beyond which it is refused.
            fresh: caches on the way have to ask their origin.
        """
        stop_at = time.monotonic() + self._settings.deadline
        headers = _headers(accept, etag, fresh)
        attempts: Attempts | None = None
        while True:
            try:
                answer, reply = self._ask(url, headers, stop_at, conditional=etag is not None)
                try:
                    if reply.status == 200:
                        reply = reply._replace(body=b"".join(_decoded(answer, limit)))
                    else:
                        answer.drain()
                    self._unanswered = 0
                    return reply
                finally:
                    answer.close()
            except FetchError as error:
                attempts = attempts or self._attempts(stop_at)
                self._failed(attempts, error)

    @contextmanager
    def stream(
        self, url: str, *, accept: str, etag: str | None = None, limit: int
    ) -> Iterator[tuple[Reply, Iterator[bytes]]]:
        """Give an answer without its body, and the decoded body in chunks of at most 256 KiB.

        Attempts are repeated until the first chunk is here; where the body breaks off later, the iterator
        raises FetchError, and the caller starts over.
        """
        stop_at = time.monotonic() + self._settings.deadline
        headers = _headers(accept, etag, False)
        attempts: Attempts | None = None
        while True:
            answer: Answer | None = None
            try:
                answer, reply = self._ask(url, headers, stop_at, conditional=etag is not None)
                chunks = _decoded(answer, limit) if reply.status == 200 else iter(())
                first = next(chunks, None)
                break
            except FetchError as error:
                if answer is not None:
                    answer.close()
                attempts = attempts or self._attempts(stop_at)
                self._failed(attempts, error)
        try:
            yield reply, _chain(first, chunks)
        finally:
            answer.close()

    def download(self, urls: Sequence[str], part: str, digest: str, size: int) -> Got:
        """Bring a file to the path `part`, whole and verified, resuming what lies there.

        Args:
            urls: tried in this order.
            digest: "<algorithm>:<hex>"; "" if none is known.
            size: bytes; -1 if not known.

        Raises:
            FetchError: the last URL's; `part` stays for the next time unless the error is permanent.
            StorageError: the disk does not take it.
        """
        stop_at = time.monotonic() + self._settings.deadline
        with Download(part, digest, size) as download:
            if download.complete_already():
                return download.got()
            for position, url in enumerate(urls):
                try:
                    self._fetch_file(download, url, stop_at)
                    return download.got()
                except FetchError:
                    if position + 1 == len(urls):
                        raise
        raise FetchError(f"{part}: no URL to fetch it from", permanent=True)

    def _fetch_file(self, download: Download, url: str, stop_at: float) -> None:
        attempts: Attempts | None = None
        download.new_url()
        while True:
            before = download.fetched
            try:
                answer = self._session.send(url, download.headers(), stop_at)
                try:
                    done = download.take(answer)
                finally:
                    answer.close()
                if done:
                    self._unanswered = 0
                    return
            except FetchError as error:
                attempts = attempts or self._attempts(stop_at)
                self._failed(attempts, error, progress=download.fetched - before >= 1 << 20)

    def _attempts(self, stop_at: float) -> Attempts:
        attempts = 1 if self._unanswered >= _DOWN else self._settings.attempts
        return Attempts(attempts, stop_at, self._sleep, self._jitter)

    def _failed(self, attempts: Attempts, error: FetchError, progress: bool = False) -> None:
        """Wait until the next try is due; raise the error where there is none."""
        try:
            attempts.failed(error, progress)
        except FetchError as final:
            answered = 0 < final.status < 500
            self._unanswered = 0 if answered else self._unanswered + 1
            raise

    def _ask(self, url: str, headers: bytes, stop_at: float, *, conditional: bool) -> tuple[Answer, Reply]:
        """Ask once. FetchError for every status that says nothing about the page."""
        answer = self._session.send(url, headers, stop_at)
        status = answer.status
        if status not in (200, 404, 410) and not (status == 304 and conditional):
            answer.drain()
            raise answer.refusal()
        fields = answer.fields
        serial = fields.get("x-pypi-last-serial", "")
        return answer, Reply(
            status,
            b"",
            fields.get("content-type", ""),
            fields.get("etag"),
            int(serial) if serial.isascii() and serial.isdigit() and len(serial) < 19 else None,
            answer.target.url,
        )


def _headers(accept: str, etag: str | None, fresh: bool) -> bytes:
    lines = header("Accept", accept) + b"Accept-Encoding: gzip\r\n"
    if etag is not None and _ETAG.fullmatch(etag):
        lines += header("If-None-Match", etag)
    if fresh:
        lines += b"Cache-Control: no-cache\r\n"
    return lines


def _decoded(answer: Answer, limit: int) -> Iterator[bytes]:
    """Yield the body without its content coding (RFC 9110, 8.4), at most `limit` bytes of it."""
    coding = answer.fields.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        chunks: Iterator[bytes] = map(bytes, answer.pieces())
        if answer.length is not None and answer.length > limit:
            raise answer.error(f"the body is larger than {limit:,} bytes", permanent=True)
    elif coding in ("gzip", "x-gzip"):
        chunks = _unzipped(answer)
    else:
        raise answer.error(f"a content coding that was not asked for: {coding[:40]!a}", permanent=True)
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise answer.error(f"the body is larger than {limit:,} bytes", permanent=True)
        yield chunk


def _unzipped(answer: Answer) -> Iterator[bytes]:
    """Yield chunks of bounded size, whatever the compression ratio; several members may follow each other."""
    member = zlib.decompressobj(31)
    fed = False
    try:
        for piece in answer.pieces():
            data = bytes(piece)
            while data:
                if member.eof:
                    member = zlib.decompressobj(31)
                fed = True
                chunk = member.decompress(data, _CHUNK)
                data = member.unconsumed_tail or member.unused_data
                if chunk:
                    yield chunk
    except zlib.error as error:
        raise answer.error(f"the gzip coding is broken ({error})") from None
    if fed and not member.eof:
        raise answer.error("the gzip coding breaks off")


def _chain(first: bytes | None, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first is not None:
        yield first
        yield from rest
