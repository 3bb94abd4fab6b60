#!/usr/bin/env python3
"""A small package index for the test hosts: static files that a test can change, and a server for them.

    upstream.py DIR init                      write the first state of the index
    upstream.py DIR publish PROJECT VERSION   add a release (a wheel)
    upstream.py DIR break PROJECT             list a file that is not there
    upstream.py DIR mend PROJECT              take such files off the list again
    upstream.py DIR serve [PORT]              serve DIR, on port 80

Every project's page is DIR/simple/PROJECT/index.json, every file DIR/packages/PROJECT/FILE. All bytes are the
same in each run, so that a mirror which starts again finds what it knows.
"""

import base64
import gzip
import hashlib
import http.server
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
DATE = (2024, 1, 1, 0, 0, 0)
REASON = 'wrong <limit> & "naïve" default: use 1.0'


def metadata(project: str, version: str, requires: Sequence[str] = ()) -> bytes:
    """Core metadata of a release."""
    lines = ["Metadata-Version: 2.1", f"Name: {project}", f"Version: {version}", "Requires-Python: >=3.8"]
    return "\n".join([*lines, *(f"Requires-Dist: {name}" for name in requires), ""]).encode()


def wheel(project: str, version: str, requires: Sequence[str] = ()) -> bytes:
    """A wheel with one module, named like the project, that knows its version."""
    module = project.lower().replace("-", "_")
    info = f"{module}-{version}.dist-info"
    members = {
        f"{module}.py": f'version = "{version}"\n'.encode(),
        f"{info}/METADATA": metadata(project, version, requires),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},{record_hash(body)},{len(body)}\n" for name, body in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in members.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), body)
    return out.getvalue()


def record_hash(body: bytes) -> str:
    """A hash as RECORD writes it: URL-safe base64 without padding."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


def sdist(project: str, version: str) -> bytes:
    """A source archive that holds its metadata only."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        body = metadata(project, version)
        member = tarfile.TarInfo(f"{project}-{version}/PKG-INFO")
        member.size = len(body)
        tar.addfile(member, io.BytesIO(body))
    return out.getvalue()


class Index:
    """The index below a directory. Serials are one more at each change, as on a real index."""

    def __init__(self, directory: Path) -> None:
        """Take the index in `directory`, which need not exist yet."""
        self.directory = directory

    def page(self, project: str) -> dict[str, Any]:
        """The project's page as it stands; an empty one for a new project."""
        path = self.directory / "simple" / project / "index.json"
        if path.exists():
            return dict(json.loads(path.read_text()))
        return {"meta": {"api-version": "1.1"}, "name": project, "versions": [], "files": []}

    def save(self, project: str, page: dict[str, Any]) -> None:
        """Write the project's page with the next serial, at once as a reader sees it."""
        counter = self.directory / "serial"
        serial = int(counter.read_text()) + 1 if counter.exists() else 1
        page["meta"]["_last-serial"] = serial
        self.write("serial", str(serial).encode())
        self.write(f"simple/{project}/index.json", json.dumps(page, ensure_ascii=False).encode())

    def write(self, name: str, body: bytes) -> None:
        """Write one file of the index and rename it into place."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(body)
        part.replace(path)

    def add(self, project: str, version: str, filename: str, body: bytes, **keys: Any) -> None:
        """Add a file to a project's page; `keys` are further keys of its entry."""
        self.write(f"packages/{project}/{filename}", body)
        page = self.page(project)
        page["files"].append(
            {
                "filename": filename,
                "url": f"../../packages/{project}/{quote(filename)}",
                "hashes": {"sha256": hashlib.sha256(body).hexdigest()},
                "size": len(body),
                "upload-time": "2024-01-01T00:00:00.000000Z",
                "requires-python": ">=3.8",
                **keys,
            }
        )
        page["versions"] = sorted({*page["versions"], version})
        self.save(project, page)

    def add_wheel(self, name: str, version: str, requires: Sequence[str] = (), **keys: Any) -> None:
        """Add a wheel of the project that calls itself `name`, with its core metadata."""
        project = name.lower().replace("_", "-")
        filename = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
        core = metadata(name, version, requires)
        self.write(f"packages/{project}/{filename}.metadata", core)
        digest = {"sha256": hashlib.sha256(core).hexdigest()}
        self.add(
            project, version, filename, wheel(name, version, requires), **{"core-metadata": digest}, **keys
        )

    def init(self) -> None:
        """Write the first state: what the tests take for granted."""
        self.add_wheel("demo-app", "1.0", requires=["demo-lib>=1"])
        self.add("demo-app", "1.0", "demo-app-1.0.tar.gz", sdist("demo-app", "1.0"))
        self.add_wheel("demo-app", "1.1", requires=["demo-lib>=1"], yanked=REASON)
        self.add_wheel("Demo_Lib", "1.0")
        self.add("demo-unicode", "1.0", "demo-unicode-1.0-žluťoučký.tar.gz", sdist("demo-unicode", "1.0"))
        self.add_wheel("demo-news", "1.0")
        self.add_wheel("demo-broken", "1.0")
        self.add_wheel("demo-other", "1.0")

    def break_(self, project: str) -> None:
        """List a file of 1 byte that is not there: one project that no mirror can bring."""
        self.add(project, "6.6", f"{project}-6.6.tar.gz", b"x")
        (self.directory / "packages" / project / f"{project}-6.6.tar.gz").unlink()

    def mend(self, project: str) -> None:
        """Take the file that is not there off the project's page."""
        page = self.page(project)
        page["files"] = [f for f in page["files"] if not f["filename"].endswith("-6.6.tar.gz")]
        page["versions"] = [v for v in page["versions"] if v != "6.6"]
        self.save(project, page)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve the pages as JSON of the Simple API and everything else as a file."""

    def do_GET(self) -> None:
        """Answer one request; a page has an ETag and is not sent to who has it."""
        self.path = urlsplit(self.path).path  # who takes this for its proxy names the host, too
        path = Path(self.translate_path(self.path)) / "index.json"
        if not path.exists():
            super().do_GET()
            return
        body = path.read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        known = self.headers.get("If-None-Match") == etag
        self.send_response(304 if known else 200)
        self.send_header("ETag", etag)
        if not known:
            self.send_header("Content-Type", JSON_TYPE)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not known:
            self.wfile.write(body)


def main(argv: list[str]) -> None:
    """Do what the command line says."""
    directory, action, *rest = argv
    index = Index(Path(directory))
    if action == "init":
        index.init()
    elif action == "publish":
        index.add_wheel(*rest)
    elif action == "break":
        index.break_(*rest)
    elif action == "mend":
        index.mend(*rest)
    elif action == "serve":
        Handler.protocol_version = "HTTP/1.1"
        address = ("", int(rest[0]) if rest else 80)
        server = http.server.ThreadingHTTPServer(address, lambda *args: Handler(*args, directory=directory))
        server.serve_forever()
    else:
        sys.exit(f"upstream.py: unknown action {action}")


if __name__ == "__main__":
    main(sys.argv[1:])
