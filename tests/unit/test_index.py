"""index.py: JSON pages of real and odd indexes, read and written."""

from __future__ import annotations

import json

import pytest
from bandersnatch.errors import ContentError
from bandersnatch.index import ACCEPT_PAGE, ACCEPT_ROOT, blobs, is_json, render_json, without
from bandersnatch.model import Blob, File, Page
from pages import HASH_PLACE, JSON, LINK, PLACE, SHA, SHA2, URL, body, entry, only, parse


def test_every_key_of_version_1_4_is_read() -> None:
    file = entry(
        size=12,
        yanked="broken",
        provenance="https://index.example.org/p",
        **{
            "requires-python": ">=3.8",
            "upload-time": "2024-05-06T07:08:09.012345Z",
            "core-metadata": {"sha256": SHA2},
            "gpg-sig": True,
        },
    )
    page = parse(
        body(
            file,
            meta={"api-version": "1.4", "_last-serial": 7},
            versions=["1.0"],
            **{"project-status": {"status": "archived", "reason": "done"}},
        )
    )
    assert page == Page(
        name="foo",
        files=(
            File(
                filename="foo-1.0.zip",
                url=LINK,
                path=f"{PLACE}/foo-1.0.zip",
                hashes={"sha256": SHA},
                digest=f"sha256:{SHA}",
                size=12,
                upload_time="2024-05-06T07:08:09.012345Z",
                requires_python=">=3.8",
                yanked="broken",
                core_metadata={"sha256": SHA2},
                gpg_sig=True,
                provenance="https://index.example.org/p",
            ),
        ),
        versions=("1.0",),
        status="archived",
        reason="done",
        serial=7,
    )


def test_a_page_of_version_1_0_has_what_it_says_and_no_more() -> None:
    page = parse(body(entry()))
    assert page == Page(
        "foo", (File("foo-1.0.zip", LINK, f"{PLACE}/foo-1.0.zip", {"sha256": SHA}, f"sha256:{SHA}"),)
    )


@pytest.mark.parametrize(
    ("stated", "serial"),
    [
        (5, 5),
        ("5", 5),
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (-1, None),
        (5.0, 5),
        (True, None),
        (1.5, None),
        (1e300, None),
        ("", None),
        ("-1", None),
        ("٣", None),
        ("9" * 19, None),
        ("9" * 5000, None),
        ([], None),
        (None, None),
    ],
)
def test_a_serial_is_a_whole_number_or_a_string_of_one(stated: object, serial: int | None) -> None:
    assert parse(body(meta={"api-version": "1.1", "_last-serial": stated})).serial == serial


@pytest.mark.parametrize("version", ["1.0", "1.4", "1.99", "1", None, 1.0, 1.4, 1])
def test_every_version_1_is_read(version: object) -> None:
    assert parse(body(meta={"api-version": version})).files == ()


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.1", "", "x", 2, 2.0, 1e300, True, [], {}, "1.0\ud800"])
def test_another_major_version_is_refused(version: object) -> None:
    with pytest.raises(ContentError, match="API version"):
        parse(body(meta={"api-version": version}))


@pytest.mark.parametrize("name", ["foo", "FOO", "Foo"])
def test_the_name_may_be_spelt_otherwise(name: str) -> None:
    assert parse(body(name=name)).name == "foo"


def test_a_page_without_a_name_is_of_the_project_that_was_asked_for() -> None:
    assert parse(b'{"meta": {"api-version": "1.0"}, "files": []}').name == "foo"
    assert parse(body(name=None)).name == "foo"


@pytest.mark.parametrize("name", ["bar", "", False, 5, ["foo"], "fo\ud800o"])
def test_the_page_of_another_project_is_refused(name: object) -> None:
    with pytest.raises(ContentError, match="not of foo"):
        parse(body(name=name))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'"foo"',
        b"{",
        b'{"message": "Not Found"}',
        b"<!DOCTYPE html><title>Oops</title>",
        b'{"name": "foo"}',
        b'{"meta": {"api-version": "1.0"}}',
        b'{"name": "foo", "files": {}}',
        b'{"name": "foo", "files": [], "meta": []}',
        b'{"name": "foo", "files": [], "versions": "1.0"}',
        b'{"name": "foo", "files": [], "versions": [1]}',
        b'{"name": "foo", "files": [], "project-status": 5}',
        b'{"name": "foo", "files": [], "project-status": {"status": 5}}',
        b'{"name": "foo", "files": [], "project-status": {"status": "archived", "reason": []}}',
        b'{"name": "foo", "files": [], "x": NaN}',
        b'{"name": "foo", "files": [], "x": -Infinity}',
        b'{"name": "foo", "files": [], "x": "\xff"}',
        b'{"name": "foo", "files": [], "x": "\xed\xa0\x80"}',
        b'{"name": "foo", "files": [], "x": ' + b"9" * 5000 + b"}",
        b'{"name": "foo", "files": [], "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_page_is_a_content_error_that_names_it(content: bytes) -> None:
    with pytest.raises(ContentError) as caught:
        parse(content)
    message = str(caught.value)
    assert URL in message
    assert message.isprintable()


