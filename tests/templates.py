"""Renders the roles' templates as Ansible does, without a host."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, lookup_loader
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[1]
init_plugin_loader()
lookup_loader.add_directory(str(ROOT / "plugins/lookup"))


@functools.cache
def roles() -> dict[str, Any]:
    """The defaults and variables of all roles."""
    loader = DataLoader()
    found: dict[str, Any] = {}
    for path in sorted((ROOT / "roles").glob("*/*/main.yml")):
        if path.parent.name in {"defaults", "vars"}:
            found |= loader.load_from_file(str(path), trusted_as_template=True)
    return found


def render(role: str, template: str, variables: dict[str, Any]) -> str:
    """A template of a role, with the defaults of all roles and these variables of a host."""
    loader = DataLoader()
    own = {"inventory_hostname": "mirror.example.org", "ansible_managed": "Ansible"}
    found = {**roles(), **own, **variables}
    templar = Templar(loader, variables=found)
    lookup = lookup_loader.get("ansible.builtin.template", loader=loader, templar=templar)
    return str(lookup.run([str(ROOT / "roles" / role / "templates" / template)], found)[0])
