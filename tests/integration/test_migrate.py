"""Moving in where pep381client or bandersnatch was: the Ansible module, then a run whose requests count."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashpoints import killed
from harness import PATIENCE, Mirror, Run, tree
from invariant import Served, equals_upstream
from simulator import Project, Simulator, Upload

import playbooks

SINCE_8 = 'pypi:repository-version" content="1.1'


def filled(upstream: Simulator) -> Simulator:
    """Projects as they were in 2015: some with names that are not normalised."""
    for name in ("six", "Zope.Interface", "Py_Mongo", "q"):
        upstream.add_project(name, "1.0", "1.1")
    return upstream


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def page(project: Project, path: Callable[[Upload], str], digest: str, up: str = "../..") -> str:
    """A project page as the old programs wrote it."""
    links = [
        f'<a href="{up}/{path(u)}#{digest}={hashlib.new(digest, u.content).hexdigest()}">{u.filename}</a><br>'
        for u in project.uploads
    ]
    more = '<a href="https://www.example.org/" rel="homepage">1.0 home_page</a><br/>'
    return f"<html><head><title>Links</title></head><body>{''.join(links)}{more}</body></html>"


def in_former_times(upload: Upload) -> str:
    """Where indexes had their files until 2016."""
    python = "py3" if upload.filename.endswith(".whl") else "source"
    return f"packages/{python}/{upload.project[0]}/{upload.project}/{upload.filename}"


def pep381client(mirror: Mirror) -> None:
    """HTML as upstream sent it, under the names that the owners gave; a pickle, ETags, signatures."""
    assert mirror.upstream is not None
    for project in mirror.upstream.listed():
        put(mirror.web / "simple" / project.display / "index.html", page(project, in_former_times, "md5"))
        put(mirror.web / "serversig" / project.display, b"\x00signature")
        for upload in project.uploads:
            put(mirror.web / in_former_times(upload), upload.content)
    put(mirror.web / "simple/index.html", "<a href='six/'>six</a>")
    put(mirror.web / "serverkey", "key")
    put(mirror.directory / "status", b"\x80\x02cpep381client\nSynchronization\n" + pickle.dumps({}))
    with sqlite3.connect(mirror.directory / "files") as db:
        db.execute("CREATE TABLE files (project, path, etag)")
    db.close()
    mirror.conf.unlink()


def status_files(mirror: Mirror) -> None:
    put(mirror.directory / "status", "900")
    put(mirror.directory / "generation", "5")
    put(mirror.directory / "todo", "990\nsix 989\n")
    put(mirror.directory / ".lock", "")


def bandersnatch_1(mirror: Mirror) -> None:
    """Weak hashes, today's paths, pages under both spellings."""
    assert mirror.upstream is not None
    for project in mirror.upstream.listed():
        for name in {project.display, project.name}:
            put(mirror.web / "simple" / name / "index.html", page(project, lambda u: u.path, "md5"))
        put(mirror.web / "serversig" / project.display, "signature")
        for upload in project.uploads:
            put(mirror.web / upload.path, upload.content)
    put(mirror.web / "stats/days/2014-01-01.bz2", "")
    put(mirror.web / "local-stats/days/2014-01-01.bz2", "")
    status_files(mirror)
    mirror.configure(digest_name="md5", verifiers=3)


def bandersnatch_8(mirror: Mirror) -> None:
    """All formats, old versions of pages, release JSON behind links."""
    assert mirror.upstream is not None
    for project in mirror.upstream.listed():
        directory = mirror.web / "simple" / project.name
        html = page(project, lambda u: u.path, "sha256").replace("<head>", f'<head><meta name="{SINCE_8}">')
        put(directory / "versions/index_900_2024-01-01T000000Z.html", html)
        (directory / "index.html").symlink_to("versions/index_900_2024-01-01T000000Z.html")
        put(directory / "index.v1_html", html)
        document = mirror.upstream.page_json(project)
        for upload, file in zip(project.uploads, document["files"], strict=True):
            file["url"] = f"../../{upload.path}"
            put(mirror.web / upload.path, upload.content)
        put(directory / "index.v1_json", json.dumps(document))
        put(mirror.web / "json" / project.name, "{}")
        (mirror.web / "pypi" / project.name).mkdir(parents=True)
        (mirror.web / "pypi" / project.name / "json").symlink_to(f"../../json/{project.name}")
    status_files(mirror)


