"""Runs the module `bandersnatch_mirror` detached, so that a long sync shows its progress and outlives ssh."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# The engine renders its own progress. It is no package of the controller's: it lies in this checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "module_utils"))
from bandersnatch.progress import FILE_NAME, Snapshot
from bandersnatch.summary import human_time

MODULE = "bandersnatch_mirror"
LIMIT = 60 * 24 * 3600  # seconds; a first sync of everything takes weeks
SHOW_INTERVAL = 10.0  # seconds between two lines of progress
POLL_FIRST, POLL_LAST = 0.4, 4.0  # seconds between two looks; they grow, so that a short sync ends promptly
PATIENCE = 30 * 60  # seconds that a lost connection may stay away
RECONNECT_INTERVAL = 10.0

display = Display()


class ActionModule(ActionBase):
    """Start, follow, collect."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module: at once in check mode, else detached."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._task.check_mode or self._task.async_val:
            result.update(self._module(task_vars))
            return result
        self._host = (task_vars or {}).get("inventory_hostname", "")
        started = self._start(task_vars)
        if started.get("failed") or "results_file" not in started:
            result.update(started)
            return result
        result.update(self._follow(started, task_vars))
        return result

    def _module(self, task_vars: dict[str, Any] | None, detached: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name=MODULE, module_args=self._task.args, task_vars=task_vars, wrap_async=detached
        )
        return answer

    def _start(self, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        self._task.async_val = LIMIT  # where _execute_module looks for the limit
        try:
            return self._module(task_vars, detached=True)
        finally:
            self._task.async_val = 0  # the executor must not wait for the job: we do

    def _follow(self, started: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Wait for the job, showing progress; its result, or why there is none."""
        job, results = str(started["ansible_job_id"]), str(started["results_file"])
        watch = self._watch_command(job, results)
        begin = shown = time.monotonic()
        pause = POLL_FIRST
        while True:
            time.sleep(pause)
            pause = min(POLL_LAST, pause * 1.5)
            state, progress = self._look(watch)
            if state == "done":
                return self._collect(job, results, task_vars)
            if state == "dead":
                return {
                    "failed": True,
                    "msg": "the sync was killed before it could report (was the host restarted?):"
                    " run it again, it takes up the rest",
                }
            now = time.monotonic()
            if now - shown >= SHOW_INTERVAL:
                shown = now
                display.display(f"[{self._host}] {human_time(now - begin)}: {progress}")

    def _watch_command(self, job: str, results: str) -> str:
        """One cheap command that says how the job is, then its progress. Needs sh, grep and cat only."""
        # The job's process has this number as an argument of its own; the shell that asks has it within one.
        alive = f"grep -qsxz {quote(job.partition('.')[0])} /proc/[0-9]*/cmdline"
        unfinished = f"grep -Eqs '\"started\": ?(true|1)' {quote(results)}"
        config = quote(self._task.args.get("config", "/etc/bandersnatch.conf"))
        directory = f"$(sed -n 's/^directory *[=:] *//p' {config})"
        return (
            f"if ! {unfinished}; then echo done; elif {alive}; then echo running; else echo dead; fi;"
            f' cat "{directory}/{FILE_NAME}" 2>/dev/null; true'
        )

    def _look(self, watch: str) -> tuple[str, str]:
        """The job's state and its progress in words; waits for a lost connection to come back."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._low_level_execute_command(watch)
            except AnsibleConnectionFailure as error:
                self._reconnect(deadline, str(error))
                continue
            if answer["rc"] == 0:
                state, _, progress = answer["stdout"].strip().partition("\n")
                return state, describe(progress)
            self._reconnect(deadline, answer.get("stderr", "").strip())

    def _reconnect(self, deadline: float, reason: str) -> None:
        if time.monotonic() >= deadline:
            raise AnsibleError(
                f"the host is gone ({reason}); the sync goes on there without us: run it again to follow"
            )
        display.display(f"[{self._host}] the connection is lost, the sync goes on: trying again ({reason})")
        time.sleep(RECONNECT_INTERVAL)
        self._connection.reset()

    def _collect(self, job: str, results: str, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """The module's own result. The job's file is removed: results of a full sync are large."""
        answer: dict[str, Any] = self._execute_module(
            module_name="ansible.legacy.async_status",
            module_args={"jid": job, "_async_dir": str(PurePosixPath(results).parent)},
            task_vars=task_vars,
        )
        self._low_level_execute_command(f"rm -f {quote(results)}")
        for key in ("ansible_job_id", "started", "finished", "results_file"):
            answer.pop(key, None)
        return answer


def describe(content: str) -> str:
    """The progress file in words; it is not there before the first phase and between two."""
    try:
        seen = json.loads(content)
        units = ("projects", "files", "bytes")
        done = {unit: int(seen[unit]["done"]) for unit in units}
        total = {unit: int(seen[unit]["total"]) for unit in units}
        rate, eta = float(seen["rate"]), seen["eta_seconds"]
        return Snapshot(str(seen["phase"]), done, total, int(seen["failed"]), rate, eta).text()
    except (ValueError, KeyError, TypeError):
        return "syncing"
