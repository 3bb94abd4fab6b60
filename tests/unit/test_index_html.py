"""index_html.py: HTML pages of real, odd and hostile indexes, read and written."""

from __future__ import annotations

import pytest
from bandersnatch.errors import ContentError
from bandersnatch.index_html import parse_html
from bandersnatch.model import File, Page
from hypothesis import settings
from pages import HASH_PLACE, LINK, PLACE, SHA, SHA2, URL

QUICK = settings(derandomize=True, deadline=None, max_examples=100, database=None)
META = '<meta name="pypi:repository-version" content="{}">'
FILE = File("foo-1.0.zip", LINK, f"{PLACE}/foo-1.0.zip", {"sha256": SHA}, f"sha256:{SHA}")


def parse(text: str | bytes, url: str = URL) -> Page:
    return parse_html(text if isinstance(text, bytes) else text.encode(), url, "Foo")


def anchor(attributes: str = "", href: str = f"{LINK}#sha256={SHA}") -> str:
    return f'<a href="{href}" {attributes}>foo-1.0.zip</a>'


def only(attributes: str = "", href: str = f"{LINK}#sha256={SHA}") -> File:
    page = parse(anchor(attributes, href))
    assert page.problems == ()
    (file,) = page.files
    return file


def test_a_page_as_pep_503_shows_it_is_read() -> None:
    page = parse(f"<!DOCTYPE html><html><body>{anchor()}</body></html>")
    assert page == Page("foo", (FILE,))


def test_meta_tags_and_the_serial_are_read() -> None:
    page = parse(
        f"<html><head>{META.format('1.4')}"
        '<meta name="pypi:project-status" content="deprecated">'
        '<META NAME="pypi:project-status-reason" CONTENT="use &lt;bar&gt;"></head><body></body></html>'
        "<!--SERIAL 123-->"
    )
    assert page == Page("foo", (), None, "deprecated", "use <bar>", 123)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('data-requires-python="&gt;=3.8,&lt;4"', FILE._replace(requires_python=">=3.8,<4")),
        ('data-requires-python=""', FILE),
        ("data-yanked", FILE._replace(yanked=True)),
        ('data-yanked=""', FILE._replace(yanked=True)),
        ('data-yanked="a &quot;bug&quot;"', FILE._replace(yanked='a "bug"')),
        ('data-gpg-sig="true"', FILE._replace(gpg_sig=True)),
        ('data-gpg-sig="false"', FILE._replace(gpg_sig=False)),
        ('data-gpg-sig="perhaps"', FILE),
        (
            'data-provenance="https://index.example.org/p"',
            FILE._replace(provenance="https://index.example.org/p"),
        ),
        ('data-provenance="javascript:x"', FILE),
        ('data-core-metadata="true"', FILE._replace(core_metadata=True)),
        ("data-core-metadata", FILE._replace(core_metadata=True)),
        ('data-core-metadata="false"', FILE),
        (f'data-core-metadata="sha256={SHA2}"', FILE._replace(core_metadata={"sha256": SHA2})),
        ('data-core-metadata="sha256=beef"', FILE._replace(core_metadata=True)),
        (f'data-dist-info-metadata="sha256={SHA2}"', FILE._replace(core_metadata={"sha256": SHA2})),
        (f'data-dist-info-metadata="true" data-core-metadata="sha256={SHA2}"', None),
        ("title='x' rel=internal", FILE),
    ],
)
def test_attributes_of_a_file_are_read(attributes: str, expected: File | None) -> None:
    assert only(attributes) == (expected or FILE._replace(core_metadata={"sha256": SHA2}))


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("../../f/foo-1.0.zip", "https://index.example.org/f/foo-1.0.zip"),
        ("foo-1.0.zip", "https://index.example.org/simple/foo/foo-1.0.zip"),
        ("//files.example.org/foo-1.0.zip", "https://files.example.org/foo-1.0.zip"),
        ("&#47;f/foo-1.0.zip?a=1&amp;b=2", "https://index.example.org/f/foo-1.0.zip?a=1&b=2"),
        ("  /f/foo-1.0.zip", "https://index.example.org/f/foo-1.0.zip"),
    ],
)
def test_links_are_relative_to_the_page(href: str, url: str) -> None:
    assert only(href=f"{href}#sha256={SHA}").url == url


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ('<base href="https://files.example.org/x/">', "https://files.example.org/x/foo-1.0.zip"),
        ('<base href="../up/">', "https://index.example.org/simple/up/foo-1.0.zip"),
        ('<base href="/a/"><base href="/b/">', "https://index.example.org/a/foo-1.0.zip"),
        ('<base target="_top">', "https://index.example.org/simple/foo/foo-1.0.zip"),
    ],
)
def test_the_first_base_counts(base: str, url: str) -> None:
    assert parse(base + anchor(href=f"foo-1.0.zip#sha256={SHA}")).files[0].url == url


def test_a_base_that_is_no_web_address_makes_problems() -> None:
    page = parse('<base href="file:///etc/">' + anchor(href=f"foo-1.0.zip#sha256={SHA}"))
    assert (page.files, len(page.problems)) == ((), 1)


def test_a_base_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ContentError, match="base URL"):
        parse('<base href="http://[">' + anchor())


def test_names_may_be_percent_encoded_or_unicode() -> None:
    files = parse(
        f'<a href="/x/f%C3%B6%C3%B6-1.0%2Bl.zip#sha256={SHA}">x</a>'
        f'<a href="/x/bär-1.0.zip#sha256={SHA}">x</a>'
    ).files
    assert [(file.filename, file.url) for file in files] == [
        ("föö-1.0+l.zip", "https://index.example.org/x/f%C3%B6%C3%B6-1.0%2Bl.zip"),
        ("bär-1.0.zip", "https://index.example.org/x/b%C3%A4r-1.0.zip"),
    ]


