"""index_html.py: what is written, and what holds for every page (hypothesis)."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from bandersnatch.errors import ContentError
from bandersnatch.index_html import escape, parse_html, render_html
from bandersnatch.model import File, Page
from bandersnatch.pagecheck import strongest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import LINK, OURS, PLACE, SHA, SHA2, URL, body, entry
from pages import parse as parse_json

QUICK = settings(derandomize=True, deadline=None, max_examples=100, database=None)
FILE = File("foo-1.0.zip", LINK, f"{PLACE}/foo-1.0.zip", {"sha256": SHA}, f"sha256:{SHA}")


class Strict(HTMLParser):
    """Every element that a page has, and whether all were closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.anchors: list[tuple[dict[str, str | None], str]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert len(dict(attrs)) == len(attrs)
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        if tag == "a":
            self.anchors.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "a":
            attributes, text = self.anchors[-1]
            self.anchors[-1] = attributes, text + data


def test_a_page_is_rendered_with_every_attribute() -> None:
    file = FILE._replace(
        filename="foo+1.zip",
        path=f"{PLACE}/foo+1.zip",
        requires_python=">=3",
        yanked='"bad"',
        core_metadata={"md5": "00", "sha256": SHA2},
        gpg_sig=True,
        provenance="https://index.example.org/p?a&b",
    )
    page = Page(
        "foo",
        (file, FILE._replace(yanked=True, core_metadata=True, gpg_sig=False)),
        None,
        "archived",
        "<x>",
        7,
    )
    assert render_html(page, "../../").decode() == (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        '<meta name="pypi:repository-version" content="1.4">\n'
        '<meta name="pypi:project-status" content="archived">\n'
        '<meta name="pypi:project-status-reason" content="&lt;x&gt;">\n'
        "<title>Links for foo</title>\n"
        "</head>\n"
        "<body>\n"
        "<h1>Links for foo</h1>\n"
        f'<a href="../../{PLACE}/foo%2B1.zip#sha256={SHA}" data-requires-python="&gt;=3"'
        f' data-yanked="&quot;bad&quot;" data-core-metadata="sha256={SHA2}"'
        f' data-dist-info-metadata="sha256={SHA2}"'
        ' data-gpg-sig="true" data-provenance="https://index.example.org/p?a&amp;b">foo+1.zip</a><br>\n'
        f'<a href="../../{PLACE}/foo-1.0.zip#sha256={SHA}" data-yanked="" data-core-metadata="true"'
        ' data-dist-info-metadata="true" data-gpg-sig="false">foo-1.0.zip</a><br>\n'
        "</body>\n"
        "</html>\n"
        "<!--SERIAL 7-->\n"
    )


def test_the_strongest_hash_is_in_the_link() -> None:
    file = FILE._replace(
        hashes={"md5": "00", "sha256": SHA, "sha512": "ab" * 64}, digest=f"sha512:{'ab' * 64}"
    )
    assert f"#sha512={'ab' * 64}" in render_html(Page("foo", (file,)), "../../").decode()


def test_without_a_root_the_files_stay_where_upstream_has_them() -> None:
    file = FILE._replace(url="https://files.example.org/x?a=b&c=d")
    assert (
        'href="https://files.example.org/x?a=b&amp;c=d#sha256='
        in render_html(Page("foo", (file,)), None).decode()
    )


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<a>&\"'", "&lt;a&gt;&amp;&quot;&#39;"),
        ("a\tb\r\n", "a&#9;b&#13;&#10;"),
        ("\0\x1b\x85\ud800\uffff", "\ufffd" * 5),
        ("ö😀", "ö😀"),
    ],
)
def test_escape_leaves_no_markup_and_no_line_break(text: str, escaped: str) -> None:
    assert escape(text) == escaped


# What HTML can say: it has no control characters (but tab and line ends) and no noncharacters.
CHARACTERS = st.characters(exclude_categories=["Cc", "Cs", "Cn"]) | st.sampled_from("\t\r\n<>&\"'\u2028")
TEXT = st.text(CHARACTERS, min_size=1, max_size=12)
FILENAME = st.one_of(
    st.sampled_from(["foo-1.0.zip", "a b.whl", "ä+ö.zip", "q'\"<&>.zip", "%2e#?.zip", "README"]), TEXT
)


