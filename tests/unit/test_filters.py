"""Which projects, releases and files are mirrored."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from bandersnatch.errors import ConfigError
from bandersnatch.filters import Filters, file_version
from bandersnatch.model import File, Page
from configfiles import config, filters


def file(name: str, upload_time: str | None = None) -> File:
    digest = f"{abs(hash(name)):064x}"
    return File(
        name,
        f"https://files.example.org/{name}",
        f"packages/{name}",
        {},
        f"sha256:{digest}",
        upload_time=upload_time,
    )


def page(*versions: str, name: str = "foo", more: tuple[str, ...] = ()) -> Page:
    """A project with a source distribution of each version, and further files."""
    files = [file(f"{name}-{version}.tar.gz") for version in versions] + [file(each) for each in more]
    return Page(name, tuple(files), versions)


def kept(filters: Filters, whole: Page) -> list[str]:
    return [
        file.filename.removeprefix(f"{whole.name}-").removesuffix(".tar.gz")
        for file in filters.keep(whole).files
    ]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "bandersnatch.conf"


# ---- projects


def test_without_filters_everything_is_mirrored_untouched(conf: Path) -> None:
    none = config(conf, "").filters
    whole = page("1.0", "2.0rc1", "not a version")
    assert none == Filters()
    assert none.names is None
    assert none.allow_project("anything")
    assert none.keep(whole) is whole


def test_an_allowlist_is_exact_and_normalised(conf: Path) -> None:
    found = filters(
        conf, "allowlist_project", allowlist={"packages": "\nSix\n# no\nfoo_Bar  # why\nzope.interface[x]"}
    )
    assert found.names == {"six", "foo-bar", "zope-interface"}
    assert found.allow_project("foo-bar")
    assert not found.allow_project("foo")
    whole = page("1.0")
    assert found.keep(whole) is whole


@pytest.mark.parametrize("packages", ["", "\n# six\n"])
@pytest.mark.parametrize("enabled", ["allowlist_project", "allowlist_release", "all"])
def test_an_allowlist_with_nothing_in_it_is_refused(conf: Path, enabled: str, packages: str) -> None:
    """It would mirror the whole index where somebody emptied a list."""
    with pytest.raises(ConfigError, match=r"\[allowlist\] packages is empty"):
        filters(conf, enabled, allowlist={"packages": packages})


@pytest.mark.parametrize("enabled", ["allowlist_project", "allowlist_release"])
def test_an_allowlist_filter_without_a_list_is_refused(conf: Path, enabled: str) -> None:
    with pytest.raises(ConfigError, match=r"\[allowlist\] packages is empty"):
        filters(conf, enabled)


def test_a_blocklist_goes_before_an_allowlist(conf: Path) -> None:
    found = filters(
        conf,
        "allowlist_project",
        "blocklist_project",
        allowlist={"packages": "\na\nb"},
        blocklist={"packages": "\nB"},
    )
    assert found.allow_project("a")
    assert not found.allow_project("b")


def test_a_blocked_version_does_not_block_the_project(conf: Path) -> None:
    found = filters(
        conf, "blocklist_project", "blocklist_release", blocklist={"packages": "\nfoo == 1.0\nbar"}
    )
    assert found.allow_project("foo")
    assert not found.allow_project("bar")
    assert kept(found, page("1.0", "1.1")) == ["1.1"]


def test_patterns_match_normalised_names_at_their_beginning(conf: Path) -> None:
    found = filters(conf, "regex_project", filter_regex={"packages": "\n.+-nightly$\n^test"})
    assert not found.allow_project("tf-nightly")
    assert not found.allow_project("test-it")
    assert found.allow_project("tf-nightly-gpu")
    assert found.allow_project("my-test")


# ---- releases


def test_allowed_releases(conf: Path) -> None:
    found = filters(
        conf,
        "allowlist_release",
        allowlist={"packages": "\nfoo >= 1.1, < 2\nfoo == 3.0\nbar"},
    )
    assert found.names == {"foo", "bar"}
    assert kept(found, page("1.0", "1.1", "1.5rc1", "2.0", "3.0")) == ["1.1", "1.5rc1", "3.0"]
    whole = page("1.0", "2.0", name="bar")
    assert found.keep(whole) is whole


def test_blocked_releases(conf: Path) -> None:
    found = filters(conf, "blocklist_release", blocklist={"packages": "\nfoo (<2)\nfoo == 2.1.*"})
    reduced = found.keep(page("1.0", "2.0", "2.1.3", "2.2a1"))
    assert reduced.versions == ("2.0", "2.2a1")
    other = page("1.0", name="bar")
    assert found.keep(other) is other


def test_no_prereleases(conf: Path) -> None:
    found = filters(conf, "prerelease_release")
    assert kept(found, page("1.0", "1.1a1", "1.1.dev3", "1.1rc1", "1.1", "1.1.post1")) == [
        "1.0",
        "1.1",
        "1.1.post1",
    ]


def test_no_prereleases_of_some_projects(conf: Path) -> None:
    found = filters(conf, "prerelease_release", filter_prerelease={"packages": "\nFoo"})
    assert kept(found, page("1.0", "1.1a1")) == ["1.0"]
    whole = page("1.0", "1.1a1", name="bar")
    assert found.keep(whole) is whole


def test_release_patterns(conf: Path) -> None:
    found = filters(conf, "regex_release", filter_regex={"releases": r"\n.+\.post\d+$".replace("\\n", "\n")})
    assert kept(found, page("1.0", "1.0.post1", "1.1")) == ["1.0", "1.1"]


@pytest.mark.parametrize(
    ("versions", "newest"),
    [
        (("1.0", "1.10", "1.9", "1.2"), ["1.10", "1.9"]),
        (("1.0", "1.1"), ["1.0", "1.1"]),
        (("1.0", "2.0a1", "2.0a2"), ["1.0", "2.0a2"]),  # what installers choose is always there
        (("1.0a1", "1.0a2", "1.0a3"), ["1.0a2", "1.0a3"]),
        (("2004d", "2004f", "1.0", "1.1"), ["1.0", "1.1"]),  # no version by PEP 440 is older than any that is
        (("2004d", "2004f", "1.0"), ["2004f", "1.0"]),
    ],
)
def test_the_latest_two(conf: Path, versions: tuple[str, ...], newest: list[str]) -> None:
    found = filters(conf, "latest_release", latest_release={"keep": "2"})
    reduced = found.keep(page(*versions))
    assert kept(found, page(*versions)) == newest
    assert list(reduced.versions or ()) == newest


def test_the_latest_have_all_their_files_whatever_the_spelling_of_the_version(conf: Path) -> None:
    found = filters(conf, "latest_release", latest_release={"keep": "1"})
    more = (
        "foo-1.0-py3-none-any.whl",
        "foo-2.0_rc1-py3-none-any.whl",
        "foo-2.0-py3-none-any.whl",
        "foo-2.tar.gz",
    )
    names = {file.filename for file in found.keep(page("1.0", "2.0", more=more)).files}
    assert names == {"foo-2.0.tar.gz", "foo-2.0-py3-none-any.whl", "foo-2.tar.gz"}


def test_a_release_without_files_is_not_one_of_the_latest(conf: Path) -> None:
    found = filters(conf, "latest_release", latest_release={"keep": "1"})
    whole = page("1.0", "2.0")._replace(versions=("1.0", "2.0", "3.0"))
    assert found.keep(whole).versions == ("2.0",)


def test_the_latest_by_time(conf: Path) -> None:
    found = filters(conf, "latest_release", latest_release={"keep": "2", "sort_by": "time"})
    times = {"1.0": "2020-01-01T00:00:00Z", "2.0": "2021-01-01T00:00:00Z", "1.1": "2022-01-01T00:00:00Z"}
    files = tuple(file(f"foo-{version}.tar.gz", time) for version, time in times.items())
    assert kept(found, Page("foo", files)) == ["2.0", "1.1"]


def test_versions_that_upstream_does_not_state_are_not_made_up(conf: Path) -> None:
    found = filters(conf, "latest_release", latest_release={"keep": "1"})
    assert found.keep(page("1.0", "2.0")._replace(versions=None)).versions is None


def test_a_file_that_does_not_tell_its_version_is_kept(conf: Path) -> None:
    found = filters(conf, "latest_release", latest_release={"keep": "1"})
    whole = page("1.0", "2.0", more=("something-else.zip",))
    assert kept(found, whole) == ["2.0", "something-else.zip"]


def test_all_other_keys_of_a_page_stay(conf: Path) -> None:
    found = filters(conf, "latest_release", latest_release={"keep": "1"})
    whole = page("1.0", "2.0")._replace(status="archived", reason="old", serial=7, problems=("p",))
    assert found.keep(whole)._replace(files=(), versions=()) == whole._replace(files=(), versions=())


# ---- files


@pytest.mark.parametrize(
    ("platforms", "out", "stays"),
    [
        (
            "windows",
            [
                "foo-1.0-cp311-cp311-win32.whl",
                "foo-1.0-cp311-cp311-win_arm64.whl",
                "foo-1.0.win32-py2.7.exe",
                "foo-1.0.win-amd64.zip",
                "foo-1.0-py2.7-win32.egg",
                "foo-1.0.msi",
            ],
            ["foo-1.0.tar.gz", "foo-1.0-py3-none-any.whl", "foo-1.0-cp311-cp311-manylinux1_i686.whl"],
        ),
        (
            "macos",
            ["foo-1.0-cp311-cp311-macosx_11_0_arm64.whl", "foo-1.0.macosx-10.6-intel.tar.gz", "foo-1.0.dmg"],
            ["foo-1.0-cp311-cp311-win32.whl", "foo-1.0.tar.gz"],
        ),
        (
            "linux",
            [
                "foo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                "foo-1.0-cp311-cp311-musllinux_1_1_x86_64.whl",
                "foo-1.0-cp311-cp311-linux_armv7l.whl",
                "foo-1.0.linux-x86_64.tar.gz",
                "foo-1.0-py2.7-linux-x86_64.egg",
                "foo-1.0-1.noarch.rpm",
            ],
            ["foo-1.0-cp311-cp311-macosx_10_9_universal2.whl", "foo-1.0.zip"],
        ),
        (
            "freebsd",
            ["foo-1.0-cp311-cp311-freebsd_14_0_release_amd64.whl", "foo-1.0.freebsd-9-amd64.tar.gz"],
            ["foo-1.0-cp311-cp311-linux_x86_64.whl"],
        ),
        ("win32", ["foo-1.0-cp311-cp311-win32.whl"], ["foo-1.0-cp311-cp311-win_amd64.whl"]),
        (
            "linux-armv7l",
            ["foo-1.0-cp311-cp311-linux_armv7l.whl"],
            ["foo-1.0-cp311-cp311-manylinux2014_armv7l.whl"],
        ),
        (
            "py2.7",
            ["foo-1.0-cp27-cp27mu-linux_x86_64.whl", "foo-1.0-py27-none-any.whl", "foo-1.0-py2.7.egg"],
            ["foo-1.0-py2.py3-none-any.whl", "foo-1.0-py2-none-any.whl", "foo-1.0-cp37-cp37m-win32.whl"],
        ),
        (
            "py3.8",
            ["foo-1.0-cp38-cp38-win32.whl"],
            ["foo-1.0-cp38-abi3-win32.whl", "foo-1.0-py38-none-any.whl", "foo-1.0-cp38.cp39-none-win32.whl"],
        ),
        (
            "py2",
            ["foo-1.0-py2-none-any.whl", "foo-1.0-pp27-pypy_73-win32.whl", "foo-1.0-py2.6.egg"],
            ["foo-1.0-py2.py3-none-any.whl", "foo-1.0-cp310-cp310-win32.whl", "foo-1.0.tar.gz"],
        ),
    ],
)
def test_platforms_and_pythons(conf: Path, platforms: str, out: list[str], stays: list[str]) -> None:
    found = filters(conf, "exclude_platform", blocklist={"platforms": platforms})
    whole = page(more=(*out, *stays))
    assert [file.filename for file in found.keep(whole).files] == stays


def test_a_project_may_be_called_like_a_platform(conf: Path) -> None:
    found = filters(conf, "exclude_platform", blocklist={"platforms": "linux windows macos py2.7"})
    whole = page(name="manage-linux-win32", more=("manage-linux-win32-1.0.tar.gz", "odd-linux-1.0.zip"))
    assert found.keep(whole) is whole


def test_platform_filters_leave_the_stated_versions_alone(conf: Path) -> None:
    found = filters(conf, "exclude_platform", blocklist={"platforms": "windows"})
    whole = page("1.0", more=("foo-2.0-cp311-cp311-win32.whl",))._replace(versions=("1.0", "2.0"))
    assert found.keep(whole).versions == ("1.0", "2.0")


def test_the_latest_are_those_with_files_for_the_platforms_that_stay(conf: Path) -> None:
    found = filters(
        conf,
        "exclude_platform",
        "latest_release",
        blocklist={"platforms": "windows"},
        latest_release={"keep": "1"},
    )
    assert kept(found, page("1.0", more=("foo-2.0-cp311-cp311-win32.whl",))) == ["1.0"]


@pytest.mark.parametrize(
    ("filename", "project", "version"),
    [
        ("foo-1.0.tar.gz", "foo", "1.0"),
        ("foo_bar-1.0.zip", "foo-bar", "1.0"),
        ("Foo.Bar-1.0-beta.tgz", "foo-bar", "1.0-beta"),
        ("foo-2-1.0.tar.bz2", "foo-2", "1.0"),
        ("foo-1.0.tbz2", "foo", "1.0"),
        ("foo-1.0.txz", "foo", "1.0"),
        ("foo-2-1.0.tar.bz2", "foo", "2-1.0"),
        ("foo-1.0-1-py3-none-any.whl", "foo", "1.0"),
        ("foo-1.0+local_1-py3-none-any.whl", "foo", "1.0+local-1"),
        ("foo-bar-1.0-py3-none-any.whl", "foo-bar", "1.0"),
        ("foo-1.0-py2.7-linux-x86_64.egg", "foo", "1.0"),
        ("foo-1.0.win32-py2.7.exe", "foo", "1.0"),
        ("foo-1.0.win-amd64-py3.4.msi", "foo", "1.0"),
        ("foo-1.0-1.src.rpm", "foo", "1.0"),
        ("foo-1.0.linux-x86_64.tar.gz", "foo", "1.0"),
        ("foo_1.0.tar.gz", "foo", "1.0"),
        ("foo.tar.gz", "foo", None),
        ("bar-1.0.tar.gz", "foo", None),
        ("", "foo", None),
        ("foo-.tar.gz", "foo", None),
    ],
)
def test_versions_in_file_names(filename: str, project: str, version: str | None) -> None:
    assert file_version(filename, project) == version


# ---- what changes when they do


def test_fingerprints_are_stable_and_tell_pages_from_projects(conf: Path) -> None:
    one = filters(conf, "allowlist_project", allowlist={"packages": "\na\nb\nc"})
    same = filters(conf, "allowlist_project", allowlist={"packages": "\nC\nb\nA"})
    other = filters(conf, "allowlist_project", allowlist={"packages": "\na\nb"})
    latest = filters(conf, "latest_release", latest_release={"keep": "2"})
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert one.page_fingerprint == other.page_fingerprint == Filters().page_fingerprint
    assert latest.page_fingerprint not in {
        Filters().page_fingerprint,
        latest._replace(latest=3).page_fingerprint,
    }


def test_each_field_is_in_the_fingerprint() -> None:
    changed = Filters(
        frozenset("a"),
        frozenset("b"),
        ("c",),
        {"d": ("",)},
        {"e": ("",)},
        True,
        frozenset("f"),
        ("g",),
        1,
        True,
        ("h",),
        ("i",),
    )
    prints = {Filters()._replace(**{name: value}).fingerprint for name, value in changed._asdict().items()}
    assert len(prints | {Filters().fingerprint}) == len(Filters._fields) + 1


def test_filters_can_be_sent_to_other_processes(conf: Path) -> None:
    found = filters(
        conf,
        "allowlist_release",
        "latest_release",
        allowlist={"packages": "foo >= 1"},
        latest_release={"keep": "1"},
    )
    assert pickle.loads(pickle.dumps(found)) == found
