"""Project pages of the Simple API as HTML (PEP 503, 592, 629, 658, 714, 740, 792): read, written. Pure."""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin

from .model import File, Page
from .names import normalize, quoted
from .pagecheck import (
    FileCheck,
    UnusableError,
    check_version,
    fragment_hashes,
    hex_hashes,
    page_error,
    scrub,
    serial_of,
    strongest,
)

API_VERSION = "1.4"  # PEP 833 freezes HTML at this version; nothing in it is mandatory in HTML

_BLOCK = 1 << 16
_LONGEST_TAG = 1 << 18  # characters; html.parser takes quadratic time on an unfinished construct
_SERIAL = re.compile(r"\s*SERIAL\s+([0-9]{1,19})\s*")
_DISTRIBUTION = re.compile(
    r"\.(?:whl|egg|zip|tar\.(?:gz|bz2|xz|z|lzma)|tgz|tbz2?|txz|tar|exe|msi|rpm|deb|dmg)\Z", re.IGNORECASE
)

_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)

_ENTITIES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
    "\u2028": "&#8232;",
    "\u2029": "&#8233;",
}
# What needs an entity, or cannot be in HTML at all: controls, lone surrogates, noncharacters.
_SPECIAL = re.compile("[&<>\"'\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

Attributes = dict[str, str | None]


def escape(text: str) -> str:
    """`text` for an element or a quoted attribute, on one line; what HTML cannot say becomes U+FFFD."""
    return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], "\ufffd"), text)


class IndexParser(HTMLParser):
    """What project pages and the root index have in common: version, status, base, serial, and an end.

    Subclasses get each anchor in `anchor()`. `close()` is never called: it makes html.parser quadratic.
    """

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.url = url
        self.base = url  # what links are relative to
        self.version: str | None = None
        self.status: str | None = None
        self.reason: str | None = None
        self.serial: int | None = None
        self.heading = ""  # text of the title and the first headline
        self._has_base = False
        self._in_heading = False
        self._opened = False
        self._closed = False

    def anchor(self, attributes: Attributes) -> None:
        """Called for each <a> that has an href."""
        raise NotImplementedError

    def read(self, text: str) -> None:
        """Take in more of the document. Raises ContentError where it cannot be HTML that people write."""
        for start in range(0, len(text), _BLOCK):
            try:
                self.feed(text[start : start + _BLOCK])
            except (
                AssertionError,
                ValueError,
            ):  # "<![" and no more: html.parser asserts that nobody writes it
                raise page_error(self.url, "its HTML cannot be read") from None
            if len(self.rawdata) > _LONGEST_TAG:
                raise page_error(self.url, "a tag or comment in its HTML does not end")

    def finish(self) -> None:
        """Raise ContentError if the document was cut short: then it may lack what makes us delete."""
        if self.rawdata.startswith("<") or (self._opened and not self._closed):
            raise page_error(self.url, "it ends before its end, so it was cut short; the next run asks again")
        check_version(self.url, self.version)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            attributes = dict(attrs)
            if attributes.get("href") is not None:
                self.anchor(attributes)
        elif tag == "meta":
            self._meta(dict(attrs))
        elif tag == "base":
            self._base(dict(attrs).get("href"))
        elif tag == "html":
            self._opened = True
        elif tag in {"title", "h1"}:
            self._in_heading = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "html":
            self._closed = True
        elif tag in {"title", "h1"}:
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading and len(self.heading) < 1000:
            self.heading += f" {data.strip()}"

    def handle_comment(self, data: str) -> None:
        """The serial of a page of an index, as mirrors have always written it at the end of theirs."""
        found = _SERIAL.fullmatch(data)
        if found is not None:
            self.serial = serial_of(found[1])

    def _meta(self, attributes: Attributes) -> None:
        name, content = attributes.get("name"), attributes.get("content") or ""
        if name == "pypi:repository-version":
            self.version = content
        elif name == "pypi:project-status":
            self.status = scrub(content)
        elif name == "pypi:project-status-reason":
            self.reason = scrub(content)

    def _base(self, href: str | None) -> None:
        if href is None or self._has_base:  # HTML: the first base with an href counts
            return
        try:
            self.base = urljoin(self.url, href.strip())
        except ValueError:
            raise page_error(self.url, "its base URL cannot be read") from None
        self._has_base = True


class _PageParser(IndexParser):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.anchors = 0
        self.distributions = 0
        self.check = FileCheck(url)

    def _base(self, href: str | None) -> None:
        super()._base(href)
        if not self.anchors:  # a base after the first link is against the standard: that link stays as it was
            self.check = FileCheck(self.base)

    def anchor(self, attributes: Attributes) -> None:
        """PEP 503: "the href attribute MUST be a URL that links to the location of the file for download".

        Links that look like no file (to the parent directory, to a home page) are navigation, not problems.
        """
        self.anchors += 1
        link, _, fragment = (attributes["href"] or "").strip().partition("#")
        last = link.partition("?")[0].rpartition("/")[2]
        filename = unquote(last, errors="surrogateescape")
        hashes = fragment_hashes(fragment)
        is_distribution = _DISTRIBUTION.search(filename) is not None
        self.distributions += is_distribution
        if not link or not filename or not (is_distribution or hashes):
            return
        try:
            self.check.place(_file(filename, link, hashes, attributes, self.check))
        except UnusableError as why:
            self.check.problem(filename, why)


