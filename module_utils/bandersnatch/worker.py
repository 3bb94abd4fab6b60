"""One worker process: reads pages, fetches files, checks files. It decides nothing and places nothing.

Tasks and answers are plain tuples, so that they travel cheaply between processes.
"""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from typing import NamedTuple

from . import index, index_html
from .config import Config
from .errors import BandersnatchError, ContentError, FetchError, StorageError
from .files import hash_file, read_file
from .model import Blob, Page
from .names import project_name
from .net import Client, NetSettings
from .store import PAGE_HTML, PAGE_JSON, Store, page_forms

PAGE_LIMIT = 128 << 20  # bytes of one page, decoded: the largest real ones have 30 MB
STALE_WAITS = (0.5, 1.5)  # seconds before a page that is older than the root index is asked for again
FORM_TYPES = {PAGE_JSON: index.TYPE_JSON, PAGE_HTML: index.TYPE_HTML}
_NOT_ABOUT_THE_FILE = {0, 401, 403, 407}  # no answer (TLS, a bad redirect), no credentials: it may come later


class PageTask(NamedTuple):
    """Read the page of a project."""

    name: str
    etag: str | None
    least_serial: int | None  # what the root index said: an older page is stale
    known: bool  # mirrored already: the page on disk may be the same


class FileTask(NamedTuple):
    """Bring a file to its part; with `check`, first look whether the file in place is right already.

    With `place`, it is to be looked for at that path under web/; with `same`, nothing says that it changed.
    """

    name: str  # the project that it belongs to
    blob: Blob
    check: bool
    place: str = ""
    same: bool = False


class PageAnswer(NamedTuple):
    """`outcome`: same (304), gone (404, 410), new; with `reason`: bad, failed, unreachable, storage."""

    name: str
    outcome: str
    reason: str = ""
    serial: int | None = None
    etag: str | None = None
    quarantined: bool = False
    blobs: tuple[Blob, ...] = ()
    problems: tuple[str, ...] = ()
    staged: bool = False
    json: bool = False  # a release JSON is staged
    html: bool = False  # upstream answered in HTML


class FileAnswer(NamedTuple):
    """`outcome`: kept (was right), moved (is right at the other place), fetched, bad (will not come), failed,
    unreachable, storage."""

    name: str  # the project
    path: str
    outcome: str
    reason: str = ""
    digest: str = ""
    size: int = 0
    fetched: int = 0
    part: str = ""  # where the fetched file waits


Task = PageTask | FileTask
Answer = PageAnswer | FileAnswer


