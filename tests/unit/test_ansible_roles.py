"""What the roles say of themselves agrees: defaults, argument specs, the engine's table of keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from bandersnatch.config_keys import KEYS

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
FIXED = {"digest_name", "keep_index_versions", "storage-backend", "cleanup", "verifiers"}  # one value only


def read(role: str, part: str) -> Any:
    return yaml.safe_load((ROOT / "roles" / role / part / "main.yml").read_text())


def options(role: str) -> dict[str, Any]:
    specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())
    return dict(specs["argument_specs"]["main"]["options"])


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_has_a_default_and_is_documented(role: str) -> None:
    assert read(role, "defaults").keys() == options(role).keys()


@pytest.mark.parametrize("role", ROLES)
def test_stated_defaults_are_the_real_ones(role: str) -> None:
    for name, default in read(role, "defaults").items():
        stated = options(role)[name].get("default")
        if isinstance(default, str) and "{{" in default:
            assert stated is None or "default(" in default, name
        else:
            assert stated == default, name


def test_every_key_of_the_engine_is_a_variable_and_reaches_the_config_file() -> None:
    keys = [key for key in KEYS if key.section == "mirror" and key.name not in FIXED]
    assert {f"bandersnatch_config_{key.field}" for key in keys} <= read(
        "bandersnatch_config", "defaults"
    ).keys()
    written = read("bandersnatch_config", "vars")["__bandersnatch_config_mirror"]
    assert written.keys() == {key.name for key in keys}
