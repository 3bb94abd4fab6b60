"""How a value of the config file is read: text in, value out, or a ValueError that says what is wrong."""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .errors import FetchError
from .urls import Target, parse

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(%|b?|[kmgtp](?:i?b|i)?)", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


class Kind(NamedTuple):
    """A kind of value."""

    label: str  # for people: "whole number, 1 to 64"
    read: Callable[[str], Any]  # of text that is not empty; raises ValueError with what is wrong
    secret: bool = False  # may hold a password: never shown


class Size(NamedTuple):
    """An amount of storage: so many bytes, or a share of a volume."""

    bytes: int
    percent: float


def checked_url(text: str) -> Target:
    """Check a URL that others are built on: http or https, a host, nothing after the path.

    Raises:
        ValueError: what is wrong; it never quotes the URL, which may hold a password.
    """
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("has a space, a control or a non-ASCII character: percent-encode it")
    if "?" in text or "#" in text:
        raise ValueError("must end with its path, without '?' and '#'")
    try:
        return parse(text)
    except FetchError:
        raise ValueError("is not a URL like https://mirror.example.org/") from None


def base_url(text: str) -> str:
    """A checked URL with one slash at its end."""
    checked_url(text)
    scheme, _, rest = text.partition("://")
    return f"{scheme.lower()}://{rest.rstrip('/')}/"


def simple_url(text: str) -> str:
    """The URL of an index's `/simple/`, from that itself or from the URL above it.

    `+simple` counts too: some index servers spell it so.
    """
    url = base_url(text)
    return url if re.search(r"/\+?simple/$", url) else url + "simple/"


def proxy_url(text: str) -> str:
    """The URL of an HTTP proxy; `http://` may be left out where the port is there."""
    if not re.match(r"http://[^/]|[^/]*:\d+/?$", text, re.IGNORECASE):  # a word alone is no proxy at port 80
        raise ValueError("is not the http:// URL of a proxy, such as http://proxy.example.org:3128")
    return base_url(text if "://" in text else f"http://{text}")


def yes_no() -> Kind:
    """A truth value as configparser spells them: yes/no, true/false, on/off, 1/0 in any case."""

    def read(text: str) -> bool:
        try:
            return configparser.RawConfigParser.BOOLEAN_STATES[text.lower()]
        except KeyError:
            raise ValueError("is neither true nor false") from None

    return Kind("true or false", read)


def whole(low: int, high: int) -> Kind:
    """A whole number from `low` to `high`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
            raise ValueError(f"is not a whole number from {low} to {high}")
        return int(text)

    return Kind(f"whole number, {low} to {high}", read)


def number(low: float, high: float, unit: str) -> Kind:
    """A number of `unit` from `low` to `high`."""

    def read(text: str) -> float:
        value = float(text) if re.fullmatch(r"\d{1,18}(\.\d{1,18})?", text, re.ASCII) else math.nan
        if not low <= value <= high:
            raise ValueError(f"is not a number of {unit} from {low:g} to {high:g}")
        return value

    return Kind(f"{unit}, {low:g} to {high:g}", read)


def size() -> Kind:
    """Bytes with a unit (`5 GiB`, `500 MB`), or per cent of the volume (`5 %`)."""

    def read(text: str) -> Size:
        match = _SIZE.fullmatch(text)
        if not match:
            raise ValueError("is not a size like '5 GiB', '500 MB' or '5 %'")
        value, unit = float(match[1]), match[2].lower()
        if unit == "%":
            if value >= 100:
                raise ValueError("leaves nothing of the volume: per cent must be under 100")
            return Size(0, value)
        power = _POWERS["" if unit in {"", "b"} else unit[0]]
        base = 1024 if "i" in unit else 1000
        return Size(int(value * base**power), 0.0)

    return Kind("size such as `5 GiB`, or `5 %` of the volume", read)


def choice(*values: str) -> Kind:
    """One of `values`, in any case; the result is spelled as here."""

    def read(text: str) -> str:
        for value in values:
            if value.lower() == text.lower():
                return value
        raise ValueError(f"is none of {', '.join(values)}")

    return Kind(", ".join(f"`{value}`" for value in values), read)


def only(value: str, why: str) -> Kind:
    """Nothing but `value`; `why` says the reason."""

    def read(text: str) -> str:
        if text.lower() != value:
            raise ValueError(f"can only be {value}: {why}")
        return value

    return Kind(f"`{value}` only", read)


def path() -> Kind:
    """An absolute path."""

    def read(text: str) -> Path:
        if not text.startswith("/") or not text.isprintable():
            raise ValueError("is not an absolute path")
        if ".." in text.split("/"):
            raise ValueError("has '..' in it: write the path without")
        return Path(text)

    return Kind("absolute path", read)


def url(read_url: Callable[[str], str]) -> Kind:
    """A URL that `read_url` brings into its form."""
    return Kind("http(s) URL", read_url, secret=True)


def public_url() -> Kind:
    """A URL that everybody may see: with no password in it."""

    def read(text: str) -> str:
        url = base_url(text)
        if parse(url).login:
            raise ValueError("must be without a user's name and password: everybody sees it")
        return url

    return Kind("http(s) URL", read, secret=True)


def plain(pattern: str, wrong: str) -> Kind:
    """Text that matches `pattern`; `wrong` says what else it is."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(wrong)
        return text

    return Kind("text", read)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


LINES = Kind("one a line", _lines)  # may be empty: a list with nothing in it is not the same as no list
