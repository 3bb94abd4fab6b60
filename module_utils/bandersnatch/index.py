"""Project pages of the Simple API as JSON (PEP 691, 700, 714, 740, 792): read, checked, written. Pure.

`parse_page` takes what real indexes send and is strict only about safety. `render_json` writes one form:
reading our own page gives an equal `Page`, and writing that again gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from json.encoder import encode_basestring_ascii as _text
from typing import Any, NoReturn

from .hashes import all_of
from .index_html import parse_html
from .model import Blob, File, Page
from .names import METADATA, normalize, quoted, shown
from .pagecheck import (
    FileCheck,
    UnusableError,
    check_version,
    hex_hashes,
    page_error,
    scrub,
    serial_of,
)

TYPE_JSON = "application/vnd.pypi.simple.v1+json"
TYPE_HTML = "application/vnd.pypi.simple.v1+html"
ACCEPT_PAGE = f"{TYPE_JSON}, {TYPE_HTML};q=0.2, text/html;q=0.01"  # the order that PEP 691 proposes
ACCEPT_ROOT = ACCEPT_PAGE

_Located = tuple[str, str, dict[str, str], str]
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:[Zz]|[+-]00:?00)?", re.ASCII)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_no_number)  # Python would take NaN and Infinity


def is_json(content_type: str, start: bytes) -> bool:
    """True if an answer is to be read as JSON, False for HTML.

    `start`, its first bytes, decides where the type does not say JSON: static servers send what they do not
    know as text/plain, application/octet-stream or even text/html.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")):
        return True
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def parse_page(body: bytes, content_type: str, url: str, name: str) -> Page:
    """The page of project `name` that came from `url` (final, after redirects), whether JSON or HTML.

    Raises ContentError if it is not a page of that project. Files that cannot be mirrored safely (unsafe name
    or URL, no strong hash, in the way of another) are not in the page: `problems` says which and why.
    """
    if not is_json(content_type, body[:64]):
        return parse_html(body, url, name, content_type)
    document = _document(body, url)
    name = normalize(name)
    stated = document.get("name")
    if stated is not None and (not isinstance(stated, str) or normalize(stated) != name):
        raise page_error(url, f"it is of project {shown(str(stated), 80)}, not of {name}")
    meta = document.get("meta")
    if meta is None:
        meta = {}
    if not isinstance(meta, dict):
        raise page_error(url, "its meta is not an object")
    check_version(url, meta.get("api-version"))
    entries = document.get("files")
    if not isinstance(entries, list):
        raise page_error(url, "it has no list of files")
    status, reason = _status(document.get("project-status"), url)
    check = FileCheck(url)
    _take_files(entries, check, dirty=b"\\ud" in body or b"\\uD" in body)
    return Page(
        name=name,
        files=check.files(),
        versions=_versions(document.get("versions"), url),
        status=status,
        reason=reason,
        serial=serial_of(meta.get("_last-serial")),
        problems=check.problems(),
    )


def _document(body: bytes, url: str) -> dict[str, Any]:
    try:
        document = DECODER.decode(body.decode("utf-8-sig"))
    except RecursionError:
        raise page_error(url, "its JSON is nested too deeply") from None
    except ValueError as error:  # not UTF-8, not JSON, a number of thousands of digits
        raise page_error(url, f"its JSON cannot be read ({shown(str(error), 120)})") from None
    if not isinstance(document, dict):
        raise page_error(url, "its JSON is not an object")
    return document


def _versions(stated: object, url: str) -> tuple[str, ...] | None:
    if stated is None:
        return None
    if not isinstance(stated, list) or not all(isinstance(version, str) for version in stated):
        raise page_error(url, "its versions are not a list of strings")
    return tuple(scrub(version) for version in stated)


def _status(stated: object, url: str) -> tuple[str, str | None]:
    """(status, reason). PEP 792: a project without a status "is considered to be in the active state"."""
    if isinstance(stated, dict):
        status, reason = stated.get("status"), stated.get("reason")
    else:
        status, reason = stated, None
    if not isinstance(status, str | None) or not isinstance(reason, str | None):
        raise page_error(url, "its project-status is neither an object of strings nor a string")
    return scrub(status or "active"), scrub(reason) if reason else None


def _take_files(entries: list[Any], check: FileCheck, dirty: bool) -> None:
    locate, place = check.locate, check.place
    entries.reverse()
    while entries:  # each is let go at once: long pages then cost less memory, and the collector less time
        entry = entries.pop()
        try:
            place(_file(_scrubbed(entry) if dirty else entry, locate))
        except UnusableError as why:
            check.problem(entry.get("filename") if isinstance(entry, dict) else None, why)


def _scrubbed(entry: Any) -> Any:
    """The entry without lone surrogates, but for the name and the URL: those make the file unusable."""
    if not isinstance(entry, dict):
        return entry
    return {
        key: scrub(value) if isinstance(value, str) and key not in {"filename", "url"} else value
        for key, value in entry.items()
    }


