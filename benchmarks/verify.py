"""Is a mirror what it should be? Looked at on disk, with none of the contenders' code.

What should be there is read from the upstream's own pages. Of bandersnatch 8 only what it can keep is asked:
it loses the reason of a yank, the project's status and the provenance.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from contenders import CURL, OURS, PEER, Job

_LINK = re.compile(r'<a href="([^"]*)"')
_ALIASES = {"data-dist-info-metadata", "url"}
_PEER_KEYS = (
    "core-metadata",
    "filename",
    "hashes",
    "path",
    "requires-python",
    "size",
    "upload-time",
    "yanked",
)


class WrongError(Exception):
    """The mirror is not what it should be."""


def verify(contender: str, job: Job, names: set[str] | None = None) -> None:
    """Raise WrongError unless the mirror holds exactly these projects (None: all) of the upstream."""
    upstream = {page.parent.name: page for page in job.upstream.glob("simple/*/index.v1_json")}
    expected = set(upstream) if names is None else names
    _same(f"{contender}: projects", _directories(job.directory / "web/simple"), expected)
    if contender != CURL:
        _root(contender, job.directory / "web/simple", expected)
    files: dict[str, str] = {}
    for name in expected:
        theirs = json.loads(upstream[name].read_bytes())
        where = job.directory / "web/simple" / name
        if contender == CURL:
            _same(f"{where}: bytes", (where / "index.v1_json").read_bytes(), upstream[name].read_bytes())
        else:
            _page(contender, job, theirs, where)
        if job.files:
            files |= _digests(theirs)
    found = _on_disk(job.directory / "web/packages")
    if contender == PEER:  # killed, it leaves its temporary files there for good
        found = {path for path in found if not path.rpartition("/")[2].startswith(".")}
    _same(f"{contender}: files", found, set(files))
    for path, digest in files.items():
        with (job.directory / "web" / path).open("rb") as file:
            _same(path, hashlib.file_digest(file, "sha256").hexdigest(), digest)


def _directories(simple: Path) -> set[str]:
    return {entry.name for entry in os.scandir(simple) if entry.is_dir()}


def _root(contender: str, simple: Path, names: set[str]) -> None:
    listed = json.loads((simple / "index.v1_json").read_bytes())["projects"]
    spelt = [re.sub(r"[-_.]+", "-", project["name"]).lower() for project in listed]
    _same(f"{contender}: root index", sorted(spelt), sorted(names))
    if contender == OURS and not all(isinstance(project["_last-serial"], int) for project in listed):
        raise WrongError("the root index lacks serials")
    if contender == OURS:
        for path in (simple / "index.v1_json", simple / "index.html"):
            packed = gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())
            _same(f"{path.name}.gz of the root index", packed == path.read_bytes(), True)
    links = _LINK.findall((simple / "index.html").read_text())
    _same(f"{contender}: links of the root index", len(links), len(names))


def _page(contender: str, job: Job, theirs: dict[str, Any], where: Path) -> None:
    if contender == OURS:
        _same(f"{where}: files of the directory", sorted(os.listdir(where)), ["index.html", "index.v1_json"])
    page = json.loads((where / "index.v1_json").read_bytes())
    base = f"{job.url}/simple/{where.name}/"
    view = _whole if contender == OURS else _kept
    _same(f"{where}", view(page, base), view(theirs, base))
    wanted = {f"{_path(base, file['url'])}#{file['hashes']['sha256']}" for file in theirs["files"]}
    links = [html.unescape(link) for link in _LINK.findall((where / "index.html").read_text())]
    found = {f"{_path(base, link)}#{link.partition('#sha256=')[2]}" for link in links}
    _same(f"{where}/index.html", found, wanted)


def _whole(page: dict[str, Any], base: str) -> object:
    """Everything that a page says, however it says that there is nothing to say."""
    meta = page["meta"].get("_last-serial")
    status = page.get("project-status", {"status": "active"})
    return (
        page["name"],
        sorted(page["versions"]),
        meta,
        status,
        [_entry(file, base) for file in _sorted(page)],
    )


def _kept(page: dict[str, Any], base: str) -> object:
    """What bandersnatch 8 keeps of it."""
    files = []
    for file in _sorted(page):
        entry = _entry(file, base)
        entry["yanked"] = bool(file["yanked"])
        entry["requires-python"] = file["requires-python"] or ""
        files.append({key: entry.get(key) for key in _PEER_KEYS})
    return page["name"], sorted(page["versions"]), int(page["meta"]["_last-serial"]), files


def _sorted(page: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(page["files"], key=lambda file: file["filename"])


def _entry(file: dict[str, Any], base: str) -> dict[str, Any]:
    stated = {
        key: value
        for key, value in file.items()
        if key not in _ALIASES and value is not None and value is not False
    }
    return stated | {"path": _path(base, file["url"])}


def _path(base: str, link: str) -> str:
    """Where a link leads: a path under web/. Links to another host would not be the mirror's."""
    parts = urlsplit(urljoin(base, link))
    if parts.netloc != urlsplit(base).netloc:
        raise WrongError(f"{link} leads to another host")
    return unquote(parts.path).lstrip("/")


def _digests(page: dict[str, Any]) -> dict[str, str]:
    """path -> SHA-256 of each file that the page promises."""
    found = {}
    for file in page["files"]:
        path = unquote(urlsplit(file["url"]).path).lstrip("/")
        found[path] = file["hashes"]["sha256"]
        if file["core-metadata"]:
            found[f"{path}.metadata"] = file["core-metadata"]["sha256"]
    return found


def _on_disk(packages: Path) -> set[str]:
    above = str(packages.parent)
    return {f"{os.path.relpath(top, above)}/{name}" for top, _, names in os.walk(packages) for name in names}


def _same(what: str, found: object, wanted: object) -> None:
    if found == wanted:
        return
    if isinstance(found, set) and isinstance(wanted, set):
        more, less = sorted(found - wanted)[:5], sorted(wanted - found)[:5]
        raise WrongError(f"{what}: too much {more}, missing {less}")
    raise WrongError(f"{what}: is {str(found)[:2000]}, should be {str(wanted)[:2000]}")
