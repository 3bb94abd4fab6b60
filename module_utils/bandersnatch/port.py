"""Carry the config file of an old bandersnatch (1.x to 8.x) over to this engine: text in, text out.

What cannot be carried over is left out, with a comment that says why. What would silently widen the mirror to
everything that upstream has is refused instead.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .config_keys import KEYS, PLAIN, SECTIONS, Key
from .config_values import LINES
from .errors import ConfigError
from .filter_config import PLUGINS, REFUSED, RENAMED
from .names import shown
from .urls import parse

_FIXED = {"digest_name", "keep_index_versions", "storage-backend"}  # one value only: not worth a line
_KEYS = {(key.section, key.field): key for key in KEYS}
_NAMES = {(key.section, key.name): key for key in KEYS}

Sections = dict[str, dict[str, str]]


class Ported(NamedTuple):
    """An old config as this engine has it."""

    text: str  # the new config file; may hold a password
    values: Sections  # what of it is from the old one: section, key, value as it stands in the file
    dropped: tuple[str, ...]  # a sentence for each thing that was not carried over, without secrets

    @property
    def json(self) -> bool:
        """Whether release JSON is mirrored."""
        return _is_true(self.values["mirror"].get("json"))


def port(old: str | None, directory: str, master: str = "") -> Ported:
    """Write the new config.

    Args:
        old: the old file's text; None where the old program had none (pep381client).
        directory: the mirror directory, which an old config must name, too.
        master: the index to mirror where the old config names none that can be used; "" for pip's own.

    Raises:
        ConfigError: it cannot be read, is another mirror's, or has a filter that cannot be dropped.
    """
    dropped: list[str] = []
    sections = _read(old) if old is not None else {}
    _enable(sections)
    named = sections.setdefault("mirror", {}).pop("directory", directory)
    if os.path.normpath(named) != directory:
        raise ConfigError(
            f"the old config is about {shown(named)}, not about {directory}: name the right one"
        )
    values: Sections = {"mirror": {"directory": directory}}
    for section, content in sections.items():
        if section not in SECTIONS:
            dropped.append(f"[{shown(section)}]: {REFUSED.get(section, 'there is no such section here')}")
            continue
        kept = values.setdefault(section, {})
        for field, value in content.items():
            key = _KEYS.get((section, field))
            if not value.strip():
                continue  # an empty list let all projects in: as good as none
            why = _unusable(key, value, directory, sections["mirror"])
            if why:
                name, secret = (key.name, key.kind.secret) if key else (field, True)
                stated = "" if secret else f" = {shown(' '.join(value.split()))}"
                dropped.append(f"[{section}] {shown(name)}{stated}: {why}")
            elif key and key.name not in _FIXED:
                kept[key.name] = value.strip()
    _port_plugins(values, dropped)
    lines = _lines(
        {**values, "mirror": {"directory": directory, "master": master, **values["mirror"]}}, dropped
    )
    return Ported("\n".join(lines) + "\n", values, tuple(dropped))


def variables(values: Sections) -> tuple[dict[str, Any], list[str]]:
    """The same config as variables of this project's roles, and the names of those that hold a password.

    The latter have no value here: a password belongs into a vault, not into a file of the inventory.
    """
    mirror = values["mirror"]
    found: dict[str, Any] = {
        "bandersnatch_directory": mirror["directory"],
        "bandersnatch_volume_kind": "mount",
    }
    secrets = []
    for section in PLAIN:
        for name, value in values.get(section, {}).items():
            key = _NAMES[section, name]
            variable = f"bandersnatch_config_{key.field}"
            if key.kind.secret and _has_login(value):
                secrets.append(variable)
            elif name != "directory":
                # Ansible would take the braces for its own
                plain = value.replace("{{mirror_directory}}", mirror["directory"])
                read = key.kind.read(plain)
                found[variable] = read if isinstance(read, int) else plain
    if enabled := values.get("plugins", {}).get("enabled", "").split():
        found["bandersnatch_config_plugins"] = enabled
    filters = {
        section: {name: _listed(section, name, value) for name, value in content.items()}
        for section, content in values.items()
        if content and section not in {*PLAIN, "plugins"}
    }
    if filters:
        found["bandersnatch_config_filters"] = filters
    return found, secrets


def _listed(section: str, name: str, value: str) -> str | list[str]:
    kind = _NAMES[section, name].kind
    return list(LINES.read(value)) if kind is LINES else value


def _read(text: str) -> Sections:
    """What an old program read from this file: `:` and `=`, the last of two equal keys, %(interpolation)s."""
    parser = configparser.ConfigParser(strict=False, allow_no_value=True)
    parser.optionxform = lambda option: option.lower().replace("-", "_")  # type: ignore[method-assign,assignment]
    try:
        parser.read_string(text)
    except configparser.Error as error:  # its text quotes the line, which may hold a password
        where = f"line {error.lineno}" if isinstance(error, configparser.MissingSectionHeaderError) else "it"
        raise ConfigError(
            f"the old config is not of the INI format: mend {where}, then migrate again"
        ) from None
    sections: Sections = {}
    for section in parser.sections():
        content = sections.setdefault(_renamed(section), {})
        for field in parser[section]:
            if field in parser.defaults() and (_renamed(section), field) not in _KEYS:
                continue  # of [DEFAULT]: only there to be interpolated
            try:
                value = parser.get(section, field)
            except configparser.InterpolationError:
                value = parser.get(section, field, raw=True)
            content[field] = value or ""
    return sections


def _renamed(name: str) -> str:
    """The present name of a section or filter: whitelist_project is allowlist_project."""
    old, separator, rest = name.partition("_")
    return f"{RENAMED.get(old, old)}{separator}{rest}"


def _enable(sections: Sections) -> None:
    """Bring the names of the filters that work into [plugins] enabled.

    bandersnatch 2 and 3 had them in `[blacklist] plugins`, and without that all filters worked.
    """
    older = sections.get("blocklist", {}).pop("plugins", None)
    if "plugins" in sections:
        return
    if older is None:
        lists = [
            name for name in ("allowlist", "blocklist") if sections.get(name, {}).get("packages", "").strip()
        ]
        plugins = [f"{name}_project" for name in lists]
        older = "\n".join(plugins + ["blocklist_release"] * ("blocklist" in lists))
    if older.strip():
        sections["plugins"] = {"enabled": older}


def _unusable(key: Key | None, value: str, directory: str, mirror: dict[str, str]) -> str:
    """Why a key cannot be carried over, or ""."""
    if key is None:
        return "there is no such key here"
    if key.ignored:
        return key.ignored
    try:
        key.kind.read(value.strip().replace("{{mirror_directory}}", directory))
    except ValueError as error:
        return f"it {error}"
    if key.name == "log-config" and not os.access(value.strip(), os.R_OK):
        return "there is no such file that can be read"
    if key.name in {"master", "download-mirror"} and not _is_true(mirror.get("allow_non_https")):
        origin = parse(value.strip()).origin
        if origin.scheme == "http" and not origin.loopback:
            return "it is plain http, which whoever is on the way can change; name an https one"
    return ""


def _port_plugins(values: Sections, dropped: list[str]) -> None:
    """Leave out the filters that there are not here."""
    words = re.split(r"[\s,]+", values.get("plugins", {}).pop("enabled", ""))
    kept = []
    for name in map(_renamed, filter(None, words)):
        if name == "all" or name in PLUGINS:
            kept.append(name)
        elif name.startswith("project_requirements"):
            raise ConfigError(
                f"[plugins] enabled: {name} cannot be carried over: {REFUSED[name]} of the old config, and "
                "allowlist_project in its place, then migrate again: without it everything would be mirrored"
            )
        else:
            dropped.append(
                f"[plugins] enabled, {shown(name)}: {REFUSED.get(name, 'there is no such filter here')}"
            )
    if kept:
        values["plugins"] = {"enabled": "\n".join(dict.fromkeys(kept))}


def _is_true(value: str | None) -> bool:
    return configparser.RawConfigParser.BOOLEAN_STATES.get((value or "").strip().lower(), False)


def _has_login(url: str) -> bool:
    return bool(parse(url if "://" in url else f"http://{url}").login)


def _lines(values: Sections, dropped: list[str]) -> Iterator[str]:
    yield "# Ported from the mirror's old program; `bandersnatch check-config` says whether it is right."
    if dropped:
        yield "# Not carried over:"
        yield from (f"#   {line}" for line in dropped)
    for section, content in values.items():
        if not content:
            continue
        yield from ("", f"[{section}]")
        for name, value in content.items():
            if _NAMES[section, name].kind is LINES:
                yield f"{name} ="
                yield from (f"    {line}" for line in LINES.read(value))
            elif value:
                yield f"{name} = {value}"
