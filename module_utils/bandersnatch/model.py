"""What an index says, as values. Named tuples: immutable, made at a third of a frozen dataclass's cost."""

from __future__ import annotations

from typing import NamedTuple


class File(NamedTuple):
    """One file of a project page, checked: its path is safe and it has a strong hash."""

    filename: str
    url: str  # absolute http(s) URL at upstream, percent-encoded
    path: str  # under web/, five segments, not percent-encoded: packages/aa/bb/<60 hex>/<filename>
    hashes: dict[str, str]  # PEP 691: "a dictionary mapping a hash name to a hex encoded digest", as stated
    digest: str  # "sha256:<hex>": the strongest stated hash
    size: int | None = None  # PEP 700: "an integer which is the file size in bytes"
    upload_time: str | None = None  # PEP 700: "yyyy-mm-ddThh:mm:ss.ffffffZ"
    requires_python: str | None = None  # PEP 345's Requires-Python
    yanked: bool | str = False  # PEP 691: "either a boolean … or an arbitrary string" (the reason)
    core_metadata: bool | dict[str, str] = False  # PEP 714: "a boolean or a dictionary mapping hash names"
    gpg_sig: bool | None = None  # PEP 691, optional
    provenance: str | None = None  # PEP 740: "a string with the absolute URL" of the provenance, or null


class Page(NamedTuple):
    """A project page (PEP 691), parsed and checked."""

    name: str  # normalised (PEP 503)
    files: tuple[File, ...]
    versions: tuple[str, ...] | None = None  # PEP 700; None where the index does not say
    status: str = "active"  # PEP 792: active, archived, quarantined, deprecated
    reason: str | None = None  # PEP 792: "an arbitrary string" that says why
    serial: int | None = None  # meta._last-serial
    problems: tuple[str, ...] = ()  # a sentence for each file that was left out as unsafe or unverifiable


class Listed(NamedTuple):
    """A line of the root index."""

    name: str  # normalised
    display: str  # as the index spells it
    serial: int | None


class Blob(NamedTuple):
    """A file that a page needs on disk: a distribution, or the `.metadata` beside it."""

    path: str  # under web/
    url: str
    digest: str  # all stated hashes, see hashes.py; "" where there is none (core-metadata: true)
    size: int  # bytes; -1 where the index does not say
    mtime: int  # POSIX seconds of the upload; 0 where the index does not say
