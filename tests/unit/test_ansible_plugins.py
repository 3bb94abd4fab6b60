"""The controller's plugins, without a host: what they build, read and do when a connection is lost."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("ansible", reason="ansible-core is not installed beside pytest")

from ansible.errors import AnsibleConnectionFailure, AnsibleError

ROOT = Path(__file__).resolve().parents[2]


def load(path: str) -> ModuleType:
    """A plugin as a module of its own name: Ansible does not make packages of its folders."""
    spec = importlib.util.spec_from_file_location("plugin_" + Path(path).stem, ROOT / "plugins" / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


command = load("action/bandersnatch_command.py")
config_file = load("action/bandersnatch_config_file.py")
mirror = load("action/bandersnatch_mirror.py")
packages = load("action/bandersnatch_packages.py")


def test_the_command_is_the_same_bytes_whatever_the_files_dates_and_order(tmp_path: Path) -> None:
    names = ["cli.py", "__init__.py", "zebra.py"]
    for folder, order in (("one", names), ("two", names[::-1])):
        (tmp_path / folder / "__pycache__").mkdir(parents=True)
        (tmp_path / folder / "__pycache__/cli.pyc").write_text("never packed")
        for name in order:
            (tmp_path / folder / name).write_text(f"# {name}\n")
    assert command.build(tmp_path / "one") == command.build(tmp_path / "two")
    (tmp_path / "two/cli.py").write_text("# changed\n")
    assert command.build(tmp_path / "one") != command.build(tmp_path / "two")


def test_the_command_holds_the_whole_engine_and_runs_alone(tmp_path: Path) -> None:
    path = tmp_path / "bandersnatch"
    path.write_bytes(command.build())
    held = {name.removeprefix("bandersnatch/") for name in zipfile.ZipFile(path).namelist()}
    assert held == {file.name for file in (ROOT / "module_utils/bandersnatch").glob("*.py")}
    assert path.read_bytes().startswith(b"#!/usr/bin/python3 -I\n")
    done = subprocess.run(
        [sys.executable, "-I", path, "--version"], capture_output=True, text=True, check=True
    )
    assert "bandersnatch" in done.stdout


def test_the_commands_exit_code_is_that_of_the_engine(tmp_path: Path) -> None:
    path = tmp_path / "bandersnatch"
    path.write_bytes(command.build())
    config = tmp_path / "wrong.conf"
    config.write_text("[mirror]\nworkers = many\n")
    arguments = [sys.executable, "-I", path, "-c", config, "check-config"]
    assert subprocess.run(arguments, capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("master = https://user:hush@example.org/simple/", "master = https://***@example.org/simple/"),
        ("master = https://hush@example.org:8443/", "master = https://***@example.org:8443/"),
        ("proxy = user:hush@proxy.example.org:3128", "proxy = ***@proxy.example.org:3128"),
        ("contact = pypi@example.org", "contact = pypi@example.org"),
        ("root_uri = https://files.example.org/@x/", "root_uri = https://files.example.org/@x/"),
    ],
)
def test_a_diff_of_the_config_file_hides_passwords_and_nothing_else(line: str, shown: str) -> None:
    assert config_file.hidden(f"a = b\n{line}\nc = d\n") == f"a = b\n{shown}\nc = d\n"


def test_only_missing_packages_are_installed() -> None:
    answer = "nginx installed\ncron config-files\nlogrotate not-installed\n"
    assert packages.missing_of(["nginx", "cron", "logrotate", "acl"], answer) == ["cron", "logrotate", "acl"]


def progress(**changes: Any) -> str:
    counts = {unit: {"done": 1, "total": 4} for unit in ("projects", "files", "bytes")}
    return json.dumps({"phase": "files", **counts, "failed": 2, "rate": 0, "eta_seconds": 90, **changes})


def test_the_progress_file_is_told_in_words() -> None:
    words = mirror.describe(progress())
    for part in ("files: ", "projects 1/4", "2 failed", "1 min 30 s left"):
        assert part in words


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", progress(files=3), progress(rate=None)])
def test_a_progress_file_that_is_not_one_does_no_harm(content: str) -> None:
    assert mirror.describe(content) == "syncing"


class Plugin(mirror.ActionModule):  # type: ignore[misc, name-defined]
    """The action plugin on a host that answers what the test says; exceptions are raised."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.resets = 0
        self._host = "example"
        self._task = type("Task", (), {"args": {}})()
        self._connection = self

    def reset(self) -> None:
        self.resets += 1

    def _low_level_execute_command(self, cmd: str, **_: Any) -> dict[str, Any]:
        if cmd.startswith("rm -f"):
            return {"rc": 0, "stdout": "", "stderr": ""}
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"rc": 0, "stdout": answer, "stderr": ""}

    def _execute_module(self, **_: Any) -> dict[str, Any]:
        return {"changed": True, "ansible_job_id": "j1.2", "finished": True}


