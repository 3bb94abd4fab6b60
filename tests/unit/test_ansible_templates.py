"""What the roles write to a host: for every variable it is right, and the same each time."""

from __future__ import annotations

import functools
import re
import shlex
from typing import Any

import pytest
from bandersnatch.config_keys import KEYS, Key

pytest.importorskip("ansible")  # the engine's tests run without it, too
from bandersnatch_checks import config_file, variables
from templates import render

KEYED = {name: known.key for name, known in variables.known().items() if known.key}
BASE = {"bandersnatch_config_master": "https://example.org/"}
OTHER: dict[str, Any] = {
    "bandersnatch_config_directory": "/srv/other",
    "bandersnatch_config_log_config": "/etc/log.ini",
    "bandersnatch_config_diff_file": "/srv/pypi/changes",
    "bandersnatch_config_min_free": "5 %",
    "bandersnatch_config_contact": "pypi@example.org",
    "bandersnatch_config_access_log_pattern": "/var/log/bandersnatch/access.log*",
    "bandersnatch_config_simple_format": "JSON",
    "bandersnatch_config_compare_method": "stat",
}


def other(name: str, key: Key) -> Any:
    """A value that is not the default."""
    if name in OTHER:
        return OTHER[name]
    if key.kind.secret:
        return "http://user:p%25ss@localhost:3128/"
    if key.kind.label == "true or false":
        return key.default != "true"
    return 2


@functools.cache
def usual() -> str:
    return render("bandersnatch_config", "bandersnatch.conf.j2", BASE)


@pytest.mark.parametrize(("name", "key"), KEYED.items(), ids=str)
def test_each_variable_of_the_config_file_reaches_it_the_same_each_time(name: str, key: Key) -> None:
    value = other(name, key)
    text = render("bandersnatch_config", "bandersnatch.conf.j2", {**BASE, name: value})
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    assert f"\n{key.name} = {shown}\n" in text
    assert f"\n{key.name} = {shown}\n" not in usual()
    assert text == render("bandersnatch_config", "bandersnatch.conf.j2", {**BASE, name: value})
    assert config_file.problems(text, {}) == ([], []) or "append-epoch" in text or "no-fallback" in text
    assert text.endswith("\n")


def test_what_is_set_to_nothing_is_left_to_the_engine() -> None:
    text = render(
        "bandersnatch_config",
        "bandersnatch.conf.j2",
        {
            **BASE,
            **dict.fromkeys(KEYED.keys() - {"bandersnatch_config_directory", "bandersnatch_config_master"}),
        },
    )
    assert [line for line in text.splitlines() if " = " in line] == [
        "directory = /srv/pypi",
        "master = https://example.org/",
        "public-url = http://mirror.example.org/",
    ]
    assert config_file.problems(text, {}) == ([], [])


def test_the_filters_of_the_readme_are_what_the_engine_understands() -> None:
    import yaml
    from templates import ROOT

    readme = (ROOT / "roles/bandersnatch_config/README.md").read_text("utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)]
    filters = next(block for block in blocks if "bandersnatch_config_filters" in block)
    text = render("bandersnatch_config", "bandersnatch.conf.j2", {**BASE, **filters})
    assert config_file.problems(text, {}) == ([], [])
    for key in KEYS:
        if key.section not in {"plugins", *(other.section for other in KEYED.values())}:
            assert re.search(rf"\n\[{key.section}\]\n([^\[]*\n)?{key.name} =", text), key


def cron(**changes: Any) -> list[str]:
    text = render(
        "bandersnatch_cron",
        "crontab.j2",
        {f"bandersnatch_cron_{name}": value for name, value in changes.items()},
    )
    assert text.endswith("\n")  # cron ignores a last line without
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def jobs(lines: list[str]) -> list[str]:
    return [line for line in lines if not re.match(r"[A-Z_]+=", line)]


def test_the_jobs_run_as_the_mirrors_user_with_the_environment_that_they_need() -> None:
    lines = cron(has_statistics=True)
    assert lines[:4] == [
        "SHELL=/bin/bash",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "LC_ALL=C.UTF-8",
        "MAILTO=root",
    ]
    mirror, stats = jobs(lines)
    assert re.match(r"[01]-59/2 \* \* \* \* bandersnatch sleep \d+; ", mirror)
    assert re.match(r"\d+ \* \* \* \* bandersnatch sleep \d+; ", stats)
    assert "/usr/local/bin/bandersnatch -c /etc/bandersnatch.conf mirror" in mirror
    assert "/usr/local/bin/bandersnatch -c /etc/bandersnatch.conf update-stats" in stats
    assert "tag='bandersnatch[mirror]'" in mirror
    assert "tag='bandersnatch[update-stats]'" in stats


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("user", "pypi", "* pypi sleep "),
        ("directory", "/srv/other", "flock -n -E 5 /srv/other/.lock true"),
        ("command", "/opt/bandersnatch", "/opt/bandersnatch -c "),
        ("config", "/etc/pypi.conf", " -c /etc/pypi.conf mirror"),
        ("mirror", "17 3 * * sun", "17 3 * * sun bandersnatch"),
        ("mirror", "@hourly", "@hourly bandersnatch"),
        ("splay", 7, "sleep 7;"),
    ],
)
def test_each_variable_of_the_jobs_reaches_them(name: str, value: Any, words: str) -> None:
    (mirror,) = jobs(cron(**{name: value, "has_statistics": False}))
    assert words in mirror


def test_no_statistics_no_job_for_them() -> None:
    assert len(jobs(cron())) == 1  # there are none where the config file names no log
    assert jobs(cron(has_statistics=True, statistics="@daily"))[1].startswith("@daily bandersnatch ")


def test_odd_characters_reach_the_shell_as_they_are_and_the_longest_line_fits_cron() -> None:
    (mirror,) = jobs(cron(config="/etc/100% mine.conf"))
    assert "%" not in mirror.replace("\\%", "")
    command = mirror.split(None, 6)[6].replace("\\%", "%")  # as cron hands it to the shell
    assert "/etc/100% mine.conf" in shlex.split(command)
    longest = "/" + "x" * 199
    for line in cron(config=longest, command=longest, directory=longest, has_statistics=True):
        assert len(line) < 998  # MAX_COMMAND of Debian's cron