def test_a_message_shows_no_password() -> None:
    with pytest.raises(ContentError) as caught:
        parse(b"", url="https://me:secret@index.example.org/simple/foo/?token=secret")
    assert "index.example.org" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "start", "expected"),
    [
        (JSON, b"", True),
        ("application/json; charset=utf-8", b"<", True),
        ("Application/Vnd.PyPI.Simple.latest+JSON", b"", True),
        ("text/html; charset=utf-8", b"<", False),
        ("text/html; charset=utf-8", b"{", True),
        ("application/vnd.pypi.simple.v1+html", b"", False),
        ("text/plain", b"\xef\xbb\xbf \n{", True),
        ("", b"<html>", False),
        ("application/octet-stream", b"{}", True),
    ],
)
def test_a_json_type_decides_and_else_the_first_byte(kind: str, start: bytes, expected: bool) -> None:
    assert is_json(kind, start) is expected


def test_an_html_page_is_read_as_html() -> None:
    page = parse(f'<a href="{LINK}#sha256={SHA}">foo-1.0.zip</a>'.encode(), "text/html")
    assert [file.path for file in page.files] == [f"{PLACE}/foo-1.0.zip"]


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse(b"\xef\xbb\xbf" + body()).name == "foo"


def test_json_is_what_we_ask_for_first() -> None:
    assert ACCEPT_PAGE == ACCEPT_ROOT
    assert ACCEPT_PAGE.split(",")[0] == JSON


# What a file says of itself


@pytest.mark.parametrize(
    ("stated", "size"),
    [
        (0, 0),
        (5, 5),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (-1, None),
        (True, None),
        (1.0, None),
        ("5", None),
    ],
)
def test_a_size_is_an_int_in_64_bits_else_none(stated: object, size: int | None) -> None:
    found = only(size=stated).size
    assert found == size
    assert type(found) is type(size)


@pytest.mark.parametrize(
    ("stated", "yanked"),
    [
        (False, False),
        (True, True),
        ("why", "why"),
        ("", False),
        (None, False),
        (1, True),
        ([], False),
        (" ", " "),
    ],
)
def test_yanked_keeps_its_reason(stated: object, yanked: object) -> None:
    found = only(yanked=stated).yanked
    assert found == yanked
    assert type(found) is type(yanked)


@pytest.mark.parametrize("key", ["core-metadata", "dist-info-metadata", "data-dist-info-metadata"])
@pytest.mark.parametrize(
    ("stated", "metadata"),
    [
        (True, True),
        (False, False),
        (None, False),
        ("true", False),
        ({"sha256": SHA.upper()}, {"sha256": SHA}),
        ({"md5": "ab" * 16}, {"md5": "ab" * 16}),
        ({}, True),
        ({"sha256": 5}, True),
        ({"sha256": "abc"}, True),
    ],
)
def test_core_metadata_goes_by_three_names(key: str, stated: object, metadata: object) -> None:
    assert only(**{key: stated}).core_metadata == metadata


def test_the_new_name_of_core_metadata_wins() -> None:
    assert only(**{"core-metadata": False, "data-dist-info-metadata": True}).core_metadata is False
    assert only(**{"core-metadata": None, "dist-info-metadata": True}).core_metadata is True


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("upload-time", 5),
        ("upload-time", ""),
        ("provenance", None),
        ("provenance", "javascript:alert(1)"),
        ("provenance", {}),
        ("gpg-sig", "true"),
        ("requires-python", ""),
        ("requires-python", None),
    ],
)
def test_optional_keys_without_a_sense_are_as_if_missing(key: str, value: object) -> None:
    assert only(**{key: value}) == only()


@pytest.mark.parametrize(
    ("stated", "status", "reason"),
    [
        (None, "active", None),
        ("archived", "archived", None),
        ({}, "active", None),
        ({"status": "quarantined"}, "quarantined", None),
        ({"status": "deprecated", "reason": "use bar"}, "deprecated", "use bar"),
        ({"status": None, "reason": ""}, "active", None),
        ({"reason": "why"}, "active", "why"),
    ],
)
def test_project_status_is_an_object_or_a_string(stated: object, status: str, reason: str | None) -> None:
    page = parse(body(**{"project-status": stated}))
    assert (page.status, page.reason) == (status, reason)


# Rendering


def test_a_full_page_is_rendered_as_version_1_4() -> None:
    file = File(
        filename="foo-1.0+é.zip",
        url=LINK,
        path=f"{PLACE}/foo-1.0+é.zip",
        hashes={"sha256": SHA, "md5": "00"},
        digest=f"sha256:{SHA}",
        size=5,
        upload_time="2024-05-06T07:08:09Z",
        requires_python=">=3",
        yanked="<bad>",
        core_metadata={"sha256": SHA2},
        gpg_sig=False,
        provenance="https://index.example.org/p",
    )
    page = Page("foo", (file,), ("1.0+é",), "archived", 'a "reason"', 7)
    document = json.loads(render_json(page, "../../"))
    assert document == {
        "meta": {"api-version": "1.4", "_last-serial": 7},
        "name": "foo",
        "project-status": {"status": "archived", "reason": 'a "reason"'},
        "versions": ["1.0+é"],
        "files": [
            {
                "filename": "foo-1.0+é.zip",
                "url": f"../../{PLACE}/foo-1.0%2B%C3%A9.zip",
                "hashes": {"sha256": SHA, "md5": "00"},
                "requires-python": ">=3",
                "size": 5,
                "upload-time": "2024-05-06T07:08:09Z",
                "yanked": "<bad>",
                "core-metadata": {"sha256": SHA2},
                "data-dist-info-metadata": {"sha256": SHA2},
                "provenance": "https://index.example.org/p",
                "gpg-sig": False,
            }
        ],
    }
    assert render_json(page, "../../").isascii()


