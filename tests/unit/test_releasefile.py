"""releasefile.py: the project and version that a file name states."""

from __future__ import annotations

import pytest
from bandersnatch.releasefile import parse
from hypothesis import given
from hypothesis import strategies as st

HASHED = "/packages/aa/bb/" + "c" * 60 + "/"


@pytest.mark.parametrize(
    ("filename", "project", "version"),
    [
        ("six-1.16.0-py2.py3-none-any.whl", "six", "1.16.0"),
        ("zope.interface-6.0-1-cp311-cp311-manylinux_2_17_x86_64.whl", "zope-interface", "6.0"),
        ("Foo_Bar-1!2.0rc1+local.1-py3-none-any.whl", "foo-bar", "1!2.0rc1+local.1"),
        ("six-1.16.0.tar.gz", "six", "1.16.0"),
        ("charset_normalizer-3.3.2.tar.gz", "charset-normalizer", "3.3.2"),
        ("charset-normalizer-3.3.2.tar.gz", "charset-normalizer", "3.3.2"),
        ("zope.interface-4.0.zip", "zope-interface", "4.0"),
        ("my-app-2-1.0.tar.gz", "my-app-2", "1.0"),
        ("foo-1.0-1.tar.gz", "foo", "1.0-1"),
        ("foo-1.0-beta2.tar.bz2", "foo", "1.0-beta2"),
        ("foo-1.0.dev20200101.tgz", "foo", "1.0.dev20200101"),
        ("foo-1.0-final.tar.gz", "foo", "1.0-final"),
        ("foo-snapshot.tar.gz", "foo", "snapshot"),
        ("foo-1.0.linux-x86_64.tar.gz", "foo", "1.0"),
        ("foo-1.0.macosx-10.9-x86_64.tar.gz", "foo", "1.0"),
        ("foo-1.0-py2.7.egg", "foo", "1.0"),
        ("foo_bar-1.0-py2.7-linux-x86_64.egg", "foo-bar", "1.0"),
        ("foo-1.0.win32-py2.7.exe", "foo", "1.0"),
        ("foo-1.0.win-amd64-py3.4.msi", "foo", "1.0"),
        ("foo-1.0-1.noarch.rpm", "foo", "1.0"),
        ("foo-1.0.dmg", "foo", "1.0"),
    ],
)
def test_the_name_states_project_and_version(filename: str, project: str, version: str) -> None:
    assert parse(HASHED + filename) == (project, version, filename)


@pytest.mark.parametrize(
    "filename",
    [
        "",
        "index.html",
        "six-1.16.0-py2.py3-none-any.whl.metadata",
        "six-1.16.0.tar.gz.asc",
        "six-1.16.0.tar.gz.provenance",
        "six.whl",
        "six-1.0-any.whl",
        "six-latest-py3-none-any.whl",
        "six.tar.gz",
        "-1.0.tar.gz",
        "six-.tar.gz",
        ".six-1.0.tar.gz",
        "si x-1.0.tar.gz",
        "six\n-1.0.tar.gz",
        "six-1.0\x00.tar.gz",
        "a" * 300 + "-1.0.tar.gz",
    ],
)
def test_what_is_no_distribution_has_no_project(filename: str) -> None:
    assert parse(HASHED + filename) is None


@pytest.mark.parametrize(
    ("path", "project", "version"),
    [
        ("/packages/source/m/my-app-2/my-app-2-1.tar.gz", "my-app-2", "1"),
        ("/packages/source/m/my-app/my-app-2-1.tar.gz", "my-app", "2-1"),
        ("/packages/source/M/My.App/My-App-2-1.tar.gz", "my-app", "2-1"),
        ("/packages/py2.py3/s/six/six-1.16.0-py2.py3-none-any.whl", "six", "1.16.0"),
        ("/packages/source/m/other/my-app-1.tar.gz", "my-app", "1"),
    ],
)
def test_the_old_layout_settles_names_with_dashes(path: str, project: str, version: str) -> None:
    found = parse(path)
    assert found is not None
    assert found[:2] == (project, version)


@given(st.text(st.sampled_from("ab1.-_+!wheltargz/\\é\ud800\x00 "), max_size=60))
def test_any_path_is_answered(path: str) -> None:
    found = parse(path)
    assert found is None or (found.project and found.version and "/" not in found.filename)


def test_a_long_hostile_name_is_answered_at_once() -> None:
    assert parse(HASHED + "1-" * 120 + "1.tar.gz") is not None
    assert parse(HASHED + "-".join(["1.0"] * 60) + ".zip") is not None
