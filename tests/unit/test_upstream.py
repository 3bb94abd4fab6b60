"""Which index pip uses; asked of a fake pip, so that no real one decides."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from bandersnatch.errors import ConfigError
from bandersnatch.upstream import default_index

HELP = """
Package Index Options:
  -i, --index-url <url>       Base URL of the index (default https://built-in.example.org/simple). It should
                              point to a repository compliant with PEP 503.
  --extra-index-url <url>     Extra URLs (default https://wrong.example.org/simple)
"""


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter whose pip prints the files `config` and `install` beside it."""
    for name in ("PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config").touch()
    (tmp_path / "install").write_text(HELP)
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\n[ "$COLUMNS" = 500 ] && [ "$1 $2" = "-m pip" ] && cat "{tmp_path}/$3"\n')
    program.chmod(0o755)
    return program


def test_the_environment_goes_first(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", " https://me:pw@environment.example.org/pypi/simple ")
    assert default_index(str(python)) == "https://me:pw@environment.example.org/pypi/simple/"


def test_then_the_configuration_in_which_install_goes_before_global(python: Path) -> None:
    config = python.with_name("config")
    config.write_text("global.timeout='10'\nglobal.index-url='https://global.example.org/simple/'\n")
    assert default_index(str(python)) == "https://global.example.org/simple/"
    config.write_text(config.read_text() + "install.index-url='https://install.example.org/x'\n")
    assert default_index(str(python)) == "https://install.example.org/x/"


def test_then_what_is_built_into_pip(python: Path) -> None:
    assert default_index(str(python)) == "https://built-in.example.org/simple/"


def test_what_pip_says_is_the_index_itself_and_not_the_url_above(python: Path) -> None:
    python.with_name("config").write_text("global.index-url='https://wheels.example.org/cpu'\n")
    assert default_index(str(python)) == "https://wheels.example.org/cpu/"


@pytest.mark.skipif(find_spec("pip") is None, reason="this interpreter has no pip")
def test_the_real_pip_says_something() -> None:
    assert default_index(sys.executable).endswith("/")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n", "No module named pip"),
        ("#!/bin/sh\nexit 1\n", "no reason given"),
        ("#!/bin/sh\nexit 0\n", "does not say"),
        ("#!/nowhere/at/all\n", "cannot be run"),
    ],
)
def test_without_a_pip_that_answers_master_must_be_set(python: Path, script: str, reason: str) -> None:
    python.write_text(script)
    with pytest.raises(ConfigError, match=reason) as caught:
        default_index(str(python))
    assert "set master in [mirror]" in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_index_that_is_no_url_is_refused_without_its_password(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "ftp://me:s3cret@index.example.org/")
    with pytest.raises(ConfigError, match="PIP_INDEX_URL") as caught:
        default_index(str(python))
    assert "s3cret" not in str(caught.value)