def test_what_is_not_known_is_not_rendered() -> None:
    page = parse(body(entry()))
    document = json.loads(render_json(page, "https://mirror.example.org/"))
    assert document == {
        "meta": {"api-version": "1.0"},
        "name": "foo",
        "files": [
            {
                "filename": "foo-1.0.zip",
                "url": f"https://mirror.example.org/{PLACE}/foo-1.0.zip",
                "hashes": {"sha256": SHA},
                "yanked": False,
            }
        ],
    }


def test_version_1_1_and_later_need_every_size_and_the_versions() -> None:
    def version(content: bytes) -> str:
        return str(json.loads(render_json(parse(content), ""))["meta"]["api-version"])

    assert version(body(entry(size=1), versions=["1.0"])) == "1.4"
    assert version(body(versions=[])) == "1.4"
    assert version(body(entry(size=1))) == "1.0"
    assert version(body(entry(), versions=["1.0"])) == "1.0"


def test_without_a_root_the_files_stay_where_upstream_has_them() -> None:
    link = "https://files.example.org/a%20b/foo-1.0.zip?x=y"
    page = parse(body(entry(url=link)))
    assert json.loads(render_json(page, None))["files"][0]["url"] == link


# Blobs


def test_blobs_are_the_files_and_their_metadata() -> None:
    time = {"upload-time": "1970-01-02T00:00:01.5Z"}
    page = parse(
        body(
            entry("a.whl", size=5, **{"core-metadata": {"sha256": SHA2}}, **time),
            entry("b.whl", url="https://files.example.org/b.whl?token=1", **{"core-metadata": True}),
            entry("c.whl", **{"core-metadata": {"md5": "00" * 16}}),
            entry("d.whl"),
        )
    )
    files = [
        Blob(f"{PLACE}/a.whl", f"https://files.example.org/{PLACE}/a.whl", f"sha256:{SHA}", 5, 86401),
        Blob(f"{HASH_PLACE}/b.whl", "https://files.example.org/b.whl?token=1", f"sha256:{SHA}", -1, 0),
        Blob(f"{PLACE}/c.whl", f"https://files.example.org/{PLACE}/c.whl", f"sha256:{SHA}", -1, 0),
        Blob(f"{PLACE}/d.whl", f"https://files.example.org/{PLACE}/d.whl", f"sha256:{SHA}", -1, 0),
    ]
    metadata = [
        Blob(
            f"{PLACE}/a.whl.metadata",
            f"https://files.example.org/{PLACE}/a.whl.metadata",
            f"sha256:{SHA2}",
            -1,
            86401,
        ),
        Blob(f"{HASH_PLACE}/b.whl.metadata", "https://files.example.org/b.whl.metadata", "", -1, 0),
        Blob(
            f"{PLACE}/c.whl.metadata",
            f"https://files.example.org/{PLACE}/c.whl.metadata",
            f"md5:{'0' * 32}",
            -1,
            0,
        ),
    ]
    assert blobs(page, metadata=False) == files
    assert sorted(blobs(page, metadata=True)) == sorted(files + metadata)


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("2024-02-29T12:00:00Z", 1709208000),
        ("2024-02-29T12:00:00.123456Z", 1709208000),
        ("2024-02-29T12:00:00+00:00", 1709208000),
        ("2024-02-29T12:00:00", 1709208000),
        ("2024-02-29T12:00:00+02:00", 0),
        ("2024-13-01T00:00:00Z", 0),
        ("0000-01-01T00:00:00Z", 0),
        ("1960-01-01T00:00:00Z", 0),
        ("yesterday", 0),
        (None, 0),
    ],
)
def test_a_blob_has_the_time_of_the_upload(stated: str | None, seconds: int) -> None:
    page = parse(body(entry(**{"upload-time": stated})))
    assert [blob.mtime for blob in blobs(page, metadata=False)] == [seconds]


def test_without_leaves_out_files_and_promises_of_metadata() -> None:
    a, b = entry("a.whl", **{"core-metadata": True}), entry("b.whl", **{"core-metadata": True})
    page = parse(body(a, b, meta={"api-version": "1.0", "_last-serial": 3}))
    assert without(page, frozenset()) == page
    assert without(page, frozenset({f"{PLACE}/a.whl"})) == page._replace(files=page.files[1:])
    less = without(page, frozenset({f"{PLACE}/a.whl.metadata"}))
    assert [file.core_metadata for file in less.files] == [False, True]
    assert less.serial == 3
