"""The root index of the Simple API (PEP 503, 691): read as it arrives, written as it goes. Pure.

It names 700,000 projects, so neither direction ever holds more of it than a few chunks.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from json import JSONDecodeError
from json.encoder import encode_basestring_ascii as _text
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from .index import DECODER, is_json
from .index_html import API_VERSION, HTML_FOOT, Attributes, IndexParser, charset_of, escape, html_head
from .model import Listed
from .names import is_project_name, normalize, project_name, shown
from .pagecheck import SHOWN_PROBLEMS, check_version, page_error, serial_of

_CHUNK = 1 << 16  # bytes, about, of each chunk that is written
_LONGEST = 1 << 20  # characters of one JSON value other than the list of projects

_SPACE = re.compile(r"[ \t\n\r]*")
_COLON = re.compile(r"[ \t\n\r]*:[ \t\n\r]*")
_NEXT = re.compile(r"[ \t\n\r]*([,\]}])[ \t\n\r]*")
_CHILD = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)/")  # the usual link


class Problems:
    """Names that no project can have: how many, and a sentence for the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self.sentences: list[str] = []

    def add(self, name: object) -> None:
        self.count += 1
        if self.count <= SHOWN_PROBLEMS:
            what = f"'{shown(name, 100)}'" if isinstance(name, str) else "an entry without a name"
            self.sentences.append(f"the root index lists {what}, which cannot be a project: left out")

    def total(self) -> None:
        if self.count > SHOWN_PROBLEMS:
            self.sentences.append(f"the root index lists {self.count} names that no project can have")


class RootReader:
    """Reads a root index, JSON or HTML, from chunks that may end anywhere.

    A name may come more than once (spelt differently): who collects them decides. What has been given out is
    to be trusted only when `close` has returned: until then the document may turn out to be cut short.
    """

    def __init__(self, content_type: str, url: str) -> None:
        self.serial: int | None = None  # known after close()
        self._content_type = content_type
        self._url = url
        self._problems = Problems()
        self._start = b""
        self._reader: _JsonRoot | _HtmlRoot | None = None

    @property
    def problems(self) -> list[str]:
        """A sentence for each of the first 100 names that cannot be, and after close() how many there are."""
        return self._problems.sentences

    def feed(self, chunk: bytes) -> list[Listed]:
        """The projects that `chunk` completes. Raises ContentError."""
        if self._reader is None:
            self._start += chunk
            if not self._start.lstrip(b"\xef\xbb\xbf \t\r\n"):
                return []  # nothing yet that shows whether it is JSON or HTML
            if is_json(self._content_type, self._start):
                self._reader = _JsonRoot(self._url, self._problems)
            else:
                self._reader = _HtmlRoot(self._url, self._problems, charset_of(self._content_type))
            chunk = self._start
        return self._reader.take(chunk)

    def close(self) -> list[Listed]:
        """The rest. Raises ContentError if the document is no root index, or was cut short."""
        if self._reader is None:
            raise page_error(self._url, "it is empty")
        rest = self._reader.end()
        self.serial = self._reader.serial
        self._problems.total()
        return rest


