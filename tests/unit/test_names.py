"""names.py: names and paths that upstream chooses."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

import pytest
from bandersnatch.names import file_path, is_project_name, normalize, quoted, safe_filename, shown
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = settings(derandomize=True, deadline=None, max_examples=200, database=None)
DIGEST = "0123456789abcdef" * 4
HASHED = f"packages/{'ab'}/{'cd'}/{'e' * 60}"
FROM_DIGEST = f"packages/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST[4:]}"
ANY_TEXT = st.text(st.characters(), max_size=300)  # lone surrogates and controls too


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("requests", "requests"),
        ("Friendly-Bard", "friendly-bard"),
        ("FRIENDLY._-BARD", "friendly-bard"),
        ("a--b..c__d", "a-b-c-d"),
    ],
)
def test_names_are_normalised_as_pep_503_says(name: str, normal: str) -> None:
    assert normalize(name) == normal


@pytest.mark.parametrize("name", ["a", "A", "9", "a.b_c-d", "zope.interface", "0-._-0", "a" * 255])
def test_names_of_pep_508_are_project_names(name: str) -> None:
    assert is_project_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a-",
        ".a",
        "a.",
        "_",
        "..",
        "a b",
        "a/b",
        "a\\b",
        "a\n",
        "a\0",
        "é",
        "\u017f",
        "\u212a",
        "a" * 256,
    ],
)
def test_other_names_are_none(name: str) -> None:
    assert not is_project_name(name)


def test_a_long_name_counts_normalised() -> None:
    assert is_project_name("a" + "-" * 300 + "b")


@QUICK
@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,40}[A-Za-z0-9])?", fullmatch=True))
def test_a_normalised_project_name_is_a_safe_directory(name: str) -> None:
    normal = normalize(name)
    assert is_project_name(name)
    assert normalize(normal) == normal
    assert safe_filename(normal) is None
    assert "." not in normal  # so no project can stand where index.html stands


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "foo-1.0.tar.gz",
        "foo-1.0+local.1-py3-none-any.whl",
        "föö-1!2.0.zip",
        "a b",
        "_x",
        "é" * 127,
        "a" * 255,
    ],
)
def test_harmless_file_names_pass(name: str) -> None:
    assert safe_filename(name) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is empty"),
        (".", "begins with '.'"),
        ("..", "begins with '.'"),
        (".htaccess", "begins with '.'"),
        ("-rf", "begins with '-'"),
        ("a/b", "holds '/'"),
        ("a\\b", r"holds '\'"),
        ("a\0b", r"holds '\x00'"),
        ("a\nb", r"holds '\n'"),
        ("a\x7fb", r"holds '\x7f'"),
        ("a\x85b", r"holds '\x85'"),
        ("a\u2028b", r"holds '\u2028'"),
        ("a\udc80b", r"holds '\udc80'"),
        ("a" * 256, "is longer than 255 bytes"),
        ("é" * 128, "is longer than 255 bytes"),
    ],
)
def test_unsafe_file_names_are_refused_with_the_reason(name: str, reason: str) -> None:
    assert safe_filename(name) == reason


@pytest.mark.parametrize("prefix", ["/", "/mirror/", "/a/b/packages/"])
def test_the_hashed_layout_is_kept_whatever_precedes_it(prefix: str) -> None:
    assert file_path(f"{prefix}{HASHED}/foo-1.0.zip", "foo-1.0.zip", DIGEST) == f"{HASHED}/foo-1.0.zip"


@pytest.mark.parametrize(
    "directory",
    [
        "packages/source/f/foo",
        "packages/any/F/Foo",
        "packages/py2.py3/f/foo",
        "packages/cp39/f/foo",
        "packages/2.7/f/foo",
        "packages/3.11/1/1st",
    ],
)
def test_the_old_layout_is_kept(directory: str) -> None:
    assert file_path(f"/x/{directory}/foo-1.0.zip", "foo-1.0.zip", DIGEST) == f"{directory}/foo-1.0.zip"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/foo-1.0.zip",
        "/files/foo-1.0.zip",
        f"/{HASHED}/other.zip",
        f"/{HASHED}foo-1.0.zip",
        f"/{HASHED}/more/foo-1.0.zip",
        f"/{HASHED[:-1]}/foo-1.0.zip",
        f"/{HASHED.upper()}/foo-1.0.zip",
        f"/x{HASHED}/foo-1.0.zip",
        "/packages/source/f/foo/more/foo-1.0.zip",
        "/packages/source/fo/foo/foo-1.0.zip",
        "/packages/source/f/../foo-1.0.zip",
        "/packages/source/./foo/foo-1.0.zip",
        "/packages/source/f//foo-1.0.zip",
        "/packages/source/f/fo\no/foo-1.0.zip",
        "/packages/py\u2028/f/foo/foo-1.0.zip",
        "/packages/elsewhere/f/foo/foo-1.0.zip",
        "/packages/source/f/foox-foo-1.0.zip",
        "packages/source/f/foo/foo-1.0.zip"[8:],
    ],
)
def test_another_url_gets_its_path_from_the_digest(path: str) -> None:
    assert file_path(path, "foo-1.0.zip", DIGEST) == f"{FROM_DIGEST}/foo-1.0.zip"


def test_a_longer_digest_gives_no_longer_path() -> None:
    assert file_path("/x", "f", "ab" * 64) == f"packages/ab/ab/{'ab' * 30}/f"


@QUICK
@given(
    st.lists(
        st.one_of(
            ANY_TEXT,
            st.sampled_from(
                ["packages", "source", "any", "py3", "3.1", "f", "..", ".", "", "ab", "cd", "e" * 60, "f.zip"]
            ),
        ),
        max_size=8,
    ),
    st.one_of(ANY_TEXT, st.just("f.zip")),
)
def test_a_path_never_leaves_packages_and_has_five_segments(segments: list[str], filename: str) -> None:
    if safe_filename(filename) is not None:
        return
    path = file_path("/" + "/".join(segments), filename, DIGEST)
    parts = path.split("/")
    assert len(parts) == 5
    assert parts[0] == "packages"
    assert parts[-1] == filename
    assert all(safe_filename(part) is None for part in parts)
    assert posixpath.normpath(path) == path


@QUICK
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_quoted_leaves_only_unreserved_characters_and_can_be_undone(path: str) -> None:
    encoded = quoted(path)
    assert set(encoded) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/%")
    assert unquote(encoded) == path


@QUICK
@given(ANY_TEXT)
def test_shown_is_one_printable_line(text: str) -> None:
    line = shown(text, 50)
    assert line.isprintable()
    line.encode()
    assert len(line) <= 51 * len("\\U0001f600")


def test_shown_says_where_it_cut() -> None:
    assert shown("abcdef", 3) == "abc…"
    assert shown("tab\tend \ud800") == r"tab\tend \ud800"
