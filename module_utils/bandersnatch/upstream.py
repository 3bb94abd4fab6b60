"""Which index this host's pip uses: the default upstream, so that no index is named here."""

from __future__ import annotations

import ast
import os
import re
import sys

from .config_values import base_url
from .errors import ConfigError
from .summary import one_line

PIP_SECONDS = 60  # pip answers in one; a hung one must not hold the mirror

_HELP = re.compile(r"--index-url\s.*?\(default:?\s*(https?://[^\s)]+)\)", re.DOTALL)


def default_index(python: str = sys.executable) -> str:
    """Return the base URL of the index that pip installs from, with one slash at its end.

    Args:
        python: the interpreter whose pip is asked.

    Raises:
        ConfigError: there is no pip, or it names no index that can be used.
    """
    place, url = "PIP_INDEX_URL", os.environ.get("PIP_INDEX_URL", "").strip()
    if not url:
        place, url = "pip's configuration", _configured(_pip(python, "config", "list"))
    if not url:
        place, url = "pip's default", _built_in(_pip(python, "install", "--help"))
    if not url:
        raise ConfigError(
            "master is not set, and pip does not say which index it uses: set master in [mirror]"
        )
    try:
        return base_url(url)
    except ValueError as error:
        raise ConfigError(f"the index URL of {place} {error}; set master in [mirror]") from None


def _configured(listing: str) -> str:
    """The index in what `pip config list` prints: lines like global.index-url='https://...'."""
    found = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        try:
            found[key.strip()] = str(ast.literal_eval(value.strip()))
        except (ValueError, SyntaxError):
            continue
    # The section of the command goes before the general one.
    return (found.get("install.index-url") or found.get("global.index-url") or "").strip()


def _built_in(text: str) -> str:
    """The index in what `pip install --help` prints."""
    match = _HELP.search(text)
    return match[1] if match else ""


def _pip(python: str, *arguments: str) -> str:
    import subprocess  # only where the config file has no master

    environment = {**os.environ, "COLUMNS": "500", "NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [python, "-m", "pip", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter's own pip, no shell
            command, env=environment, capture_output=True, timeout=PIP_SECONDS, check=False, text=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(_no_pip(f"{python} cannot be run ({error})")) from None
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(_no_pip(f"`{' '.join(command)}` failed: {reason}"))
    return done.stdout


def _no_pip(reason: str) -> str:
    return one_line(
        f"master is not set, and pip cannot be asked for its index: {reason}; set master in [mirror]"
    )
