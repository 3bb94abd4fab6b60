"""index.py: what holds for every page, however odd (hypothesis)."""

from __future__ import annotations

import json
from typing import Any

from bandersnatch.errors import ContentError
from bandersnatch.index import blobs, render_json
from bandersnatch.model import Page
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import JSON, OURS, PLACE, SHA, SHA2, body, entry, parse

QUICK = settings(derandomize=True, deadline=None, max_examples=100, database=None)

TEXT = st.text(st.characters(), max_size=12)  # controls and lone surrogates too
FILENAME = st.one_of(
    st.from_regex(r"foo-[0-9]\.[0-9](\.zip|\.whl|\.whl\.metadata)", fullmatch=True),
    st.sampled_from(
        ["foo-1.0+é.zip", "a b.whl", "q\"<&'>.zip", "..", "-x", "%2e.zip", "😀.whl", "x.metadata"]
    ),
    TEXT,
)
HEX = st.one_of(st.sampled_from([SHA, SHA2, SHA.upper()]), st.text("0123456789abcdefABCDEF", max_size=130))
HASHES = st.one_of(
    st.just({"sha256": SHA}),
    st.dictionaries(st.sampled_from(["sha256", "sha512", "md5", "blake2b", "x"]), HEX, max_size=4),
)
ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    filename = draw(FILENAME)
    prefix = draw(
        st.sampled_from(
            [
                f"https://files.example.org/{PLACE}/",
                "http://files.example.org:81/packages/source/f/foo/",
                f"../../{PLACE}/",
                "/x/",
                "",
                "//other.example.org/?",
            ]
        )
    )
    item = {"filename": filename, "url": prefix + filename, "hashes": draw(HASHES)}
    optional = {
        "size": st.one_of(st.integers(0, 2**70), ANYTHING),
        "upload-time": TEXT,
        "requires-python": TEXT,
        "yanked": st.one_of(st.booleans(), TEXT),
        "core-metadata": st.one_of(st.booleans(), HASHES),
        "data-dist-info-metadata": st.one_of(st.booleans(), HASHES),
        "provenance": TEXT.map(lambda text: "https://index.example.org/" + text),
        "gpg-sig": st.booleans(),
    }
    for key, values in optional.items():
        if draw(st.booleans()):
            item[key] = draw(values)
    return item


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    document: dict[str, Any] = {
        "meta": {"api-version": "1.4", "_last-serial": draw(st.one_of(st.integers(), TEXT, st.just("12")))},
        "name": "foo",
        "files": draw(st.lists(entries(), max_size=5)),
    }
    if draw(st.booleans()):
        document["versions"] = draw(st.lists(TEXT, max_size=3))
    if draw(st.booleans()):
        document["project-status"] = draw(
            st.one_of(TEXT, st.fixed_dictionaries({}, optional={"status": TEXT, "reason": TEXT}))
        )
    return document


def read_or_refused(content: bytes, kind: str) -> str:
    """Why the content is no page; "" if it is one, which can be rendered then."""
    try:
        page = parse(content, kind)
    except ContentError as error:
        return str(error)
    render_json(page, "../../")
    return ""


def as_ours(page: Page) -> Page:
    """The page as a reader of our rendering finds it: the files' URLs lead to us."""
    files = tuple(file._replace(url=f"http://127.0.0.1/{file.path}") for file in page.files)
    return page._replace(files=files, problems=())


@QUICK
@given(documents(), st.sampled_from(["../../", "https://mirror.example.org/"]))
def test_our_page_read_again_is_equal_and_renders_to_the_same_bytes(
    document: dict[str, Any], root: str
) -> None:
    page = parse(json.dumps(document).encode())
    rendered = render_json(page, root)
    again = parse(rendered, url=OURS)
    assert as_ours(again) == as_ours(page)
    assert again.problems == ()
    assert render_json(again, root) == rendered


@QUICK
@given(documents())
def test_every_file_of_a_page_is_safe_and_no_two_share_a_path(document: dict[str, Any]) -> None:
    page = parse(json.dumps(document).encode())
    found = blobs(page, metadata=True)
    expected = len(page.files) + sum(file.core_metadata is not False for file in page.files)
    assert len({blob.path for blob in found}) == len(found) == expected
    for blob in found:
        parts = blob.path.split("/")
        assert len(parts) == 5
        assert not {"", ".", ".."} & set(parts)
        assert all(len(part.encode()) <= 255 for part in parts)
        assert blob.url.startswith(("https://", "http://"))
        assert blob.url.isascii()
    assert all(sentence.isprintable() for sentence in page.problems)


@QUICK
@given(
    ANYTHING, st.sampled_from(["meta", "name", "files", "versions", "project-status", "file"]), documents()
)
def test_any_value_anywhere_is_a_page_or_a_content_error(
    value: object, key: str, document: dict[str, Any]
) -> None:
    if key == "file":
        document["files"].append(value)
    else:
        document[key] = value
    assert read_or_refused(json.dumps(document).encode(), JSON).isprintable()


@QUICK
@given(
    st.lists(
        st.dictionaries(st.sampled_from([*entry(), "yanked", "size", "core-metadata"]), ANYTHING), max_size=3
    )
)
def test_any_value_in_an_entry_is_a_file_or_a_problem(changes: list[dict[str, Any]]) -> None:
    page = parse(body(*[{**entry(), **change} for change in changes]))
    render_json(page, "../../")


@QUICK
@given(st.binary(max_size=60), st.sampled_from([JSON, "text/html", ""]))
def test_any_bytes_are_a_page_or_a_content_error(content: bytes, kind: str) -> None:
    assert read_or_refused(content, kind).isprintable()
