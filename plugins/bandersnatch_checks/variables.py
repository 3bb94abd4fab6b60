"""The project's variables: which there are, what they can be, and which of those that are set are wrong."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from bandersnatch.config_keys import KEYS, PLAIN, Key
from bandersnatch.summary import one_line

from . import ROOT, values

PREFIX = "bandersnatch_"
LIKE_IT = "band"  # what begins so may be a misspelt prefix
# What more than one role uses, and what playbooks take on the command line.
SHARED = {
    "bandersnatch_directory": ("path", "absolute path"),
    "bandersnatch_user": ("str", "user name"),
    "bandersnatch_allow_removals": ("bool", ""),
    "bandersnatch_force_check": ("bool", ""),
    "bandersnatch_remove_data": ("bool", ""),
    "bandersnatch_sync_throttle": ("int", ""),
}
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping",
    "str": "a text",
}


class Variable(NamedTuple):
    """What is known of a variable."""

    option: dict[str, Any]  # of the role's argument specs
    kind: str = ""  # of the role's meta/values.yml
    key: Key | None = None  # of the config file, which it is written to


def known() -> dict[str, Variable]:
    """Every variable of the roles and playbooks."""
    keys = {f"bandersnatch_config_{key.field}": key for key in KEYS if key.section in PLAIN}
    found = {name: Variable({"type": kind}, label) for name, (kind, label) in SHARED.items()}
    for role in sorted((ROOT / "roles").iterdir()):
        options = _read(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
        kinds = _read(role / "meta/values.yml")
        for name, option in options.items():
            kind = kinds.get(name) or ("absolute path" if option["type"] == "path" else "")
            found[name] = Variable(option, kind, keys.get(name))
    return found


def _read(path: Any) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def problems(given: Mapping[str, Any], variables: Mapping[str, Variable]) -> list[str]:
    """A sentence for each thing that is wrong with what is set: the variable's name, and what it should be.

    Args:
        given: the value of each variable that is set and begins with LIKE_IT.
        variables: those that there are.
    """
    found = [unknown for name in given if name not in variables and (unknown := _unknown(name, variables))]
    wrong_shared = set()
    for name in sorted(given.keys() & variables.keys(), key=lambda name: name not in SHARED):
        value = given[name]
        wrong = check(name, value, variables[name])
        if wrong and repr(value) not in wrong_shared:
            found.append(wrong)
        if wrong and name in SHARED:
            wrong_shared.add(repr(value))  # roles have it as their default: it is said once
    return found


def _unknown(name: str, variables: Mapping[str, Variable]) -> str:
    close = difflib.get_close_matches(name, variables, 1, 0.8)
    if not close and not name.startswith(PREFIX):
        return ""  # somebody else's
    hint = f"did you mean {close[0]}?" if close else "the READMEs in roles/ have them all"
    return f"{name}: there is no such variable; {hint}"


def check(name: str, value: Any, variable: Variable) -> str:
    """What is wrong with a value, in a sentence; empty where nothing is."""
    if value is None:
        return ""
    option, secret = variable.option, variable.key is not None and variable.key.kind.secret
    shown = "" if secret else f" = {one_line(str(value))[:80]}"
    # 4.5 is no int, "4" is one: as in the role's own check
    result = ArgumentSpecValidator({name: option}).validate({name: value})
    if result.error_messages:
        if "choices" in option:
            return f"{name}{shown} is none of {', '.join(map(str, option['choices']))}"
        elements = f" of {TYPES[option['elements']]}s" if "elements" in option else ""
        return f"{name}{shown} is not {TYPES.get(option['type'], 'a ' + option['type'])}{elements}"
    read = _reader(name, variable)
    for item in value if isinstance(value, list) else [value]:
        text = str(item).lower() if isinstance(item, bool) else str(item)
        try:
            # "" is as good as not set where that is the default; a key of the config file is left out then
            if text or not (variable.key or option.get("default") == ""):
                read(text)
        except ValueError as error:
            return f"{name}{'' if secret else f' = {one_line(text)[:80]}'} {error}"
    return ""


def _reader(name: str, variable: Variable) -> Any:
    # directories go into other files of the host, too
    if variable.key and name != "bandersnatch_config_directory":
        return variable.key.kind.read
    return values.reader(variable.kind) if variable.kind else str
