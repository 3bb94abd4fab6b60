"""Writes the config file as `ansible.builtin.template` does; its diff hides passwords, old ones too."""

from __future__ import annotations

import re
from typing import Any

from ansible.plugins.action import ActionBase

LOGIN = re.compile(r"://[^/@\s]*@|(?<== )[^/@\s]+:[^/@\s]+@")  # a proxy may stand there without http://


def hidden(text: str) -> str:
    """`text` without what stands before the host in URLs."""
    return LOGIN.sub(lambda match: "://***@" if match[0].startswith(":") else "***@", text)


class ActionModule(ActionBase):
    """The options are those of `ansible.builtin.template`."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Delegate, then hide."""
        super().run(tmp, task_vars)
        template = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.template",
            task=self._task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        result: dict[str, Any] = template.run(task_vars=task_vars)
        for part in result.get("diff") or []:
            for side in ("before", "after"):
                if isinstance(part.get(side), str):
                    part[side] = hidden(part[side])
        return result