def _file(filename: str, link: str, hashes: dict[str, str], attributes: Attributes, check: FileCheck) -> File:
    url, path, kept, digest = check.locate(filename, link, hashes)
    yanked: bool | str = False
    if "data-yanked" in attributes:  # PEP 592: without a value it is yanked too
        yanked = scrub(attributes["data-yanked"] or "") or True
    provenance = attributes.get("data-provenance") or ""
    gpg_sig = attributes.get("data-gpg-sig")
    return File(
        filename=filename,
        url=url,
        path=path,
        hashes=kept,
        digest=digest,
        requires_python=scrub(attributes.get("data-requires-python") or "") or None,
        yanked=yanked,
        core_metadata=_core_metadata(attributes),
        gpg_sig={"true": True, "false": False}.get(gpg_sig or ""),
        provenance=scrub(provenance) if provenance.startswith(("https://", "http://")) else None,
    )


def _core_metadata(attributes: Attributes) -> bool | dict[str, str]:
    """PEP 714: "<hashname>=<hashvalue>" or "true" in data-core-metadata, else in data-dist-info-metadata."""
    for key in ("data-core-metadata", "data-dist-info-metadata"):
        if key in attributes:
            value = attributes[key] or ""
            name, _, digest = value.partition("=")
            return False if value == "false" else hex_hashes({name: digest}) or True
    return False


def charset_of(content_type: str) -> str:
    """The codec of an HTML page: UTF-8, unless its Content-Type names one with a byte for each letter."""
    found = _CHARSET.search(content_type)
    try:
        codec = codecs.lookup(found[1]).name if found else ""
    except LookupError:
        codec = ""
    if codec == "iso8859-1":  # HTML: what is called so means windows-1252
        return "cp1252"
    return codec if codec.startswith(("iso8859-", "cp125", "koi8-")) else "utf-8-sig"


def parse_html(body: bytes, url: str, name: str, content_type: str = "") -> Page:
    """The page of project `name` that came from `url`. Raises ContentError if it is no project page.

    An error page may come with status 200, so a page must show what it is: a repository version (PEP 629), a
    link to a distribution, or, without links, a title "Links for ...".
    """
    parser = _PageParser(url)
    # With surrogateescape, bytes that are not of the charset make just their file unusable.
    parser.read(body.decode(charset_of(content_type), errors="surrogateescape"))
    parser.finish()
    empty = parser.anchors == 0 and "links for " in parser.heading.lower()
    if parser.version is None and not parser.distributions and not empty:
        raise page_error(
            url, "it is HTML that links no files, as error and login pages do; open it in a browser"
        )
    check = parser.check
    return Page(
        name=normalize(name),
        files=check.files(),
        status=parser.status or "active",
        reason=parser.reason or None,
        serial=parser.serial,
        problems=check.problems(),
    )


def html_head(title: str, metas: list[tuple[str, str]]) -> str:
    """The start of a page, up to and with its headline."""
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        *(f'<meta name="{name}" content="{escape(content)}">' for name, content in metas),
        f"<title>{escape(title)}</title>",
        "</head>",
        "<body>",
        f"<h1>{escape(title)}</h1>",
    ]
    return "\n".join(lines) + "\n"


HTML_FOOT = "</body>\n</html>\n"


def render_html(page: Page, root: str | None) -> bytes:
    """The page as HTML 5 in UTF-8, one file a line; `root` as for `index.render_json`."""
    metas = [("pypi:repository-version", API_VERSION)]
    if page.status != "active" or page.reason is not None:
        metas.append(("pypi:project-status", page.status))
    if page.reason is not None:
        metas.append(("pypi:project-status-reason", page.reason))
    lines = [_anchor(file, None if root is None else escape(root)) for file in page.files]
    serial = "" if page.serial is None else f"<!--SERIAL {page.serial}-->\n"
    return "".join([html_head(f"Links for {page.name}", metas), *lines, HTML_FOOT, serial]).encode()


def _anchor(file: File, root: str | None) -> str:
    algorithm, _, digest = file.digest.partition(":")
    path = quoted(file.path)  # that needs no escape, nor does a name that was not changed in it
    link = escape(file.url) if root is None else root + path
    filename = file.filename if path == file.path else escape(file.filename)
    out = f'<a href="{link}#{algorithm}={digest}"'
    if file.requires_python is not None:
        out += f' data-requires-python="{escape(file.requires_python)}"'
    if file.yanked is not False:
        out += f' data-yanked="{"" if file.yanked is True else escape(file.yanked)}"'
    if file.core_metadata is not False:
        stated = "true" if file.core_metadata is True else _one_hash(file.core_metadata)
        # PEP 714: the old name too, for old clients
        out += f' data-core-metadata="{stated}" data-dist-info-metadata="{stated}"'
    if file.gpg_sig is not None:
        out += f' data-gpg-sig="{"true" if file.gpg_sig else "false"}"'
    if file.provenance is not None:
        out += f' data-provenance="{escape(file.provenance)}"'
    return f"{out}>{filename}</a><br>\n"


def _one_hash(hashes: dict[str, str]) -> str:
    """HTML has room for one: the strongest, else the first."""
    best = strongest(hashes) or ":".join(next(iter(hashes.items())))
    return best.replace(":", "=", 1)
