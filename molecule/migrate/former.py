#!/usr/bin/env python3
"""Write the mirror that pep381client or bandersnatch would have made, and its jobs: former.py PROGRAM."""

import hashlib
import json
import pickle
import sqlite3
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

MIRROR = Path("/srv/pypi")
# as their owners wrote them
PROJECTS = ["demo-app", "Demo_Lib", "demo-news", "demo-unicode", "demo-broken"]
CONFIG = """\
[mirror]
directory = /srv/pypi
master = http://upstream
allow-non-https = true
workers = 2
digest_name = sha256

[plugins]
enabled = whitelist_project

[whitelist]
packages =
    demo-app
    demo-lib
    demo-news
    demo-unicode
    demo-broken
"""


def fetch(url: str) -> bytes:
    """What upstream has there. The mark tells these requests from those of the new program."""
    with urllib.request.urlopen(f"{url}?former") as answer:
        return bytes(answer.read())


def put(name: str, content: bytes | str) -> None:
    """Write a file of the mirror, or an absolute one."""
    path = MIRROR / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def mirror(project: str, program: str) -> None:
    """A project's files and its page, which nobody of today would write."""
    folder = project if program == "pep381client" else project.lower().replace("_", "-")
    url = f"http://upstream/simple/{project.lower().replace('_', '-')}/"
    links = []
    for entry in json.loads(fetch(url))["files"]:
        content = fetch(urljoin(url, entry["url"]))
        name, sha256 = entry["filename"], hashlib.sha256(content).hexdigest()
        path = f"packages/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{name}"
        if program == "pep381client":
            python = "py3" if name.endswith(".whl") else "source"
            path = f"packages/{python}/{project[0]}/{project}/{name}"
        put(f"web/{path}", content)
        links.append(f'<a href="../../{path}#md5={hashlib.md5(content).hexdigest()}">{name}</a><br/>')
    put(f"web/simple/{folder}/index.html", f"<html><body>{''.join(links)}</body></html>")
    put(f"web/serversig/{folder}", b"\0signature")


def main(program: str) -> None:
    """All of it."""
    for project in PROJECTS:
        mirror(project, program)
    # pep381client has none; but only a config can allow an upstream that is not https
    put("/etc/bandersnatch.conf", CONFIG)
    put("web/simple/index.html", "<a href='demo-app/'>demo-app</a>")
    if program == "pep381client":
        put("status", b"\x80\x02cpep381client\nSynchronization\n" + pickle.dumps({}))
        with sqlite3.connect(MIRROR / "files") as db:
            db.execute("CREATE TABLE files (project, path, etag)")
        db.close()
        put("/etc/cron.d/pypi-mirror", "*/5 * * * * root pep381run -q /srv/pypi\n")
    else:
        put("status", "7")
        put("generation", "5")
        put(
            "/etc/cron.d/pypi-mirror",
            "*/2 * * * * root bandersnatch mirror |& logger -t bandersnatch[mirror]\n",
        )


if __name__ == "__main__":
    main(sys.argv[1])
