"""Which project and version a distribution's file name states: pure.

Today's `/packages/aa/bb/<60 hex>/<file>` does not name the project, so the file name must. The old layout
`/packages/<python>/<letter>/<project>/<file>` does, which settles where the name ends in `my-app-2-1.tar.gz`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .names import is_project_name, normalize, safe_filename

_WHEEL_PARTS = (5, 6)  # name-version(-build)?-python-abi-platform
_SDIST = re.compile(r"\.(?:tar\.(?:gz|bz2|xz|Z|lzma|zst)|tgz|tbz2?|zip|tar)$", re.IGNORECASE)
_BINARY = re.compile(r"\.(?:exe|msi|dmg)$", re.IGNORECASE)  # distutils' installers, on old projects' pages
_RPM = re.compile(r"-[0-9]+\.(?:noarch|src|i[3-6]86|x86_64)\.rpm$", re.IGNORECASE)
# What bdist_dumb and bdist_wininst put behind the version: foo-1.0.linux-x86_64, foo-1.0.win-amd64-py2.7
_PLATFORM = re.compile(
    r"(?:\.(?:win32|win-[a-z0-9]+|linux-[a-z0-9_]+|macosx-[0-9.]+-[a-z0-9_]+))?(?:-py[0-9](?:\.[0-9]+)?)?$"
)
_VERSION = re.compile(  # PEP 440, with the spellings that it normalises
    r"v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*"
    r"(?:[-_.]?(?:alpha|beta|preview|pre|rc|a|b|c)[-_.]?[0-9]*)?"
    r"(?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?"
    r"(?:[-_.]?dev[-_.]?[0-9]*)?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.IGNORECASE,
)


class Release(NamedTuple):
    """A distribution file, as its name states it."""

    project: str  # normalised (PEP 503)
    version: str  # as the file name spells it
    filename: str


def parse(path: str) -> Release | None:
    """`path` is the unquoted path of a URL under /packages/. None where its last segment is no distribution
    (a signature, `.metadata`, a directory) or states no project and version."""
    segments = path.split("/")
    filename = segments[-1]
    if safe_filename(filename) is not None:  # then it was never mirrored, let alone served
        return None
    split = _split(filename, _old_layout_project(segments))
    if split is None:
        return None
    name, version = split
    if not version or not is_project_name(name):
        return None
    return Release(normalize(name), version, filename)


def _old_layout_project(segments: list[str]) -> str | None:
    """The project of ['', 'packages', <python>, <one letter>, <project>, <file>]."""
    if len(segments) == 6 and len(segments[3]) == 1 and segments[4][:1] == segments[3]:
        return normalize(segments[4])
    return None


def _split(filename: str, project: str | None) -> tuple[str, str] | None:
    """(name, version) as spelled; the packaging rules for wheels, eggs and sdists."""
    lower = filename.lower()
    if lower.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in _WHEEL_PARTS or _VERSION.fullmatch(parts[1].replace("_", "-")) is None:
            return None
        return parts[0], parts[1]
    if lower.endswith(".egg"):
        parts = filename[:-4].split("-")
        return (parts[0], parts[1]) if len(parts) > 1 else None
    for ending in (_SDIST, _BINARY, _RPM):
        found = ending.search(filename)
        if found is not None:
            stem = filename[: found.start()]
            return _split_stem(_PLATFORM.sub("", stem, count=1), project)
    return None


def _split_stem(stem: str, project: str | None) -> tuple[str, str] | None:
    """`name-version`, where old names hold dashes too: as the layout says, else at the first dash with a
    version behind it, else at the first dash before a digit, else at the last dash."""
    dashes = [at for at, character in enumerate(stem) if character == "-"]
    if project is not None:
        for at in dashes:
            if normalize(stem[:at]) == project:
                return stem[:at], stem[at + 1 :]
    for at in dashes:
        if _VERSION.fullmatch(stem, at + 1) is not None:
            return stem[:at], stem[at + 1 :]
    for at in dashes:
        if stem[at + 1 : at + 2].isdigit():
            return stem[:at], stem[at + 1 :]
    return (stem[: dashes[-1]], stem[dashes[-1] + 1 :]) if dashes else None