def bandersnatch_with_hash_index(mirror: Mirror) -> None:
    assert mirror.upstream is not None
    for project in mirror.upstream.listed():
        for name in {project.display, project.name}:
            text = page(project, lambda u: u.path, "sha256", "../../..")
            put(mirror.web / "simple" / name[0] / name / "index.html", text)
        for upload in project.uploads:
            put(mirror.web / upload.path, upload.content)
    status_files(mirror)
    mirror.configure(hash_index=True)


OLD = [pep381client, bandersnatch_1, bandersnatch_8, bandersnatch_with_hash_index]


def play(mirror: Mirror, *options: str, **parameters: object) -> dict[str, Any]:
    """Run one task with the module; its result as Ansible sees it."""
    given = {
        "directory": str(mirror.directory),
        "config": str(mirror.conf),
        "old_config": str(mirror.conf),
        "master": mirror.keys["master"],
        "crontabs": [str(mirror.base / "cron.d")],
        **parameters,
    }
    return playbooks.result_of(mirror, {"bandersnatch_migrate": given}, *options)[0]


def moved_in(mirror: Mirror) -> None:
    """Move in without Ansible, which takes a second each time."""
    program = (
        "import sys; from bandersnatch.migrate import Options, migrate\n"
        "assert migrate(Options(*sys.argv[1:], crontabs=()), False).program\n"
    )
    values = (mirror.directory, mirror.conf, mirror.conf, mirror.keys["master"])
    command = [sys.executable, "-c", program, *map(str, values)]
    subprocess.run(command, env=mirror.environment(), check=True, timeout=PATIENCE)


def fetched_again(done: Run) -> list[str]:
    """Files that were downloaded, but for metadata files, which no old program mirrored."""
    return [path for path in done.fetched("/packages/") if not path.endswith(".metadata")]


def assert_equal(mirror: Mirror) -> None:
    assert mirror.upstream is not None
    hashed = "hash-index = true" in mirror.conf.read_text().lower()
    equals_upstream(mirror.upstream, Served(mirror.directory, hash_index=hashed))


@playbooks.needs_ansible
@pytest.mark.parametrize("old", [pep381client, bandersnatch_1])
def test_the_module_four_ways_and_then_a_run(
    upstream: Simulator, mirror: Mirror, old: Callable[[Mirror], None]
) -> None:
    filled(upstream)
    old(mirror)
    put(mirror.base / "cron.d/pypi", f"*/2 * * * * root bandersnatch -c {mirror.conf} mirror\n")
    put(
        mirror.base / "cron.d/old", f"*/2 * * * * root pep381run -q {mirror.directory}\n0 0 * * * root true\n"
    )
    before = tree(mirror.directory), tree(mirror.base / "cron.d")

    foretold = play(mirror, "--check")
    assert foretold["changed"] is True
    assert (tree(mirror.directory), tree(mirror.base / "cron.d")) == before, "check mode wrote"

    done = play(mirror, "--diff")
    assert done["changed"] is True
    assert done["program"] == old.__name__.partition("_")[0]
    same = ("program", "steps", "dropped", "variables", "secret_variables")
    assert [done[key] for key in same] == [foretold[key] for key in same]
    assert done["diff"]["prepared"].splitlines() == done["steps"]
    assert os.listdir(mirror.base / "cron.d") == ["old"]
    assert (mirror.base / "cron.d/old").read_text() == "0 0 * * * root true\n"
    assert not (mirror.web / "serversig").exists()

    before = tree(mirror.directory), tree(mirror.base / "cron.d")
    for options in (["--check"], []):
        again = play(mirror, *options)
        assert (again["changed"], again["steps"]) == (False, [])
    assert (tree(mirror.directory), tree(mirror.base / "cron.d")) == before

    assert fetched_again(mirror.sync()) == []
    assert_equal(mirror)


@playbooks.needs_ansible
def test_the_module_says_what_it_did_not_carry_over(upstream: Simulator, mirror: Mirror) -> None:
    filled(upstream)
    bandersnatch_1(mirror)
    mirror.configure(master="http://user:secret@index.example.org", workers=4, proxy="http://u:p@127.0.0.1:1")
    done = play(mirror, master=upstream.url)
    said = " ".join(done["dropped"])
    for word in ("digest_name", "verifiers", "[mirror] master", "plain http"):
        assert word in said
    assert "secret" not in json.dumps({key: done[key] for key in ("dropped", "steps", "variables")})
    assert done["variables"]["bandersnatch_config_workers"] == 4
    assert done["secret_variables"] == ["bandersnatch_config_proxy"]
    assert f"master = {upstream.url}" in mirror.conf.read_text()


