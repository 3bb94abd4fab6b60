"""What is told of a mirror: history, status.json, `bandersnatch status`; true after runs of all kinds."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import faults
import jsonschema
import pytest
from harness import PATIENCE, ROOT, Mirror, arrives, kill, tree
from scenes import small
from simulator import Simulator

import playbooks

SCHEMA = json.loads((ROOT / "docs/status.schema.json").read_text())
NAMES = ("history", "health", "web/status.json")


def told(mirror: Mirror) -> dict[str, Any]:
    """What `status.json` says."""
    value = json.loads((mirror.web / "status.json").read_text("utf-8"))
    jsonschema.validate(value, SCHEMA)
    return dict(value)


def asked(mirror: Mirror, expect: int = 0) -> dict[str, Any]:
    """What `bandersnatch status --json` says."""
    value = json.loads(mirror.run("status", "--json", expect=expect).stdout)
    jsonschema.validate(value, SCHEMA)
    return dict(value)


def same(value: dict[str, Any]) -> dict[str, Any]:
    """What of it does not change with time alone."""
    return {key: part for key, part in value.items() if key not in {"generated", "lag_seconds", "size"}}


def everything(mirror: Mirror) -> str:
    """All that anybody may read of it."""
    parts = [mirror.run("status", *options, expect=None).output for options in ([], ["--json"])]
    for path in [*mirror.web.iterdir(), mirror.directory / "history", *mirror.base.glob("*.prom")]:
        if path.is_file():
            parts.append(path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(parts)


def test_a_sync_is_told(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    value = told(mirror)
    assert value["fresh"] is True
    assert value["serial"] == value["upstream_serial"] == upstream.serial
    assert value["lag_serials"] == 0
    (run,) = value["runs"]
    paths = [path for path in (mirror.web / "packages").rglob("*") if path.is_file()]
    assert (run["added"], run["files_added"], run["outcome"]) == (3, len(paths), "in sync")
    assert run["names"] == {"added": ["alpha-0", "alpha-1", "alpha-2"]}
    size = {key: value["size"][key] for key in ("projects", "files", "bytes")}
    assert size == {"projects": 3, "files": len(paths), "bytes": sum(path.stat().st_size for path in paths)}
    assert value["size"]["free"] > 0
    assert same(asked(mirror)) == same(value)
    assert mirror.run("status").stdout.startswith("Fresh: the last good sync ended ")
    mirror.assert_holds()


def test_a_run_without_change_is_told_and_is_no_change(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync()
    before = told(mirror)
    mirror.clock = 3600
    done = mirror.sync()
    assert "nothing changed" in done.stdout
    after = told(mirror)
    assert after["runs"] == before["runs"], "it has no row of its own"
    assert after["last_good_run"]["started"] > before["last_good_run"]["started"]
    assert after["last_run"]["changed"] is False


def test_a_dry_run_leaves_no_trace(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync("--dry-run")
    assert not mirror.directory.exists()
    mirror.sync()
    upstream.add_release("alpha-0", "2.0")
    before = tree(mirror.directory)
    mirror.sync("--dry-run")
    assert tree(mirror.directory) == before


def test_failures_are_told_with_their_reasons(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 6)
    upstream.fault(faults.error_page("/simple/alpha-1/"))
    mirror.sync(expect=3)
    value = told(mirror)
    assert value["last_run"]["failed"] == 1
    assert value["last_run"]["failures"][0]["name"] == "alpha-1"
    assert value["fresh"] is True, "one project of six does not make the mirror stale"
    mirror.sync(expect=3)
    mirror.sync(expect=3)
    (again, first) = told(mirror)["runs"]
    assert (again["repeated"], first["added"]) == (1, 5)
    assert "alpha-1: " in mirror.run("status").stdout
    upstream.heal()
    mirror.sync()
    assert told(mirror)["runs"][0]["failed"] == 0


def test_a_failure_of_most_projects_is_no_good_sync(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 6)
    upstream.fault(faults.error_page("/simple/alpha-[1-5]/"))
    mirror.sync(expect=3)
    assert told(mirror)["fresh"] is False
    assert not (mirror.directory / "health").exists()
    assert "no good sync yet" in mirror.run("status", expect=8).stdout


def test_a_run_that_ends_early_is_told(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 6)
    mirror.configure(max_removals=1)
    mirror.sync()
    for number in range(4):
        upstream.delete_project(f"alpha-{number}")
    mirror.sync(expect=4)
    value = told(mirror)
    assert value["last_run"]["exit_code"] == 4
    assert "max-removals" in value["last_run"]["error"]
    assert value["lag_serials"] == upstream.serial - value["serial"] > 0
    assert value["last_good_run"]["added"] == 6
    assert "refused by the deletion guard" in mirror.run("status").stdout

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        mirror.configure(master=f"http://127.0.0.1:{closed.getsockname()[1]}/simple/")
        mirror.sync(expect=6)
    assert told(mirror)["last_run"]["outcome"] == "upstream did not answer"


def test_an_interrupted_run_is_told(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    gate = faults.Gate("/packages/.*")
    upstream.fault(gate)
    process = mirror.start()
    arrives(gate, process)
    process.send_signal(signal.SIGTERM)
    gate.open()
    assert mirror.finish(process).exit_code == 130
    assert told(mirror)["last_run"]["outcome"] == "interrupted"
    assert told(mirror)["fresh"] is False
    mirror.sync()
    assert told(mirror)["fresh"] is True


def test_status_during_a_run_needs_no_lock_and_shows_progress(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    gate = faults.Gate("/packages/.*")
    upstream.fault(gate)
    process = mirror.start()
    arrives(gate, process)
    said = mirror.run("status", expect=8).stdout
    assert "Running:    fetching files: " in said
    running = asked(mirror, expect=8)["running"]
    assert running["files"]["total"] == 18
    gate.open()
    assert mirror.finish(process).exit_code == 0
    assert asked(mirror)["running"] is None


def test_a_killed_run_is_not_shown_as_going(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    gate = faults.Gate("/packages/.*")
    upstream.fault(gate)
    process = mirror.start()
    arrives(gate, process)
    kill(process)
    gate.open()
    assert (mirror.directory / "progress.json").exists()
    assert asked(mirror, expect=8)["running"] is None


def test_before_the_first_run(mirror: Mirror) -> None:
    assert "there is no such directory" in mirror.run("status", expect=7).stderr
    mirror.directory.mkdir()
    assert asked(mirror, expect=8)["last_run"] is None
    assert "no good sync yet" in mirror.run("status", expect=8).stdout
    assert list(mirror.directory.iterdir()) == [], "looking makes nothing"


def test_age_makes_it_stale(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.sections["status"] = {"stale-after": "2", "public-url": "https://pypi.example.org/"}
    mirror.write_config()
    mirror.sync()
    assert asked(mirror)["index_url"] == "https://pypi.example.org/simple/"
    mirror.clock = 2 * 3600 + 1
    assert mirror.run("status", expect=8).stdout.startswith("Stale: the last good sync ended 2 h ago")


@playbooks.needs_ansible
@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes the mirror's user")
def test_the_playbook_fails_where_a_mirror_is_stale_and_says_what_to_do(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream, 1)
    mirror.sections["status"] = {"stale-after": "2"}
    mirror.write_config()
    hosts = {"one": {"bandersnatch_config_file": str(mirror.conf), "bandersnatch_user": "root"}}
    mirror.sync()
    done = playbooks.run(mirror.base, ROOT / "playbooks/status.yml", hosts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Fresh: the last good sync ended" in done.stdout
    shutil.rmtree(mirror.directory)
    mirror.clock = -2 * 3600 - 1
    mirror.sync()
    done = playbooks.run(mirror.base, ROOT / "playbooks/status.yml", hosts)
    assert done.returncode == 2
    assert "one: Stale: the last good sync ended 2 h ago" in done.stdout
    assert "playbooks/sync.yml syncs it now" in done.stdout


@pytest.mark.parametrize("content", [b"rubbish" * 999, b""])
def test_a_damaged_history_is_begun_anew_and_fails_nothing(
    upstream: Simulator, mirror: Mirror, content: bytes
) -> None:
    small(upstream, 2)
    mirror.sync()
    (mirror.directory / "history").write_bytes(content)
    if content:
        assert "history" in mirror.run("status", expect=7).stderr
    done = mirror.sync()
    assert done.stderr.count("WARNING") == (1 if content else 0)
    assert told(mirror)["fresh"] is True
    assert "WARNING" not in mirror.sync().stderr
    mirror.assert_equal()


def test_a_history_that_cannot_be_written_fails_nothing(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.directory.mkdir()
    (mirror.directory / "history").mkdir()
    done = mirror.sync()
    assert done.stderr.count("WARNING") == 1
    assert told(mirror)["fresh"] is True, "what can be told without the past is"
    mirror.assert_equal()


def test_a_locked_history_is_waited_for_by_the_other_writer(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.sync()
    with sqlite3.connect(mirror.directory / "history", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        upstream.add_release("alpha-0", "2.0")
        process = mirror.start()
        while (
            process.poll() is None
            and upstream.serial
            != json.loads((mirror.web / "simple/index.v1_json").read_text())["meta"]["_last-serial"]
        ):
            pass
        other.execute("ROLLBACK")
    assert "WARNING" not in mirror.finish(process).stderr
    assert told(mirror)["serial"] == upstream.serial


def test_deleting_the_state_loses_no_history(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync()
    for path in mirror.directory.glob("state*"):
        path.unlink()
    mirror.sync()
    assert [run["added"] for run in told(mirror)["runs"]] == [2]
    mirror.assert_holds()


def test_the_totals_are_right_whatever_happens(upstream: Simulator, mirror: Mirror) -> None:
    """The invariant checker counts the rows; here all that changes them: it runs after each step."""
    small(upstream, 4)
    mirror.sync()
    upstream.add_file("alpha-0", "alpha-0-3.0-py3-none-any.whl", "3.0", metadata=b"Metadata-Version: 2.1\n")
    upstream.delete_release("alpha-1", "1.0")
    upstream.delete_project("alpha-2")
    mirror.sync()
    mirror.assert_holds()
    victim = mirror.web / upstream.files()[0].path
    victim.write_bytes(b"x")
    mirror.sync("--force-check")
    mirror.assert_holds()
    with sqlite3.connect(mirror.directory / "state") as state:
        state.execute("DELETE FROM meta WHERE key IN ('files', 'bytes')")  # as an older version left it
    upstream.add_release("alpha-3", "4.0")
    mirror.sync()
    mirror.assert_holds()
    with sqlite3.connect(mirror.directory / "state") as state:
        state.execute("UPDATE meta SET value = 99 WHERE key = 'files'")
    mirror.sync("--force-check")
    mirror.assert_holds()


def test_no_password_is_told(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    host = upstream.url.removeprefix("http://")
    mirror.configure(master=f"http://someone:hunter2@{host}")
    mirror.sync()
    upstream.fault(faults.answer("/simple/.*", 401))
    upstream.add_release("alpha-0", "2.0")
    mirror.sync(expect=None)
    mirror.configure(
        proxy="http://someone:hunter2@127.0.0.1:9/", master="https://someone:hunter2@index.example.org/"
    )
    mirror.sync(expect=6)
    assert "hunter2" not in everything(mirror)
    assert "upstream did not answer" in everything(mirror)


def test_hostile_reasons_stay_on_their_line(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("evil", "1.0")
    upstream.fault(faults.answer("/simple/evil/", 200, body=b"<script>\x1b[31m\n\x00"))
    mirror.sync(expect=None)
    output = mirror.run("status", expect=None).stdout
    assert "\x1b" not in output
    assert "\x00" not in output


def test_readable_for_nginx_whatever_the_umask(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    before = os.umask(0o077)
    try:
        mirror.sync()
    finally:
        os.umask(before)
    assert (mirror.web / "status.json").stat().st_mode & 0o777 == 0o644


def test_what_is_in_the_way_is_not_followed(upstream: Simulator, mirror: Mirror, tmp_path: Path) -> None:
    small(upstream, 1)
    outside = tmp_path / "outside"
    outside.write_text("mine")
    mirror.web.mkdir(parents=True)
    (mirror.web / "status.json").symlink_to(outside)
    (mirror.directory / ".status.part").symlink_to(outside)
    done = mirror.sync()
    assert "status.json is not up to date" in done.stderr
    assert outside.read_text() == "mine"


def test_the_page_and_the_metrics_are_there_after_each_run(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync()
    first = (mirror.web / "index.html").read_text()
    assert "alpha-0, alpha-1" in first
    mirror.clock = 3600
    mirror.sync()
    second = (mirror.web / "index.html").read_text()
    assert first != second, "the times are new"
    assert re.sub(r"[0-9]", "", first) == re.sub(r"[0-9]", "", second)
    upstream.fault(faults.answer("/simple/.*", 403))
    mirror.sync(expect=6)
    assert "did not get through" in (mirror.web / "index.html").read_text()
    assert "bandersnatch_last_run_exit_code 6" in (mirror.web / "metrics").read_text()


def test_the_page_of_an_operator_is_left_alone(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.web.mkdir(parents=True)
    (mirror.web / "index.html").write_text("<h1>Our university's mirror</h1>")
    mirror.sync()
    assert (mirror.web / "index.html").read_text() == "<h1>Our university's mirror</h1>"
    assert "web/index.html is not ours" in mirror.run("status").stdout
    (mirror.web / "index.html").unlink()
    mirror.sync()
    assert "web/index.html" not in mirror.run("status").stdout
    assert "alpha-0" in (mirror.web / "index.html").read_text()


def test_metrics_for_node_exporter(upstream: Simulator, mirror: Mirror, tmp_path: Path) -> None:
    small(upstream, 1)
    folder = tmp_path / "collector"
    mirror.sections["status"] = {"metrics-file": str(folder / "pypi.prom")}
    mirror.write_config()
    done = mirror.sync()
    assert "pypi.prom is not up to date" in done.stderr, "there is no such directory, and that fails nothing"
    folder.mkdir()
    mirror.sync()
    assert [path.name for path in folder.iterdir()] == ["pypi.prom"]
    assert (folder / "pypi.prom").read_bytes() == (mirror.web / "metrics").read_bytes()
    assert (folder / "pypi.prom").stat().st_mode & 0o777 == 0o644


def test_without_jinja_there_is_a_mirror_and_no_page(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.python = [sys.executable, "-S"]  # nothing but the standard library
    done = mirror.sync()
    assert [line for line in done.stderr.splitlines() if "index.html" in line] == [
        "WARNING index.html is not up to date: it needs the Python package `jinja2`: install python3-jinja2"
    ]
    assert not (mirror.web / "index.html").exists()
    assert told(mirror)["fresh"] is True
    mirror.assert_equal()


def test_update_stats_renews_the_page(upstream: Simulator, mirror: Mirror, tmp_path: Path) -> None:
    small(upstream, 1)
    log = tmp_path / "access.log"
    mirror.sections["statistics"] = {"access-log-pattern": str(log)}
    mirror.write_config()
    mirror.sync()
    assert "No downloads have been counted yet" in (mirror.web / "index.html").read_text()
    path = next(upload.url_path for upload in upstream.files())
    when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() - 60))
    log.write_text(f'192.0.2.1 - - [{when}] "GET /{path} HTTP/1.1" 200 9 "-" "pip/26.1"\n')
    before = told(mirror)
    mirror.run("update-stats")
    assert "alpha-0" in (mirror.web / "index.html").read_text().partition("Most downloaded projects")[2]
    assert told(mirror)["downloads"]["total"] == 1
    assert told(mirror)["last_run"] == before["last_run"]
    assert "bandersnatch_downloads 1" in (mirror.web / "metrics").read_text()
    mirror.assert_holds()


def test_a_bug_in_what_is_told_fails_no_run(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    hook = mirror.base / "hook"
    hook.mkdir()
    (hook / "jinja2.py").write_text("raise ImportError('it is not installed')")
    environment = mirror.environment() | {"PYTHONPATH": f"{hook}:{ROOT / 'module_utils'}"}
    done = subprocess.run(
        [*mirror.python, "-m", "bandersnatch", "-c", str(mirror.conf), "mirror"],
        env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "it is not installed" in done.stderr
    mirror.assert_equal()
