"""A deterministic upstream in this process: projects, releases and files that a test changes as it likes.

This is the model, and what each path answers; `simserver.py` puts that on a socket, `faults.py` spoils it.
Nothing here imports the engine: what it says is an independent reading of the Simple API.
"""

from __future__ import annotations

import hashlib
import html
import json
import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any
from urllib.parse import quote

from simserver import Reply, Request, Servers

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"
EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


def normalize(name: str) -> str:
    """PEP 503: `re.sub(r"[-_.]+", "-", name).lower()`."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass
class Style:
    """What kind of index this is; the defaults are today's best."""

    json: bool = True
    html: bool = True
    serials: str = "int"  # int, str (seen in the wild), none
    etag: bool = True
    ranges: bool = True
    api: str = "1.4"  # 1.0 has no sizes, no times, no versions; below 1.3 no provenance; below 1.4 no status
    metadata_keys: bool = True
    urls: str = "absolute"  # absolute, relative, elsewhere (files on another port)


@dataclass
class Upload:
    """A file of a release."""

    filename: str
    content: bytes
    uploaded: str
    requires_python: str | None = None
    yanked: bool | str = False
    metadata: bytes | None = None
    gpg_sig: bool | None = None
    provenance: str | None = None
    layout: str = "hash"  # hash, old (packages/source/f/foo), odd (any other path)
    project: str = ""

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def url_path(self) -> str:
        """Where the upstream serves it, not percent-encoded, without the leading slash."""
        if self.layout == "old":
            return f"packages/source/{self.project[0]}/{self.project}/{self.filename}"
        if self.layout == "odd":
            return f"some/where/{self.filename}"
        digest = hashlib.blake2b(self.content + self.filename.encode(), digest_size=32).hexdigest()
        return f"packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{self.filename}"

    @property
    def path(self) -> str:
        """Where a mirror keeps it, under web/."""
        if self.layout == "odd":
            return f"packages/{self.sha256[:2]}/{self.sha256[2:4]}/{self.sha256[4:]}/{self.filename}"
        return self.url_path


@dataclass
class Project:
    """A project as its owners see it."""

    display: str
    serial: int
    uploads: list[Upload] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    status: str = "active"
    reason: str | None = None
    tamper: Callable[[dict[str, Any]], None] | None = None  # spoils the page's JSON

    @property
    def name(self) -> str:
        return normalize(self.display)


