"""The filters as the config file has them: what cannot be is refused, what has no effect is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest
from bandersnatch.errors import ConfigError
from configfiles import config, filters


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "bandersnatch.conf"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("allowlist_projekt", "did you mean allowlist_project"),
        ("whitelist_project", "it is called allowlist_project now"),
        ("blacklist_release", "it is called blocklist_release now"),
        ("size_project_metadata", "reads the JSON of every project"),
        ("project_requirements", "requirements files are not read"),
        ("zzz", "there are allowlist_project, "),
        ("\x1b[31m", "there is no filter"),
    ],
)
def test_a_filter_that_there_is_not(conf: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        filters(conf, name)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_all_enables_what_there_is_to_do(conf: Path) -> None:
    found = filters(conf, "all", latest_release={"keep": "3"})
    assert found.names is None
    assert found.latest == 3
    assert found.no_prereleases


def test_all_does_not_hide_a_filter_that_cannot_be_had(conf: Path) -> None:
    with pytest.raises(ConfigError, match="size_project_metadata cannot be used"):
        filters(conf, "all", size_project_metadata={"max_package_size": "1G"})


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("[allowlist]\npackages = six", r"[allowlist] packages has no effect: add allowlist_project"),
        ("[latest_release]\nkeep = 2", "[latest_release] keep has no effect: add latest_release"),
        ("[size_project_metadata]\nx = 1", "[size_project_metadata] has no effect"),
        ("[plugins]\nenabled = latest_release", "latest_release has no effect without [latest_release] keep"),
        (
            "[plugins]\nenabled = blocklist_project",
            "blocklist_project has no effect without [blocklist] packages",
        ),
        (
            "[plugins]\nenabled = allowlist_project\n[allowlist]\npackages = six == 1",
            "the versions of six",
        ),
        (
            "[plugins]\nenabled = blocklist_project\n[blocklist]\npackages = six == 1",
            "add blocklist_release",
        ),
    ],
)
def test_what_has_no_effect_is_warned_of(conf: Path, text: str, warned: str) -> None:
    (warning,) = config(conf, text).warnings
    assert warned in warning


@pytest.mark.parametrize(
    ("enabled", "section", "key", "value"),
    [
        ("allowlist_project", "allowlist", "packages", "six/../x"),
        ("allowlist_project", "allowlist", "packages", "https://example.org/six.tar.gz"),
        ("allowlist_project", "allowlist", "packages", "six; python_version < '3'"),
        ("allowlist_project", "allowlist", "packages", "-r requirements.txt"),
        ("allowlist_release", "allowlist", "packages", "six >== 1"),
        ("allowlist_release", "allowlist", "packages", "six 1.0"),
        ("blocklist_project", "blocklist", "packages", "*"),
        ("prerelease_release", "filter_prerelease", "packages", "a b"),
        ("regex_project", "filter_regex", "packages", "(("),
        ("regex_release", "filter_regex", "releases", "[z-a]"),
        ("latest_release", "latest_release", "keep", "0"),
        ("latest_release", "latest_release", "sort_by", "name"),
        ("exclude_platform", "blocklist", "platforms", "beos"),
        ("exclude_platform", "blocklist", "platforms", "py4.1.2"),
    ],
)
def test_an_entry_that_cannot_be_is_named(
    conf: Path, enabled: str, section: str, key: str, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        filters(conf, enabled, **{section: {key: value}})
    assert f"[{section}] {key}" in str(caught.value)
    assert str(caught.value).isprintable()


def test_without_packaging_release_filters_are_refused_at_once(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    filters(conf, "allowlist_project", allowlist={"packages": "six"})
    with pytest.raises(ConfigError, match=r"\[plugins\] enabled: .*install python3-packaging"):
        filters(conf, "latest_release", latest_release={"keep": "1"})
    with pytest.raises(ConfigError, match="instead of `all`"):
        filters(conf, "all")
    with pytest.raises(ConfigError, match=r"\[allowlist\] packages: .*install python3-packaging"):
        filters(conf, "allowlist_release", allowlist={"packages": "six >= 1"})
