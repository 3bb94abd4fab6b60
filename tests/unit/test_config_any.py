"""Whatever stands in the config file, and however files are called: an answer or a ConfigError, no bug."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bandersnatch.config import load
from bandersnatch.config_keys import KEYS
from bandersnatch.errors import ConfigError
from bandersnatch.filters import Filters, file_version
from bandersnatch.model import File, Page
from hypothesis import example, given, settings
from hypothesis import strategies as st

HEAD = "[mirror]\ndirectory = /srv/pypi\nmaster = https://index.example.org\n"
deterministic = settings(derandomize=True, deadline=None, max_examples=100, database=None)

VALUES = st.text(
    alphabet=st.characters(blacklist_characters="\n\r", blacklist_categories=("Cs",)), max_size=30
)
VERSIONS = st.from_regex(
    r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|rc|\.dev|\.post|-)[0-9])?|[a-z0-9.]{1,6}", fullmatch=True
)


@pytest.fixture(scope="module", autouse=True)
def _pip_is_not_asked() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_INDEX_URL", "https://index.example.org/simple/")
        yield


def check(raw: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(raw)
        said: tuple[str, ...]
        try:
            said = load(Path(file.name)).warnings
        except ConfigError as error:
            said = (str(error),)
    assert all(line.isprintable() for line in said)


@deterministic
@given(st.binary(max_size=200))
@example(b"[mirror]\n = x\n")
@example(b"[mirror]\ndirectory = /x\n  [y]\n z\n")
@example(b"[]\n")
@example(b"[\xc2\x85]\nx = 1\n")
def test_any_file(raw: bytes) -> None:
    check(raw)
    check(HEAD.encode() + raw)


@deterministic
@given(st.sampled_from(KEYS), VALUES)
def test_any_value_of_any_key(key: object, value: str) -> None:
    section, name = key[:2]  # type: ignore[index]
    enabled = "allowlist_release\nblocklist_release\nexclude_platform\nregex_project".replace("\n", "\n  ")
    lists = {"plugins": f"enabled = {enabled}\n", "allowlist": "packages = six\n"}
    if section == "mirror":
        check(f"[mirror]\n{name} = {value}\ndirectory_ = x\n".encode())
        head = "".join(line for line in HEAD.splitlines(True) if not line.startswith(f"{name} "))
        check(f"{head}{name} = {value}\n".encode())
    else:
        rest = "".join(f"[{other}]\n{text}" for other, text in lists.items() if other != section)
        check(f"{HEAD}{rest}[{section}]\n{name} = {value}\n".encode())


@deterministic
@given(st.text(max_size=40), st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True))
def test_any_file_name(filename: str, project: str) -> None:
    version = file_version(filename, project)
    assert version is None or version
    everything = Filters(
        platforms=("linux", "win32", "windows"), pythons=("py2.7",), latest=1, no_prereleases=True
    )
    page = Page(project, (File(filename, "u", "p", {}, "d"),), ("1.0",))
    assert everything.keep(page).files in (page.files, ())


@deterministic
@given(
    st.lists(VERSIONS, max_size=8, unique=True),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
def test_what_is_kept_is_a_part_and_stays_when_filtered_again(
    versions: list[str], latest: int, by_time: bool, no_prereleases: bool
) -> None:
    filters = Filters(latest=latest, by_time=by_time, no_prereleases=no_prereleases)
    files = tuple(File(f"foo-{v}.tar.gz", "u", f"p{n}", {}, "d") for n, v in enumerate(versions))
    page = Page("foo", files, tuple(versions))
    kept = filters.keep(page)
    assert all(file in files for file in kept.files)
    assert set(kept.versions or ()) <= set(versions)
    assert filters.keep(kept) == kept
    assert bool(kept.files) or no_prereleases or not files