@pytest.mark.parametrize(
    "fragment", [f"egg=foo&sha256={SHA}", f"sha256={SHA}&egg=foo", f"md5=00&sha256={SHA.upper()}&x"]
)
def test_the_hash_may_be_anywhere_in_the_fragment(fragment: str) -> None:
    assert only(href=f"{LINK}#{fragment}").digest == f"sha256:{SHA}"


@pytest.mark.parametrize(
    "fragment", ["", "#", "#md5=" + "0" * 32, "#sha256=beef", "#sha256", f"#xsha256={SHA}"]
)
def test_a_distribution_without_a_strong_hash_is_a_problem(fragment: str) -> None:
    page = parse(anchor(href=LINK + fragment))
    assert page.files == ()
    assert page.problems[0].startswith("foo-1.0.zip: no hash")


@pytest.mark.parametrize(
    "name", ["..%2fx.zip", "%2e%2e", "-x.zip", "a%00.zip", "a%0a.zip", "a%FF.zip", "%5cx.zip"]
)
def test_an_unsafe_name_is_a_problem(name: str) -> None:
    page = parse(anchor() + f'<a href="/x/{name}#sha256={SHA}">x</a>')
    assert len(page.files) == len(page.problems) == 1
    assert page.problems[0].isprintable()


def test_bytes_that_are_not_utf_8_spoil_only_their_file() -> None:
    page = parse(
        anchor("data-yanked='\xe9'").encode("latin-1")
        + f'<a href="/\xe9.zip#sha256={SHA}">'.encode("latin-1")
    )
    assert [file.yanked for file in page.files] == ["\ufffd"]
    assert len(page.problems) == 1


def test_navigation_is_neither_a_file_nor_a_problem() -> None:
    page = parse(
        '<a href="../">Parent</a><a href="?C=N;O=D">Name</a><a href="#top">top</a><a name="top">x</a>'
        '<a href="">x</a>'
        '<a href="https://www.example.org/foo">home</a><a href="mailto:me@example.org">me</a>' + anchor()
    )
    assert page == Page("foo", (FILE,))


def test_anything_with_a_hash_is_a_file() -> None:
    page = parse(META.format("1.0") + f'<a href="/x/README#sha256={SHA}">x</a>')
    assert [file.path for file in page.files] == [f"{HASH_PLACE}/README"]


def test_anchors_in_comments_and_scripts_are_none() -> None:
    page = parse(f"{anchor()}<!-- {anchor(href='/x.zip')} --><script>'{anchor(href='/x.zip')}'</script>")
    assert page == Page("foo", (FILE,))


@pytest.mark.parametrize("version", ["1.0", "1.4", "1.9", " 1.1 "])
def test_an_empty_page_is_one_if_it_says_its_version(version: str) -> None:
    assert parse(META.format(version)) == Page("foo", ())


@pytest.mark.parametrize("heading", ["<title>Links for foo</title>", "<h1>\n LINKS for Foo </h1>"])
def test_an_empty_page_is_one_if_it_is_called_links_for(heading: str) -> None:
    assert parse(f"<html>{heading}</html>") == Page("foo", ())


@pytest.mark.parametrize("version", ["2.0", "0.9", "", "latest"])
def test_another_major_version_is_refused(version: str) -> None:
    with pytest.raises(ContentError, match="API version"):
        parse(META.format(version) + anchor())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Not Found",
        '{"message": "no"}',
        "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
        '<html><title>Sign in</title><a href="/login">Sign in</a></html>',
        '<html><title>Links for friends</title><a href="/login">Sign in</a></html>',
        f'<html><title>Download</title><a href="/x?sha256={SHA}#top">x</a></html>',
    ],
)
def test_an_error_page_is_not_taken_for_an_empty_project(text: str) -> None:
    with pytest.raises(ContentError, match="links no files"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        f"<html><body>{anchor()}",
        f"<html><body>{anchor()}</body>",
        f"{anchor()}<a href='x",
        f"{anchor()}<!-- half",
        f"{anchor()}</a",
    ],
)
def test_a_page_that_was_cut_short_is_refused(text: str) -> None:
    with pytest.raises(ContentError, match="cut short"):
        parse(text)


@pytest.mark.parametrize(
    "unit", ["<a href='", "<!--", "<a ", "</a ", "<![x", "<![CDATA[", "<a b=", "<", "&", "<script>"]
)
def test_hostile_markup_ends_in_an_error_soon(unit: str) -> None:
    """html.parser alone would take hours for some of these: its time is quadratic."""
    with pytest.raises(ContentError):
        parse(unit * (280_000 // len(unit)))


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/html; charset=ISO-8859-1", "cp1252"),
        ('text/html;charset="windows-1251"', "cp1251"),
        ("text/html; charset=utf-8", "utf-8"),
        ("text/html", "utf-8-sig"),
        ("text/html; charset=unheard-of", "utf-8"),
        ("text/html; charset=base64", "utf-8"),
        ("text/html; charset=idna", "utf-8"),
    ],
)
def test_a_page_is_read_in_its_charset(content_type: str, encoding: str) -> None:
    reason = "тест" if encoding == "cp1251" else "naïve – “why”"
    body = f'<a href="foo-1.0.zip#sha256={"0" * 64}" data-yanked="{reason}">foo-1.0.zip</a>'.encode(encoding)
    page = parse_html(body, "https://index.example.org/simple/foo/", "foo", content_type)
    assert [file.yanked for file in page.files] == [reason]
