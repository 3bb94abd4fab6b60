"""The role that writes the config file, by real runs: four ways, and without telling a password to anyone."""

from __future__ import annotations

import grp
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import ROOT, Mirror
from scenes import small
from simulator import Simulator

from playbooks import needs_ansible, recap, run

sys.path.insert(0, str(ROOT / "plugins/action"))

pytestmark = [
    needs_ansible,
    pytest.mark.skipif(os.geteuid() != 0, reason="the config file is root's"),
]

Done = subprocess.CompletedProcess[str]
MARKER = "hush-7f3a9c"
SECRETS = {
    "bandersnatch_config_master": f"https://user:{MARKER}@index.example.org/",
    "bandersnatch_config_proxy": f"http://user:{MARKER}@proxy.example.org:3128/",
    "bandersnatch_config_download_mirror": f"https://user:{MARKER}@mirror.example.org/",
}
CHANGED = {
    "bandersnatch_config_timeout": 20,
    "bandersnatch_config_workers": 5,
    "bandersnatch_config_hash_index": True,
    "bandersnatch_config_delete_packages": "no",
    "bandersnatch_config_simple_format": "JSON",
    "bandersnatch_config_min_free": "10 GiB",
    "bandersnatch_config_allowlist": ["six", "requests >= 2.31"],
    "bandersnatch_config_latest_releases": 3,
    "bandersnatch_config_plugins": ["allowlist_release"],
    "bandersnatch_config_access_log_pattern": "/var/log/access.log*",
    "bandersnatch_config_fold_user_agents": True,
}


@pytest.fixture
def host(tmp_path: Path) -> dict[str, Any]:
    """The variables of a host whose config file and command are in the test's directory."""
    from bandersnatch_command import build

    command = tmp_path / "bandersnatch"
    # what the release filters need is in the tests' environment; on a host it is the distribution's
    command.write_bytes(build().replace(b"/usr/bin/python3", sys.executable.encode(), 1))
    command.chmod(0o755)
    return {
        "bandersnatch_config_file": str(tmp_path / "bandersnatch.conf"),
        "bandersnatch_config_command": str(command),
        "bandersnatch_config_user": "nogroup",  # what the file's group is called
        "bandersnatch_config_master": "https://index.example.org/",
    }


def play(**parts: Any) -> list[dict[str, Any]]:
    return [{"hosts": "mirrors", "gather_facts": False, **parts}]


def configure(base: Path, host: dict[str, Any], *options: str, **env: str) -> Done:
    role = {"name": "bandersnatch_config", "tasks_from": "configure"}
    user = {"__bandersnatch_config_made_user": {"changed": False}}
    task = {"ansible.builtin.include_role": role, "vars": user}
    return run(base, play(tasks=[task]), {"one": host}, *options, **env)


def changed(done: Done) -> int:
    counts = recap(done)["one"]
    assert counts["failed"] == 0, done.stdout + done.stderr
    return counts["changed"]


def test_it_tells_the_truth_in_check_mode_and_is_idempotent(tmp_path: Path, host: dict[str, Any]) -> None:
    file = Path(host["bandersnatch_config_file"])
    host |= CHANGED | SECRETS
    assert changed(configure(tmp_path, host, "--check")) == 1
    assert not file.exists()
    assert changed(configure(tmp_path, host)) == 1
    seen = file.stat()
    assert (seen.st_mode & 0o7777, seen.st_uid) == (0o640, 0)
    assert grp.getgrgid(seen.st_gid).gr_name == "nogroup"
    assert changed(configure(tmp_path, host, "--check")) == 0
    assert changed(configure(tmp_path, host)) == 0
    assert file.stat().st_mtime_ns == seen.st_mtime_ns


def test_another_program_s_file_is_kept_and_an_older_one_of_ours_is_not(
    tmp_path: Path, host: dict[str, Any]
) -> None:
    file = Path(host["bandersnatch_config_file"])
    file.write_text(f"[mirror]\nmaster = https://old:{MARKER}@index.example.org\n")
    file.chmod(0o600)
    done = configure(tmp_path, host, "--diff")
    (kept,) = (path for path in tmp_path.glob("bandersnatch.conf.*"))
    assert f"{file} was not of this role: it is kept as {kept}." in done.stdout
    assert f"old:{MARKER}@" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert MARKER not in done.stdout + done.stderr
    done = configure(tmp_path, {**host, **CHANGED})
    assert "is kept as" not in done.stdout
    assert list(tmp_path.glob("bandersnatch.conf.*")) == [kept]


