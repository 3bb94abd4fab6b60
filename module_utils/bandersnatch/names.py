"""Names that upstream chooses: is one safe as a directory or file name, and where does a file lie? Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

NAME_BYTES = 255  # NAME_MAX of ext4, and of every other file system that we meet
METADATA = ".metadata"  # PEP 658: appended to the URL of a file, it is the URL of its metadata

_SEPARATORS = re.compile(r"[-_.]+")
# PEP 508: "^([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])$", case-insensitive. Spelled out: re.IGNORECASE would
# let in the long s and the Kelvin sign.
_NORMALIZED = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")  # as most names are
_PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

# What nearly every file is called, and where it lies: one match, no more.
PLAIN_FILENAME = r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,200}"
HASHED_LAYOUT = r"packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/"
_PLAIN_FILE = re.compile(PLAIN_FILENAME)
# Slashes, C0, DEL, C1, the two line separators of Unicode, lone surrogates.
_FORBIDDEN = re.compile("[/\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_HASHED = re.compile(f"/{HASHED_LAYOUT}")
_HASHED_LENGTH = len("/packages/aa/bb//") + 60
_UNRESERVED = re.compile(r"[A-Za-z0-9._~/-]*")
_PYTHON = re.compile(r"source|any|(?:py|cp)\S+|\d\.\d\S*")


def normalize(name: str) -> str:
    """PEP 503: "lowercased with all runs of the characters ., -, or _ replaced with a single - character"."""
    return _SEPARATORS.sub("-", name).lower()


def project_name(name: str) -> str | None:
    """`name`, normalised, if PEP 508 allows it and it can be the name of a directory; else None."""
    if _NORMALIZED.fullmatch(name):
        normalized = name
    elif _PROJECT.fullmatch(name):
        normalized = normalize(name)
    else:
        return None
    return normalized if len(normalized) <= NAME_BYTES else None


def is_project_name(name: str) -> bool:
    """True if a project can be called so."""
    return project_name(name) is not None


def safe_filename(name: str) -> str | None:
    """None if `name` can be a file's name on our disk and in our pages, else why not: "begins with '-'"."""
    if _PLAIN_FILE.fullmatch(name):
        return None
    if not name:
        return "is empty"
    if name[0] in ".-":
        return f"begins with '{name[0]}'"
    found = _FORBIDDEN.search(name)
    if found is not None:
        return f"holds '{shown(found[0])}'"
    if len(name.encode()) > NAME_BYTES:
        return f"is longer than {NAME_BYTES} bytes"
    return None


def file_path(url_path: str, filename: str, digest_hex: str) -> str:
    """Where a file lies under web/: the path that upstream uses if that is one of the two known layouts.

    `url_path` is the path of its URL, not percent-encoded; `filename` has passed `safe_filename`;
    `digest_hex` (64 characters at least) makes the path where the URL has another shape. The result has five
    segments always, so that no file can lie where a directory is needed.
    """
    if url_path.endswith(filename):
        tail = url_path[-_HASHED_LENGTH - len(filename) :]
        if _HASHED.match(tail):
            return tail[1:]
        segments = url_path[: -len(filename)].rsplit("/", 5)[1:-1]
        if len(segments) == 4 and url_path[-len(filename) - 1] == "/" and _is_old_layout(segments):
            return f"{'/'.join(segments)}/{filename}"
    return f"packages/{digest_hex[:2]}/{digest_hex[2:4]}/{digest_hex[4:64]}/{filename}"


def _is_old_layout(segments: list[str]) -> bool:
    """packages/<Python version>/<first letter>/<project>, as the index laid its files out until 2016."""
    packages, python, letter, project = segments
    return (
        packages == "packages"
        and _PYTHON.fullmatch(python) is not None
        and len(letter) == 1
        and all(safe_filename(segment) is None for segment in (python, letter, project))
    )


def quoted(path: str) -> str:
    """Percent-encode a path, but for its slashes and what RFC 3986 calls unreserved."""
    return path if _UNRESERVED.fullmatch(path) else quote(path, safe="/")


def shown(text: str, limit: int = 200) -> str:
    """`text` for a message: on one line, `limit` characters at most, what does not print as an escape."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
