"""Places the engine as one executable zip file of `module_utils/bandersnatch`, the same bytes at each build.

The options are those of `ansible.builtin.copy`, without `src` and `content`.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

ENGINE = Path(__file__).resolve().parents[2] / "module_utils" / "bandersnatch"
# -I: neither the user's site-packages nor PYTHON* variables reach what cron runs
SHEBANG = b"#!/usr/bin/python3 -I\n"
MAIN = "import bandersnatch.__main__\n"
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say


def build(engine: Path = ENGINE) -> bytes:
    """The command's bytes. They depend on the sources only: no dates, no compression, no caches."""
    buffer = io.BytesIO(SHEBANG)
    buffer.seek(0, io.SEEK_END)
    members = {f"bandersnatch/{path.name}": path.read_text(encoding="utf-8") for path in engine.glob("*.py")}
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, text in sorted({**members, "__main__.py": MAIN}.items()):
            member = zipfile.ZipInfo(name, DATE)
            member.external_attr = 0o644 << 16  # for whoever unpacks it to look inside
            archive.writestr(member, text)
    return buffer.getvalue()


class ActionModule(ActionBase):
    """Builds, then delegates to `ansible.builtin.copy`, which knows check mode, modes and owners."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Copy the command to `dest`."""
        super().run(tmp, task_vars)
        with tempfile.NamedTemporaryFile(prefix="bandersnatch-") as file:
            file.write(build())
            file.flush()
            task = self._task.copy()
            task.args = {"mode": "0755", **self._task.args, "src": file.name}
            copy = self._shared_loader_obj.action_loader.get(
                "ansible.builtin.copy",
                task=task,
                connection=self._connection,
                play_context=self._play_context,
                loader=self._loader,
                templar=self._templar,
                shared_loader_obj=self._shared_loader_obj,
            )
            result: dict[str, Any] = copy.run(task_vars=task_vars)
        return result
