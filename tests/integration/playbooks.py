"""Runs playbooks of this project for real, on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE, ROOT, Mirror

ANSIBLE = Path(sys.executable).with_name("ansible-playbook")

needs_ansible = pytest.mark.skipif(not ANSIBLE.exists(), reason="ansible-core is not installed beside pytest")


def run(
    base: Path, book: Path | list[dict[str, Any]], hosts: dict[str, dict[str, Any]], *options: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a playbook, or plays, on hosts that are all this machine.

    Args:
        base: what Ansible writes on the controller goes there.
        book: the playbook.
        hosts: the variables of each host of the group `mirrors`.
        options: more arguments.
        env: more environment.
    """
    if isinstance(book, list):
        (base / "play.yml").write_text(json.dumps(book))
        book = base / "play.yml"
    local = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    inventory = base / "inventory.yml"
    inventory.write_text(json.dumps({"mirrors": {"hosts": hosts, "vars": local}}))
    return subprocess.run(
        [ANSIBLE, "--inventory", inventory, *options, book],
        env={
            **{key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ},
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(base / "ansible"),
            "ANSIBLE_REMOTE_TMP": str(base / "remote"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            **env,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def result_of(
    mirror: Mirror, task: dict[str, Any], *options: str
) -> tuple[dict[str, Any], subprocess.CompletedProcess[str]]:
    """Run one task beside a mirror under test, in its clean environment; its result as Ansible sees it."""
    result = mirror.base / "result.json"
    keep = {"content": "{{ result | to_json }}", "dest": str(result)}
    tasks = [
        {**task, "register": "result", "ignore_errors": True},
        {"ansible.builtin.copy": keep, "check_mode": False, "diff": False},
    ]
    done = run(
        mirror.base,
        [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}],
        {"localhost": {"ansible_python_interpreter": sys.executable}},
        *options,
        **{key: value for key, value in mirror.environment().items() if key != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout, done.stderr, result.read_text())
    return dict(json.loads(result.read_text())), done


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, int]]:
    """What the end of the output says of each host: ok, changed, failed, ..."""
    lines = done.stdout.partition("PLAY RECAP")[2].splitlines()[1:]
    split = [line.partition(" : ") for line in lines if " : " in line]
    counts = {host.strip(): [word.partition("=") for word in rest.split()] for host, _, rest in split}
    return {host: {word: int(count) for word, _, count in words} for host, words in counts.items()}
