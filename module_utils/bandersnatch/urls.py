"""URLs as the network needs them: checked, quoted, without their secrets. Pure."""

from __future__ import annotations

import contextlib
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin

from .errors import FetchError

_URL = re.compile(r"(https?)://([^/?#\\]*)([^#]*)", re.IGNORECASE | re.DOTALL)
# What RFC 3986 allows in a path or query, and the brackets that object stores put there unquoted.
_SAFE = "!$%&'()*+,/:;=?@[]~"
_QUOTED = re.compile(r"[-.0-9A-Z_a-z" + re.escape(_SAFE) + "]*")
_HOST = re.compile(r"[0-9a-z_](?:[-.0-9_a-z]{0,252}[0-9a-z_.])?")
_IPV6 = re.compile(r"[0-9a-f:.]{2,45}")
_LOOPBACK = re.compile(r"localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1")
_SECRETS = re.compile(r"(//)[^/?#]*@|\?.*", re.DOTALL)  # userinfo; signatures and tokens of the query
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """RFC 6454: "the scheme, host, and port" — what a connection and a credential belong to."""

    scheme: str
    host: str  # lower case, IDNA; an IPv6 address without its brackets
    port: int

    @property
    def authority(self) -> str:
        """What the Host header says (RFC 9110, 7.2): without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        return _LOOPBACK.fullmatch(self.host) is not None


class Target(NamedTuple):
    """One URL, ready to be asked for."""

    origin: Origin
    path: str  # with the query; printable ASCII only, so that it cannot end the request line
    login: str  # "user:password" of the URL, unquoted; "" where it has none

    @property
    def url(self) -> str:
        """The URL without its credentials."""
        return f"{self.origin.scheme}://{self.origin.authority}{self.path}"

    @property
    def shown(self) -> str:
        """The URL for messages: without credentials, and without the query, which may hold a signature."""
        return shown(self.url)


def shown(url: str) -> str:
    """Return any string that ought to be a URL as one printable line without secrets."""
    plain = _SECRETS.sub(r"\1", url)
    return plain[:300].encode("unicode_escape").decode("ascii")


def parse(url: str) -> Target:
    """Split and quote an absolute http(s) URL.

    Raises:
        FetchError: (permanent) it is another scheme, or its host or port cannot be.
    """
    match = _URL.match(url)
    if match is None:
        raise FetchError(f"{shown(url)!r} is not an http:// or https:// URL: not followed", permanent=True)
    scheme, authority, path = match.groups()
    try:
        origin, login = _authority(scheme.lower(), authority)
        if not _QUOTED.fullmatch(path):
            path = quote(path, safe=_SAFE)
    except (ValueError, UnicodeError) as error:
        raise FetchError(f"{shown(url)!r} is not a usable URL ({error})", permanent=True) from None
    return Target(origin, path if path.startswith("/") else f"/{path}", login)


def redirected(base: Target, location: str) -> Target:
    """Return where a Location header leads, without credentials that it may carry.

    Header fields are bytes that we read as Latin-1; browsers take them for UTF-8, so do we where it is.
    """
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        joined = urljoin(base.url, location)
    except ValueError:
        joined = location
    try:
        return parse(joined)._replace(login="")
    except FetchError as error:
        raise FetchError(f"{base.shown} redirects astray: {error}", permanent=True) from None


def check_scheme(target: Target, came_from: Target | None, allow_http: bool) -> None:
    """Refuse unencrypted requests that nobody allowed.

    Raises:
        FetchError: (permanent) plain http to a host other than this one, or after https.
    """
    if allow_http or target.origin.scheme == "https":
        return
    if came_from is not None and came_from.origin.scheme == "https":
        raise FetchError(
            f"{came_from.shown} redirects from https to {target.shown}: not followed;"
            " allow-non-https = true would allow it",
            permanent=True,
        )
    if not target.origin.loopback:
        raise FetchError(
            f"{target.shown} is plain http: use https, or set allow-non-https = true", permanent=True
        )


@lru_cache(maxsize=256)
def _authority(scheme: str, authority: str) -> tuple[Origin, str]:
    """Split "user:password@host:port"; ValueError says what is wrong without repeating the secret."""
    login, _, place = authority.rpartition("@")
    if place.startswith("["):
        host, bracket, rest = place[1:].lower().partition("]")
        port = rest[1:]
        good = bool(bracket and _IPV6.fullmatch(host)) and rest[:1] in ("", ":")
    else:
        host, _, port = place.partition(":")
        host = host.lower() if host.isascii() else host.encode("idna").decode("ascii")
        good = _HOST.fullmatch(host) is not None
    if not good:
        raise ValueError("no such host name can be")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError("no such port can be")
    return Origin(scheme, host, int(port) if port else _PORTS[scheme]), unquote(login)
