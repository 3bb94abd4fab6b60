"""What a User-Agent header says of the installer, the Python and the operating system: pure.

Answers come from short fixed lists (and `major.minor`), so that a hostile header cannot fill the statistics
with names of its own.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

UNKNOWN = "unknown"

# The first product token of the header -> the name in the statistics.
_PRODUCTS = {
    **{name: name for name in ("pip", "uv", "poetry", "pdm", "pipenv", "hatch", "rye", "conda", "pex")},
    "twine": "twine",
    "unearth": "pdm",  # the download library of pdm
    "mamba": "conda",
    "setuptools": "setuptools",
    "distribute": "setuptools",
    "zc.buildout": "buildout",
    **dict.fromkeys(("bandersnatch", "pep381client", "z3c.pypimirror", "shadowmire", "morgan"), "mirror"),
    **dict.fromkeys(
        ("devpi", "devpi-server", "artifactory", "nexus", "pulp", "pulpcore", "proxpi"), "mirror"
    ),
    **dict.fromkeys(("curl", "wget", "aria2", "python-requests", "python-urllib", "python-httpx"), "script"),
    **dict.fromkeys(("aiohttp", "go-http-client", "okhttp", "java", "apache-httpclient", "bazel"), "script"),
    **dict.fromkeys(("mozilla", "opera", "links", "lynx", "w3m", "elinks"), "browser"),
    **dict.fromkeys(("renovate", "renovatebot", "dependabot"), "bot"),
}
_BOT = re.compile(r"bot\b|crawl|spider|slurp|\bscan", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9._-]+")
_PYTHON = re.compile(
    r"(?:CPython|PyPy|Python-urllib|Python)[/ ]([0-9]{1,2}\.[0-9]{1,2})\b|\bpy([23]\.[0-9]{1,2})\b"
)
_MINOR = re.compile(r"([0-9]{1,2}\.[0-9]{1,2})(?![0-9])")
_SYSTEMS = (  # the first that matches; Android and iOS say Linux and Mac OS X too
    ("Android", re.compile(r"Android")),
    ("iOS", re.compile(r"\biOS\b|iPhone|iPad")),
    ("Windows", re.compile(r"Windows|Win32|Win64|\bwin32\b")),
    ("macOS", re.compile(r"Darwin|Macintosh|Mac OS X|macOS|\bdarwin\b")),
    ("FreeBSD", re.compile(r"FreeBSD")),
    ("OpenBSD", re.compile(r"OpenBSD")),
    ("NetBSD", re.compile(r"NetBSD")),
    ("Linux", re.compile(r"Linux|\blinux\b")),
)
_LONGEST = 8192  # characters looked at: nginx takes no longer header line by default


class Agent(NamedTuple):
    """What a User-Agent header says; UNKNOWN where it does not."""

    installer: str  # pip, uv, ..., mirror, browser, script, bot, other, none
    python: str  # "3.11"
    system: str  # "Linux"


def parse(text: str) -> Agent:
    """Any text, a hostile one too."""
    text = text[:_LONGEST]
    installer = _installer(text)
    brace = text.find("{")
    if brace > 0 and installer not in ("browser", "bot"):
        told = _from_json(text[brace:])
        if told is not None:
            return Agent(installer, *told)
    found = _PYTHON.search(text)
    return Agent(installer, (found[1] or found[2]) if found else UNKNOWN, _system(text))


def _installer(text: str) -> str:
    if text in ("", "-"):
        return "none"
    token = _TOKEN.match(text)
    name = _PRODUCTS.get(token[0].lower() if token else "")
    if name in (None, "browser", "script"):
        if _BOT.search(text):
            return "bot"
        if " setuptools/" in text:  # Python-urllib/2.7 setuptools/12.0
            return "setuptools"
    return name or "other"


def _from_json(text: str) -> tuple[str, str] | None:
    """(python, system) of what pip and uv append: {"python": "3.11.2", "system": {"name": "Linux"}, ...}."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    python, system = data.get("python"), data.get("system")
    minor = _MINOR.match(python) if isinstance(python, str) else None
    name = system.get("name") if isinstance(system, dict) else None
    return minor[1] if minor else UNKNOWN, _system(name) if isinstance(name, str) else UNKNOWN


def _system(text: str) -> str:
    return next((name for name, pattern in _SYSTEMS if pattern.search(text)), UNKNOWN)
