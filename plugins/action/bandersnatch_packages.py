"""Installs the distribution's packages that are missing.

`ansible.builtin.apt` opens apt's whole cache, a second of CPU, to find that nothing is to be done, and on a
bare host it cannot answer check mode at all. So dpkg is asked first; apt only where one is missing.
"""

from __future__ import annotations

from shlex import quote
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

QUERY = "dpkg-query --show --showformat '${Package} ${db:Status-Status}\\n'"
CACHE_VALID = 3600  # seconds that apt's lists count as fresh
LOCK_TIMEOUT = 300  # seconds to wait for another apt, such as the unattended upgrades after a start


def missing_of(names: list[str], answer: str) -> list[str]:
    """Which of `names` dpkg's answer does not call installed."""
    lines = set(answer.splitlines())
    return [name for name in names if f"{name} installed" not in lines]


class ActionModule(ActionBase):
    """The only option is `name`, a list."""

    _VALID_ARGS = frozenset({"name"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Install what is missing."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        names = self._task.args.get("name")
        if not isinstance(names, list) or not names:
            raise AnsibleActionFail("bandersnatch_packages needs `name`, a list of packages")
        answer = self._low_level_execute_command(f"{QUERY} {' '.join(map(quote, names))} 2>/dev/null; true")
        missing = missing_of(names, answer["stdout"])
        if not missing or self._task.check_mode:
            result.update(changed=bool(missing), missing=missing)
            return result
        module_args = {
            "name": missing,
            "install_recommends": False,
            "update_cache": True,
            "cache_valid_time": CACHE_VALID,
            "lock_timeout": LOCK_TIMEOUT,
        }
        result.update(
            self._execute_module("ansible.legacy.apt", module_args=module_args, task_vars=task_vars),
            missing=missing,
        )
        return result