class Worker:
    """What one thread of a worker process does, with its own connections."""

    def __init__(self, config: Config, store: Store, settings: NetSettings, dry: bool) -> None:
        self._dry = dry  # write nothing
        self._config = config
        self._store = store
        self._client = Client(settings)

    def do(self, task: Task) -> Answer:
        """Carry out a task. Its failure is an answer, too."""
        try:
            return self._page(task) if isinstance(task, PageTask) else self._file(task)
        except BandersnatchError as error:
            outcome, reason = _outcome(error), str(error)
        except Exception as error:  # one project that nobody expected must not hold up all others
            outcome, reason = "failed", _bug(error)
        if isinstance(task, PageTask):
            return PageAnswer(task.name, outcome, reason)
        return FileAnswer(task.name, task.blob.path, outcome, reason)

    # Pages

    def _page(self, task: PageTask) -> PageAnswer:
        config, url = self._config, f"{self._config.master}{task.name}/"
        for wait in (*STALE_WAITS, None):
            reply = self._client.get(
                url, accept=index.ACCEPT_PAGE, etag=task.etag, limit=PAGE_LIMIT, fresh=wait != STALE_WAITS[0]
            )
            if reply.status != 200:
                return PageAnswer(task.name, "same" if reply.status == 304 else "gone")
            if other := _led_to(reply.url, config.master, task.name):
                raise ContentError(f"upstream answers with the page of {other}, another project")
            try:
                page = index.parse_page(reply.body, reply.content_type, reply.url, task.name)
            except ContentError:
                if wait != STALE_WAITS[0]:
                    raise
                continue  # cut short without a sign of it, or a cache's error page: once more, past caches
            serial = page.serial if page.serial is not None else reply.serial
            if serial is None or task.least_serial is None or serial >= task.least_serial:
                break
            if wait is None:
                raise ContentError(
                    f"its page is of serial {serial}, the root index says {task.least_serial}: "
                    "upstream serves a stale page; it is asked for again in the next run"
                )
            time.sleep(wait)
        if serial is None:
            serial = task.least_serial
        html = "html" in reply.content_type
        if page.status == "quarantined":
            return PageAnswer(task.name, "new", serial=serial, quarantined=True, html=html)
        page = config.filters.keep(page._replace(serial=serial))
        blobs = tuple(index.blobs(page, config.core_metadata)) if config.release_files else ()
        if not config.core_metadata and config.release_files:
            page = page._replace(files=tuple(file._replace(core_metadata=False) for file in page.files))
        return PageAnswer(
            task.name,
            "new",
            serial=serial,
            etag=reply.etag,
            blobs=blobs,
            problems=page.problems,
            staged=self._stage(page, task.known),
            json=config.json and not self._dry and self._stage_json(task.name),
            html=html,
        )

    def _stage(self, page: Page, known: bool) -> bool:
        """Write the page aside, unless the served one is the same."""
        pages = render(self._config, page)
        if known and self._store.is_served(page.name, pages):
            return False
        if not self._dry:
            self._store.stage(page.name, pages)
        return True

    def _stage_json(self, name: str) -> bool:
        base = self._config.master.removesuffix("simple/")
        reply = self._client.get(f"{base}pypi/{name}/json", accept="application/json", limit=PAGE_LIMIT)
        if reply.status != 200:
            return False
        return self._store.stage_json(name, reply.body)

    # Files

    def _file(self, task: FileTask) -> FileAnswer:
        blob = task.blob
        if task.check:
            path = task.place or blob.path
            found = self._right(blob, path, task.same)
            if found:
                outcome = "moved" if task.place else "kept"
                size = self._store.size_of(path)
                return FileAnswer(task.name, blob.path, outcome, digest=found, size=size)
        part = self._store.part(blob.digest, blob.path)
        got = self._client.download(self._urls(blob), part, blob.digest, blob.size)
        if blob.mtime > 0:
            with contextlib.suppress(OSError):  # nothing depends on it
                os.utime(part, (blob.mtime, blob.mtime))  # Last-Modified and ETag agree between mirrors
        return FileAnswer(task.name, blob.path, "fetched", "", got.digest, got.size, got.fetched, part)

    def _urls(self, blob: Blob) -> list[str]:
        other = self._config.download_mirror
        if not other:
            return [blob.url]
        from urllib.parse import quote

        mirrored = f"{other.rstrip('/')}/{quote(blob.path)}"
        return [mirrored] if self._config.download_mirror_no_fallback else [mirrored, blob.url]

    def _right(self, blob: Blob, path: str, same: bool) -> str:
        """The digest of the file at `path` if it is the one that is wanted, else ''."""
        if blob.digest and self._config.compare_method == "stat" and same:
            return blob.digest  # its size was compared already
        try:
            found = hash_file(f"{self._store.web}/{path}", blob.digest)
        except OSError:
            return ""  # not there, or an unreadable block: fetch the file again
        return found if blob.digest in {found, ""} else ""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _led_to(url: str, master: str, name: str) -> str:
    """Another project of the same index whose page this URL is, by redirects; '' where it is not that.

    HTML does not say whose page it is: it would pass for the one that was asked for.
    """
    if url.endswith(f"/{name}/"):
        return ""
    from urllib.parse import unquote, urlsplit

    index_path, _, segment = urlsplit(url).path.rstrip("/").rpartition("/")
    if f"{index_path}/" != urlsplit(master).path:
        return ""
    found = project_name(unquote(segment))
    return found if found and found != name else ""


def render(config: Config, page: Page) -> dict[str, bytes]:
    """The files of a project's page directory, as the settings want them."""
    root: str | None = config.root_uri or ("../../../" if config.hash_index else "../../")
    if not config.release_files and not config.root_uri:
        root = None  # the files stay where upstream has them
    written = {PAGE_JSON: index.render_json, PAGE_HTML: index_html.render_html}
    return {form: written[form](page, root) for form in page_forms(config.simple_format)}


def read_page(directory: str, name: str) -> Page:
    """A page that this engine (or bandersnatch) has written. Raises ContentError, OSError."""
    try:
        return read_form(directory, PAGE_JSON, name)
    except FileNotFoundError:
        return read_form(directory, PAGE_HTML, name)


def read_form(directory: str, form: str, name: str) -> Page:
    """One of the files of such a page. Raises ContentError, OSError."""
    return parse_form(read_file(f"{directory}/{form}"), form, name)


def parse_form(content: bytes, form: str, name: str) -> Page:
    """What such a file says. Raises ContentError."""
    # The host does not matter: the links of our own pages are relative, or their paths tell where files lie.
    url = f"http://127.0.0.1/simple/{name}/"
    return index.parse_page(content, FORM_TYPES[form], url, name)


def _bug(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}, line {place.lineno}"
    return f"a bug in bandersnatch, please report it: {type(error).__name__} ({error}) in {where}"


def _outcome(error: BandersnatchError) -> str:
    if isinstance(error, StorageError):
        return "storage"
    if not isinstance(error, FetchError):
        return "bad"
    if error.permanent and error.status not in _NOT_ABOUT_THE_FILE:
        return "bad"
    return "unreachable" if error.status == 0 or error.status >= 500 else "failed"
