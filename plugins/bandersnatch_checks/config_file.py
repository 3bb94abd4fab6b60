"""The config file as the role would write it, checked by the engine on the controller."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from typing import Any

from bandersnatch.config import load
from bandersnatch.config_keys import KEYS, PLAIN
from bandersnatch.errors import ConfigError

# Filters that have a variable of their own; others are in bandersnatch_config_filters.
_OWN = {("allowlist", "packages"): "allowlist", ("blocklist", "packages"): "blocklist"}
_MISSPELT = re.compile(r"is not a (section|key) of ours")
_NAMED = re.compile(r"\[(\w+)\](?: ([\w-]+))?")


def problems(text: str, given: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What is wrong with a config file, and what the engine warns of; in terms of the variables.

    A section or key that there is not is wrong here, as it was meant to filter something.

    Args:
        text: the config file.
        given: the variables that it was made from.
    """
    # that file is on the host
    text = re.sub(r"^log-config = .*\n", "", text, flags=re.MULTILINE)
    with tempfile.NamedTemporaryFile("w", prefix="bandersnatch-", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        try:
            warnings = load(file.name).warnings
        except ConfigError as error:
            return [_translated(str(error).removeprefix(f"{file.name}: "), given)], []
    said = [_translated(warning, given) for warning in warnings]
    wrong = [warning for warning in said if _MISSPELT.search(warning)]
    return wrong, [warning for warning in said if warning not in wrong]


def _translated(message: str, given: Mapping[str, Any]) -> str:
    """A message about keys as one about variables."""
    keys = {(key.section, key.name): key for key in KEYS if key.section in PLAIN}

    def name(match: re.Match[str]) -> str:
        place = (match[1], match[2] or "")
        if place in keys:
            return f"bandersnatch_config_{keys[place].field}"
        if place == ("plugins", "enabled"):
            return "bandersnatch_config_plugins"
        if place in _OWN and given.get(f"bandersnatch_config_{_OWN[place]}"):
            return f"bandersnatch_config_{_OWN[place]}"
        return f"bandersnatch_config_filters {match[0]}"

    # only what the message begins with, and what it says to set: the rest may quote a value
    first = _NAMED.match(message)
    if first:
        message = name(first) + message[first.end() :]
    return message.replace("set allow-non-https = true", "set bandersnatch_config_allow_non_https: true")