STARTED = {"ansible_job_id": "j1.2", "results_file": "/home/x/.ansible_async/j1.2"}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was displayed, with a clock that jumps a minute at each look and sleeps that take no time."""
    lines: list[str] = []
    now = iter(range(0, 10**6, 60))
    monkeypatch.setattr(mirror.time, "sleep", lambda _: None)
    monkeypatch.setattr(mirror.time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(mirror.display, "display", lines.append)
    return lines


def test_a_detached_sync_shows_its_progress_and_hands_its_result_over(shown: list[str]) -> None:
    plugin = Plugin("running\n" + progress(), "running\n", "done\n")
    assert plugin._follow(STARTED, None) == {"changed": True}
    assert [line for line in shown if "projects 1/4" in line]
    assert all(line.startswith("[example] ") for line in shown)


def test_a_lost_connection_is_taken_up_again(shown: list[str]) -> None:
    plugin = Plugin("running\n", AnsibleConnectionFailure("gone"), AnsibleConnectionFailure("gone"), "done\n")
    assert plugin._follow(STARTED, None) == {"changed": True}
    assert plugin.resets == 2
    assert [line for line in shown if "the sync goes on" in line]


def test_a_connection_that_stays_away_ends_the_task_with_advice(shown: list[str]) -> None:
    plugin = Plugin(*[AnsibleConnectionFailure("gone")] * 1000)
    with pytest.raises(AnsibleError, match="run it again"):
        plugin._follow(STARTED, None)


def test_a_sync_that_was_killed_is_no_success(shown: list[str]) -> None:
    result = Plugin("running\n", "dead\n")._follow(STARTED, None)
    assert result["failed"] is True
    assert "run it again" in result["msg"]


@pytest.mark.parametrize(
    ("content", "alive", "expected"),
    [
        ('{"started": true, "finished": false}', True, "running"),
        ('{"started": true, "finished": false}', False, "dead"),
        ('{"changed": false, "added": ["started"]}', False, "done"),
        (None, False, "done"),  # then the module that collects it says what is wrong
    ],
)
def test_the_watch_command_tells_how_the_job_is(
    tmp_path: Path, content: str | None, alive: bool, expected: str
) -> None:
    results = tmp_path / "j4711.1"
    if content is not None:
        results.write_text(content)
    config = tmp_path / "bandersnatch.conf"
    config.write_text(f"[mirror]\ndirectory = {tmp_path}\n")
    (tmp_path / "progress.json").write_text(progress())
    plugin = Plugin()
    plugin._task.args = {"config": str(config)}
    watch = plugin._watch_command("j4711.1", str(results))
    job = (
        subprocess.Popen([sys.executable, "-c", "input()", "j4711"], stdin=subprocess.PIPE) if alive else None
    )
    try:
        done = subprocess.run(["/bin/sh", "-c", watch], capture_output=True, text=True, check=True)
    finally:
        if job:
            job.communicate(b"\n")
    state, _, rest = done.stdout.partition("\n")
    assert state == expected
    assert json.loads(rest)["phase"] == "files"
