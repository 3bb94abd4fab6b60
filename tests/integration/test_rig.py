"""The rig itself: the checker finds each kind of damage, the simulator and its faults behave as they say."""

from __future__ import annotations

import contextlib
import gzip
import html
import http.client
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import faults
import pytest
from invariant import Served, differences, problems
from scenes import small, variety
from simulator import JSON_TYPE, Simulator, Style


def anchor(file: dict[str, Any]) -> str:
    """PEP 503 and its successors, the long way."""
    attrs = {"href": f"{file['url']}#sha256={file['hashes']['sha256']}"}
    meta, yanked = file["core-metadata"], file["yanked"]
    attrs |= {"data-requires-python": file["requires-python"]} if file.get("requires-python") else {}
    attrs |= {} if yanked is False else {"data-yanked": "" if yanked is True else yanked}
    attrs |= {"data-core-metadata": f"sha256={meta['sha256']}"} if meta else {}
    attrs |= {"data-gpg-sig": str(file["gpg-sig"]).lower()} if "gpg-sig" in file else {}
    attrs |= {"data-provenance": file["provenance"]} if file["provenance"] else {}
    text = " ".join(f'{key}="{html.escape(value)}"' for key, value in attrs.items())
    return f"<a {text}>{html.escape(file['filename'])}</a>"


def perfect(upstream: Simulator, directory: Path) -> Served:
    """A mirror as it should be, written without the engine."""
    web = directory / "web"
    for project in upstream.listed():
        page = web / "simple" / project.name
        page.mkdir(parents=True)
        doc = upstream.page_json(project)
        for file, upload in zip(doc["files"], project.uploads, strict=True):
            file["url"] = "../../" + quote(upload.path)
            target = web / upload.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(upload.content)
            if upload.metadata is not None:
                Path(f"{target}.metadata").write_bytes(upload.metadata)
        status = doc["project-status"]
        head = f'<meta name="pypi:project-status" content="{status["status"]}">'
        if "reason" in status:
            head += f'<meta name="pypi:project-status-reason" content="{html.escape(status["reason"])}">'
        (page / "index.v1_json").write_text(json.dumps(doc))
        (page / "index.html").write_text(head + "".join(anchor(file) for file in doc["files"]), "utf-8")
    root = upstream.root_json()
    (web / "simple" / "index.v1_json").write_text(json.dumps(root))
    (web / "simple" / "index.html").write_text(upstream.root_html())
    for page in ("index.v1_json", "index.html"):
        (web / "simple" / f"{page}.gz").write_bytes(gzip.compress((web / "simple" / page).read_bytes()))
    write_state(directory, upstream)
    return Served(directory)


def write_state(directory: Path, upstream: Simulator) -> None:
    """What the checker looks at of a state."""
    files = [(upload.path, len(upload.content)) for upload in upstream.files()]
    with contextlib.closing(sqlite3.connect(directory / "state")) as state, state:
        state.execute("CREATE TABLE meta (key, value)")
        state.execute("CREATE TABLE project (name)")
        state.execute("CREATE TABLE file (path, size)")
        state.executemany("INSERT INTO project VALUES (?)", ((one.name,) for one in upstream.listed()))
        state.executemany("INSERT INTO file VALUES (?, ?)", files)
        totals = {"files": len(files), "bytes": sum(size for _, size in files)}
        state.executemany("INSERT INTO meta VALUES (?, ?)", totals.items())


def in_state(served: Served, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(served.directory / "state")) as state, state:
        state.execute(statement)


def first_file(served: Served) -> Path:
    return served.web / served.path_of(served.page("variety")["files"][0]["url"])


