"""Is what this mirror serves right? An independent reading of it; nothing of the engine is imported."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from simulator import Project, Simulator, Upload, normalize

ENGINE_NAMES = {
    "web",
    "state",
    "state-wal",
    "state-shm",
    "state-journal",
    ".lock",
    "progress.json",
    "tmp",
    "lost+found",
    "before-migration",
    "history",
    "history-journal",
    "stats.sqlite",
    "stats.sqlite-journal",
    ".stats.lock",
    "health",
}
PAGE_FILES = {"index.html", "index.v1_json"}
ROOT_FILES = {"json": "index.v1_json", "html": "index.html"}


class Links(HTMLParser):
    """The anchors (attributes and text) and meta tags of a page; also each tag that occurred."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: list[tuple[dict[str, str], str]] = []
        self.metas: dict[str, str] = {}
        self.tags: list[str] = []
        self._open: dict[str, str] | None = None
        self._text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = {key: value or "" for key, value in attrs}
        if tag == "meta" and "name" in values:
            self.metas[values["name"]] = values.get("content", "")
        if tag == "a":
            self._open, self._text = values, ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.anchors.append((self._open, self._text))
            self._open = None


@dataclass
class Served:
    """A mirror directory as its clients see it."""

    directory: Path
    hash_index: bool = False
    root_uri: str = ""  # what file URLs start with, where they are absolute
    kinds: tuple[str, ...] = ("json", "html")
    release_files: bool = True

    @property
    def web(self) -> Path:
        return self.directory / "web"

    def page_dirs(self) -> dict[str, Path]:
        """Normalised name -> directory of its page."""
        simple = self.web / "simple"
        if not simple.is_dir():
            return {}
        level = [entry for entry in simple.iterdir() if entry.is_dir()]
        if self.hash_index:
            level = [entry for letter in level for entry in letter.iterdir()]
        return {entry.name: entry for entry in level}

    def page(self, name: str) -> dict[str, Any]:
        """The JSON page."""
        return json.loads((self.page_dir(name) / "index.v1_json").read_bytes())

    def page_dir(self, name: str) -> Path:
        base = self.web / "simple"
        return base / name[0] / name if self.hash_index else base / name

    def html(self, name: str) -> Links:
        return Links((self.page_dir(name) / "index.html").read_text("utf-8"))

    def path_of(self, url: str) -> str:
        """The file under web/ that a link leads to."""
        if self.root_uri and url.startswith(self.root_uri):
            return unquote(url[len(self.root_uri) :])
        here = "http://mirror/simple/x/name/" if self.hash_index else "http://mirror/simple/name/"
        target = urlsplit(urljoin(here, url))
        if target.netloc != "mirror":
            raise AssertionError(f"link leaves the mirror: {url}")
        return unquote(target.path).lstrip("/")

    def root(self, kind: str = "json") -> dict[str, Any] | None:
        """Normalised name -> serial (JSON) or display name (HTML); None where there is no root index yet."""
        file = self.web / "simple" / ROOT_FILES[kind]
        return self.names_in(kind, file.read_bytes()) if file.exists() else None

    @staticmethod
    def names_in(kind: str, content: bytes) -> dict[str, Any]:
        """The same of a root index's bytes."""
        if kind == "json":
            return {
                normalize(row["name"]): row.get("_last-serial") for row in json.loads(content)["projects"]
            }
        links = Links(content.decode("utf-8"))
        return {urlsplit(a["href"]).path.rstrip("/").rsplit("/", 1)[-1]: text for a, text in links.anchors}


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, path.read_bytes()).hexdigest()


