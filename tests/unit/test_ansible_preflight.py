"""What the controller finds wrong with variables and hosts before anything is changed."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from bandersnatch.config_keys import KEYS

pytest.importorskip("ansible")  # the engine's tests run without it, too
from bandersnatch_checks import config_file, host, values, variables

ROOT = Path(__file__).resolve().parents[2]
KNOWN = variables.known()


def defaults() -> dict[str, Any]:
    """The roles' defaults that are no templates."""
    found = {}
    for path in sorted((ROOT / "roles").glob("*/defaults/main.yml")):
        found |= yaml.safe_load(path.read_text())
    return {name: value for name, value in found.items() if "{{" not in str(value)}


def test_the_roles_own_defaults_are_right() -> None:
    assert variables.problems(defaults(), KNOWN) == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "roles").glob("*/meta/values.yml")), ids=lambda p: p.parts[-3]
)
def test_every_kind_of_value_that_a_role_names_can_be_checked(path: Path) -> None:
    for name, kind in yaml.safe_load(path.read_text()).items():
        assert name in KNOWN
        assert values.reader(kind)


WRONG = {
    "bandersnatch_directory": [
        "pypi",
        "/",
        "/srv/my pypi",
        "/srv/../etc",
        "/srv/a%b",
        "/srv/ü",
        "/a;b",
        "/a\nb",
    ],
    "bandersnatch_user": ["Mirror", "a b", "-x", "x" * 40, "0", ""],
    "bandersnatch_volume_kind": ["disk", "Image"],
    "bandersnatch_volume_size": ["much", "20X", "-1G", "20 G B"],
    "bandersnatch_volume_image": ["mirror.img"],
    "bandersnatch_config_latest_releases": [-1, "two", 1.5, 10**7],
    "bandersnatch_config_workers": ["many", 0, 65, 2.5, -1],
    "bandersnatch_config_timeout": ["soon", 0, 4000],
    "bandersnatch_config_json": ["perhaps", 2],
    "bandersnatch_config_simple_format": ["XML", "json "],
    "bandersnatch_config_min_free": ["much", "100 %"],
    "bandersnatch_config_allowlist": [{"six": 1}],
    "bandersnatch_config_filters": [["six"], "six"],
    "bandersnatch_config_master": ["index", "ftp://example.org/", "https://example.org/?a=b"],
    "bandersnatch_config_contact": ["räuber@example.org", "a\nb"],
    "bandersnatch_config_access_log_pattern": ["access.log*"],
    "bandersnatch_config_log_config": ["log.ini"],
    "bandersnatch_nginx_port": [0, 65536, "http"],
    "bandersnatch_nginx_tls": ["on", "letsencrypt"],
    "bandersnatch_nginx_tls_port": [0, "https"],
    "bandersnatch_nginx_tls_certificate": ["certificate.pem"],
    "bandersnatch_nginx_listen_addresses": [
        ["localhost"],
        ["2001:db8::1"],
        ["[192.0.2.1]"],
        ["192.0.2.1:80"],
        ["[fe80::1%eth0]"],
        [""],
    ],
    "bandersnatch_nginx_server_names": [["a b"], ["-a.example.org"], ["pypi.example.org; root /"], [""" """]],
    "bandersnatch_nginx_log_days": [0, "all"],
    "bandersnatch_cron_splay": [60, -1, "5 s"],
    "bandersnatch_cron_has_statistics": ["sometimes"],
    "bandersnatch_cron_mirror": [
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "*/x * * * *",
        "5/2 * * * *",
        "9-5 * * * *",
        "1,,2 * * * *",
        "- * * * *",
        "1- * * * *",
        "* * * * moon",
        "jan * * * *",
        "* * * * *\n* * * * *",
        "@reboot",
        "@often",
        "",
    ],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, them in WRONG.items() for value in them])
def test_a_wrong_value_is_named_with_its_variable_in_one_line(name: str, value: Any) -> None:
    found = variables.problems({name: value}, KNOWN)
    assert len(found) == 1
    assert found[0].startswith(name)
    assert "\n" not in found[0]


