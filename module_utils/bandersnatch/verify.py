"""Is what the mirror serves right in itself? It asks the disk alone, for copies that have no upstream.

Nothing is changed and nothing is locked. A sync may be at work, so what looks wrong is looked at twice.
"""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from . import index_html, lock
from .config import Config
from .errors import EXIT_OK, EXIT_WRONG, ContentError
from .files import hash_file, read_chunks
from .index import blobs
from .model import Blob, Page
from .names import is_project_name
from .progress import Progress
from .root import RootReader
from .store import PACKED, PAGE_HTML, PAGE_JSON, Store, page_forms
from .summary import human_bytes
from .worker import FORM_TYPES, parse_form, read_form

_AT_ONCE = 1_000  # projects whose results wait at one time
_NAMED = 3  # faults of one project that its line names


class Seen(NamedTuple):
    """What was looked at, and what is wrong with it."""

    files: int
    bytes: int
    faults: tuple[str, ...]


class Verdict(NamedTuple):
    """What a verification found."""

    projects: int
    files: int
    bytes: int
    wrong: int  # projects with a fault; the root indexes count as one

    @property
    def exit_code(self) -> int:
        """See errors.py."""
        return EXIT_WRONG if self.wrong else EXIT_OK

    def text(self) -> str:
        """The last line of output."""
        looked = f"{self.projects:,} projects, {self.files:,} files, {human_bytes(self.bytes)}"
        if self.wrong:
            return (
                f"Verified {looked}: {self.wrong:,} with faults; "
                "`bandersnatch mirror --force-check` brings what is missing or wrong"
            )
        return f"Verified {looked}: all there, and as the pages state"


def verify(config: Config, progress: Progress, say: Callable[[str], None]) -> Verdict:
    """Look at every page and file that is served.

    `say` gets a line for each project with a fault. Raises StorageError where the mirror cannot be listed.
    """
    mirror = _Mirror(config)
    projects = files = size = wrong = 0

    def tell(what: str, faults: tuple[str, ...]) -> None:
        more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        say(f"{what}: {'; '.join(faults[:_NAMED])}{more}")

    if faults := _twice(lambda: tuple(mirror.root_faults())):
        tell("root index", faults)
        wrong += 1
    pages = mirror.pages()
    progress.start("verifying", projects=len(pages))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        waiting = iter(pages)
        while some := list(itertools.islice(waiting, _AT_ONCE)):
            for (_, name), seen in zip(some, threads.map(mirror.project, some), strict=True):
                projects, files, size = projects + 1, files + seen.files, size + seen.bytes
                progress.advance(projects=1, files=seen.files, bytes=seen.bytes)
                if seen.faults:
                    tell(name, seen.faults)
                    progress.failed(name, seen.faults[0])
                    wrong += 1
    return Verdict(projects, files, size, wrong)


def _twice(look: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """The faults that are there at a second look, too: a sync may have been between two steps."""
    first = look()
    return tuple(fault for fault in look() if fault in first) if first else ()


class _Mirror:
    """What the settings say of a mirror that is looked at; threads share it."""

    def __init__(self, config: Config) -> None:
        self._store = Store(config.directory, config.hash_index)
        self._lock = f"{config.directory}/.lock"
        self._with_files = config.release_files
        self._forms = page_forms(config.simple_format)

    def pages(self) -> list[tuple[str, str]]:
        """(directory, name) of each page that is served."""
        return list(self._store.page_directories())

    # Projects

    def project(self, page: tuple[str, str]) -> Seen:
        """Look at a project's page and files."""
        seen = Seen(0, 0, ())

        def look() -> tuple[str, ...]:
            nonlocal seen
            seen = self._look(*page)
            return seen.faults if os.path.isdir(page[0]) else ()  # else it was removed meanwhile

        faults = _twice(look)
        return seen._replace(faults=faults)

    def _look(self, directory: str, name: str) -> Seen:
        if not is_project_name(name):
            return Seen(0, 0, ("no project has such a name",))
        faults: list[str] = []
        pages: dict[str, Page] = {}
        for kind in self._forms:
            try:
                pages[kind] = read_form(directory, kind, name)
            except FileNotFoundError:
                faults.append(f"it has no {kind}")
            except OSError as error:
                faults.append(f"its {kind} cannot be read ({error.strerror})")
            except ContentError as error:
                faults.append(f"its {kind} is no page: {error}")
        if len(pages) == 2 and not _agree(pages[PAGE_JSON], pages[PAGE_HTML]):
            faults.append("its JSON and its HTML do not say the same")
        for page in pages.values():
            faults += page.problems
        files = size = 0
        for blob in blobs(next(iter(pages.values())), metadata=True) if pages and self._with_files else ():
            fault, length = self._file(blob)
            files, size = files + 1, size + length
            if fault:
                faults.append(f"{blob.path} {fault}")
        return Seen(files, size, tuple(dict.fromkeys(faults)))

    def _file(self, blob: Blob) -> tuple[str, int]:
        """What is wrong with a file, '' for nothing; its bytes."""
        size = self._store.size_of(blob.path)
        if size < 0:
            return "is missing", 0
        if blob.size not in (-1, size):
            return f"has {size:,} bytes, and its page states {blob.size:,}", size
        try:
            found = hash_file(f"{self._store.web}/{blob.path}", blob.digest)
        except OSError as error:
            return f"cannot be read ({error.strerror})", size
        return "" if blob.digest in (found, "") else "has not the hash that its page states", size

    # The root index

    def root_faults(self) -> Iterator[str]:
        """A root index lists the projects that have pages; while a sync is at work it may lack new ones."""
        busy = lock.is_held(self._lock)
        listed: dict[str, set[str]] = {}
        for kind in self._forms:
            try:
                listed[kind] = set(_listed(f"{self._store.simple}/{kind}", FORM_TYPES[kind]))
            except FileNotFoundError:
                yield f"there is no {kind}: no sync has finished here"
            except OSError as error:
                yield f"its {kind} cannot be read ({error.strerror})"
            except ContentError as error:
                yield f"its {kind} is no root index: {error}"
        pages = {name for _, name in self.pages()}
        busy = busy or lock.is_held(self._lock)
        for kind, names in listed.items():
            yield from (f"{name} is listed in {kind} and has no page" for name in sorted(names - pages))
            if not busy:
                yield from (
                    f"{name} has a page and is not listed in {kind}" for name in sorted(pages - names)
                )
            yield from _packed_faults(f"{self._store.simple}/{kind}", kind)


def _agree(page: Page, html: Page) -> bool:
    """Whether HTML says what it can of the JSON page: there is no size in it, and one hash of each file."""
    written = index_html.render_html(page, None)
    return parse_form(written, PAGE_HTML, page.name) == html


def _listed(path: str, content_type: str) -> Iterator[str]:
    reader = RootReader(content_type, "http://127.0.0.1/simple/")
    for chunk in read_chunks(path):
        yield from (line.name for line in reader.feed(chunk))
    yield from (line.name for line in reader.close())


def _packed_faults(path: str, kind: str) -> Iterator[str]:
    try:
        with open(path, "rb") as plain, gzip.open(path + PACKED) as packed:
            while True:
                some = plain.read(1 << 18)
                if some != packed.read(1 << 18):
                    yield f"{kind}{PACKED} is not {kind}, compressed"
                    return
                if not some:
                    return
    except FileNotFoundError:
        yield f"there is no {kind}{PACKED}"
    except (OSError, EOFError) as error:
        yield f"{kind}{PACKED} cannot be read ({error})"
