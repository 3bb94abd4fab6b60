"""Checks every variable of the project, and the host, before anything is changed.

What is wrong with one role's variables is said before the first role has made a volume; all of it at once, by
name. A name that no role has is wrong, too: a misspelt allowlist would mirror everything.
"""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

# They are no package of the controller's: they lie in this checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bandersnatch_checks import ROOT, config_file, host, variables

TEMPLATE = ROOT / "roles/bandersnatch_config/templates/bandersnatch.conf.j2"
PORTS = ("bandersnatch_nginx_port", "bandersnatch_nginx_tls_port")


class ActionModule(ActionBase):
    """It has no options."""

    _VALID_ARGS = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with all that is wrong."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        wrong = host.wrong_distribution(task_vars.get("ansible_facts", {}))
        if wrong:
            result.update(failed=True, msg=wrong)
            return result
        given, found = self._given(task_vars)
        found += variables.problems(given, variables.known())
        # where one role's variables are all there, so are those of its play
        if not found and "__bandersnatch_config_mirror" in task_vars:
            found, result["warnings"] = config_file.problems(self._config(task_vars), given)
        if not found:
            found = self._taken_ports(given)
        result.update(failed=bool(found), changed=False)
        if found:
            result["msg"] = "Nothing has been changed yet. " + "; ".join(found)
        return result

    def _given(self, task_vars: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The variables that are set, and what cannot be made of those that hold templates."""
        given, found = {}, []
        for name, value in task_vars.items():
            if name.startswith(variables.LIKE_IT):
                try:
                    given[name] = self._templar.template(value)
                except AnsibleError as error:
                    found.append(f"{name}: {error}")
        return given, found

    def _config(self, task_vars: dict[str, Any]) -> str:
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        return str(lookup.run([str(TEMPLATE)], task_vars)[0])

    def _taken_ports(self, given: dict[str, Any]) -> list[str]:
        has_tls = given.get("bandersnatch_nginx_tls", "none") != "none"
        ports = {int(given[name]): name for name in PORTS[: 1 + has_tls] if given.get(name)}
        # with addresses of its own it may share a port; nginx says so where it may not
        if not ports or given.get("bandersnatch_nginx_listen_addresses"):
            return []
        words = " ".join(map(str, ports))
        answer = self._low_level_execute_command(f"/usr/bin/python3 -c {quote(host.LISTENERS)} {words}")
        return host.wrong_ports(ports, answer.get("stdout", ""))
