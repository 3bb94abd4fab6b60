"""The Ansible module, called as operators call it: a playbook, through the action plugin, on this machine."""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

import faults
import yaml
from harness import ROOT, Mirror, tree
from scenes import small, variety
from simulator import Simulator

import playbooks

LISTS = ("added", "updated", "removed", "failures")

pytestmark = playbooks.needs_ansible


def play(
    mirror: Mirror, *options: str, module: str = "bandersnatch_mirror", **parameters: object
) -> dict[str, Any]:
    """Run one task with a module; its result as Ansible sees it, and what the play printed as `output`."""
    task = {module: {"config": str(mirror.conf), **parameters}}
    result, done = playbooks.result_of(mirror, task, *options)
    return {**result, "output": done.stdout + done.stderr}


def counts(result: dict[str, Any]) -> dict[str, Any]:
    """What a run did or would do, by which check mode and the real run are compared."""
    return {key: result[key] for key in ("changed", *LISTS, "files_added", "files_removed")}


def test_the_module_tells_the_truth_in_check_mode_and_is_idempotent(
    upstream: Simulator, mirror: Mirror
) -> None:
    variety(upstream)
    foretold = play(mirror, "--check")
    assert not mirror.directory.exists(), "check mode wrote"
    assert foretold["changed"] is True
    assert "plain-name" in foretold["added"]
    assert foretold["files_added"] > 0

    made = play(mirror)
    mirror.assert_equal()
    assert counts(made) == counts(foretold)
    assert 0 < foretold["bytes_added"] <= made["bytes_added"]  # no index states the size of metadata files
    assert made["exit_code"] == 0
    assert made["serial"] == upstream.serial
    assert made["projects"] == len(upstream.listed())

    before = tree(mirror.web)
    for options in (["--check"], []):
        again = play(mirror, *options)
        assert again["changed"] is False, options
        assert not any(again[key] for key in (*LISTS, "files_added", "files_removed", "bytes_added"))
    pages = {path: seen for path, seen in tree(mirror.web).items() if path.startswith("simple")}
    assert pages == {path: seen for path, seen in before.items() if path.startswith("simple")}


def test_diff_mode_names_the_projects_and_only_when_asked(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    upstream.add_project("newcomer", "1.0")
    upstream.yank("alpha-1", "1.0", "it eats data")
    upstream.delete_project("alpha-2")

    assert "diff" not in play(mirror, "--check")
    done = play(mirror, "--diff")
    assert (done["added"], done["updated"], done["removed"]) == (["newcomer"], ["alpha-1"], ["alpha-2"])
    assert done["diff"]["prepared"] == "+ newcomer\n~ alpha-1\n- alpha-2\n"
    mirror.assert_equal()


def test_a_failed_project_fails_the_task_by_name_and_the_rest_is_mirrored(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream, 3)
    upstream.fault(faults.error_page("/simple/alpha-1/"))
    done = play(mirror)
    assert done["failed"] is True
    assert done["exit_code"] == 3
    assert done["changed"] is True
    assert "alpha-1" in done["msg"]
    assert "\n" not in done["msg"]
    assert [failure["name"] for failure in done["failures"]] == ["alpha-1"]
    assert sorted(done["added"]) == ["alpha-0", "alpha-2"]

    upstream.heal()
    assert play(mirror)["added"] == ["alpha-1"]
    mirror.assert_equal()


def test_a_wrong_config_is_one_line_that_names_it(mirror: Mirror) -> None:
    mirror.configure(workers="many")
    done = play(mirror)
    assert (done["failed"], done["changed"], done["exit_code"]) == (True, False, 2)
    assert "workers" in done["msg"]
    assert "Traceback" not in done["output"]


def test_the_guard_holds_until_it_is_lifted(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 6)
    mirror.configure(max_removals=1)
    mirror.sync()
    for number in range(4):
        upstream.delete_project(f"alpha-{number}")
    refused = play(mirror)
    assert (refused["failed"], refused["exit_code"]) == (True, 4)
    assert len(list((mirror.web / "simple").glob("alpha-*"))) == 6
    assert len(play(mirror, allow_removals=True)["removed"]) == 4
    mirror.assert_equal()


def test_force_check_repairs_a_damaged_file(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync()
    upload = upstream.files()[0]
    path = mirror.web / upload.path
    path.write_bytes(b"x" * len(upload.content))
    assert play(mirror)["changed"] is False
    assert play(mirror, force_check=True)["files_added"] == 1
    mirror.assert_equal()


def test_another_run_is_waited_for_only_so_long(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.sync()
    with (mirror.directory / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = play(mirror, wait=0)
    assert (done["failed"], done["exit_code"]) == (True, 5)
    assert ".lock" in done["msg"]


def test_nothing_is_left_of_a_detached_run(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    done = play(mirror)
    assert not {"ansible_job_id", "results_file", "started", "finished"} & done.keys()
    assert not [name for _, _, names in os.walk(mirror.base / ".ansible_async") for name in names]


def test_info_says_what_status_says_and_never_changes_anything(upstream: Simulator, mirror: Mirror) -> None:
    missing = play(mirror, module="bandersnatch_info")
    assert (missing["failed"], missing["exit_code"]) == (True, 7)
    small(upstream, 2)
    mirror.sync()
    before = tree(mirror.directory)
    told = json.loads(mirror.run("status", "--json").stdout)
    for options in (["--check"], [], ["--check", "--diff"], ["--diff"]):
        seen = play(mirror, *options, module="bandersnatch_info")
        assert seen["changed"] is False
        assert seen["status"].keys() == told.keys()
        assert seen["status"]["runs"] == told["runs"]
        assert seen["status"]["fresh"] is True
        assert seen["summary"].startswith("Fresh: ")
    assert tree(mirror.directory) == before


def test_what_info_returns_is_documented() -> None:
    documented = yaml.safe_load(
        (ROOT / "library/bandersnatch_info.py").read_text().partition('RETURN = r"""')[2].partition('"""')[0]
    )["status"]["contains"]
    schema = json.loads((ROOT / "docs/status.schema.json").read_text())
    assert documented.keys() == schema["properties"].keys()