@st.composite
def pages(draw: st.DrawFn) -> Page:
    """A page that our JSON reader makes, with texts that HTML can carry."""
    files = []
    for _ in range(draw(st.integers(0, 4))):
        filename = draw(FILENAME)
        keys = {
            "requires-python": TEXT,
            "yanked": st.one_of(st.booleans(), TEXT),
            "core-metadata": st.sampled_from(
                [True, {"sha256": SHA2}, {"md5": "00"}, {"md5": "00", "sha512": "ab" * 64}]
            ),
            "gpg-sig": st.booleans(),
            "provenance": TEXT.map(lambda text: "https://index.example.org/" + text),
            "size": st.integers(0, 9),
        }
        chosen = {key: draw(values) for key, values in keys.items() if draw(st.booleans())}
        hashes = draw(
            st.sampled_from([{"sha256": SHA}, {"md5": "00", "sha256": SHA2}, {"blake2b": "ab" * 64}])
        )
        files.append(entry(filename, hashes=hashes, **chosen))
    status = draw(st.one_of(st.none(), TEXT, st.fixed_dictionaries({"status": TEXT, "reason": TEXT})))
    meta = {"api-version": "1.4", "_last-serial": draw(st.none() | st.integers(0, 2**63 - 1))}
    return parse_json(body(*files, meta=meta, versions=["1.0"], **{"project-status": status}))


def in_html(page: Page) -> Page:
    """What of a page HTML has room for: one hash for each thing, no sizes, times and versions."""
    files = []
    for file in page.files:
        algorithm, _, digest = file.digest.partition(":")
        metadata = file.core_metadata
        if isinstance(metadata, dict) and strongest(metadata):
            name, _, value = strongest(metadata).partition(":")
            metadata = {name: value}
        url = f"http://127.0.0.1/{file.path}"
        files.append(file._replace(url=url, hashes={algorithm: digest}, size=None, core_metadata=metadata))
    return page._replace(files=tuple(files), versions=None, problems=())


@QUICK
@given(pages())
def test_our_page_read_again_is_equal_and_renders_to_the_same_bytes(page: Page) -> None:
    rendered = render_html(page, "../../")
    again = parse_html(rendered, OURS, "foo")
    found = again._replace(files=tuple(f._replace(url=f"http://127.0.0.1/{f.path}") for f in again.files))
    assert found == in_html(page)
    assert render_html(again, "../../") == rendered


@QUICK
@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_whatever_texts_say_stays_text(one: str, other: str) -> None:
    document = {
        "requires-python": one,
        "yanked": other,
        "provenance": "https://x/" + one,
        "core-metadata": {"sha256": SHA, other: one},
    }
    keys = {"project-status": {"status": one, "reason": other}, "versions": [one]}
    page = parse_json(
        body(entry(one, **document), entry(f"<script>{other.replace('/', '')}.zip", **document), **keys)
    )
    rendered = render_html(page, "../../").decode()
    reader = Strict()
    reader.feed(rendered)
    reader.close()
    assert reader.open == []
    assert reader.tags <= {"html", "head", "meta", "title", "body", "h1", "a", "br"}
    links = [f"../../{quote(file.path)}#{file.digest.replace(':', '=')}" for file in page.files]
    assert [attributes["href"] for attributes, _ in reader.anchors] == links
    assert rendered.count("\n") == len(rendered.splitlines()) == 11 + len(page.files) + status_lines(page)


def status_lines(page: Page) -> int:
    return (page.status != "active" or page.reason is not None) + (page.reason is not None)


@QUICK
@given(
    st.lists(
        st.sampled_from(
            [
                "<a ",
                "href=",
                "'",
                '"',
                LINK,
                f"#sha256={SHA}",
                ">",
                "</a>",
                "<base ",
                "<!--",
                "-->",
                "<![",
                "<html>",
                "&#",
                "\0",
            ]
        )
        | st.text(st.characters(), max_size=5),
        max_size=20,
    )
)
def test_any_markup_is_a_page_or_a_content_error(parts: list[str]) -> None:
    try:
        page = parse_html("".join(parts).encode("utf-8", "surrogatepass"), URL, "foo")
    except ContentError as error:
        message = str(error)
    else:
        message = ""
        render_html(page, "../../")
    assert message.isprintable()
