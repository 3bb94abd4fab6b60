"""`kill -9` at the exact places where an order of steps matters; `test_crash.py` has the random ones."""

from __future__ import annotations

from pathlib import Path

import faults
import pytest
from crashpoints import killed, patched
from harness import Mirror
from scenes import small
from simulator import Simulator, Upload

BEFORE_STATE = "apply.Committer._remember"
OLD = b"old content of the same length"
NEW = b"new content of the same length"


def replaceable(upstream: Simulator, content: bytes = OLD) -> None:
    """A project with a file at a path that says nothing of its content."""
    upstream.add_project("same-path", "1.0")
    upstream.add_file("same-path", "same-path-0.1.tar.gz", "0.1", layout="old", content=content)


def replace(upstream: Simulator, content: bytes = NEW) -> Upload:
    upload = upstream.delete_file("same-path", "same-path-0.1.tar.gz")
    upstream.add_file("same-path", "same-path-0.1.tar.gz", "0.1", layout="old", content=content)
    return upload


def forget(mirror: Mirror) -> None:
    for part in mirror.directory.glob("state*"):
        part.unlink()


def test_a_replaced_file_is_mirrored(upstream: Simulator, mirror: Mirror) -> None:
    replaceable(upstream)
    mirror.sync()
    replace(upstream)
    mirror.sync()
    mirror.assert_equal()
    replace(upstream, b"and now one of another length altogether")
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.parametrize("state", ["kept", "lost"])
def test_a_replaced_file_is_mirrored_though_sizes_are_compared(
    upstream: Simulator, mirror: Mirror, state: str
) -> None:
    replaceable(upstream)
    mirror.configure(compare_method="stat")
    mirror.sync()
    replace(upstream)
    if state == "lost":
        forget(mirror)
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.parametrize("place", [BEFORE_STATE, "apply.Committer._publish", "store.Store.place"])
@pytest.mark.parametrize("state", ["kept", "lost"])
def test_killed_while_a_file_is_replaced(upstream: Simulator, mirror: Mirror, place: str, state: str) -> None:
    replaceable(upstream)
    mirror.sync()
    replace(upstream)
    if state == "lost":
        forget(mirror)
    killed(mirror, place)
    mirror.assert_holds(finished=False)
    had = mirror.complete()
    done = mirror.sync()
    assert not had & set(done.fetched("/packages/"))
    mirror.assert_equal()


