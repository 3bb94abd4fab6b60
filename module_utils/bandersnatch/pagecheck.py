"""What of an index's answer can be believed: versions, serials, hashes, URLs, files side by side.

Pure, and shared by the readers of JSON and of HTML. Nothing that upstream says is trusted.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from .errors import ContentError
from .hashes import LENGTHS, STRONG
from .model import File
from .names import (
    HASHED_LAYOUT,
    METADATA,
    NAME_BYTES,
    PLAIN_FILENAME,
    file_path,
    safe_filename,
    shown,
)
from .urls import shown as shown_url

SHOWN_PROBLEMS = 100

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"[0-9A-Fa-f]{1,256}")
_FRAGMENT_HASH = re.compile(r"(?:^|&)([A-Za-z0-9_-]+)=([0-9A-Fa-f]+)(?=&|$)")
_VERSION = re.compile(r"1(?:\.[0-9]{1,9})*")
_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_IN_URLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")

_URL_SAFE = "!$&'()*+,;=:@/%"  # RFC 3986 pchar, and what is encoded already
# Nearly every link there is: taken apart without urllib, which costs five times the rest. Of those, most lead
# to a file with a plain name in the hashed layout, which needs no further look.
_START = r"(https?://[A-Za-z0-9.:-]+/|(?:\.\./)+|/)"
_PLAIN = re.compile(_START + r"((?![./])[A-Za-z0-9._~!$&'()*+,;=:@/%-]*)(?:#.*)?")
_USUAL = re.compile(_START + rf"({HASHED_LAYOUT}({PLAIN_FILENAME}))(?:#.*)?")
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


class UnusableError(Exception):
    """Why one file is left out of a page: the second half of a sentence that begins with its name."""


def page_error(url: str, why: str) -> ContentError:
    """The error for an answer that is not the page it should be, naming its URL without its secrets."""
    return ContentError(f"{shown_url(url)} is not an index page that can be mirrored: {why}")


def check_version(url: str, version: object) -> None:
    """PEP 629: a greater major version than the known one must make clients fail; none stated is 1.0."""
    if version is None:
        return
    if type(version) in {int, float}:  # some write it as a number, against PEP 691
        version = str(version)
    if not isinstance(version, str) or not _VERSION.fullmatch(version.strip()):
        raise page_error(url, f"its API version is {shown(str(version), 40)}; versions 1.x are understood")


def serial_of(value: object) -> int | None:
    """A serial, which real indexes send as an int or as a string; None where it is no whole number."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 19:
        value = int(value)
    if type(value) is int and 0 <= value < 2**63:
        return value
    return None


def scrub(text: str) -> str:
    """Lone surrogates cannot be encoded, and one of them makes strict JSON readers refuse a whole page."""
    return _SURROGATES.sub("\ufffd", text)


def hex_hashes(stated: object) -> dict[str, str]:
    """The entries of `stated` that map a hash that we can check to a digest of its length, in lower case."""
    kept: dict[str, str] = {}
    if isinstance(stated, dict):
        sha256 = stated.get("sha256") if len(stated) == 1 else None
        if type(sha256) is str and _SHA256.fullmatch(sha256):
            return stated  # as nearly all are
        for name, value in stated.items():
            if isinstance(value, str) and _HEX.fullmatch(value) and len(value) == LENGTHS.get(name):
                kept[name] = value.lower()
    return kept


def fragment_hashes(fragment: str) -> dict[str, str]:
    """What the fragment of a file's URL says: "sha256=<hex>", as PEP 503 has it; several with "&" between."""
    return dict(_FRAGMENT_HASH.findall(fragment))


def strongest(hashes: dict[str, str]) -> str:
    """ "<algorithm>:<hex>" of the best hash in checked `hashes`; "" if none is strong."""
    if len(hashes) == 1 and "sha256" in hashes:
        return f"sha256:{hashes['sha256']}"
    for name in STRONG:
        if name in hashes:
            return f"{name}:{hashes[name]}"
    return ""