@playbooks.needs_ansible
def test_a_wrong_directory_and_a_running_program_fail_the_task_in_one_line(
    upstream: Simulator, mirror: Mirror
) -> None:
    filled(upstream)
    mirror.directory.mkdir()
    done = play(mirror)
    assert (done["failed"], done["changed"], done["exit_code"]) == (True, False, 2)
    assert str(mirror.directory) in done["msg"]
    bandersnatch_8(mirror)
    with (mirror.directory / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = play(mirror)
    assert (done["failed"], done["changed"], done["exit_code"]) == (True, False, 5)
    assert "\n" not in done["msg"]


@pytest.mark.parametrize("old", OLD)
def test_whole_data_is_not_downloaded_again(
    upstream: Simulator, mirror: Mirror, old: Callable[[Mirror], None]
) -> None:
    filled(upstream)
    old(mirror)
    moved_in(mirror)
    foretold = mirror.sync("--dry-run")
    assert fetched_again(foretold) == []
    done = mirror.sync()
    assert fetched_again(done) == []
    assert_equal(mirror)
    names = {path.name for path in (mirror.web / "simple").rglob("*")}
    assert not names & {"versions", "index.v1_html", "Zope.Interface"}
    assert not {"json", "pypi", "serversig", "serverkey", "stats"} & set(os.listdir(mirror.web))
    done = mirror.sync("--force-check")
    assert done.fetched("/packages/") == []
    assert "nothing changed" in done.stdout


@pytest.mark.parametrize("old", OLD)
def test_only_what_is_missing_or_wrong_is_downloaded(
    upstream: Simulator, mirror: Mirror, old: Callable[[Mirror], None]
) -> None:
    filled(upstream)
    old(mirror)
    moved_in(mirror)
    lost, damaged, short = upstream.files()[0], upstream.files()[3], upstream.files()[-1]
    place = in_former_times if old is pep381client else (lambda upload: upload.path)
    (mirror.web / place(lost)).unlink()
    (mirror.web / place(damaged)).write_bytes(bytes(len(damaged.content)))
    (mirror.web / place(short)).write_bytes(short.content[:-1])
    upstream.delete_release("six", "1.1")
    upstream.add_release("six", "2.0")
    new = [f"/{u.url_path}" for u in upstream.files() if "2.0" in u.filename]
    done = mirror.sync()
    gone = {u.url_path for u in (lost, damaged, short)} & {u.url_path for u in upstream.files()}
    assert sorted(fetched_again(done)) == sorted([*new, *(f"/{path}" for path in gone)])
    assert_equal(mirror)


@pytest.mark.parametrize(
    "place", ["store.Store.publish", "apply.Committer._remember", "state.State.put_files"]
)
def test_a_first_run_that_is_killed_downloads_nothing_again_either(
    upstream: Simulator, mirror: Mirror, place: str
) -> None:
    filled(upstream)
    pep381client(mirror)
    moved_in(mirror)
    assert fetched_again(killed(mirror, place)) == []
    served = [path for path in (mirror.web / "simple").rglob("index.html") if path.parent.name != "simple"]
    assert len(served) == 4
    for file in served:  # what a page links is there, also while files are being moved
        for link in file.read_text().split('href="../../')[1:]:
            assert (mirror.web / link.partition("#")[0]).is_file(), (file, link)
    assert fetched_again(mirror.sync()) == []
    assert_equal(mirror)


def test_release_json_is_renewed_where_the_old_config_had_it(upstream: Simulator, mirror: Mirror) -> None:
    filled(upstream)
    bandersnatch_8(mirror)
    mirror.configure(json=True)
    moved_in(mirror)
    mirror.sync()
    path = mirror.web / "pypi/six/json"
    assert not path.is_symlink()
    assert json.loads(path.read_text())["info"]["name"] == "six"
    assert (mirror.web / "json/six").read_text() == "{}", "the link was followed"


def test_an_index_of_files_elsewhere_and_without_sizes_is_adopted_too(tmp_path: Path) -> None:
    from simulator import Style

    with Simulator(Style(json=False, serials="none", api="1.0", urls="elsewhere")) as upstream:
        filled(upstream)
        mirror = Mirror(tmp_path, upstream)
        pep381client(mirror)
        moved_in(mirror)
        assert fetched_again(mirror.sync()) == []
        equals_upstream(upstream, mirror.served, lossy=True)
