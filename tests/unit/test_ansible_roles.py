"""What the roles say of themselves agrees: defaults, argument specs, READMEs, the engine's table of keys."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from bandersnatch.config_keys import KEYS, PLAIN, Key
from bandersnatch.port import variables

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
SCALAR = [key for key in KEYS if key.section in PLAIN]
# Those that are ignored, and those that can have one value only, are no variables.
WRITTEN = [key for key in SCALAR if not key.ignored and not key.kind.label.endswith("only")]
# Their variables say more, as other roles and the controller's pip come in.
TOLD_OTHERWISE = {"directory", "master"}


def read(role: str, part: str) -> Any:
    return yaml.safe_load((ROOT / "roles" / role / part / "main.yml").read_text())


def options(role: str) -> dict[str, Any]:
    specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())
    return dict(specs["argument_specs"]["main"]["options"])


def variable(key: Key) -> str:
    return f"bandersnatch_config_{key.field}"


def described(key: Key) -> str:
    """What the engine says of a key, in the words of the variables."""
    names = {other.name: variable(other) for other in SCALAR}
    # what stands in two braces would be Ansible's
    text = " ".join(part for part in re.split(r"(?<=\.) ", key.doc) if "{{" not in part)
    return re.sub(r"`([^`]*)`", lambda match: f"C({names.get(match[1], match[1])})", text)


def typed(key: Key) -> str:
    label = key.kind.label
    starts = {"true or false": "bool", "whole number": "int", "absolute path": "path"}
    for start, kind in starts.items():
        if label.startswith(start):
            return kind
    return "float" if re.search(r", [\d.]+ to [\d.]+$", label) else "str"


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


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_has_the_table_of_the_argument_specs(role: str) -> None:
    page = runpy.run_path(str(ROOT / "scripts/role-docs"))["page"](ROOT / "roles" / role)
    assert (ROOT / "roles" / role / "README.md").read_text("utf-8") == page, (
        "run .venv/bin/python scripts/role-docs"
    )


def test_every_key_of_the_engine_is_a_variable_and_reaches_the_config_file() -> None:
    written = read("bandersnatch_config", "vars")
    for section in PLAIN:
        here = {key.name: f"{{{{ {variable(key)} }}}}" for key in WRITTEN if key.section == section}
        if section == "mirror":
            here["master"] = "{{ bandersnatch_config_master or lookup('bandersnatch_index') }}"
        if section == "status":
            here["public-url"] = "{{ bandersnatch_config_public_url or __bandersnatch_config_served_at }}"
        assert written[f"__bandersnatch_config_{section}"] == here


@pytest.mark.parametrize("key", [key for key in WRITTEN if key.name not in TOLD_OTHERWISE], ids=variable)
def test_a_variable_says_what_the_engine_says_of_its_key(key: Key) -> None:
    option = options("bandersnatch_config")[variable(key)]
    assert option["description"].startswith(described(key))
    assert option["type"] == typed(key)
    choices = re.findall("`([^`]+)`", key.kind.label) if key.kind.label.startswith("`") else None
    assert option.get("choices") == choices
    default = option["default"]
    assert (str(default).lower() if isinstance(default, bool) else str(default)) == key.default


def test_the_readme_shows_every_key_of_the_filters() -> None:
    text = (ROOT / "roles/bandersnatch_config/README.md").read_text("utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    filters = next(block for block in blocks if "bandersnatch_config_filters" in block)
    shown = {
        (section, key) for section, keys in filters["bandersnatch_config_filters"].items() for key in keys
    }
    sections = {*PLAIN, "plugins"}
    assert shown == {(key.section, key.name) for key in KEYS if key.section not in sections}


def test_what_the_migration_carries_over_are_variables_of_the_roles() -> None:
    values = {"mirror": {key.name: key.default or "x" for key in WRITTEN if key.section == "mirror"}}
    values["mirror"] |= {"directory": "/srv/old", "diff-file": "{{mirror_directory}}/changes"}
    values["statistics"] = {"access-log-pattern": "/var/log/*.log", "fold-user-agents": "true"}
    values["mirror"] |= dict.fromkeys(("master", "root_uri", "download-mirror", "proxy"), "http://localhost/")
    values["mirror"]["log-config"] = "/etc/log.ini"
    found, _ = variables(values)
    shared = {"bandersnatch_directory"}
    assert (
        found.keys() - shared <= options("bandersnatch_config").keys() | options("bandersnatch_volume").keys()
    )
    assert found["bandersnatch_config_diff_file"] == "/srv/old/changes", "braces would be Ansible's"
