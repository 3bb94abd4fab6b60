"""Which projects, releases and files are mirrored. Pure; `filter_config.py` reads it from the config file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .names import normalize

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from .model import File, Page

    Release = Version | str  # a version, or the text that is none by PEP 440

SEMANTICS = 2  # rises when the same settings begin to keep something else: then all pages are judged again

# By platform: how the platform tag of its files begins, and the extensions of its own installers.
PLATFORMS = {
    "windows": (("win",), (".exe", ".msi")),
    "macos": (("macosx",), (".dmg",)),
    "freebsd": (("freebsd",), ()),
    "linux": (("linux", "manylinux", "musllinux"), (".rpm", ".deb")),
}
PLATFORM_TAG = re.compile(r"(?:win|macosx|freebsd|linux|manylinux|musllinux)[a-z0-9_]*")
PYTHON_VERSION = re.compile(r"py[23](?:\.\d+)?")

_EXTENSION = re.compile(
    r"\.(?:whl|tar(?:\.(?:gz|bz2|xz|Z|lzma))?|tgz|tbz2?|txz|zip|egg|exe|msi|rpm|deb|dmg)", re.IGNORECASE
)
# What follows the version in the names of eggs, dumb archives and installers.
_TAIL = re.compile(
    r"-\d+\.(?:noarch|src|x86_64|i[3-6]86)$|[-.](?:py[23]\.\d+(?:$|-)|linux|win32|win[-_]|macosx|freebsd).*"
)
_TAIL_PLATFORM = re.compile(r"[-.]((?:linux|win|macosx|freebsd).*?)(?:[-.]py[23]\.\d+)?")
_TAIL_PYTHON = re.compile(r"[-.](py[23]\.\d+)(?:$|-)")
_PYTHON_TAG = re.compile(r"([a-z]+)(\d)(\d*)t?")


class Filters(NamedTuple):
    """What of upstream is mirrored. As it stands without arguments: everything.

    Plain data, so that it can be sent to other processes and compared.
    """

    names: frozenset[str] | None = None  # the only projects, normalised; None where there is no such list
    blocked: frozenset[str] = frozenset()  # projects, normalised
    blocked_patterns: tuple[str, ...] = ()  # regular expressions for normalised project names
    allowed_releases: dict[str, tuple[str, ...]] | None = None  # project: PEP 440 specifiers, one must fit
    blocked_releases: dict[str, tuple[str, ...]] | None = None  # project: PEP 440 specifiers, none may fit
    no_prereleases: bool = False
    prerelease_projects: frozenset[str] = frozenset()  # the only ones for no_prereleases; empty: all
    release_patterns: tuple[str, ...] = ()  # regular expressions for versions that are left out
    latest: int = 0  # how many of the newest releases; 0: all
    by_time: bool = False  # newest by upload time, not by version
    platforms: tuple[str, ...] = ()  # left out: keys of PLATFORMS, and platform tags
    pythons: tuple[str, ...] = ()  # left out: "py2.7", "py2"

    def allow_project(self, name: str) -> bool:
        """Whether the project with the normalised `name` is mirrored."""
        if self.names is not None and name not in self.names:
            return False
        return name not in self.blocked and not _matches(self.blocked_patterns, name)

    def keep(self, page: Page) -> Page:
        """Return `page` with the files and versions that are mirrored; `page` itself where all are.

        A file whose name does not tell its version is kept: what cannot be judged is not lost.
        """
        by_platform = bool(self.platforms or self.pythons)
        by_release = self._judges_releases(page.name)
        if not (by_platform or by_release):
            return page
        files = page.files
        if by_platform:
            files = tuple(file for file in files if not self._wrong_platform(file.filename, page.name))
        versions = page.versions
        if by_release:
            release_of = {file.path: _release(file_version(file.filename, page.name)) for file in files}
            releases: dict[Release, list[File]] = {}
            for file in files:
                releases.setdefault(release_of[file.path], []).append(file)
            stated = {version: _release(version) for version in versions or ()}
            kept = self._kept_releases(page.name, releases, stated.values()) | {""}
            files = tuple(file for file in files if release_of[file.path] in kept)
            if versions is not None:
                versions = tuple(version for version in versions if stated[version] in kept)
        if len(files) == len(page.files) and versions == page.versions:
            return page
        return page._replace(files=files, versions=versions)

    @property
    def fingerprint(self) -> str:
        """Changes whenever allow_project() or keep() may answer otherwise."""
        return _hash((SEMANTICS, *(_stable(value) for value in self)))

    @property
    def page_fingerprint(self) -> str:
        """Changes whenever keep() may answer otherwise."""
        return self._replace(names=None, blocked=frozenset(), blocked_patterns=()).fingerprint

    def _judges_releases(self, name: str) -> bool:
        return bool(
            self.latest
            or self.release_patterns
            or self._judges_prereleases(name)
            or self.allowed_releases is not None
            or (self.blocked_releases and name in self.blocked_releases)
        )

    def _judges_prereleases(self, name: str) -> bool:
        return self.no_prereleases and (not self.prerelease_projects or name in self.prerelease_projects)

    def _kept_releases(
        self, name: str, releases: dict[Release, list[File]], stated: Iterable[Release]
    ) -> set[Release]:
        """Of the releases that have files or are stated, those that stay."""
        allowed = {
            release for release in {*releases, *stated} if release and self._allow_release(name, release)
        }
        if not self.latest:
            return allowed
        return self._newest({release: files for release, files in releases.items() if release in allowed})

    def _allow_release(self, name: str, release: Release) -> bool:
        if _matches(self.release_patterns, str(release)):
            return False
        if self._judges_prereleases(name) and not isinstance(release, str) and release.is_prerelease:
            return False
        allowed = ("",) if self.allowed_releases is None else self.allowed_releases.get(name, ())
        blocked = (self.blocked_releases or {}).get(name, ())
        return any(_fits(release, specs) for specs in allowed) and not any(
            _fits(release, specs) for specs in blocked
        )

    def _newest(self, releases: dict[Release, list[File]]) -> set[Release]:
        def age(release: Release) -> tuple[Any, ...]:
            # What is no version by PEP 440 is older than what is: so installers saw it.
            order = (not isinstance(release, str), release)
            if not self.by_time:
                return order
            return (min(file.upload_time or "" for file in releases[release]), order)

        ordered = sorted(releases, key=age)
        kept = ordered[-self.latest :]
        finals = [
            release for release in ordered if not isinstance(release, str) and not release.is_prerelease
        ]
        if finals and finals[-1] not in kept:
            kept[0] = finals[-1]  # what installers choose must be there
        return set(kept)

    def _wrong_platform(self, filename: str, project: str) -> bool:
        """Whether the file suits only platforms, or only Pythons, that are left out."""
        name = filename.lower()
        if name.endswith(".whl"):
            tags = name[:-4].split("-")[-3:]
            if len(tags) < 3:
                return False
            pythons, abi, platforms = tags
            return all(map(self._excludes_platform, platforms.split("."))) or all(
                self._excludes_python(tag, abi) for tag in pythons.split(".")
            )
        for platform in self.platforms:
            if platform in PLATFORMS and name.endswith(PLATFORMS[platform][1] or ("/",)):
                return True
        rest = _after_name(filename, project) or ""
        found = _TAIL_PLATFORM.search(rest)
        if found and self._excludes_platform(found[1].split("-py")[0].lower()):
            return True
        python = _TAIL_PYTHON.search(rest)
        return bool(python and (python[1] in self.pythons or python[1][:3] in self.pythons))

    def _excludes_platform(self, tag: str) -> bool:
        tag = re.sub(r"[-.]", "_", tag)
        return any(
            tag.startswith(PLATFORMS[platform][0]) if platform in PLATFORMS else tag == platform
            for platform in self.platforms
        )

    def _excludes_python(self, tag: str, abi: str) -> bool:
        match = _PYTHON_TAG.fullmatch(tag)
        if not match:
            return False
        implementation, major, minor = match.groups()
        if f"py{major}" in self.pythons:
            return True
        # abi3 and py3X promise to work with later minor versions too.
        exact = abi != "abi3" and not (implementation == "py" and major == "3")
        return bool(minor) and exact and f"py{major}.{minor}" in self.pythons


def file_version(filename: str, project: str) -> str | None:
    """The version that a file's name states, None where it does not tell.

    Args:
        filename: of any kind of distribution, old ones too.
        project: its normalised name, which says where the version begins (`a-1-2.tar.gz`: of `a` or `a-1`?).
    """
    rest = _after_name(filename, project)
    if rest is None:
        return None
    if filename.lower().endswith(".whl"):
        # "any - in the version is replaced by _" when wheels are named
        return rest.partition("-")[0].replace("_", "-") or None
    return _TAIL.sub("", rest) or None


def _after_name(filename: str, project: str) -> str | None:
    """The part of a file's name after the project's, without the extension."""
    for match in _EXTENSION.finditer(filename):
        if match.end() == len(filename):
            filename = filename[: match.start()]
            break
    for separator in "-_.":
        end = filename.find(separator)
        while end > 0:
            if normalize(filename[:end]) == project:
                return filename[end + 1 :]
            end = filename.find(separator, end + 1)
    return None


def _matches(patterns: tuple[str, ...], text: str) -> bool:
    return any(pattern.match(text) for pattern in _compiled(patterns))


@lru_cache(maxsize=8)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """`re` has a cache, too, but asking it for each of 700,000 names takes as long as matching."""
    return tuple(map(re.compile, patterns))


@lru_cache(maxsize=4096)
def _release(text: str | None) -> Release:
    """The release that a version names, whatever its spelling (`1.0-rc1` is `1rc1`); "" for none."""
    from packaging.version import InvalidVersion, Version  # only where releases are filtered

    try:
        return Version(text or "")
    except InvalidVersion:
        return text or ""


@lru_cache(maxsize=1024)
def _specifiers(text: str) -> SpecifierSet:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(text)


def _fits(release: Release, specifiers: str) -> bool:
    if isinstance(release, str):
        return not specifiers  # it has no order: it fits only where any version does
    return _specifiers(specifiers).contains(release, prereleases=True)


def _stable(value: object) -> object:
    """`value` with everything that has no order sorted."""
    if isinstance(value, frozenset):
        return sorted(value)
    return sorted(value.items()) if isinstance(value, dict) else value


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()