class _JsonRoot:
    """{"meta": {...}, "projects": [{"name": ..., "_last-serial": ...}, ...]}, keys in any order.

    A value counts only once what follows it is there too: a number may go on in the next chunk.
    """

    def __init__(self, url: str, problems: Problems) -> None:
        self.serial: int | None = None
        self._url = url
        self._problems = problems
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._buffer = ""
        self._where = "start"  # start, key, items, end
        self._has_projects = False

    def take(self, chunk: bytes, final: bool = False) -> list[Listed]:
        rows: list[Listed] = []
        try:
            buffer = self._buffer + self._utf8.decode(chunk, final)
            position = _skip_space(buffer, 0)
            before = -1
            while before < position < len(buffer):
                before = position
                if self._where == "items":
                    position = self._items(buffer, position, rows)
                elif self._where == "key":
                    position = self._member(buffer, position)
                elif self._where == "start" and buffer[position] == "{":
                    position = _skip_space(buffer, position + 1)
                    self._where = "key"
                else:
                    raise self._broken("it is not one JSON object")
        except RecursionError:
            raise self._broken("its JSON is nested too deeply") from None
        except ValueError as error:  # not UTF-8, a number of thousands of digits
            raise self._broken(f"its JSON cannot be read ({shown(str(error), 120)})") from None
        self._buffer = buffer[position:]
        if len(self._buffer) > _LONGEST:
            raise self._broken("its JSON cannot be read, or one value in it is longer than 1 MiB")
        return rows

    def end(self) -> list[Listed]:
        rows = self.take(b"", final=True)
        if self._where != "end":
            raise self._broken("it ends before its end, so it was cut short; the next run asks again")
        if not self._has_projects:
            raise self._broken("it has no list of projects")
        return rows

    def _member(self, buffer: str, start: int) -> int:
        """Take in one `"key": value` and what follows, if all of it is there. Returns where it ends."""
        if buffer[start] == "}":
            self._where = "end"
            return _skip_space(buffer, start + 1)
        try:
            key, position = DECODER.raw_decode(buffer, start)
            colon = _COLON.match(buffer, position)
            if colon is None or colon.end() == len(buffer):
                return start
            position = colon.end()
            if key == "projects":
                if buffer[position] != "[":
                    raise self._broken("its projects are not a list")
                self._has_projects = True
                self._where = "items"
                return _skip_space(buffer, position + 1)
            value, position = DECODER.raw_decode(buffer, position)
        except JSONDecodeError:
            return start  # not all of it is there yet; if it never comes, it ends in close() or at _LONGEST
        follows = _NEXT.match(buffer, position)
        if follows is None:
            return start
        if key == "meta":
            self._meta(value)
        return self._after(follows, "}")

    def _items(self, buffer: str, position: int, rows: list[Listed]) -> int:
        """Take in the projects that are complete in `buffer`. Returns the position of what is not."""
        if buffer[position] == "]":
            follows = _NEXT.match(buffer, position + 1)
            return position if follows is None else self._after(follows, "}")
        position = self._most(buffer, position, rows)
        while True:
            try:
                entry, end = DECODER.raw_decode(buffer, position)
            except JSONDecodeError:
                return position
            follows = _NEXT.match(buffer, end)
            if follows is None:
                return position
            self._take_entries([entry], rows)
            if follows[1] != ",":
                if follows[1] != "]":
                    raise self._broken("its list of projects ends with a brace")
                return follows.start(1)
            position = follows.end()

    def _most(self, buffer: str, position: int, rows: list[Listed]) -> int:
        """Take in the projects up to the last comma after one, all at once: a third of the time.

        Where that comma is no border of two projects, this is no JSON, and nothing is taken in.
        """
        border = buffer.rfind("},", position) + 1
        if not border:
            return position
        try:
            entries = DECODER.decode(f"[{buffer[position:border]}]")
        except ValueError:
            return position
        self._take_entries(entries, rows)
        return _skip_space(buffer, border + 1)

    def _take_entries(self, entries: list[Any], rows: list[Listed]) -> None:
        for entry in entries:
            name = entry.get("name") if type(entry) is dict else None
            if type(name) is str and (normalized := project_name(name)):
                rows.append(Listed(normalized, name, serial_of(entry.get("_last-serial"))))
            else:
                self._problems.add(name)

    def _after(self, follows: re.Match[str], last: str) -> int:
        """Go on after a member of the object: with the next one, or at its end."""
        if follows[1] not in {",", last}:
            raise self._broken("its brackets and braces do not match")
        self._where = "key" if follows[1] == "," else "end"
        return follows.end()

    def _meta(self, meta: object) -> None:
        if not isinstance(meta, dict):
            raise self._broken("its meta is not an object")
        check_version(self._url, meta.get("api-version"))
        self.serial = serial_of(meta.get("_last-serial"))

    def _broken(self, why: str) -> Exception:
        return page_error(self._url, why)


