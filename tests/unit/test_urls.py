"""urls.py: what is asked for is what the URL says, and no more."""

from __future__ import annotations

import re

import pytest
from bandersnatch.errors import FetchError
from bandersnatch.urls import Origin, check_scheme, parse, redirected, shown
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("url", "origin", "authority"),
    [
        ("https://files.example.org/a", Origin("https", "files.example.org", 443), "files.example.org"),
        ("HTTPS://Files.Example.ORG:443/a", Origin("https", "files.example.org", 443), "files.example.org"),
        ("http://127.0.0.1:8080/a", Origin("http", "127.0.0.1", 8080), "127.0.0.1:8080"),
        ("http://[::1]/a", Origin("http", "::1", 80), "[::1]"),
        ("http://[2001:DB8::1]:8080/a", Origin("http", "2001:db8::1", 8080), "[2001:db8::1]:8080"),
        ("https://b\u00fccher.example.org/a", Origin("https", "xn--bcher-kva.example.org", 443), None),
        ("https://example.org:/a", Origin("https", "example.org", 443), "example.org"),
    ],
)
def test_host_and_port_are_taken_apart(url: str, origin: Origin, authority: str | None) -> None:
    target = parse(url)
    assert target.origin == origin
    assert target.path == "/a"
    assert authority in (None, target.origin.authority)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://example.org", "/"),
        ("https://example.org?q=1", "/?q=1"),
        ("https://example.org/a#sha256=00", "/a"),
        ("https://example.org/a%20b/%C3%A9?x=%2F&y=[1]", "/a%20b/%C3%A9?x=%2F&y=[1]"),
        ("https://example.org/a b/\u00e9", "/a%20b/%C3%A9"),
        ("https://example.org/a\r\nHost: evil\t", "/a%0D%0AHost:%20evil%09"),
        ("https://example.org/a\x00b\x7f", "/a%00b%7F"),
        ("https://example.org\\@evil.example.org/", None),
    ],
)
def test_paths_are_quoted_where_they_could_break_the_request(url: str, path: str | None) -> None:
    if path is None:
        assert parse(url).origin.host == "example.org"
    else:
        assert parse(url).path == path


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://example.org/", "//example.org/", "/a", "", "https:///a", "https://:443/",
        "https://exa mple.org/", "https://example.org\r\nX: y/", "https://example.org:0/",
        "https://example.org:65536/", "https://example.org:1e3/", "https://example.org:\u0661/",
        "https://[::1/", "https://[::g]/", "https://[::1]x/", "https://-x.example.org/",
        "https://" + "a" * 300 + ".example.org/", "https://\ud800.example.org/", "https://example.org/\ud800",
        "https://user:pass word@@/",
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_a_permanent_error_in_one_line(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse(url)
    assert caught.value.permanent
    assert str(caught.value).isprintable()


def test_credentials_are_taken_out_of_the_url() -> None:
    target = parse("https://us%40er:p%3Aw@example.org/simple/?token=geheim")
    assert target.login == "us@er:p:w"
    assert target.url == "https://example.org/simple/?token=geheim"
    assert target.shown == "https://example.org/simple/"


def test_errors_show_no_credentials() -> None:
    for url in ("ftp://user:geheim@example.org/", "https://user:geheim@exa mple/?sig=geheim"):
        with pytest.raises(FetchError) as caught:
            parse(url)
        assert "geheim" not in str(caught.value)


@given(st.text())
def test_a_path_never_ends_the_request_line(text: str) -> None:
    target = parse("https://example.org/" + text)
    assert re.fullmatch(r"/[!-~]*", target.path)
    assert target.origin.host == "example.org"


@given(st.text())
def test_shown_is_one_printable_line(text: str) -> None:
    assert shown(text).isprintable()


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "https://example.org/b"),
        ("../six/", "https://example.org/simple/six/"),
        ("//files.example.org/x", "https://files.example.org/x"),
        ("https://u:p@example.net/x", "https://example.net/x"),
        ("/\u00c3\u00a9", "https://example.org/%C3%A9"),  # UTF-8 read as Latin-1
        ("/\u00e9", "https://example.org/%C3%A9"),  # Latin-1
    ],
)
def test_a_redirect_is_resolved_and_loses_its_credentials(location: str, url: str) -> None:
    target = redirected(parse("https://user:pw@example.org/simple/a/"), location)
    assert (target.url, target.login) == (url, "")


@pytest.mark.parametrize("location", ["file:///etc/passwd", "data:text/plain,x", "https://[", "gopher://x/"])
def test_a_redirect_leaves_http_never(location: str) -> None:
    with pytest.raises(FetchError, match="redirects astray") as caught:
        redirected(parse("https://example.org/"), location)
    assert caught.value.permanent


HTTPS = parse("https://example.org/")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://127.8.9.1:81/", "http://localhost/", "http://[::1]/"]
)
def test_plain_http_to_this_host_needs_no_permission(url: str) -> None:
    check_scheme(parse(url), None, allow_http=False)
    with pytest.raises(FetchError, match="from https to"):
        check_scheme(parse(url), HTTPS, allow_http=False)


@pytest.mark.parametrize(
    "url", ["http://example.org/", "http://127.example.org/", "http://localhost.example.org/"]
)
def test_plain_http_to_other_hosts_has_to_be_allowed(url: str) -> None:
    with pytest.raises(FetchError, match="allow-non-https") as caught:
        check_scheme(parse(url), None, allow_http=False)
    assert caught.value.permanent
    check_scheme(parse(url), None, allow_http=True)
    check_scheme(parse(url), HTTPS, allow_http=True)
