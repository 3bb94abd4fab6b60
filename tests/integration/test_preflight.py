"""Wrong variables end playbooks/provision.yml at once, by name; check mode tells what a real run would do."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, Mirror
from scenes import small
from simulator import Simulator

from playbooks import needs_ansible, recap, run

pytestmark = needs_ansible

# The variable, a value that is wrong, what is said of it. Each role and each kind of check has one.
WRONG: dict[str, tuple[Any, str]] = {
    "bandersnatch_directory": ("srv/pypi", "is not an absolute path"),
    "bandersnatch_user": ("The Mirror", "is no user name"),
    "bandersnatch_volume_kind": ("disk", "is none of image, device, mount"),
    "bandersnatch_volume_size": ("much", "is not a size like 500G"),
    "bandersnatch_config_workers": (99, "is not a whole number from 1 to 64"),
    "bandersnatch_config_timeout": ("{{ nothing }}", "is undefined"),
    "bandersnatch_config_master": (
        "http://mirror.example.org/",
        "set bandersnatch_config_allow_non_https: true",
    ),
    "bandersnatch_config_allowlist": (["six >> 1"], "is not a version specifier"),
    "bandersnatch_config_plugins": (["latest_relase"], "did you mean latest_release?"),
    "bandersnatch_config_filters": ({"latest_relase": {"keep": 1}}, "did you mean [latest_release]?"),
    "bandersnatch_config_alowlist": (["six"], "did you mean bandersnatch_config_allowlist?"),
    "bandersnatch_nginx_server_names": (["pypi example org"], "is not a host name"),
    "bandersnatch_cron_mirror": ("61 * * * *", "has '61' for the minute"),
    "bandersnatch_cron_splay": (60, "from 0 to 59"),
}
CHECK = "TASK [Check the variables and the host, before anything is changed]"


def test_each_is_named_and_no_task_follows(tmp_path: Path) -> None:
    hosts = {
        name: {"bandersnatch_config_master": "https://example.org/", name: value[0]}
        for name, value in WRONG.items()
    }
    done = run(
        tmp_path,
        ROOT / "playbooks/provision.yml",
        hosts,
        "--check",
        ANSIBLE_GATHERING="explicit",
        ANSIBLE_BECOME="false",
    )
    assert done.returncode != 0
    tasks = [line.rstrip(" *") for line in done.stdout.splitlines() if line.startswith("TASK")]
    assert tasks == ["TASK [See that the inventory names a mirror]", CHECK]
    for name, (_, words) in WRONG.items():
        (said,) = [line for line in done.stdout.splitlines() if line.startswith(f"fatal: [{name}]")]
        assert "Nothing has been changed yet" in said
        assert name in said.partition("yet")[2]
        assert words in said
        assert recap(done)[name]["ok"] == 0


def test_one_role_alone_does_not_go_without_the_check(tmp_path: Path) -> None:
    hosts = {"one": {"bandersnatch_cron_splay": 60}}
    done = run(
        tmp_path,
        ROOT / "playbooks/provision.yml",
        hosts,
        "--check",
        "--tags=nginx",
        ANSIBLE_GATHERING="explicit",
        ANSIBLE_BECOME="false",
    )
    assert "bandersnatch_cron_splay = 60 is not" in done.stdout
    assert recap(done)["one"]["ok"] == 0


def test_a_port_that_is_taken_is_found_before_there_is_a_volume(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        hosts = {
            "one": {"bandersnatch_config_master": "https://example.org/", "bandersnatch_nginx_port": port}
        }
        done = run(tmp_path, ROOT / "playbooks/provision.yml", hosts, "--check", ANSIBLE_BECOME="false")
    assert f"bandersnatch_nginx_port = {port} is taken on this host by" in done.stdout
    assert recap(done)["one"]["changed"] == 0


def test_an_inventory_without_mirrors_is_no_success(tmp_path: Path) -> None:
    done = run(tmp_path, ROOT / "site.yml", {})
    assert done.returncode != 0
    assert "has no host in the group" in done.stdout
    assert str(tmp_path / "inventory.yml") in done.stdout


def test_an_inventory_that_is_not_there_is_no_success(tmp_path: Path) -> None:
    done = run(tmp_path, ROOT / "site.yml", {}, f"--inventory={tmp_path}/missing.yml")
    assert done.returncode != 0
    assert f"{tmp_path}/missing.yml" in done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="it provisions this machine, in check mode")
def test_check_mode_does_not_take_another_program_s_config_file_for_the_mirror_s(tmp_path: Path) -> None:
    file, directory = tmp_path / "bandersnatch.conf", tmp_path / "mirror"
    directory.mkdir()
    file.write_text(f"[mirror]\ndirectory = {directory}\nmaster = http://127.0.0.1:9\nworkers = many\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    host = {
        "bandersnatch_config_file": str(file),
        "bandersnatch_config_command": str(tmp_path / "bandersnatch"),
        "bandersnatch_config_master": "http://127.0.0.1:9/",  # nobody listens
        "bandersnatch_config_allow_non_https": True,
        "bandersnatch_directory": str(directory),
        "bandersnatch_volume_kind": "mount",
        "bandersnatch_nginx_port": port,
        "bandersnatch_nginx_log_folder": str(tmp_path / "log"),
    }
    hosts = {
        "new": host | {"bandersnatch_user": "no-such-user"},
        "old": host | {"bandersnatch_user": "nobody"},
    }
    done = run(tmp_path, ROOT / "site.yml", hosts, "--check", ANSIBLE_BECOME="false")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in hosts:
        assert recap(done)[name]["changed"] > 0
    assert done.stdout.count("cannot be told before the config file is in place") == 2
    assert "workers = many" in file.read_text()
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes the mirror's user")
def test_check_mode_of_the_sync_alone_asks_upstream(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    host = {"bandersnatch_config_file": str(mirror.conf), "bandersnatch_user": "root"}
    done = run(mirror.base, ROOT / "playbooks/sync.yml", {"one": host}, "--check")
    assert recap(done)["one"]["changed"] == 1, done.stdout + done.stderr
    assert "2 projects" in done.stdout
    assert not mirror.directory.exists()