def test_a_file_that_the_engine_refuses_does_not_take_the_place_of_one_that_is_right(
    tmp_path: Path, host: dict[str, Any]
) -> None:
    configure(tmp_path, host)
    before = Path(host["bandersnatch_config_file"]).read_bytes()
    done = configure(tmp_path, host | {"bandersnatch_config_plugins": ["regex_projekt"]})
    assert recap(done)["one"]["failed"] == 1
    assert "did you mean regex_project?" in done.stdout
    assert Path(host["bandersnatch_config_file"]).read_bytes() == before


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that everybody can pass, other than those of pytest."""
    with tempfile.TemporaryDirectory(prefix="bandersnatch-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def have_metrics(base: Path, file: Path, *options: str) -> Done:
    role = {"name": "bandersnatch_config", "tasks_from": "metrics"}
    user = {"__bandersnatch_config_made_user": {"changed": False}, "bandersnatch_config_user": "nobody"}
    task = {"ansible.builtin.include_role": role, "vars": user}
    return run(base, play(tasks=[task]), {"one": {"bandersnatch_config_metrics_file": str(file)}}, *options)


def test_the_folder_of_the_metrics_is_made_for_the_mirror_s_user(tmp_path: Path, open_place: Path) -> None:
    folder = open_place / "textfile"
    file = folder / "mirror.prom"
    assert changed(have_metrics(tmp_path, file, "--check")) == 1
    assert not folder.exists()
    assert changed(have_metrics(tmp_path, file)) == 1
    assert (folder.owner(), folder.stat().st_mode & 0o7777) == ("nobody", 0o755)
    assert changed(have_metrics(tmp_path, file, "--check")) == 0
    assert changed(have_metrics(tmp_path, file)) == 0


def test_a_folder_of_others_stays_as_it_is_and_what_lets_the_mirror_write_there_is_said(
    tmp_path: Path, open_place: Path
) -> None:
    for options in (["--check"], []):
        done = have_metrics(tmp_path, open_place / "mirror.prom", *options)
        assert recap(done)["one"]["failed"] == 1
        assert "bandersnatch_config_metrics_file: the user nobody may not write in" in done.stdout
        assert f"setfacl -m u:nobody:rwx {open_place}" in " ".join(done.stdout.split())
    assert (open_place.owner(), open_place.stat().st_mode & 0o7777) == ("root", 0o755)
    open_place.chmod(0o777)  # what the remedy comes to
    assert changed(have_metrics(tmp_path, open_place / "mirror.prom")) == 0


@contextmanager
def watched_commands() -> Iterator[set[bytes]]:
    """The command lines and environments of all processes meanwhile, as `ps` would see them."""
    seen: set[bytes] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            for path in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        seen.add((path / name).read_bytes())
                    except OSError:
                        continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_a_password_is_in_the_config_file_and_nowhere_else(tmp_path: Path, host: dict[str, Any]) -> None:
    file = Path(host["bandersnatch_config_file"])
    wrong = {"bandersnatch_config_master": f"http://user:{MARKER}@index.example.org/"}
    with watched_commands() as seen:
        outputs = [
            configure(tmp_path, host | SECRETS, "--check", "--diff", "-vvvv"),
            configure(tmp_path, host | SECRETS, "--diff", "-vvvv"),
            configure(tmp_path, host | SECRETS | CHANGED, "--diff", "-vvvv"),  # and with a file that is there
            configure(tmp_path, host, "--check", "--diff", "-vvvv"),  # what goes is in the diff, too
            configure(tmp_path, host | SECRETS | wrong, "--diff", "-vvvv"),  # refused
        ]
    assert file.read_text().count(MARKER) == 3
    assert any(b"ansible" in line for line in seen)
    assert not [line for line in seen if MARKER.encode() in line]
    for done in outputs:
        assert MARKER not in done.stdout + done.stderr
    assert "+workers = 5" in outputs[2].stdout, "the rest of the diff is shown"
    assert "-proxy = http://***@proxy.example.org:3128/" in outputs[3].stdout
    assert "plain http" in outputs[-1].stdout


def test_the_index_that_pip_uses_may_have_a_password_too(tmp_path: Path, host: dict[str, Any]) -> None:
    host["bandersnatch_config_master"] = ""
    index = f"https://user:{MARKER}@index.example.org/simple/"
    done = configure(tmp_path, host, "--diff", "-vvvv", PIP_INDEX_URL=index)
    assert changed(done) == 1
    assert MARKER in Path(host["bandersnatch_config_file"]).read_text()
    assert MARKER not in done.stdout + done.stderr


def test_the_check_of_all_variables_quotes_no_password(tmp_path: Path) -> None:
    hosts = {
        "plain-http": {"bandersnatch_config_master": f"http://user:{MARKER}@index.example.org/"},
        "no-url": {"bandersnatch_config_master": f"user:{MARKER}@index.example.org"},
        "proxy": {"bandersnatch_config_proxy": f"https://user:{MARKER}@proxy.example.org/"},
        "type": {"bandersnatch_config_proxy": {"url": f"https://user:{MARKER}@proxy.example.org/"}},
        "port": {**SECRETS, "bandersnatch_nginx_port": 0},
    }
    task = {"bandersnatch_preflight": {}}
    roles = [{"role": "bandersnatch_config"}]
    done = run(tmp_path, play(pre_tasks=[task], roles=roles), hosts, "--check", "--diff", "-vvvv")
    assert {counts["failed"] for counts in recap(done).values()} == {1}
    assert MARKER not in done.stdout + done.stderr


def test_a_sync_tells_it_to_nobody(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.configure(master=upstream.url.replace("://", f"://user:{MARKER}@"))
    task = {"bandersnatch_mirror": {"config": str(mirror.conf)}}
    with watched_commands() as seen:
        done = run(mirror.base, play(tasks=[task]), {"one": {}}, "--diff", "-vvvv")
    assert changed(done) == 1
    assert MARKER not in done.stdout + done.stderr
    assert not [line for line in seen if MARKER.encode() in line]
    for path in mirror.directory.rglob("*"):
        assert not path.is_file() or MARKER.encode() not in path.read_bytes(), path


def test_the_page_tells_the_url_that_the_website_has(tmp_path: Path, host: dict[str, Any]) -> None:
    given = {
        "plain": ({}, "http://192.0.2.7/"),
        "port": ({"bandersnatch_nginx_port": 8080}, "http://192.0.2.7:8080/"),
        "named": ({"bandersnatch_nginx_server_names": ["pypi.example.org", "x"]}, "http://pypi.example.org/"),
        "tls": (
            {
                "bandersnatch_nginx_server_names": ["pypi.example.org"],
                "bandersnatch_nginx_tls": "self_signed",
            },
            "https://pypi.example.org/",
        ),
        "tls_port": (
            {"bandersnatch_nginx_tls": "files", "bandersnatch_nginx_tls_port": 8443},
            "https://192.0.2.7:8443/",
        ),
        "six": ({"ansible_host": "2001:db8::7"}, "http://[2001:db8::7]/"),
        "own": ({"bandersnatch_config_public_url": "https://cdn.example.org/"}, "https://cdn.example.org/"),
    }
    task = {
        "ansible.builtin.template": {
            "src": str(ROOT / "roles/bandersnatch_config/templates/bandersnatch.conf.j2"),
            "dest": f"{tmp_path}/{{{{ inventory_hostname }}}}.conf",
        },
        "delegate_to": "localhost",
    }
    role = ROOT / "roles/bandersnatch_config"
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    load = {"ansible.builtin.include_vars": {"file": str(role / "vars/main.yml")}}
    hosts = {
        name: {**defaults, **host, "ansible_host": "192.0.2.7", "ansible_connection": "ssh", **values}
        for name, (values, _) in given.items()
    }
    done = run(tmp_path, play(tasks=[load, task]), hosts)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, (_, url) in given.items():
        assert f"\npublic-url = {url}\n" in (tmp_path / f"{name}.conf").read_text(), name