RIGHT = {
    "bandersnatch_directory": ["/srv/pypi", "/mnt/disk-1/pypi.example.org"],
    "bandersnatch_volume_size": ["500G", "1T", "1.5T", 10**10, "20 G"],
    "bandersnatch_config_workers": ["4", 4],
    "bandersnatch_config_timeout": [0.5, "10", 10],
    "bandersnatch_config_json": ["yes", True, "false"],
    "bandersnatch_config_min_free": ["10G", "5 %", "5 GiB", 0],
    "bandersnatch_config_proxy": ["http://user:p%40ss@proxy.example.org:3128", ""],
    "bandersnatch_nginx_server_names": [["pypi.example.org", "pypi"], []],
    "bandersnatch_nginx_listen_addresses": [["192.0.2.1", "[2001:db8::1]", "[::]"], []],
    "bandersnatch_cron_mirror": [
        "* * * * *",
        "1-59/2 * * * *",
        "*/5 0,12 1-7 jan-mar,12 mon-fri",
        "17 3 * * 0",
        "17 3 * * 7",
        "0\t3 * * Sun",
        "@hourly",
        "@daily",
    ],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, them in RIGHT.items() for value in them])
def test_a_right_value_passes(name: str, value: Any) -> None:
    assert variables.problems({name: value}, KNOWN) == []


def test_every_variable_refuses_something() -> None:
    """But for free texts and lists: of those the engine says more, when it sees the whole file."""
    free = {
        "bandersnatch_config_contact",
        "bandersnatch_config_plugins",
        "bandersnatch_migrate_inventory",
        "bandersnatch_migrate_master",
    }
    for name in KNOWN.keys() - free:
        assert any(variables.problems({name: value}, KNOWN) for value in ("\0", ["\0"], {"\0": 1})), name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("bandersnatch_config_alowlist", "bandersnatch_config_allowlist"),
        ("bandersnatch_cron_miror", "bandersnatch_cron_mirror"),
        ("bandersnatch_allowlist", "bandersnatch_config_allowlist"),
        ("bandersnach_config_allowlist", "bandersnatch_config_allowlist"),
        ("bandersnatch-config-allowlist", "bandersnatch_config_allowlist"),
        ("bandersnatch_colour", ""),
    ],
)
def test_a_name_that_no_role_has_is_wrong_and_the_nearest_is_told(name: str, meant: str) -> None:
    (found,) = variables.problems({name: 1}, KNOWN)
    assert found.startswith(f"{name}: there is no such variable")
    assert f"did you mean {meant}?" in found or not meant


def test_names_of_other_programs_are_none_of_our_business() -> None:
    assert variables.problems({"bandwidth": 1, "band_name": "x"}, KNOWN) == []


def test_what_is_wrong_with_a_shared_variable_is_said_once() -> None:
    given = {
        "bandersnatch_volume_mount": "pypi",
        "bandersnatch_directory": "pypi",
        "bandersnatch_cron_directory": "pypi",
    }
    (found,) = variables.problems(given, KNOWN)
    assert found.startswith("bandersnatch_directory = pypi ")


@pytest.mark.parametrize("key", [key for key in KEYS if key.kind.secret], ids=lambda key: key.name)
@pytest.mark.parametrize(
    "value", ["ftp://user:hush@example.org/", {"hush": 1}, "https://user:hush@example.org/ x"]
)
def test_what_may_hold_a_password_is_not_quoted(key: Any, value: Any) -> None:
    (found,) = variables.problems({f"bandersnatch_config_{key.field}": value}, KNOWN)
    assert "hush" not in found


BASE = "[mirror]\ndirectory = /srv/pypi\nmaster = https://user:hush@example.org/\n"


