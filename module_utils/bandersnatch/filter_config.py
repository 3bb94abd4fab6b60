"""The filters as the config file has them: `[plugins]` says which work, the other sections what they do."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import ConfigError
from .filters import PLATFORM_TAG, PLATFORMS, PYTHON_VERSION, Filters
from .names import is_project_name, normalize
from .summary import one_line

Sections = Mapping[str, Mapping[str, Any]]  # section: field: value; only what the file has

# The filters of bandersnatch 8 that there are here, with the keys that they read.
PLUGINS: dict[str, tuple[tuple[str, str], ...]] = {
    "allowlist_project": (("allowlist", "packages"),),
    "allowlist_release": (("allowlist", "packages"),),
    "blocklist_project": (("blocklist", "packages"),),
    "blocklist_release": (("blocklist", "packages"),),
    "exclude_platform": (("blocklist", "platforms"),),
    "latest_release": (("latest_release", "keep"), ("latest_release", "sort_by")),
    "prerelease_release": (("filter_prerelease", "packages"),),
    "regex_project": (("filter_regex", "packages"),),
    "regex_release": (("filter_regex", "releases"),),
}
_NO_METADATA = (
    "it reads the JSON of every project, ten times the size of the pages that a mirror needs; "
    "use the lists and patterns instead"
)
_NO_REQUIREMENTS = "requirements files are not read; write the projects into [allowlist] packages"
REFUSED = {
    "size_project_metadata": _NO_METADATA,
    "regex_project_metadata": _NO_METADATA,
    "version_range_project_metadata": _NO_METADATA,
    "regex_release_file_metadata": _NO_METADATA,
    "version_range_release_file_metadata": _NO_METADATA,
    "project_requirements": _NO_REQUIREMENTS,
    "project_requirements_pinned": _NO_REQUIREMENTS,
}
# Before bandersnatch 5 the lists had other names; denylist was one for a few weeks.
RENAMED = {"whitelist": "allowlist", "blacklist": "blocklist", "denylist": "blocklist"}

_LINE = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^()]*)\)?")


def read_filters(sections: Sections, warn: Callable[[str], None]) -> Filters:
    """Build the filters that `sections` ask for.

    Args:
        sections: what the file says, read by its kinds; all sections of the file are in it.
        warn: takes a sentence about what stands in the file and has no effect.

    Raises:
        ConfigError: a filter is unknown, cannot be had, or is enabled without what it needs.
    """
    enabled = _enabled(sections)
    _warn_of_idle(sections, enabled, warn)
    allow = _listed(sections, "allowlist") if enabled & {"allowlist_project", "allowlist_release"} else None
    block = _listed(sections, "blocklist") if enabled & {"blocklist_project", "blocklist_release"} else {}
    if allow and "allowlist_release" not in enabled:
        _warn_of_versions("allowlist", allow, "allowlist_release", warn)
    if block and "blocklist_release" not in enabled:
        _warn_of_versions("blocklist", block, "blocklist_release", warn)
    filters = Filters(
        names=None if allow is None else frozenset(allow),
        allowed_releases=allow if "allowlist_release" in enabled else None,
        blocked_releases=block if "blocklist_release" in enabled else None,
    )
    if "blocklist_project" in enabled:
        # A line with versions is about these releases, not about the project.
        filters = filters._replace(blocked=frozenset(name for name, specs in block.items() if "" in specs))
    if "regex_project" in enabled:
        filters = filters._replace(blocked_patterns=_patterns(sections, "packages"))
    if "regex_release" in enabled:
        filters = filters._replace(release_patterns=_patterns(sections, "releases"))
    if "prerelease_release" in enabled:
        lines = _value(sections, "filter_prerelease", "packages", ())
        only = frozenset(_name("[filter_prerelease] packages", line) for line in lines)
        filters = filters._replace(no_prereleases=True, prerelease_projects=only)
    if "latest_release" in enabled:
        filters = filters._replace(
            latest=_value(sections, "latest_release", "keep", 0),
            by_time=_value(sections, "latest_release", "sort_by", "version") == "time",
        )
    if "exclude_platform" in enabled:
        platforms, pythons = _platforms(_value(sections, "blocklist", "platforms", ()))
        filters = filters._replace(platforms=platforms, pythons=pythons)
    _need_packaging(filters)
    return filters


def _value(sections: Sections, section: str, key: str, default: Any) -> Any:
    return sections.get(section, {}).get(key, default)


def _enabled(sections: Sections) -> set[str]:
    """The names of the filters that work."""
    names = [
        name for line in _value(sections, "plugins", "enabled", ()) for name in re.split(r"[\s,]+", line)
    ]
    enabled: set[str] = set()
    for name in filter(None, names):
        if name == "all":
            enabled |= {plugin for plugin in PLUGINS if "list_" not in plugin or _has_list(sections, plugin)}
            names += [plugin for plugin in REFUSED if plugin in sections]
        elif name in PLUGINS:
            enabled.add(name)
        elif name in REFUSED:
            raise ConfigError(f"[plugins] enabled: {name} cannot be used: {REFUSED[name]}")
        else:
            raise ConfigError(f"[plugins] enabled: there is no filter {one_line(name)!r}{_suggestion(name)}")
    return enabled


def _has_list(sections: Sections, plugin: str) -> bool:
    """Whether an allowlist or blocklist is there: where all filters are enabled, a list need not be."""
    return all(key in sections.get(section, {}) for section, key in PLUGINS[plugin])


def _suggestion(name: str) -> str:
    old, separator, rest = name.partition("_")
    if old in RENAMED:
        return f"; it is called {RENAMED[old]}{separator}{rest} now"
    import difflib  # only for a message

    close = difflib.get_close_matches(name, PLUGINS, 1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(PLUGINS)}"


def _warn_of_idle(sections: Sections, enabled: set[str], warn: Callable[[str], None]) -> None:
    """Name the keys of filters that are not enabled, and the filters that have nothing to do."""
    users: dict[tuple[str, str], list[str]] = {}
    for plugin, keys in PLUGINS.items():
        for place in keys:
            users.setdefault(place, []).append(plugin)
    for (section, key), plugins in users.items():
        if _value(sections, section, key, None) and not enabled.intersection(plugins):
            names = " or ".join(plugins)
            warn(f"[{section}] {key} has no effect: add {names} to [plugins] enabled")
    explicit = "all" not in _value(sections, "plugins", "enabled", ())
    for plugin in sorted(enabled - {"prerelease_release", "allowlist_project", "allowlist_release"}):
        section, key = PLUGINS[plugin][0]
        if explicit and not _value(sections, section, key, None):
            warn(f"[plugins] enabled: {plugin} has no effect without [{section}] {key}")


def _listed(sections: Sections, section: str) -> dict[str, tuple[str, ...]]:
    """The lines of a list: project, and the specifiers that it is listed with ("" for all versions)."""
    where = f"[{section}] packages"
    found: dict[str, tuple[str, ...]] = {}
    for entry in _value(sections, section, "packages", ()):
        line = re.split(r"(?:^|\s)#", entry)[0].strip()
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if not match or not is_project_name(match[1]):
            raise ConfigError(
                f"{where}: {one_line(line)!r} is neither a project nor one with versions (six >= 1.16)"
            )
        name, specifiers = normalize(match[1]), match[2].strip()
        if specifiers:
            _check_specifiers(where, line, specifiers)
        found[name] = (*found.get(name, ()), specifiers)
    if not found and section == "allowlist":
        raise ConfigError(
            f"{where} is empty, but its filter is enabled: name the projects to mirror, "
            "or take allowlist_project and allowlist_release out of [plugins] enabled to mirror all"
        )
    return found


def _warn_of_versions(
    section: str, listed: dict[str, tuple[str, ...]], plugin: str, warn: Callable[[str], None]
) -> None:
    for name, specifiers in listed.items():
        if any(specifiers):
            warn(
                f"[{section}] packages: the versions of {name} (and of others, maybe) have no effect: "
                f"add {plugin} to [plugins] enabled"
            )
            return


def _check_specifiers(where: str, line: str, specifiers: str) -> None:
    _find_packaging(f"{where}: versions", "list projects without versions")
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        SpecifierSet(specifiers)
    except InvalidSpecifier:
        message = (
            f"{where}: {one_line(line)!r}: {one_line(specifiers)!r} is not a version specifier like >= 1.16"
        )
        raise ConfigError(message) from None


def _name(where: str, line: str) -> str:
    name = re.split(r"(?:^|\s)#", line)[0].strip()
    if not is_project_name(name):
        raise ConfigError(f"{where}: {one_line(line)!r} is not a project name")
    return normalize(name)


def _patterns(sections: Sections, key: str) -> tuple[str, ...]:
    patterns: tuple[str, ...] = _value(sections, "filter_regex", key, ())
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            message = f"[filter_regex] {key}: {one_line(pattern)!r} is not a regular expression: {error}"
            raise ConfigError(message) from None
    return patterns


def _platforms(lines: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Platforms and Pythons, sorted: the order in the file means nothing."""
    platforms: set[str] = set()
    pythons: set[str] = set()
    synonyms = {"win": "windows", "macosx": "macos"}
    for word in (word.lower() for line in lines for word in re.split(r"[\s,]+", line) if word):
        tag = re.sub(r"[-.]", "_", word)
        if PYTHON_VERSION.fullmatch(word):
            pythons.add(word)
        elif synonyms.get(word, word) in PLATFORMS:
            platforms.add(synonyms.get(word, word))
        elif PLATFORM_TAG.fullmatch(tag.lstrip("_")):
            platforms.add(tag.lstrip("_"))
        else:
            raise ConfigError(
                f"[blocklist] platforms: {one_line(word)!r} is none of {', '.join(PLATFORMS)}, "
                "no platform tag like win32 and no Python version like py2.7"
            )
    return tuple(sorted(platforms)), tuple(sorted(pythons))


def _need_packaging(filters: Filters) -> None:
    """Say at once that versions cannot be compared, not at the first page."""
    lists = (filters.allowed_releases, filters.blocked_releases)
    if filters.latest or filters.no_prereleases or filters.release_patterns or any(lists):
        _find_packaging(
            "[plugins] enabled: filters for releases",
            "name the others instead of these, and instead of `all`",
        )


def _find_packaging(who: str, otherwise: str) -> None:
    if importlib.util.find_spec("packaging") is None:
        raise ConfigError(
            f"{who} need the Python package `packaging`: install python3-packaging, or {otherwise}"
        )
