"""The command's edges: exit codes, messages, the lock, signals, and what it leaves alone."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from faults import Gate
from harness import Mirror, arrives, tree
from scenes import small, variety
from simulator import Simulator


def test_without_a_config_file_the_default_is_written_and_said(mirror: Mirror) -> None:
    mirror.conf.unlink()
    done = mirror.sync(expect=1)
    assert str(mirror.conf) in done.output
    text = mirror.conf.read_text("utf-8")
    assert "[mirror]" in text
    assert "\n# " in text or text.startswith("# ") or "\n; " in text
    assert not mirror.directory.exists()
    mirror.run("check-config", expect=0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workers", "many"),
        ("timeout", "-1"),
        ("hash-index", "perhaps"),
        ("simple-format", "YAML"),
        ("master", "ftp://x/"),
    ],
)
def test_a_bad_value_is_named_with_its_key(mirror: Mirror, key: str, value: str) -> None:
    mirror.configure(**{key: value})
    done = mirror.sync(expect=2)
    assert key in done.stderr
    assert not mirror.directory.exists()
    mirror.run("check-config", expect=2)


def test_a_config_that_cannot_be_parsed_is_said(mirror: Mirror) -> None:
    mirror.conf.write_text("directory = /nowhere\n", encoding="utf-8")
    done = mirror.sync(expect=2)
    assert str(mirror.conf) in done.stderr


def test_an_unknown_key_is_a_warning(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.configure(colour="blue")
    done = mirror.sync()
    assert "colour" in done.stderr


def test_unknown_arguments_are_refused(mirror: Mirror) -> None:
    assert mirror.run("mirror", "--no-such-option", expect=2).stderr
    assert mirror.run("no-such-command", expect=2).stderr


def test_version_names_itself(mirror: Mirror) -> None:
    assert "bandersnatch" in mirror.run("--version").stdout


def test_an_upstream_that_does_not_listen_is_unreachable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
    mirror = Mirror(tmp_path, url, timeout=1)
    done = mirror.sync(expect=6)
    assert url in done.stderr
    mirror.assert_holds(finished=False)


def test_an_upstream_that_is_no_index_is_said(upstream: Simulator, mirror: Mirror) -> None:
    mirror.configure(master=f"{upstream.url}/nothing/here/simple/")
    mirror.sync(expect=6)
    mirror.assert_holds(finished=False)


def test_plain_http_to_another_host_needs_leave(mirror: Mirror) -> None:
    mirror.configure(master="http://index.example.org/simple/")
    done = mirror.sync(expect=2)
    assert "allow-non-https" in done.stderr


def test_too_little_space_is_said_before_a_file_is_fetched(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.configure(min_free="900TiB")
    done = mirror.sync(expect=7)
    assert "min-free" in done.stderr
    assert done.fetched("/packages/") == []
    mirror.assert_holds(finished=False)


def test_dry_run_on_a_new_directory_creates_nothing(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync("--dry-run", "--diff")
    assert not mirror.directory.exists() or tree(mirror.directory) == {}


def test_dry_run_names_what_it_would_do_and_does_nothing(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    before = tree(mirror.directory)
    upstream.add_project("brand-new", "1.0")
    upstream.add_release("alpha-1", "2.0")
    upstream.delete_project("alpha-2")
    done = mirror.sync("--dry-run", "--diff")
    assert tree(mirror.directory) == before
    assert done.fetched("/packages/") == []
    for name in ("brand-new", "alpha-1", "alpha-2"):
        assert name in done.stdout
    assert "alpha-0" not in done.stdout
    mirror.sync()
    mirror.assert_equal()


def test_dry_run_counts_what_the_run_then_brings(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    upstream.add_release("alpha-1", "2.0", size=50_000)
    upstream.add_project("brand-new", "1.0")
    upstream.delete_release("alpha-3", "1.0")
    upstream.delete_project("alpha-2")
    counted = r"\d+ (?:projects?|files?) (?:added|updated|removed)"
    planned = re.findall(counted, mirror.sync("--dry-run").stdout.replace("would be ", ""))
    assert len(planned) >= 5
    assert re.findall(counted, mirror.sync().stdout) == planned


def test_dry_run_is_refused_by_the_guard_too(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.configure(max_removals=1)
    mirror.sync()
    upstream.delete_project("alpha-1")
    upstream.delete_project("alpha-2")
    mirror.sync("--dry-run", expect=4)


def test_a_held_lock_is_named_and_waits_for_nobody(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.directory.mkdir()
    with (mirror.directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("not what anybody expects \0\n")
        lock.flush()
        done = mirror.sync(expect=5)
    assert done.requests == []
    assert "lock" in done.stderr
    assert "\0" not in done.stderr
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_and_the_next_one_converges(
    upstream: Simulator, mirror: Mirror, number: signal.Signals
) -> None:
    small(upstream)
    gate = Gate(r"/packages/.*alpha_4.*")
    upstream.fault(gate)
    process = mirror.start()
    arrives(gate, process)
    process.send_signal(number)
    done = mirror.finish(process)
    assert done.exit_code == 130
    assert "Traceback" not in done.output
    mirror.assert_holds(finished=False)
    had = mirror.complete()
    assert had
    upstream.heal()
    assert not had & set(mirror.sync().fetched())
    mirror.assert_equal()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_command_starts_is_no_traceback(mirror: Mirror, number: signal.Signals) -> None:
    program = (
        "import os, runpy, sys\n"
        "class Strike:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        name == 'bandersnatch.cli' and os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Strike())\n"
        "runpy.run_module('bandersnatch', run_name='__main__')\n"
    )
    done = mirror.finish(mirror.launch([sys.executable, "-c", program]))
    assert (done.exit_code, done.output) == (130, "")


def test_files_are_found_under_their_urls_whatever_the_locale(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    command = [sys.executable, "-m", "bandersnatch", "-c", str(mirror.conf), "mirror"]
    done = mirror.finish(mirror.launch(["env", "LC_ALL=C", "PYTHONUTF8=0", *command]))
    assert done.exit_code == 0, done.output
    mirror.assert_equal()


def test_a_closed_terminal_ends_the_run_cleanly(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    gate = Gate(r"/packages/.*alpha_4.*")
    upstream.fault(gate)
    process = mirror.start()
    arrives(gate, process)
    os.killpg(process.pid, signal.SIGHUP)
    mirror.finish(process)
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_stdout_that_nobody_reads_breaks_nothing(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    process = mirror.start("mirror", "--diff")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.wait(180)
    assert "Traceback" not in errors
    mirror.sync()
    mirror.assert_equal()


def test_a_directory_that_is_a_file_is_said(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.directory.write_text("not a directory")
    done = mirror.sync(expect=7)
    assert f"{mirror.directory} is not a directory" in done.stderr


def test_a_directory_that_is_a_link_to_nowhere_is_said(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.directory.symlink_to(mirror.base / "not-mounted")
    done = mirror.sync(expect=7)
    assert f"{mirror.directory} is not a directory" in done.stderr
    assert not (mirror.base / "not-mounted").exists()


def test_user_agent_names_us_and_the_contact(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.configure(contact="operator@example.org")
    agents = {r.headers.get("user-agent", "") for r in mirror.sync().requests}
    assert all(agent.startswith("bandersnatch") and "operator@example.org" in agent for agent in agents)


def test_the_served_tree_is_readable_by_the_web_server(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    old = os.umask(0o077)
    try:
        mirror.sync()
    finally:
        os.umask(old)
    for base, folders, names in os.walk(mirror.web):
        for name in folders:
            assert (Path(base) / name).stat().st_mode & 0o555 == 0o555, name
        for name in names:
            assert (Path(base) / name).stat().st_mode & 0o444 == 0o444, name