def _file(entry: Any, locate: Callable[[str, str, object], _Located]) -> File:
    if type(entry) is not dict:
        raise UnusableError("its entry is not an object")
    get = entry.get
    filename, link, requires_python = get("filename"), get("url"), get("requires-python")
    if type(filename) is not str or type(link) is not str:
        raise UnusableError("its entry lacks a filename or a url")
    if requires_python is not None and type(requires_python) is not str:
        raise UnusableError("its requires-python is not a string")
    url, path, hashes, digest = locate(filename, link, get("hashes"))
    size, upload_time, yanked = get("size"), get("upload-time"), get("yanked", False)
    if type(size) is not int or not 0 <= size < 2**63:  # not isinstance: a bool is no size
        size = None
    if type(yanked) is not bool and (type(yanked) is not str or not yanked):
        yanked = bool(yanked)  # PEP 691: yanked where "truthy"
    provenance, gpg_sig = get("provenance"), get("gpg-sig")
    if type(provenance) is not str or not provenance.startswith(("https://", "http://")):
        provenance = None
    metadata = get("core-metadata")
    if type(metadata) is not bool:
        metadata = hex_hashes(metadata) or _core_metadata(entry)
    return File(
        filename,
        url,
        path,
        hashes,
        digest,
        size,
        upload_time if type(upload_time) is str and upload_time else None,
        requires_python or None,
        yanked,
        metadata,
        gpg_sig if type(gpg_sig) is bool else None,
        provenance,
    )


def _core_metadata(entry: dict[str, Any]) -> bool | dict[str, str]:
    """PEP 714: core-metadata, else its older name, else that name as the first implementation misspelt it."""
    for key in ("core-metadata", "dist-info-metadata", "data-dist-info-metadata"):
        stated = entry.get(key)
        if isinstance(stated, bool):
            return stated
        if isinstance(stated, dict):
            return hex_hashes(stated) or True  # there is metadata, though nothing says with which hash
    return False


def render_json(page: Page, root: str | None) -> bytes:
    """The page as compact JSON, in ASCII, always the same for the same page.

    `root` is what leads from the page to web/: "../../", "../../../", or "https://host/". None links
    the files where upstream has them.
    """
    # PEP 700 makes versions and every size mandatory from version 1.1 on: without them it is a 1.0 page.
    full = page.versions is not None and all(file.size is not None for file in page.files)
    meta = f'"api-version":"{"1.4" if full else "1.0"}"'
    if page.serial is not None:
        meta += f',"_last-serial":{page.serial}'
    head = [f'{{"meta":{{{meta}}},"name":{_text(page.name)}']
    if page.status != "active" or page.reason is not None:
        reason = "" if page.reason is None else f',"reason":{_text(page.reason)}'
        head.append(f'"project-status":{{"status":{_text(page.status)}{reason}}}')
    if page.versions is not None:
        head.append(f'"versions":[{",".join(map(_text, page.versions))}]')
    files = ",\n".join([_json_file(file, root) for file in page.files])
    return f'{",".join(head)},"files":[{files}]}}\n'.encode("ascii")


def _json_file(file: File, root: str | None) -> str:
    link = file.url if root is None else root + quoted(file.path)
    out = f'{{"filename":{_text(file.filename)},"url":{_text(link)},"hashes":{_json_hashes(file.hashes)}'
    if file.requires_python is not None:
        out += f',"requires-python":{_text(file.requires_python)}'
    if file.size is not None:
        out += f',"size":{file.size}'
    if file.upload_time is not None:
        out += f',"upload-time":{_text(file.upload_time)}'
    out += f',"yanked":{_json_flag(file.yanked)}'
    if file.core_metadata is not False:
        # Never "dist-info-metadata" (PEP 714): pip 22.3 to 23.0 fails on it. Its misspelling is harmless.
        stated = "true" if file.core_metadata is True else _json_hashes(file.core_metadata)
        out += f',"core-metadata":{stated},"data-dist-info-metadata":{stated}'
    if file.provenance is not None:
        out += f',"provenance":{_text(file.provenance)}'
    if file.gpg_sig is not None:
        out += f',"gpg-sig":{_json_flag(file.gpg_sig)}'
    return out + "}"


def _json_flag(value: bool | str) -> str:
    return _text(value) if isinstance(value, str) else "true" if value else "false"


def _json_hashes(hashes: dict[str, str]) -> str:
    if len(hashes) == 1:
        ((name, value),) = hashes.items()
        return f'{{"{name}":"{value}"}}'  # checked: nothing in it needs an escape
    return "{" + ",".join([f'"{name}":"{value}"' for name, value in hashes.items()]) + "}"


def blobs(page: Page, metadata: bool) -> list[Blob]:
    """What the page needs on disk, unique by path: its files and, with `metadata`, their .metadata."""
    found: dict[str, Blob] = {}
    for file in page.files:
        mtime = _posix(file.upload_time)
        size = -1 if file.size is None else file.size
        digest = file.digest if len(file.hashes) == 1 else all_of(file.hashes)
        found.setdefault(file.path, Blob(file.path, file.url, digest, size, mtime))
        if metadata and file.core_metadata is not False:
            digest = "" if file.core_metadata is True else all_of(file.core_metadata)
            url = file.url.partition("?")[0] + METADATA  # PEP 658: the suffix of the path, not of a query
            path = file.path + METADATA
            found.setdefault(path, Blob(path, url, digest, -1, mtime))
    return list(found.values())


def _posix(upload_time: str | None) -> int:
    """POSIX seconds of a PEP 700 upload-time ("yyyy-mm-ddThh:mm:ss.ffffffZ", always UTC); 0 if it is none."""
    found = _TIME.fullmatch(upload_time) if upload_time else None
    if found is None:
        return 0
    try:
        moment = datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00")
    except ValueError:  # a 13th month
        return 0
    return max(0, int(moment.timestamp()))


def without(page: Page, paths: frozenset[str]) -> Page:
    """The page without the files at `paths`, and without the promise of metadata whose path is among them."""
    return page._replace(
        files=tuple(
            file._replace(core_metadata=False) if file.path + METADATA in paths else file
            for file in page.files
            if file.path not in paths
        )
    )
