"""useragent.py: installer, Python and system out of real and hostile headers."""

from __future__ import annotations

import json

import pytest
from bandersnatch.useragent import UNKNOWN, parse
from hypothesis import given
from hypothesis import strategies as st

PIP = {
    "ci": None,
    "cpu": "x86_64",
    "distro": {"id": "bookworm", "libc": {"lib": "glibc", "version": "2.36"}, "name": "Debian"},
    "implementation": {"name": "CPython", "version": "3.11.2"},
    "installer": {"name": "pip", "version": "24.0"},
    "python": "3.11.2",
    "system": {"name": "Linux", "release": "6.1.0"},
}
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"


@pytest.mark.parametrize(
    ("text", "installer", "python", "system"),
    [
        ("pip/24.0 " + json.dumps(PIP), "pip", "3.11", "Linux"),
        ("pip/24.0 " + json.dumps({**PIP, "python": "3.9.0+"}), "pip", "3.9", "Linux"),
        ("pip/24.0 " + json.dumps({**PIP, "system": {"name": "Darwin"}}), "pip", "3.11", "macOS"),
        ("pip/1.5.6 CPython/2.7.6 Linux/3.13.0-24-generic", "pip", "2.7", "Linux"),
        ("pip/1.5.6 PyPy/2.7.6 Windows/7", "pip", "2.7", "Windows"),
        (
            'uv/0.4.0 {"installer":{"name":"uv"},"python":"3.12.1","system":{"name":"Windows"}}',
            "uv",
            "3.12",
            "Windows",
        ),
        ("uv/0.4.0", "uv", UNKNOWN, UNKNOWN),
        ("poetry/1.8.2 CPython/3.10.1 Darwin/23.0", "poetry", "3.10", "macOS"),
        ("unearth/0.15 " + json.dumps(PIP), "pdm", "3.11", "Linux"),
        ("pdm/2.15.0 CPython/3.11 Linux/6.1", "pdm", "3.11", "Linux"),
        ("Python-urllib/2.7 setuptools/12.0", "setuptools", "2.7", UNKNOWN),
        ("setuptools/65.5 Python-urllib/3.11", "setuptools", "3.11", UNKNOWN),
        ("bandersnatch/6.5 (cpython 3.11.2-final0, Linux 6.1 x86_64)", "mirror", UNKNOWN, "Linux"),
        ("devpi-server/6.9 (py3.11.2; linux)", "mirror", "3.11", "Linux"),
        ("Artifactory/7.77", "mirror", UNKNOWN, UNKNOWN),
        (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME}", "browser", UNKNOWN, "Linux"),
        (f"Mozilla/5.0 (Linux; Android 14) {CHROME}", "browser", UNKNOWN, "Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", "browser", UNKNOWN, "iOS"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "browser", UNKNOWN, "Windows"),
        ("Mozilla/5.0 (compatible; ExampleBot/2.1)", "bot", UNKNOWN, UNKNOWN),
        ("ExampleCrawler/1.0", "bot", UNKNOWN, UNKNOWN),
        ("curl/7.88.1", "script", UNKNOWN, UNKNOWN),
        ("python-requests/2.31", "script", UNKNOWN, UNKNOWN),
        ("something", "other", UNKNOWN, UNKNOWN),
        ("-", "none", UNKNOWN, UNKNOWN),
        ("", "none", UNKNOWN, UNKNOWN),
    ],
)
def test_known_clients_are_named(text: str, installer: str, python: str, system: str) -> None:
    assert parse(text) == (installer, python, system)


@pytest.mark.parametrize(
    "rest",
    [
        '{"python": "<script>", "system": {"name": "<b>"}}',
        '{"python": ["3.11"], "system": "Linux"}',
        '{"python": {"a": 1}, "system": {"name": ["x"]}}',
        '{"python": "99999.1", "system": {"name": null}}',
        '{"python": 3.11}',
        "[" * 8000,
        '{"a":' * 1500,
        "{}",
        "{",
        '{"python": ' + "9" * 6000 + "}",
        "\\ud800 {\ud800}",
    ],
)
def test_hostile_details_are_unknown(rest: str) -> None:
    assert parse(f"pip/24.0 {rest}") == ("pip", UNKNOWN, UNKNOWN)


@given(st.one_of(st.text(), st.text().map(lambda text: "pip/1 {" + text)))
def test_answers_come_from_short_lists_whatever_the_header(text: str) -> None:
    for value in parse(text):
        assert value.isascii()
        assert value.isprintable()
        assert 0 < len(value) < 20