class Resolver:
    """Turns the links of one page into absolute URLs."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._starts: dict[str, tuple[str, str]] = {}  # "https://host/", "../../" or "/" -> (URL, path) of it

    def __call__(self, link: str) -> tuple[str, str]:
        """(absolute URL, encoded, without fragment; its path, not percent-encoded), or UnusableError."""
        found = None if "/." in link.lstrip("./") else _PLAIN.fullmatch(link)  # no dot segments inside a path
        if found is None:
            return _resolved(self._base, link)
        url, path = self.start(found[1])
        rest = found[2]
        return url + rest, path + (unquote(rest, errors="surrogateescape") if "%" in rest else rest)

    def start(self, start: str) -> tuple[str, str]:
        """What the start of a link means on this page."""
        known = self._starts.get(start)
        if known is None:
            known = self._starts[start] = _origin(start) if start[0] == "h" else _resolved(self._base, start)
        return known


def _resolved(base: str, link: str) -> tuple[str, str]:
    if _NOT_IN_URLS.search(link):
        raise UnusableError("its URL holds a control character or is not valid Unicode")
    try:
        parts = urlsplit(urljoin(base, link.strip()))
        host = parts.hostname or ""
        # At most 254 characters (RFC 1035 allows 253): some Pythons take quadratic time for longer ones.
        host = f"[{host}]" if "[" in parts.netloc else host[:254].encode("idna").decode("ascii")
        netloc = host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:  # UnicodeError is one too
        raise UnusableError(f"its URL {shown(link, 80)} cannot be read") from None
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(host) or len(host) > 253:
        raise UnusableError(f"its URL {shown(link, 80)} is not http or https with a host")
    user, at, _ = parts.netloc.rpartition("@")
    path = quote(parts.path or "/", safe=_URL_SAFE)
    query = quote(parts.query, safe=_URL_SAFE + "?")
    url = urlunsplit((parts.scheme, quote(user, safe=_URL_SAFE) + at + netloc, path, query, ""))
    return url, unquote(path, errors="surrogateescape")


@lru_cache(maxsize=64)
def _origin(start: str) -> tuple[str, str]:
    """An index has its files on one or two hosts: what they mean is the same on each page."""
    return _resolved("", start)


class FileCheck:
    """Collects the usable files of one page, in its order, and a sentence for each of the others."""

    def __init__(self, base: str) -> None:
        self._resolve = Resolver(base)
        self._files: dict[str, File] = {}
        self._named_metadata: set[str] = set()  # paths of distributions that are called so
        self._problems: list[str] = []
        self._more = 0

    def locate(self, filename: str, link: str, stated: object) -> tuple[str, str, dict[str, str], str]:
        """(url, path, hashes, digest) as `model.File` wants them, or UnusableError."""
        reason = safe_filename(filename)
        if reason is not None:
            raise UnusableError(f"its name {reason}")
        hashes = hex_hashes(stated)
        digest = strongest(hashes)
        if not digest and "#" in link:  # some say it only there in JSON too
            hashes = {**hashes, **hex_hashes(fragment_hashes(link.partition("#")[2]))}
            digest = strongest(hashes)
        if not digest:
            weak = f"only {', '.join(hashes)}" if hashes else "none at all"
            raise UnusableError(
                f"no hash is stated that proves its content, such as sha256 ({shown(weak, 80)})"
            )
        usual = _USUAL.fullmatch(link)
        if usual is not None and usual[3] == filename:
            path = usual[2]
            return self._resolve.start(usual[1])[0] + path, path, hashes, digest
        url, path = self._resolve(link)
        return (
            url,
            file_path(path, filename, hashes.get("sha256") or digest.partition(":")[2]),
            hashes,
            digest,
        )

    def place(self, file: File) -> None:
        """Take the file in, unless it stands in the way of an earlier one (then UnusableError)."""
        name = file.filename
        first = self._files.setdefault(name, file)
        if first is not file:
            if first.digest == file.digest:
                return
            raise UnusableError("it is listed twice with different hashes; the first is kept")
        if name.endswith(METADATA):
            owner = self._files.get(name[: -len(METADATA)])
            if owner is not None and owner.core_metadata is not False and owner.path + METADATA == file.path:
                del self._files[name]
                raise UnusableError(f"it would lie where the metadata of {owner.filename} lies")
            self._named_metadata.add(file.path)
        if file.core_metadata is not False:
            if len(name) > 60 and len(name.encode()) > NAME_BYTES - len(METADATA):
                self._files[name] = file._replace(core_metadata=False)
                self.problem(
                    name, f"with {METADATA} its name is longer than {NAME_BYTES} bytes; served without"
                )
            elif self._named_metadata and file.path + METADATA in self._named_metadata:
                del self._files[name]
                raise UnusableError(f"its metadata would lie where the file {name}{METADATA} lies")

    def problem(self, filename: object, why: object) -> None:
        """Note why a file is left out; of the million that a hostile page may hold, only the first ones."""
        if len(self._problems) < SHOWN_PROBLEMS:
            label = (
                shown(filename, 100) if isinstance(filename, str) and filename else "a file without a name"
            )
            self._problems.append(f"{label}: {why}")
        else:
            self._more += 1

    def files(self) -> tuple[File, ...]:
        return tuple(self._files.values())

    def problems(self) -> tuple[str, ...]:
        more = (f"and {self._more} more files are left out",) if self._more else ()
        return (*self._problems, *more)
