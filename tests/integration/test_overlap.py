"""Two runs at once, a lock that a dead process left, workers whose parent was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest
from faults import Gate
from harness import PATIENCE, Mirror, arrives, kill
from scenes import small
from simulator import Simulator


def test_a_second_run_says_who_holds_the_lock_and_ends(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    gate = Gate("/packages/.*")
    upstream.fault(gate)
    first = mirror.start()
    arrives(gate, first)
    asked = len(upstream.requests)
    second = mirror.start()
    _, stderr = second.communicate(timeout=PATIENCE)
    assert second.returncode == 5
    assert str(first.pid) in stderr
    assert len(upstream.requests) <= asked + 2  # whatever the first had on its way
    assert first.poll() is None
    gate.open()
    assert mirror.finish(first).exit_code == 0
    mirror.assert_equal()


def test_a_dry_run_meanwhile_disturbs_nobody(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    upstream.add_release("alpha-0", "2.0")
    gate = Gate("/packages/.*")
    upstream.fault(gate)
    first = mirror.start()
    arrives(gate, first)
    second = mirror.start("mirror", "--dry-run")
    second.communicate(timeout=PATIENCE)
    assert second.returncode in (0, 5)
    gate.open()
    assert mirror.finish(first).exit_code == 0
    mirror.assert_equal()


def test_many_runs_at_once_end_in_one_whole_mirror(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 15)
    runs = [mirror.start() for _ in range(4)]
    codes = [mirror.finish(run).exit_code for run in runs]
    assert set(codes) <= {0, 5}
    assert 0 in codes
    mirror.assert_equal()


def test_the_lock_of_a_dead_process_is_no_obstacle(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    dead = subprocess.Popen(["true"])
    dead.wait()
    mirror.directory.mkdir()
    (mirror.directory / ".lock").write_text(f"mirror, process {dead.pid} on elsewhere, since 2020-01-01\n")
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="namespaces need root")
def test_two_hosts_on_one_directory(upstream: Simulator, mirror: Mirror) -> None:
    """Another host's name and process numbers, the same directory; then that host dies."""
    small(upstream)
    gate = Gate("/packages/.*")
    upstream.fault(gate)
    command = f"hostname elsewhere && exec {sys.executable} -m bandersnatch -c {mirror.conf} mirror"
    first = mirror.launch(
        ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", command]
    )
    arrives(gate, first)
    second = mirror.start()
    _, stderr = second.communicate(timeout=PATIENCE)
    assert second.returncode == 5
    assert "on elsewhere" in stderr
    kill(first)
    gate.open()
    mirror.assert_holds(finished=False)
    mirror.sync()
    mirror.assert_equal()


def test_workers_end_with_their_parent(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 30)
    gate = Gate("/packages/.*alpha_29-1.1.tar.gz")
    upstream.fault(gate)
    process = mirror.start()
    arrives(gate, process)
    os.kill(process.pid, signal.SIGKILL)
    gate.open()
    process.communicate(timeout=PATIENCE)  # returns when nobody holds its pipes: no worker is left
    mirror.assert_holds(finished=False)
    mirror.sync()
    mirror.assert_equal()