def edit(served: Served, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the JSON page and leave the HTML page alone."""
    path = served.page_dir("variety") / "index.v1_json"
    doc = json.loads(path.read_bytes())
    change(doc)
    path.write_text(json.dumps(doc))


DAMAGE: dict[str, Callable[[Served], object]] = {
    "file lost": lambda s: first_file(s).unlink(),
    "file cut": lambda s: first_file(s).write_bytes(b"x"),
    "file changed": lambda s: first_file(s).write_bytes(bytes(first_file(s).stat().st_size)),
    "metadata lost": lambda s: Path(f"{first_file(s)}.metadata").unlink(),
    "metadata changed": lambda s: Path(f"{first_file(s)}.metadata").write_bytes(b"x"),
    "yank only in html": lambda s: edit(s, lambda d: d["files"][3].update({"yanked": True})),
    "file only in html": lambda s: edit(s, lambda d: d["files"].pop()),
    "status only in html": lambda s: edit(s, lambda d: d["project-status"].update(status="archived")),
    "page of another": lambda s: edit(s, lambda d: d.update(name="other")),
    "page without root entry": lambda s: s.page_dir("variety").rename(s.web / "simple" / "stranger"),
    "root index lost": lambda s: (s.web / "simple" / "index.html").unlink(),
    "compressed root index lost": lambda s: (s.web / "simple" / "index.html.gz").unlink(),
    "compressed root index of before": lambda s: (s.web / "simple" / "index.v1_json.gz").write_bytes(
        gzip.compress(b'{"projects": []}')
    ),
    "temporary file in web": lambda s: (s.web / "simple" / ".new").touch(),
    "temporary file beside": lambda s: [(s.directory / "tmp").mkdir(), (s.directory / "tmp" / "x").touch()],
    "stray name": lambda s: (s.directory / "escaped").touch(),
    "state damaged": lambda s: (s.directory / "state").write_bytes(b"SQLite format 3\0" + bytes(5000)),
    "state with wrong totals": lambda s: in_state(s, "UPDATE meta SET value = value + 1"),
    "state without a project": lambda s: in_state(s, "DELETE FROM project WHERE name = 'variety'"),
    "state with a project too many": lambda s: in_state(s, "INSERT INTO project VALUES ('gone')"),
    "state with a file too many": lambda s: [
        in_state(s, "INSERT INTO file VALUES ('packages/gone', 0)"),
        in_state(s, "UPDATE meta SET value = value + 1 WHERE key = 'files'"),
    ],
    "state is text": lambda s: (s.directory / "state").write_text("no database" * 500),
}


def test_the_checker_accepts_a_perfect_mirror(upstream: Simulator, tmp_path: Path) -> None:
    variety(upstream)
    served = perfect(upstream, tmp_path)
    assert problems(served) == []
    assert differences(upstream, served) == []


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_checker_finds_damage(upstream: Simulator, tmp_path: Path, damage: str) -> None:
    variety(upstream)
    served = perfect(upstream, tmp_path)
    DAMAGE[damage](served)
    assert problems(served) != []


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.add_release("variety", "9.9"),
        lambda s: s.yank("variety", "2.0", "late"),
        lambda s: s.delete_file("variety", "variety-0.8.tar.gz"),
        lambda s: s.delete_project("empty"),
        lambda s: s.add_project("another"),
        lambda s: s.set_status("variety", "archived"),
        lambda s: s.quarantine("variety"),
    ],
    ids=["release", "yank", "file", "project", "new project", "status", "quarantine"],
)
def test_a_change_upstream_is_a_difference(
    upstream: Simulator, tmp_path: Path, change: Callable[[Simulator], object]
) -> None:
    variety(upstream)
    served = perfect(upstream, tmp_path)
    change(upstream)
    assert problems(served) == []
    assert differences(upstream, served) != []


def get(upstream: Simulator, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(upstream.url.removeprefix("http://"), timeout=60)
    try:
        connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.read(), dict(reply.headers)
    finally:
        connection.close()


def test_the_simulator_answers_conditional_and_range_requests(upstream: Simulator) -> None:
    small(upstream, 1)
    status, page, headers = get(upstream, "/simple/alpha-0/", Accept=JSON_TYPE)
    assert (status, headers["Content-Type"]) == (200, JSON_TYPE)
    assert get(upstream, "/simple/alpha-0/", Accept=JSON_TYPE, If_None_Match=headers["ETag"])[0] == 304
    assert get(upstream, "/simple/Alpha_0/")[0] == 301
    assert get(upstream, "/simple/nobody/")[0] == 404
    file = json.loads(page)["files"][0]
    path = file["url"].removeprefix(upstream.url)
    whole = get(upstream, path)[1]
    assert len(whole) == file["size"]
    assert get(upstream, path, Range="bytes=100-")[:2] == (206, whole[100:])
    assert get(upstream, path, Range="bytes=999999-")[0] == 416
    assert [r.status for r in upstream.take_requests()] == [200, 304, 301, 404, 200, 206, 416]


def test_faults_strike_as_often_as_told(upstream: Simulator) -> None:
    small(upstream, 2)
    upstream.fault(faults.busy("/simple/alpha-0/", 503, 2))
    assert [get(upstream, "/simple/alpha-0/")[0] for _ in range(3)] == [503, 503, 200]
    upstream.fault(faults.truncated("/simple/alpha-1/"))
    with pytest.raises(http.client.IncompleteRead):
        get(upstream, "/simple/alpha-1/")
    upstream.fault(faults.reset("/simple/"))
    with pytest.raises(ConnectionError):
        get(upstream, "/simple/")
    upstream.heal()
    assert get(upstream, "/simple/")[0] == 200


def test_healing_releases_whoever_hangs(upstream: Simulator) -> None:
    small(upstream, 1)
    upstream.fault(faults.hang("/simple/"))
    upstream.servers.on_request = lambda path: None
    connection = http.client.HTTPConnection(upstream.url.removeprefix("http://"), timeout=60)
    connection.request("GET", "/simple/")
    while not upstream.requests:
        time.sleep(0.01)
    upstream.heal()
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()


def test_html_and_json_of_the_simulator_say_the_same(tmp_path: Path) -> None:
    with Simulator(Style(json=False)) as upstream:
        variety(upstream)
        status, page, _ = get(upstream, "/simple/variety/", Accept=f"{JSON_TYPE}, text/html;q=0.1")
        assert status == 200
        assert page.startswith(b"<!DOCTYPE html>")