@pytest.mark.parametrize(
    ("text", "given", "begin"),
    [
        (BASE + "workers = 99\n", {}, "bandersnatch_config_workers = 99 is not"),
        (BASE.replace("https", "http"), {}, "bandersnatch_config_master is plain http"),
        (
            BASE + "[plugins]\nenabled = regex_projekt\n",
            {},
            "bandersnatch_config_plugins: there is no filter",
        ),
        (
            BASE + "[plugins]\nenabled = allowlist_project\n[allowlist]\npackages =\n    !\n",
            {"bandersnatch_config_allowlist": ["!"]},
            "bandersnatch_config_allowlist: '!' is neither",
        ),
        (
            BASE + "[plugins]\nenabled = regex_project\n[filter_regex]\npackages = (\n",
            {},
            "bandersnatch_config_filters [filter_regex] packages: '(' is not",
        ),
        (
            BASE + "[latest_relase]\nkeep = 3\n",
            {},
            "bandersnatch_config_filters [latest_relase] is not a section",
        ),
        (
            BASE + "[latest_release]\nkep = 3\n",
            {},
            "bandersnatch_config_filters [latest_release] kep is not a key",
        ),
    ],
)
def test_what_the_engine_says_of_the_whole_file_is_said_of_variables(
    text: str, given: dict[str, Any], begin: str
) -> None:
    (found,), _ = config_file.problems(text, given)
    assert found.startswith(begin)
    assert "hush" not in found


def test_what_is_only_without_effect_is_a_warning_and_the_hosts_own_files_need_not_be_here() -> None:
    text = BASE + "log-config = /not/here\ndiff-append-epoch = true\n"
    found, warnings = config_file.problems(text, {})
    assert found == []
    assert warnings == ["bandersnatch_config_diff_append_epoch has no effect without diff-file"]


@pytest.mark.parametrize(
    ("family", "name", "version", "python", "words"),
    [
        ("RedHat", "Rocky", "9.4", "3.9.18", "this host is Rocky 9.4"),
        ("Debian", "Debian", "11.9", "3.9.2", "this host is Debian 11.9"),
        ("Debian", "Ubuntu", "20.04", "3.8.10", "this host is Ubuntu 20.04"),
        ("Debian", "Linux Mint", "20", "3.8.10", "has Python 3.8.10"),
        ("Debian", "Debian", "12.11", "3.11.2", ""),
        ("Debian", "Debian", "13", "3.13.5", ""),
        ("Debian", "Debian", "n/a", "3.14.1", ""),
        ("Debian", "Ubuntu", "22.04", "3.10.12", ""),
        ("Debian", "Ubuntu", "24.04", "3.12.3", ""),
    ],
)
def test_a_host_that_cannot_be_a_mirror_is_told_why(
    family: str, name: str, version: str, python: str, words: str
) -> None:
    facts = {
        "os_family": family,
        "distribution": name,
        "distribution_version": version,
        "python_version": python,
    }
    said = host.wrong_distribution(facts)
    assert words in said if words else said == ""
    assert not said or "Debian 12, Ubuntu 22.04" in said


def test_without_facts_nothing_is_held_against_a_host() -> None:
    assert host.wrong_distribution({}) == ""


def test_a_port_that_another_program_has_is_named_with_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, "-c", host.LISTENERS, str(port), "1"]
        listeners = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    comm = Path(f"/proc/{os.getpid()}/comm").read_text().strip()
    assert listeners.splitlines() == [f"{port} {comm}"]
    (found,) = host.wrong_ports({port: "bandersnatch_nginx_port"}, listeners)
    assert found.startswith(f"bandersnatch_nginx_port = {port} is taken on this host by {comm}")
    assert host.wrong_ports({port: "bandersnatch_nginx_port"}, f"{port} nginx\n") == []


def test_the_example_of_an_inventory_is_right_and_so_are_the_lines_that_are_commented_out() -> None:
    text = (ROOT / "inventory.example").read_text("utf-8")
    assert variables.problems(yaml.safe_load(text)["mirrors"]["vars"], KNOWN) == []
    offered = dict(re.findall(r"^    # (bandersnatch_\w+): (.+)$", text, re.MULTILINE))
    assert len(offered) > 3
    assert variables.problems({name: yaml.safe_load(value) for name, value in offered.items()}, KNOWN) == []