class _HtmlRoot(IndexParser):
    """<a href="/simple/name/">Name</a>, one for each project.

    Navigation is no project: without a repository version (PEP 629), which only an index states, a link
    counts only if it leads to below the index.
    """

    def __init__(self, url: str, problems: Problems, charset: str) -> None:
        super().__init__(url)
        place = urlsplit(url)
        self._site = place.netloc.lower()
        self._directory = place.path[: place.path.rfind("/") + 1] or "/"
        self._problems = problems
        self._decoder = codecs.getincrementaldecoder(charset)(errors="replace")
        self._segment: str | None = None  # of the open anchor's link
        self._label = ""  # its text so far
        self._rows: list[Listed] = []
        self._found = False

    def take(self, chunk: bytes) -> list[Listed]:
        self.read(self._decoder.decode(chunk))
        rows, self._rows = self._rows, []
        return rows

    def end(self) -> list[Listed]:
        self._list()
        self.finish()
        if not self._found and self.version is None:
            raise page_error(
                self.url,
                "it is HTML that links no projects, as error and login pages do; open it in a browser",
            )
        return self._rows

    def anchor(self, attributes: Attributes) -> None:
        self._list()  # HTML: an anchor ends where the next one begins
        self._segment, self._label = self._project((attributes["href"] or "").strip()), ""

    def handle_data(self, data: str) -> None:
        super().handle_data(data)
        if self._segment is not None and len(self._label) < 1000:
            self._label += data

    def handle_endtag(self, tag: str) -> None:
        super().handle_endtag(tag)
        if tag == "a":
            self._list()

    def _list(self) -> None:
        """PEP 503: "The text of the anchor tag MUST be the name of the project"; else its link has it."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        label = self._label.strip()
        name = label if is_project_name(label) else segment
        if is_project_name(name):
            self._found = True
            self._rows.append(Listed(normalize(name), name, None))
        else:
            self._problems.add(label or segment)

    def _project(self, href: str) -> str | None:
        """The last segment of a link that may be a project's, else None."""
        child = _CHILD.fullmatch(href)
        if child is not None and self.base == self.url:
            return child[1]
        try:
            place = urlsplit(urljoin(self.base, href))
        except ValueError:
            return None
        path = place.path.rstrip("/")
        below = place.netloc.lower() == self._site and path.startswith(self._directory)
        if place.scheme not in {"http", "https"} or not (below or self.version is not None):
            return None
        segment = unquote(path.rpartition("/")[2])
        return None if path + "/" == self._directory else segment or None


def _skip_space(buffer: str, position: int) -> int:
    found = _SPACE.match(buffer, position)
    return found.end() if found else position


def root_json(rows: Iterable[tuple[str, int | None]], serial: int | None) -> Iterator[bytes]:
    """The root index as JSON in chunks of about 64 KiB. `rows`: (display name, serial), in order."""
    meta = "" if serial is None else f',"_last-serial":{serial}'
    return _chunks(
        f'{{"meta":{{"api-version":"{API_VERSION}"{meta}}},"projects":[',
        (
            f'{{"name":{_text(name)}}}'
            if number is None
            else f'{{"_last-serial":{number},"name":{_text(name)}}}'
            for name, number in rows
        ),
        ",\n",
        "]}\n",
    )


def root_html(rows: Iterable[tuple[str, int | None]]) -> Iterator[bytes]:
    """The root index as HTML 5 in chunks of about 64 KiB, one project a line."""
    return _chunks(
        html_head("Simple index", [("pypi:repository-version", API_VERSION)]),
        (f'<a href="{escape(normalize(name))}/">{escape(name)}</a><br>\n' for name, _ in rows),
        "",
        HTML_FOOT,
    )


def _chunks(head: str, items: Iterator[str], between: str, foot: str) -> Iterator[bytes]:
    waiting, size = [head], len(head)
    separator = ""
    for item in items:
        waiting.append(separator + item)
        separator = between
        size += len(item)
        if size >= _CHUNK:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    waiting.append(foot)
    yield "".join(waiting).encode()
