"""proxies.py: the way to an origin, from settings and environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bandersnatch.errors import ConfigError
from bandersnatch.proxies import CA_VARIABLES, Route, basic, find_route, netrc_login, tls_context
from bandersnatch.urls import Origin

HTTP = Origin("http", "files.example.org", 80)
HTTPS = Origin("https", "files.example.org", 443)
DIRECT = Route("files.example.org", 443, False, b"")
PROXIED = Route("proxy.example.org", 3128, True, b"")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in (*CA_VARIABLES, "NETRC", "REQUEST_METHOD"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_without_a_proxy_the_origin_itself_is_asked() -> None:
    assert find_route(HTTPS, None) == DIRECT


@pytest.mark.parametrize("proxy", ["http://proxy.example.org:3128", "proxy.example.org:3128"])
def test_the_configured_proxy_is_used(proxy: str) -> None:
    assert find_route(HTTPS, proxy) == PROXIED


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_environment_names_the_proxy(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "http://proxy.example.org:3128/")
    assert find_route(HTTPS, None) == PROXIED


def test_each_scheme_has_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    assert find_route(HTTP, None) == PROXIED
    assert find_route(HTTPS, None) == DIRECT


def test_the_configuration_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://other.example.org:3128")
    assert find_route(HTTPS, "http://proxy.example.org:3128") == PROXIED


@pytest.mark.parametrize("names", ["files.example.org", ".example.org", "a.test,example.org", "*"])
@pytest.mark.parametrize("proxy", [None, "http://other.example.org:1"])
def test_no_proxy_names_exceptions(names: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", names)
    assert find_route(HTTPS, proxy) == DIRECT


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_host_is_reached_directly(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    route = find_route(Origin("http", host, 80), "http://proxy.example.org:3128")
    assert route == Route(host, 80, False, b"")


def test_the_proxys_credentials_go_to_the_proxy() -> None:
    route = find_route(HTTPS, "http://us%40er:p%3Aw@proxy.example.org:3128")
    assert route.login == b"Proxy-Authorization: Basic dXNAZXI6cDp3\r\n"  # us@er:p:w


@pytest.mark.parametrize("scheme", ["socks5", "socks4a", "https", "ftp"])
def test_other_kinds_of_proxy_are_refused_with_the_remedy(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{scheme}://user:geheim@proxy.example.org:1080"
    with pytest.raises(
        ConfigError, match=f"{scheme} proxies cannot be used; give an http:// proxy"
    ) as caught:
        find_route(HTTPS, url)
    assert "geheim" not in str(caught.value)
    monkeypatch.setenv("all_proxy", url)
    with pytest.raises(ConfigError, match="http:// proxy"):
        find_route(HTTPS, None)


def test_a_proxy_that_is_no_url_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="no such port") as caught:
        find_route(HTTPS, "http://user:geheim@proxy.example.org:port")
    assert "geheim" not in str(caught.value)


def test_netrc_gives_the_login_of_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert netrc_login("files.example.org") == ""
    (tmp_path / ".netrc").write_text("machine files.example.org login me password p:w\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert netrc_login("files.example.org") == "me:p:w"
    assert netrc_login("other.example.org") == ""
    (tmp_path / "elsewhere").write_text("default login you password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "elsewhere"))
    assert netrc_login("other.example.org") == "you:pw"


@pytest.mark.parametrize(
    "text", ["what is this", "machine files.example.org", "machine files.example.org login"]
)
def test_a_broken_netrc_is_no_login(text: str, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(text)
    (tmp_path / ".netrc").chmod(0o600)
    assert netrc_login("files.example.org") == ""


def test_credentials_are_utf_8_and_end_no_line() -> None:
    assert basic("Authorization", "a:\u00e9\r\n") == b"Authorization: Basic YTrDqQ0K\r\n"


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_a_ca_bundle_that_cannot_be_read_is_named(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigError, match=f"{variable}=.*missing.pem.*unset it"):
        tls_context()


def test_certificates_are_verified() -> None:
    context = tls_context()
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
