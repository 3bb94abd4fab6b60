"""How an origin is reached: proxy, credentials, certificates; decided as curl, pip and requests do."""

from __future__ import annotations

import base64
import os
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from .errors import ConfigError, FetchError
from .message import header
from .urls import Origin, parse, shown

if TYPE_CHECKING:
    import ssl

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Route(NamedTuple):
    """The way to one origin."""

    host: str  # whom to connect to: the origin, or the proxy
    port: int
    proxied: bool
    login: bytes  # Proxy-Authorization header line, or b""


def find_route(origin: Origin, proxy: str | None) -> Route:
    """Return the way to `origin`: directly, through `proxy`, or through the environment's proxy.

    This host is always reached directly; hosts that `no_proxy` names too.

    Raises:
        ConfigError: the proxy is not one that we can speak to (SOCKS, HTTPS to the proxy itself).
    """
    direct = Route(origin.host, origin.port, False, b"")
    in_environment = any(name.lower().endswith("_proxy") for name in os.environ)
    if origin.loopback or not (proxy or in_environment):
        return direct
    if in_environment:
        # Late: it takes 30 ms to import, and few hosts have a proxy.
        from urllib.request import getproxies_environment, proxy_bypass

        found = getproxies_environment()
        if proxy_bypass(f"{origin.host}:{origin.port}", found):
            return direct
        proxy = proxy or found.get(origin.scheme) or found.get("all")
    return check_proxy(proxy) if proxy else direct


def check_proxy(proxy: str) -> Route:
    """Return the way through this proxy, a URL or host:port; ConfigError if it cannot be used."""
    url = proxy if "://" in proxy else f"http://{proxy}"
    if not url.lower().startswith("http://"):
        scheme = url.partition("://")[0]
        raise ConfigError(
            f"proxy {shown(url)!r}: {scheme} proxies cannot be used; give an http:// proxy"
            " (mirror.proxy in bandersnatch.conf, or http_proxy, https_proxy, all_proxy in the environment)"
        )
    try:
        target = parse(url)
    except FetchError as error:
        raise ConfigError(f"proxy: {error}") from None
    login = basic("Proxy-Authorization", target.login) if target.login else b""
    return Route(target.origin.host, target.origin.port, True, login)


def basic(name: str, login: str) -> bytes:
    """Return a header line with the Basic credentials (RFC 7617) "user:password"."""
    user, _, password = login.partition(":")
    return header(name, "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii"))


def netrc_login(host: str) -> str:
    """Return "user:password" of the netrc file ($NETRC, else ~/.netrc) for `host`; "" where it has none."""
    path = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")
    if not os.path.isfile(path):
        return ""
    from netrc import NetrcParseError, netrc  # late: few hosts have the file

    try:
        found = netrc(path).authenticators(host)
    except (OSError, NetrcParseError, UnicodeError):
        return ""  # another program's file: its faults are not ours to report
    login = f"{found[0] or found[1]}:{found[2]}" if found else ""
    return login if login != ":" else ""


def tls_context() -> ssl.SSLContext:
    """Return the verifying context that all connections of this process share.

    The CA certificates are the system's, or those of the file or directory that REQUESTS_CA_BUNDLE,
    CURL_CA_BUNDLE or SSL_CERT_FILE names.

    Raises:
        ConfigError: the variable names no readable CA bundle.
    """
    for variable in CA_VARIABLES:
        if os.environ.get(variable):
            return _context(variable, os.environ[variable])
    return _context("", "")


@lru_cache(maxsize=4)
def _context(variable: str, bundle: str) -> ssl.SSLContext:
    import ssl  # late: 20 ms, and a mirror of a mirror may not need it

    try:
        if not bundle:
            context = ssl.create_default_context()
        elif os.path.isdir(bundle):
            context = ssl.create_default_context(capath=bundle)
        else:
            context = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise ConfigError(
            f"{variable}={bundle!r} is not a usable CA bundle ({error.strerror or error}):"
            " name a PEM file or directory, or unset it"
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