def test_killed_before_the_state_the_root_index_follows(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    upstream.yank("alpha-1", "1.0")  # a page without a new file
    killed(mirror, BEFORE_STATE)
    mirror.assert_holds(finished=False)
    mirror.sync()
    mirror.assert_equal()


def test_killed_after_a_failure_the_next_run_tries_it_again(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    upstream.fault(faults.answer("/packages/.*alpha_0-1.0.tar.gz", 404))
    killed(mirror, "publish.publish_root = sync.publish_root")
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_killed_right_after_a_commit_no_failure_is_forgotten(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    upstream.fault(faults.answer("/packages/.*alpha_0-1.0.tar.gz", 404))
    killed(mirror, "tally.Tally.count")
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.parametrize(
    "place", ["apply.Committer.remove", "store.Store.remove_file", "state.State.drop_project"]
)
def test_killed_while_a_project_goes_that_then_comes_back(
    upstream: Simulator, mirror: Mirror, place: str
) -> None:
    small(upstream, 3)
    mirror.sync()
    back = upstream.projects["alpha-1"]
    del upstream.projects["alpha-1"]
    upstream.serial += 1
    killed(mirror, place)
    mirror.assert_holds(finished=False)
    upstream.projects["alpha-1"] = back  # at its old serial, as after a quarantine that was lifted
    upstream.serial += 1
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.parametrize("place", [BEFORE_STATE, "apply.Committer._publish"])
def test_files_that_a_killed_run_placed_go_with_their_project(
    upstream: Simulator, mirror: Mirror, place: str
) -> None:
    small(upstream, 2)
    mirror.sync()
    upstream.add_project("short-lived", "1.0")
    upstream.add_release("alpha-0", "2.0")
    killed(mirror, place)
    mirror.assert_holds(finished=False)
    upstream.delete_project("short-lived")
    upstream.delete_release("alpha-0", "2.0")
    mirror.sync()
    mirror.assert_equal()


def test_complete_files_of_a_broken_project_go_with_it(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync()
    upstream.add_project("broken", "1.0")
    upstream.fault(faults.answer("/packages/.*broken-1.0.tar.gz", 403))
    mirror.sync(expect=3)
    upstream.delete_project("broken")
    mirror.sync()
    mirror.assert_equal()


def test_a_stumble_over_one_project_is_its_failure_alone(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    change = (
        "good = index.parse_page\n"
        "def bad(body, kind, url, name):\n"
        "    if name == 'alpha-1': raise ValueError('nobody expected this')\n"
        "    return good(body, kind, url, name)\n"
        "index.parse_page = bad\n"
    )
    done = patched(mirror, change)
    assert done.exit_code == 3, done.output
    assert "nobody expected this" in done.output
    assert set(mirror.served.page_dirs()) == {"alpha-0", "alpha-2"}
    mirror.sync()
    mirror.assert_equal()


def test_the_guard_counts_over_all_waves(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 6)
    mirror.configure(max_removals=2, max_removals_percent=1)
    mirror.sync()
    for number in range(4):
        for version in ("1.0", "1.1"):
            upstream.delete_release(f"alpha-{number}", version)
    done = patched(mirror, "sync.WAVE = 1")
    assert done.exit_code == 4, done.output
    emptied = [name for name in mirror.served.page_dirs() if not mirror.served.page(name)["files"]]
    assert len(emptied) <= 2
    mirror.assert_holds(finished=False)
    mirror.sync("--allow-removals")
    mirror.assert_equal()


def test_a_refusal_after_the_first_wave_says_what_is_in_place(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 6)
    mirror.configure(max_removals=1, max_removals_percent=1)
    mirror.sync()
    upstream.add_project("aaa", "1.0")
    for number in range(3):
        for version in ("1.0", "1.1"):
            upstream.delete_release(f"alpha-{number}", version)
    done = patched(mirror, "sync.WAVE = 1")
    assert done.exit_code == 4, done.output
    assert "Nothing was changed" not in done.output
    assert "what this run had brought before is in place" in done.output
    assert "aaa" in (mirror.served.root() or {})
    mirror.assert_holds(finished=False)
    mirror.configure(max_removals=0, max_removals_percent=0)
    upstream.delete_project("alpha-5")
    assert "Nothing was changed" in mirror.sync(expect=4).output


def test_upstream_that_falls_silent_leaves_a_root_index_of_what_came(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream, 6)
    mirror.configure(timeout=1, global_timeout=1, workers=1)
    upstream.fault(faults.reset("/simple/alpha-[2-5].*"))
    done = patched(mirror, "sync.WAVE = 2; wave._SILENT = 2")
    assert done.exit_code == 6, done.output
    assert "stopped answering" in done.output
    assert set(mirror.served.page_dirs()) == set(mirror.served.root() or {}) == {"alpha-0", "alpha-1"}
    mirror.assert_holds(finished=False)
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_a_page_that_kills_its_worker_is_its_failure_alone(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 12)
    change = (
        "good = worker.Worker.do\n"
        "def bad(self, task):\n"
        "    if task.name == 'alpha-7': os.kill(os.getpid(), 9)\n"
        "    return good(self, task)\n"
        "worker.Worker.do = bad\n"
    )
    done = patched(mirror, change)
    assert done.exit_code == 3, done.output
    assert "alpha-7: a worker process was killed" in done.output
    assert "bug" not in done.output
    assert set(mirror.served.root() or {}) == {f"alpha-{number}" for number in range(12)} - {"alpha-7"}
    mirror.assert_holds()
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.parametrize("damage", ["middle", "end"])
def test_a_state_that_is_damaged_inside_is_never_a_traceback(
    upstream: Simulator, mirror: Mirror, damage: str
) -> None:
    small(upstream, 40)
    mirror.sync()
    state: Path = mirror.directory / "state"
    data = bytearray(state.read_bytes())
    start = 4096 if damage == "middle" else len(data) // 2
    data[start:] = bytes(byte ^ 0x5A for byte in data[start:])
    state.write_bytes(data)
    done = mirror.sync("--force-check", expect=7)
    assert "state" in done.output
    forget(mirror)
    mirror.sync()
    mirror.assert_equal()