class Simulator:
    """The model, and the servers that show it. Use as a context manager."""

    def __init__(self, style: Style | None = None) -> None:
        self.style = style or Style()
        self.lock = threading.RLock()
        self.serial = 1000
        self.projects: dict[str, Project] = {}
        self._paths: tuple[object, dict[str, Upload]] = (None, {})
        self.servers = Servers(self.answer)

    def __enter__(self) -> Simulator:
        self.servers.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.servers.stop()

    # What a test asks.
    @property
    def url(self) -> str:
        """The base, without a trailing slash; `master` of a mirror."""
        return self.servers.url

    @property
    def requests(self) -> list[Request]:
        return self.servers.log

    def take_requests(self) -> list[Request]:
        """The requests since the last call."""
        return self.servers.take_log()

    def fault(self, *faults: Any) -> None:
        """Spoil answers, first match first, see faults.py."""
        self.servers.faults.extend(faults)

    def heal(self) -> None:
        """Forget all faults, release whoever hangs."""
        self.servers.heal()

    # What a test changes. Each step raises the serial, as upstream's journal does, unless it says otherwise.
    def _touch(self, name: str) -> Project:
        project = self.projects[normalize(name)]
        self.serial += 1
        project.serial = self.serial
        return project

    def add_project(self, display: str, *versions: str, size: int = 2000, **keys: Any) -> Project:
        """A project with a wheel and an sdist for each version."""
        with self.lock:
            self.serial += 1
            project = Project(display, self.serial)
            self.projects[project.name] = project
            for version in versions:
                self.add_release(display, version, size=size, **keys)
            return project

    def add_release(self, name: str, version: str, *, size: int = 2000, **keys: Any) -> Project:
        """A wheel (with metadata) and an sdist."""
        with self.lock:
            stem = normalize(name).replace("-", "_")
            wheel = f"{stem}-{version}-py3-none-any.whl"
            text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
            self.add_file(name, wheel, version, size=size, metadata=text, **keys)
            return self.add_file(name, f"{stem}-{version}.tar.gz", version, size=size // 2, **keys)

    def add_file(
        self,
        name: str,
        filename: str,
        version: str = "",
        *,
        size: int = 2000,
        content: bytes | None = None,
        **keys: Any,
    ) -> Project:
        """One file; its content follows from its name."""
        with self.lock:
            project = self._touch(name)
            data = random.Random(filename).randbytes(size) if content is None else content
            when = (EPOCH + timedelta(seconds=self.serial, microseconds=self.serial)).strftime(
                "%Y-%m-%dT%H:%M:%S.%fZ"
            )
            project.uploads.append(Upload(filename, data, when, project=project.name, **keys))
            if version and version not in project.versions:
                project.versions.append(version)
            return project

    def delete_project(self, name: str) -> None:
        with self.lock:
            self.serial += 1
            del self.projects[normalize(name)]

    def delete_release(self, name: str, version: str) -> list[Upload]:
        """Take a release away; its files are returned."""
        with self.lock:
            project = self._touch(name)
            gone = [
                u for u in project.uploads if f"-{version}-" in u.filename or f"-{version}.tar" in u.filename
            ]
            project.uploads = [u for u in project.uploads if u not in gone]
            project.versions.remove(version)
            return gone

    def delete_file(self, name: str, filename: str) -> Upload:
        with self.lock:
            project = self._touch(name)
            (gone,) = [u for u in project.uploads if u.filename == filename]
            project.uploads.remove(gone)
            return gone

    def yank(self, name: str, version: str, reason: str | bool = True) -> None:
        with self.lock:
            for upload in self._touch(name).uploads:
                if f"-{version}-" in upload.filename or f"-{version}.tar" in upload.filename:
                    upload.yanked = reason

    def quarantine(self, name: str) -> None:
        """Gone from the root index; the page says so and links nothing."""
        with self.lock:
            self._touch(name).status = "quarantined"

    def set_status(self, name: str, status: str, reason: str | None = None) -> None:
        """Archive and the like: upstream's serial does NOT rise, only the page changes."""
        with self.lock:
            project = self.projects[normalize(name)]
            project.status, project.reason = status, reason
            self._paths = (None, {})

    # What is served.
    def listed(self) -> list[Project]:
        """The projects of the root index."""
        with self.lock:
            return [p for _, p in sorted(self.projects.items()) if p.status != "quarantined"]

    def uploads(self, project: Project) -> list[Upload]:
        return [] if project.status == "quarantined" else list(project.uploads)

    def files(self) -> list[Upload]:
        """Every file that a page links."""
        return [u for p in self.listed() for u in self.uploads(p)]

    def serial_value(self, serial: int) -> int | str | None:
        return {"int": serial, "str": str(serial), "none": None}[self.style.serials]

    def file_url(self, upload: Upload) -> str:
        path = quote(upload.url_path)
        if self.style.urls == "relative":
            return f"../../{path}"
        base = self.servers.files_url if self.style.urls == "elsewhere" else self.url
        return f"{base}/{path}"

    def file_json(self, upload: Upload) -> dict[str, Any]:
        """PEP 691's file object."""
        doc: dict[str, Any] = {
            "filename": upload.filename,
            "url": self.file_url(upload),
            "hashes": {"sha256": upload.sha256},
            "yanked": upload.yanked,
        }
        if upload.requires_python is not None:
            doc["requires-python"] = upload.requires_python
        if upload.gpg_sig is not None:
            doc["gpg-sig"] = upload.gpg_sig
        if self.style.metadata_keys:
            known = upload.metadata is not None
            value = {"sha256": hashlib.sha256(upload.metadata or b"").hexdigest()} if known else False
            doc["core-metadata"] = doc["data-dist-info-metadata"] = value
        if self.style.api >= "1.1":
            doc |= {"size": len(upload.content), "upload-time": upload.uploaded}
        if self.style.api >= "1.3":
            doc["provenance"] = upload.provenance
        return doc

    def page_json(self, project: Project) -> dict[str, Any]:
        """PEP 691's project page."""
        with self.lock:
            meta: dict[str, Any] = {"api-version": self.style.api}
            serial = self.serial_value(project.serial)
            if serial is not None:
                meta["_last-serial"] = serial
            files = [self.file_json(u) for u in self.uploads(project)]
            doc: dict[str, Any] = {"meta": meta, "name": project.name, "files": files}
            if self.style.api >= "1.1":
                doc["versions"] = list(project.versions)
            if self.style.api >= "1.4":
                doc["project-status"] = {"status": project.status}
                if project.reason is not None:
                    doc["project-status"]["reason"] = project.reason
            if project.tamper:
                project.tamper(doc)
            return doc

    def page_html(self, project: Project) -> str:
        """The same page as PEP 503 and its successors have it."""
        doc = self.page_json(project)
        lines = [
            f'<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="{self.style.api}">'
        ]
        if "project-status" in doc:
            for key, meta in (("status", "pypi:project-status"), ("reason", "pypi:project-status-reason")):
                if key in doc["project-status"]:
                    lines.append(f'<meta name="{meta}" content="{html.escape(doc["project-status"][key])}">')
        lines.append(f"<title>Links</title></head><body><h1>Links for {project.name}</h1>")
        for file in doc["files"]:
            attrs = {"href": f"{file['url']}#sha256={file['hashes']['sha256']}"}
            if "requires-python" in file:
                attrs["data-requires-python"] = file["requires-python"]
            if file["yanked"] is not False:
                attrs["data-yanked"] = "" if file["yanked"] is True else file["yanked"]
            if file.get("core-metadata"):
                attrs["data-core-metadata"] = f"sha256={file['core-metadata']['sha256']}"
            if "gpg-sig" in file:
                attrs["data-gpg-sig"] = str(file["gpg-sig"]).lower()
            if file.get("provenance"):
                attrs["data-provenance"] = file["provenance"]
            text = " ".join(f'{k}="{html.escape(v)}"' for k, v in attrs.items())
            lines.append(f"<a {text}>{html.escape(file['filename'])}</a><br />")
        return "\n".join([*lines, "</body></html>"])

    def root_json(self) -> dict[str, Any]:
        with self.lock:
            meta: dict[str, Any] = {"api-version": self.style.api}
            projects: list[dict[str, Any]] = [{"name": p.display} for p in self.listed()]
            if self.style.serials != "none":
                meta["_last-serial"] = self.serial_value(self.serial)
                for row, project in zip(projects, self.listed(), strict=True):
                    row["_last-serial"] = self.serial_value(project.serial)
            return {"meta": meta, "projects": projects}

    def root_html(self) -> str:
        links = "\n".join(f'<a href="/simple/{p.name}/">{html.escape(p.display)}</a>' for p in self.listed())
        head = f'<meta name="pypi:repository-version" content="{self.style.api}"><title>Simple index</title>'
        return f"<!DOCTYPE html><html><head>{head}</head><body>\n{links}\n</body></html>"

    def answer(self, path: str, accept: str) -> Reply:
        """What this index says to GET `path` (percent-decoded, no query)."""
        with self.lock:
            if path == "/simple/":
                return self._page(accept, self.serial, lambda: json.dumps(self.root_json()), self.root_html)
            if match := re.fullmatch(r"/simple/([^/]+)/?", path):
                return self._project(match[1], path, accept)
            if match := re.fullmatch(r"/pypi/([^/]+)/json", path):
                return self._legacy_json(match[1])
            return self._file(path)

    def _project(self, name: str, path: str, accept: str) -> Reply:
        if path != f"/simple/{normalize(name)}/":
            return Reply(301, {"Location": f"/simple/{normalize(name)}/"})
        project = self.projects.get(name)
        if project is None:
            return Reply(404, {"Content-Type": "text/html"}, b"<h1>404 Not Found</h1>")
        return self._page(
            accept,
            project.serial,
            lambda: json.dumps(self.page_json(project)),
            lambda: self.page_html(project),
        )

    def _page(
        self, accept: str, serial: int, as_json: Callable[[], str], as_html: Callable[[], str]
    ) -> Reply:
        if self.style.json and (JSON_TYPE in accept or "application/vnd.pypi.simple.latest+json" in accept):
            kind, text = JSON_TYPE, as_json()
        elif self.style.html:
            kind, text = HTML_TYPE if HTML_TYPE in accept else "text/html; charset=utf-8", as_html()
        else:
            return Reply(406)
        headers = {"Content-Type": kind, "Vary": "Accept"}
        if self.style.serials != "none":
            headers["X-PyPI-Last-Serial"] = str(serial)
        body = text.encode("utf-8", "surrogatepass")
        if self.style.etag:
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return Reply(200, headers, body)

    def _legacy_json(self, name: str) -> Reply:
        project = self.projects.get(normalize(name))
        if project is None:
            return Reply(404)
        info = {"name": project.display, "version": project.versions[-1] if project.versions else ""}
        doc = {"info": info, "last_serial": project.serial, "releases": {}, "urls": []}
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(doc).encode())

    def _file(self, path: str) -> Reply:
        key = (self.serial, id(self.projects))
        if self._paths[0] != key:
            uploads = [u for p in self.projects.values() for u in self.uploads(p)]
            self._paths = (key, {f"/{u.url_path}": u for u in uploads})
        headers = {"Content-Type": "application/octet-stream"}
        if upload := self._paths[1].get(path):
            headers |= {"ETag": f'"{upload.sha256[:32]}"'} if self.style.etag else {}
            headers |= {"Accept-Ranges": "bytes"} if self.style.ranges else {}
            return Reply(200, headers, upload.content)
        upload = self._paths[1].get(path.removesuffix(".metadata"))
        if upload and upload.metadata is not None:
            return Reply(200, headers, upload.metadata)
        return Reply(404)
