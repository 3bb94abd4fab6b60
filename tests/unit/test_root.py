"""root.py: the root index as a stream, JSON and HTML."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import chain

import pytest
from bandersnatch.errors import ContentError
from bandersnatch.model import Listed
from bandersnatch.root import RootReader, root_html, root_json
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = settings(derandomize=True, deadline=None, max_examples=100, database=None)
JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html; charset=utf-8"
URL = "https://index.example.org/simple/"
VERSION = '<meta name="pypi:repository-version" content="1.0">'


def read(chunks: Iterable[bytes], kind: str = JSON) -> tuple[list[Listed], RootReader]:
    reader = RootReader(kind, URL)
    rows = [row for chunk in chunks for row in reader.feed(chunk)]
    return rows + reader.close(), reader


def rows_of(text: str | bytes, kind: str = JSON) -> list[Listed]:
    rows, reader = read([text if isinstance(text, bytes) else text.encode()], kind)
    assert reader.problems == []
    return rows


def pieces(content: bytes, borders: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for border in sorted(border % (len(content) + 1) for border in borders):
        yield content[start:border]
        start = border
    yield content[start:]


def document(*projects: object, **keys: object) -> str:
    return json.dumps({"meta": {"api-version": "1.1", "_last-serial": 9}, "projects": projects, **keys})


def test_projects_have_a_normalised_and_a_display_name_and_a_serial() -> None:
    text = document(
        {"name": "Zope.Interface", "_last-serial": 5}, {"name": "foo"}, {"_last-serial": "7", "name": "B_a"}
    )
    rows, reader = read([text.encode()])
    assert rows == [
        Listed("zope-interface", "Zope.Interface", 5),
        Listed("foo", "foo", None),
        Listed("b-a", "B_a", 7),
    ]
    assert (reader.serial, reader.problems) == (9, [])


@pytest.mark.parametrize("stated", [None, -1, 2**63, True, 1.5, "x", [], {}])
def test_a_serial_that_cannot_be_one_is_none(stated: object) -> None:
    text = document(
        {"name": "foo", "_last-serial": stated}, meta={"api-version": "1.0", "_last-serial": stated}
    )
    rows, reader = read([text.encode()])
    assert rows == [Listed("foo", "foo", None)]
    assert reader.serial is None


@pytest.mark.parametrize(
    "text",
    [
        '{"projects":[{"name":"foo"}],"meta":{"api-version":"1.0","_last-serial":9}}',
        '{"a":[[1],{"b":"]}"}],"projects":[{"name":"foo"}],"meta":{"_last-serial":"9"},"z":null}',
        ' \n{ "meta" : {"_last-serial":9} , "n" : -1.5e3 , "projects" : [ {"name" : "foo", "x": [{}]} ] }\n',
        '\ufeff{"meta":{"_last-serial":9},"projects":[{"name":"foo"}]}',
        '{"meta":{"_last-serial":9},"projects":[{"name":"f\\u006fo"}],"e":{},"x":"é\\ud83d\\ude00"}',
    ],
)
def test_keys_may_come_in_any_order_with_others_between_in_any_pieces(text: str) -> None:
    content = text.encode()
    for size in (1, 2, 3, 7, len(content)):
        rows, reader = read(content[start : start + size] for start in range(0, len(content), size))
        assert rows == [Listed("foo", "foo", None)]
        assert reader.serial == 9


@pytest.mark.parametrize("text", ['{"projects":[]}', '{"projects" : [ ] , "meta" : {}}', document()])
def test_an_empty_index_is_one(text: str) -> None:
    assert rows_of(text) == []


def test_projects_come_out_as_soon_as_they_are_complete() -> None:
    reader = RootReader(JSON, URL)
    assert reader.feed(b'{"projects":[{"name":"foo"}') == []
    assert reader.feed(b',{"name":"bar"') == [Listed("foo", "foo", None)]
    assert reader.feed(b"}]") == [Listed("bar", "bar", None)]
    assert reader.feed(b"}") == reader.close() == []


@pytest.mark.parametrize(
    "item",
    [
        None,
        5,
        "foo",
        [],
        {},
        {"name": 5},
        {"name": ""},
        {"name": "../x"},
        {"name": "a\ud800"},
        {"name": "a" * 256},
    ],
)
def test_what_cannot_be_a_project_is_a_problem_and_the_others_stay(item: object) -> None:
    rows, reader = read([document(item, {"name": "foo"}).encode()])
    assert rows == [Listed("foo", "foo", None)]
    assert len(reader.problems) == 1
    assert reader.problems[0].isprintable()


@pytest.mark.parametrize(("count", "sentences"), [(100, 100), (5000, 101)])
def test_problems_are_counted_when_there_are_many(count: int, sentences: int) -> None:
    _, reader = read([document(*[{"name": "-"}] * count).encode()])
    assert len(reader.problems) == sentences
    assert ("5000 names" in reader.problems[-1]) is (count == 5000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "{}",
        "[]",
        "null",
        '{"message": "Not Found"}',
        '{"projects": {}}',
        '{"projects": null}',
        '{"projects": []} x',
        '{"projects": []}{"projects": []}',
        '{"projects": [}',
        '{"projects": [{"name": "foo"}}',
        '{"projects": []]',
        '{"meta": [], "projects": []}',
        '{"meta": {"api-version": "2.0"}, "projects": []}',
        '{"projects": [], "meta": {"api-version": 2}}',
        '{"projects": [{"name": "foo"} {"name": "bar"}]}',
        '{"x": NaN, "projects": []}',
        '{"x": ' + "9" * 5000 + ', "projects": []}',
        '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"projects": [' + "[" * 100_000,
        '{"projects": [{"name": "' + "a" * (2 << 20),
        '{"x": "' + "a" * (2 << 20) + '", "projects": []',
        "<html><title>502</title></html>",
    ],
)
def test_what_is_no_root_index_is_a_content_error_that_names_it(text: str) -> None:
    with pytest.raises(ContentError) as caught:
        read(pieces(text.encode(), range(0, len(text), 1 << 16)))
    message = str(caught.value)
    assert URL in message
    assert message.isprintable()


@pytest.mark.parametrize(
    "content", [b'{"projects":[{"name":"\xff"}]}', b'{"projects":[]}\xff', b'{"projects":[]}\xc3']
)
def test_what_is_not_utf_8_is_refused(content: bytes) -> None:
    with pytest.raises(ContentError, match="cannot be read"):
        read([content])


def test_a_cut_short_index_is_refused_wherever_it_ends() -> None:
    content = document({"name": "foo", "_last-serial": 12}, {"name": "bär"}, x="é").encode()
    for end in range(len(content)):
        with pytest.raises(ContentError):
            read([content[:end]])


def test_the_type_may_be_unknown_or_wrong() -> None:
    assert rows_of('\n {"projects":[{"name":"foo"}]}', "text/plain") == [Listed("foo", "foo", None)]
    assert rows_of('{"projects":[{"name":"foo"}]}', "text/html") == [Listed("foo", "foo", None)]
    rows, _ = read([b" ", b"\n", b'<a href="foo/">foo</a>'], "application/octet-stream")
    assert rows == [Listed("foo", "foo", None)]


# HTML


def test_html_as_pep_503_shows_it_is_read() -> None:
    links = '<a href="/simple/Frob_Nic/">Frob_Nic</a>\n<a href="spam/">spam</a>'
    text = f"<!DOCTYPE html><html><body>{links}</body></html>"
    expected = [Listed("frob-nic", "Frob_Nic", None), Listed("spam", "spam", None)]
    content = text.encode()
    for size in (1, 2, 5, len(content)):
        rows, reader = read((content[start : start + size] for start in range(0, len(content), size)), HTML)
        assert rows == expected
        assert (reader.serial, reader.problems) == (None, [])


@pytest.mark.parametrize(
    ("link", "listed"),
    [
        ('<a href="foo/">Foo</a>', ("foo", "Foo")),
        ('<a href="foo/"> foo\n</a>', ("foo", "foo")),
        ('<a href="foo/"><b>f</b>oo</a>', ("foo", "foo")),
        ('<a href="foo">foo', ("foo", "foo")),
        ('<a href="foo/">foo/</a>', ("foo", "foo")),
        ('<a href="foo/">foo..&gt;</a>', ("foo", "foo")),
        ('<a href="foo/"></a>', ("foo", "foo")),
        ('<a href="./foo/">foo</a>', ("foo", "foo")),
        ('<a href="f%6Fo/"><img></a>', ("foo", "foo")),
        ('<a href="/simple/foo/?x#y">foo</a>', ("foo", "foo")),
        ('<a href="https://INDEX.example.org/simple/f/foo/">foo</a>', ("foo", "foo")),
        ('<base href="/simple/"><a href="foo/">foo</a>', ("foo", "foo")),
        (f'{VERSION}<a href="https://other.example.org/foo/">foo</a>', ("foo", "foo")),
    ],
)
def test_a_link_below_the_index_is_a_project(link: str, listed: tuple[str, str]) -> None:
    assert rows_of(link, HTML) == [Listed(*listed, None)]


@pytest.mark.parametrize(
    "link",
    [
        '<a href="../">Parent</a>',
        '<a href="/">Home</a>',
        '<a href="/login/">login</a>',
        '<a href="https://other.example.org/foo/">foo</a>',
        '<a href="?C=N">Name</a>',
        '<a href="#top">top</a>',
        '<a href="">x</a>',
        '<a name="x">x</a>',
        '<a href="mailto:me@example.org">me</a>',
        '<a href="http://[">x</a>',
        '<base href="https://other.example.org/"><a href="foo/">foo</a>',
    ],
)
def test_navigation_is_no_project(link: str) -> None:
    assert rows_of(f'<a href="/simple/foo/">foo</a>{link}', HTML) == [Listed("foo", "foo", None)]
    with pytest.raises(ContentError, match="links no projects"):
        read([link.encode()], HTML)


def test_a_name_that_cannot_be_is_a_problem() -> None:
    rows, reader = read([b'<a href="foo/">foo</a><a href="f%00o/">f o</a>'], HTML)
    assert rows == [Listed("foo", "foo", None)]
    assert reader.problems == ["the root index lists 'f o', which cannot be a project: left out"]


def test_an_empty_html_index_is_one_if_it_says_its_version() -> None:
    assert rows_of(f"<html><head>{VERSION}</head></html>", HTML) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<html><title>502 Bad Gateway</title></html>", "links no projects"),
        ('<html><a href="foo/">foo</a>', "cut short"),
        ('<a href="foo/">foo</a><a href="ba', "cut short"),
        (VERSION.replace("1.0", "2.0") + '<a href="foo/">foo</a>', "API version"),
        ("<a href='" + "x" * (1 << 20), "does not end"),
    ],
)
def test_html_that_is_no_index_is_refused(text: str, why: str) -> None:
    with pytest.raises(ContentError, match=why):
        read([text.encode()], HTML)


# Writing

ROWS = [("Foo.Bar", 5), ("spam", None)]


def test_json_is_written_and_read_again() -> None:
    content = b"".join(root_json(ROWS, 9))
    assert json.loads(content) == {
        "meta": {"api-version": "1.4", "_last-serial": 9},
        "projects": [{"name": "Foo.Bar", "_last-serial": 5}, {"name": "spam"}],
    }
    rows, reader = read([content])
    assert rows == [Listed("foo-bar", "Foo.Bar", 5), Listed("spam", "spam", None)]
    assert reader.serial == 9


def test_json_of_nothing_is_whole() -> None:
    assert json.loads(b"".join(root_json([], None))) == {"meta": {"api-version": "1.4"}, "projects": []}


def test_html_is_written_and_read_again() -> None:
    content = b"".join(root_html(ROWS))
    assert content.decode() == (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="pypi:repository-version" content="1.4">\n<title>Simple index</title>\n</head>\n<body>\n'
        '<h1>Simple index</h1>\n<a href="foo-bar/">Foo.Bar</a><br>\n<a href="spam/">spam</a><br>\n'
        "</body>\n</html>\n"
    )
    assert rows_of(content, HTML) == [Listed("foo-bar", "Foo.Bar", None), Listed("spam", "spam", None)]


def test_a_hostile_display_name_stays_text() -> None:
    content = b"".join(root_html([('"><script>\n', None)])).decode()
    assert "<script>" not in content
    assert 'href="&quot;&gt;&lt;script&gt;&#10;/"' in content


def test_what_looks_like_the_border_of_two_projects_is_none() -> None:
    """Many are read at once, up to the last "},": in a string, in an inner object, or behind the list."""
    plain = {"name": "a", "_last-serial": 1}
    for odd in ({"name": "b", "note": "},{"}, {"name": "b", "more": {"x": [{"y": 1}, {}]}, "z": 0}):
        text = document(plain, plain, odd, plain, other={"x": {}, "y": {}})
        assert [row.name for row in rows_of(text)] == ["a", "a", "b", "a"]
        for end in range(len(text)):
            rows, _ = read([text[:end].encode(), text[end:].encode()])
            assert [row.name for row in rows] == ["a", "a", "b", "a"]
    for broken in (']},{"name": "b"', '},,{"name": "b"', '}],[{"name": "b"', '} {"name": "b"'):
        text = document(plain, plain, plain).replace('}, {"name": "a"', broken, 1)
        with pytest.raises(ContentError):
            read([text.encode()])


def test_neither_direction_holds_the_whole_index() -> None:
    """20,000 projects: 1 MB as JSON, 5 MB as rows."""
    rows = ((f"project-{number}", number) for number in range(20_000))
    reader = RootReader(JSON, URL)
    tracemalloc.start()
    try:
        count = sum(len(reader.feed(chunk)) for chunk in root_json(rows, 9)) + len(reader.close())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 1_500_000


PROJECTS = st.lists(
    st.tuples(
        st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True),
        st.none() | st.integers(0, 2**63 - 1),
    )
)
BORDERS = st.lists(st.integers(0, 1 << 20), max_size=20)


@QUICK
@given(PROJECTS, st.none() | st.integers(0, 2**63 - 1), BORDERS)
def test_what_we_write_is_read_again_in_any_pieces(
    rows: list[tuple[str, int | None]], serial: int | None, borders: list[int]
) -> None:
    found, reader = read(pieces(b"".join(root_json(rows, serial)), borders))
    assert [(row.display, row.serial) for row in found] == rows
    assert (reader.serial, reader.problems) == (serial, [])
    found, reader = read(pieces(b"".join(root_html(rows)), borders), HTML)
    assert [row.display for row in found] == [name for name, _ in rows]
    assert reader.problems == []


@QUICK
@given(
    st.binary(max_size=40) | st.text("{}[]\",:\\u0a name<a href=/'>-!", max_size=60).map(str.encode), BORDERS
)
def test_any_bytes_are_an_index_or_a_content_error(content: bytes, borders: list[int]) -> None:
    for kind, start in ((JSON, b'{"projects":['), (JSON, b""), (HTML, b"<html>"), (HTML, b""), ("", b"")):
        try:
            read(chain([start], pieces(content, borders)), kind)
        except ContentError as error:
            message = str(error)
        else:
            message = ""
        assert message.isprintable()