def _file_problems(served: Served, name: str, files: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Rule 1: what is linked exists and has the stated hash."""
    for file in files:
        path = served.web / served.path_of(file["url"])
        if path.name != file["filename"]:
            yield f"{name}: {file['filename']} links {path.name}"
        if not served.release_files:
            continue
        if not path.is_file() or path.is_symlink():
            yield f"{name}: {file['filename']} is linked and missing"
        elif any(
            digest_of(path, kind) != value for kind, value in file["hashes"].items() if kind != "blake2b_256"
        ):
            yield f"{name}: {file['filename']} has another hash than its page states"
        elif file.get("size") not in (None, path.stat().st_size):
            yield f"{name}: {file['filename']} has another size than its page states"
        meta = file.get("core-metadata")
        if meta:
            beside = Path(f"{path}.metadata")
            if not beside.is_file():
                yield f"{name}: {file['filename']}.metadata is promised and missing"
            elif isinstance(meta, dict) and any(
                digest_of(beside, kind) != value for kind, value in meta.items()
            ):
                yield f"{name}: {file['filename']}.metadata has another hash than its page states"


def _as_anchor(file: dict[str, Any]) -> dict[str, Any]:
    """What the HTML page must say about a file of the JSON page (PEP 503, 592, 629, 658, 714, 740)."""
    meta = file.get("core-metadata", False)
    yanked = file.get("yanked", False)
    return {
        "url": file["url"],
        "text": file["filename"],
        "requires": file.get("requires-python") or None,
        "yanked": None if yanked is False else "" if yanked is True else yanked,
        "metadata": sorted(f"{k}={v}" for k, v in meta.items())
        if isinstance(meta, dict)
        else ["true"]
        if meta
        else [],
        "gpg": {None: None, True: "true", False: "false"}[file.get("gpg-sig")],
        "provenance": file.get("provenance") or None,
    }


def _from_anchor(attrs: dict[str, str], text: str) -> dict[str, Any]:
    meta = attrs.get("data-core-metadata")
    return {
        "url": urldefrag(attrs["href"]).url,
        "text": text,
        "requires": attrs.get("data-requires-python") or None,
        "yanked": attrs.get("data-yanked"),
        "metadata": [meta] if meta else [],
        "gpg": attrs.get("data-gpg-sig"),
        "provenance": attrs.get("data-provenance") or None,
    }


def _same_problems(name: str, page: dict[str, Any], links: Links) -> Iterator[str]:
    """JSON and HTML say the same."""
    html = [_from_anchor(*anchor) for anchor in links.anchors]
    if [_as_anchor(file) for file in page["files"]] != html:
        yield f"{name}: JSON and HTML differ: {[_as_anchor(file) for file in page['files']]} / {html}"
    for file, (attrs, _) in zip(page["files"], links.anchors, strict=False):
        kind, _, value = urldefrag(attrs["href"]).fragment.partition("=")
        if file["hashes"].get(kind) != value:
            yield f"{name}: {file['filename']}: the hash of the HTML link is not one of the JSON page"
    status = page.get("project-status", {})
    if status.get("status", "active") != links.metas.get("pypi:project-status", "active"):
        yield f"{name}: JSON and HTML differ in the project's status"
    if status.get("reason") != links.metas.get("pypi:project-status-reason"):
        yield f"{name}: JSON and HTML differ in the status' reason"


def _page_problems(served: Served, name: str, directory: Path) -> Iterator[str]:
    stray = {entry.name for entry in directory.iterdir()} - PAGE_FILES
    if stray:
        yield f"{name}: unknown files beside the page: {sorted(stray)}"
    if normalize(name) != name:
        yield f"{name}: the directory's name is not normalised"
    if "json" in served.kinds:
        page = served.page(name)
        if page["name"] != name:
            yield f"{name}: its page says that it is {page['name']}"
        yield from _file_problems(served, name, page["files"])
        if "html" in served.kinds:
            yield from _same_problems(name, page, served.html(name))
    elif "html" in served.kinds:
        for attrs, text in served.html(name).anchors:
            kind, _, value = urldefrag(attrs["href"]).fragment.partition("=")
            file = {"url": urldefrag(attrs["href"]).url, "filename": text, "hashes": {kind: value}}
            yield from _file_problems(served, name, [file])


def _root_problems(served: Served, finished: bool) -> Iterator[str]:
    pages = set(served.page_dirs())
    for kind in served.kinds:
        root = served.root(kind)
        if root is None:
            if finished and pages:
                yield f"there is no {kind} root index"
            continue
        if set(root) - pages:
            yield f"the {kind} root index lists projects without a page: {sorted(set(root) - pages)}"
        if finished and pages - set(root):
            yield f"the {kind} root index does not list {sorted(pages - set(root))}"
        yield from _packed_problems(served, kind, pages, finished)


def _packed_problems(served: Served, kind: str, pages: set[str], finished: bool) -> Iterator[str]:
    """What lies packed beside the root index says the same; after a cut-off run, no more than is there."""
    plain = served.web / "simple" / ROOT_FILES[kind]
    packed = plain.with_name(plain.name + ".gz")
    if not packed.exists():
        if finished:
            yield f"there is no compressed {kind} root index"
        return
    content = gzip.decompress(packed.read_bytes())
    if finished and content != plain.read_bytes():
        yield f"the compressed {kind} root index differs from the plain one"
    if not finished:
        unknown = set(served.names_in(kind, content)) - pages
        if unknown:
            yield f"the compressed {kind} root index lists projects without a page: {sorted(unknown)}"


@contextlib.contextmanager
def _state(directory: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the state, since even reading may replay SQLite's log."""
    with tempfile.TemporaryDirectory() as copy:
        for part in directory.glob("state*"):
            if not part.name.endswith("-shm"):
                shutil.copy(part, copy)
        with contextlib.closing(sqlite3.connect(Path(copy) / "state")) as connection:
            yield connection


def state_problems(served: Served, finished: bool) -> Iterator[str]:
    """The state opens, is whole, has the right totals, and after a finished run says what the disk holds."""
    if not (served.directory / "state").exists():
        return
    with _state(served.directory) as state:
        try:
            answer = state.execute("PRAGMA integrity_check").fetchall()
            if answer != [("ok",)]:
                yield f"the state is damaged: {answer}"
            if not finished and not state.execute("SELECT 1 FROM sqlite_master").fetchone():
                return  # killed before its first transaction: the next run begins it
            kept = dict(state.execute("SELECT key, value FROM meta WHERE key IN ('files', 'bytes')"))
            files = dict(state.execute("SELECT path, size FROM file"))
            projects = {name for (name,) in state.execute("SELECT name FROM project")}
        except sqlite3.DatabaseError as error:
            yield f"the state is damaged: {error}"
            return
    total = sum(max(size, 0) for size in files.values())
    if kept and kept != {"files": len(files), "bytes": total}:
        yield f"the state's totals are {kept}, not {len(files)} files of {total} bytes"
    if finished:
        yield from _disk_problems(served, files, projects)


def _disk_problems(served: Served, files: dict[str, int], projects: set[str]) -> Iterator[str]:
    """Every file and project of the state is on disk, and every page on disk is in the state."""
    for path, size in files.items():
        place = served.web / path
        if place.is_symlink() or not place.is_file():
            yield f"the state has {path}, the disk has not"
        elif size not in {-1, place.stat().st_size}:
            yield f"the state has {path} with {size} bytes, the disk with {place.stat().st_size}"
    pages = set(served.page_dirs())
    if pages != projects:
        yield f"pages that the state does not have: {sorted(pages - projects)}"
        yield f"projects of the state without a page: {sorted(projects - pages)}"


def _litter(served: Served, finished: bool) -> Iterator[str]:
    stray = {entry.name for entry in served.directory.iterdir()} - ENGINE_NAMES
    if not finished:
        stray -= {"progress.json.new", ".status.part"}
    if stray:
        yield f"unknown names outside web/: {sorted(stray)}"
    for base, _, names in os.walk(served.web):
        for name in names:
            if name.startswith(".") or name.endswith((".part", ".tmp", "~")):
                yield f"temporary file in web/: {base}/{name}"
    if finished:
        for base, _, names in os.walk(served.directory / "tmp"):
            yield from (f"temporary file left: {base}/{name}" for name in names)


def problems(served: Served | Path, finished: bool = True) -> list[str]:
    """Everything that is wrong with a mirror; `finished` is False where a run was cut off."""
    if isinstance(served, Path):
        served = Served(served)
    if not served.directory.exists():
        return []
    found: list[str] = []
    for name, directory in sorted(served.page_dirs().items()):
        found += _page_problems(served, name, directory)
    return [
        *found,
        *_root_problems(served, finished),
        *state_problems(served, finished),
        *_litter(served, finished),
    ]


def holds(served: Served | Path, finished: bool = True) -> None:
    """Assert that nothing is wrong."""
    _none(problems(served, finished))


def _none(found: list[str]) -> None:
    """pytest explains the asserts of test files only, so this one explains itself."""
    if found:
        raise AssertionError("\n".join(found))


def _expected(file: dict[str, Any], lossy: bool) -> dict[str, Any]:
    """A file object with the defaults of the standard filled in, so that "absent" equals its default."""
    keys = {
        "filename": file["filename"],
        "hashes": file["hashes"],
        "requires-python": file.get("requires-python") or None,
        "yanked": file.get("yanked", False),
        "core-metadata": file.get("core-metadata", file.get("data-dist-info-metadata", False)),
        "gpg-sig": file.get("gpg-sig"),
        "provenance": file.get("provenance"),
    }
    return keys if lossy else keys | {"size": file.get("size"), "upload-time": file.get("upload-time")}


def differences(
    upstream: Simulator, served: Served | Path, *, lossy: bool = False, orphans: bool = True
) -> list[str]:
    """Where the mirror differs from the upstream's model, key by key and file by file.

    `lossy` leaves out what HTML cannot say; `orphans` also refuses files that no page links.
    """
    if isinstance(served, Path):
        served = Served(served)
    found: list[str] = []
    expected = {project.name: project for project in upstream.listed()}
    pages = served.page_dirs()
    if set(pages) != set(expected):
        found.append(f"projects differ: {sorted(set(pages) ^ set(expected))}")
    for name in sorted(set(pages) & set(expected)):
        found += _project_differences(upstream, served, expected[name], lossy)
    serials = {
        name: None if upstream.style.serials == "none" else project.serial
        for name, project in expected.items()
    }
    if not lossy and served.root() != serials:
        found.append(f"root index differs: {served.root()} / {serials}")
    if orphans and served.release_files:
        found += _file_differences(served.web, upstream.files(), upstream.style.metadata_keys)
    return found


def _project_differences(upstream: Simulator, served: Served, project: Project, lossy: bool) -> Iterator[str]:
    have, want = served.page(project.name), upstream.page_json(project)
    for key in ("_last-serial",):
        value = want["meta"].get(key)
        if not lossy and have["meta"].get(key) != (None if value is None else int(value)):
            yield f"{project.name}: {key} is {have['meta'].get(key)!r}, not {value!r}"
    if have.get("project-status", {"status": "active"}) != want.get("project-status", {"status": "active"}):
        yield f"{project.name}: project-status is {have.get('project-status')}"
    if not lossy and have.get("versions") != want.get("versions"):
        yield f"{project.name}: versions are {have.get('versions')}, not {want.get('versions')}"
    ours = {file["filename"]: file for file in have["files"]}
    theirs = {file["filename"]: file for file in want["files"]}
    if set(ours) != set(theirs):
        yield f"{project.name}: files differ: {sorted(set(ours) ^ set(theirs))}"
    paths = {upload.filename: upload.path for upload in project.uploads}
    for name in sorted(set(ours) & set(theirs)):
        if _expected(ours[name], lossy) != _expected(theirs[name], lossy):
            yield f"{name}: {_expected(ours[name], lossy)} / {_expected(theirs[name], lossy)}"
        if served.path_of(ours[name]["url"]) != paths[name]:
            yield f"{name}: lies at {served.path_of(ours[name]['url'])}, not {paths[name]}"


def _file_differences(web: Path, uploads: list[Upload], metadata: bool) -> Iterator[str]:
    want = {u.path: u.content for u in uploads}
    if metadata:
        want |= {f"{u.path}.metadata": u.metadata for u in uploads if u.metadata is not None}
    have = {str(p.relative_to(web)): p for p in (web / "packages").rglob("*") if p.is_file()}
    for path in sorted(set(have) - set(want)):
        yield f"file that nothing links: {path}"
    for path in sorted(set(want) - set(have)):
        yield f"file missing: {path}"
    for path in sorted(set(want) & set(have)):
        if have[path].read_bytes() != want[path]:
            yield f"file differs: {path}"


def equals_upstream(
    upstream: Simulator, served: Served | Path, *, lossy: bool = False, orphans: bool = True
) -> None:
    """Assert that the mirror is whole and says what the upstream says."""
    holds(served)
    _none(differences(upstream, served, lossy=lossy, orphans=orphans))
