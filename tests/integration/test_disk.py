"""Disks that fail: full in the middle of anything, out of inodes, read-only, not ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Mirror
from scenes import small
from simulator import Simulator, Style
from volumes import fill, fill_inodes, make_image, mounted, needs_volumes, remount

NOBODY = 65534


@pytest.fixture
def disk(tmp_path: Path, volumes: None) -> Iterator[Path]:
    """A volume of 24 MB with few inodes."""
    image = make_image(tmp_path / "disk.img", 24, "-N", "1024")
    with mounted(image, tmp_path / "disk") as point:
        yield point


def on_disk(disk: Path, upstream: Simulator) -> Mirror:
    mirror = Mirror(disk.parent, upstream)
    mirror.directory = disk / "mirror"
    mirror.configure(directory=mirror.directory)
    return mirror


def refuse(mirror: Mirror) -> None:
    """The run ends with the code for storage and one clear line."""
    done = mirror.sync(expect=7)
    lines = [
        line for line in done.stderr.splitlines() if "No space" in line or "space" in line or "free" in line
    ]
    assert lines, done.stderr
    assert len(done.stderr.splitlines()) < 10


def populate(upstream: Simulator) -> None:
    for number in range(20):
        upstream.add_project(f"project-{number}", "1.0", "1.1", size=8_000)
    upstream.add_project("wide", "1.0")  # pages that take more room than the files
    upstream.yank("wide", "1.0", "a long story " * 20_000)
    upstream.add_project("big", "1.0", size=3_000_000)


@needs_volumes
@pytest.mark.parametrize("api", ["1.4", "1.0"], ids=["sizes known", "sizes unknown"])
def test_a_full_volume_is_said_and_relief_converges(disk: Path, upstream: Simulator, api: str) -> None:
    upstream.style = Style(api=api)
    populate(upstream)
    codes = set()
    for leave in (0, 60_000, 300_000, 700_000, 1_500_000, 4_000_000, 8_000_000):
        mirror = on_disk(disk, upstream)
        ballast = fill(disk, leave)
        done = mirror.sync(expect=None)
        assert done.exit_code in (0, 7), done.output
        codes.add(done.exit_code)
        mirror.assert_holds(finished=done.exit_code == 0)
        ballast.unlink()
        mirror.sync()
        mirror.assert_equal()
        shutil.rmtree(mirror.directory)
    assert 7 in codes


@needs_volumes
def test_a_volume_that_fills_up_keeps_the_mirror_whole(disk: Path, upstream: Simulator) -> None:
    populate(upstream)
    mirror = on_disk(disk, upstream)
    mirror.sync()
    for step, leave in enumerate((0, 8_192, 20_480, 40_960, 81_920, 163_840)):
        for number in range(8):
            upstream.add_release(f"project-{number}", f"2.{step}", size=8_000)
        upstream.yank("wide", "1.0", f"a longer story {step} " * 5_000)
        ballast = fill(disk, leave)
        done = mirror.sync(expect=None)
        assert done.exit_code in (0, 7), done.output
        mirror.assert_holds(finished=False)
        ballast.unlink()
        mirror.sync()
        mirror.assert_equal()


@needs_volumes
def test_no_room_for_the_state_alone_is_said(disk: Path, upstream: Simulator) -> None:
    small(upstream, 12)
    mirror = on_disk(disk, upstream)
    mirror.sync()
    said = ""
    for number, leave in enumerate(range(0, 24_000, 2_000)):
        upstream.delete_project(f"alpha-{number}")  # little is to be written but the state
        ballast = fill(disk, leave)
        done = mirror.sync("--allow-removals", expect=None)
        assert done.exit_code in (0, 7), done.output
        said += done.stderr
        mirror.assert_holds(finished=False)
        ballast.unlink()
    assert f"{mirror.directory}/state: " in said
    assert "make room or grow it" in said
    upstream.add_project("last", "1.0")
    mirror.sync("--allow-removals")
    mirror.assert_equal()


@needs_volumes
def test_a_full_volume_names_the_cause(disk: Path, upstream: Simulator) -> None:
    upstream.style = Style(api="1.0")
    upstream.add_project("big", "1.0", size=3_000_000)
    mirror = on_disk(disk, upstream)
    fill(disk, 1_500_000)
    refuse(mirror)


@needs_volumes
def test_a_full_volume_is_said_in_one_line_where_nothing_changed(disk: Path, upstream: Simulator) -> None:
    small(upstream, 4)
    mirror = on_disk(disk, upstream)
    mirror.sync()
    codes = set()
    fillers = [(fill, leave) for leave in range(0, 48_000, 4_000)]
    for filler, leave in [*fillers, *((fill_inodes, leave) for leave in range(6))]:
        ballast = filler(disk, leave)
        done = mirror.sync(expect=None)
        codes.add((done.exit_code, done.stderr != ""))
        assert done.stderr.count("\n") == done.stderr.count("make room or grow it") <= 1, done.stderr
        mirror.assert_holds()
        shutil.rmtree(ballast) if ballast.is_dir() else ballast.unlink()
    assert codes == {(0, False), (0, True), (7, True)}


@needs_volumes
def test_min_free_is_kept(disk: Path, upstream: Simulator) -> None:
    upstream.add_project("big", "1.0", size=3_000_000)
    mirror = on_disk(disk, upstream)
    volume = os.statvfs(disk)
    mirror.configure(min_free=f"{volume.f_bavail * volume.f_frsize // 1024 - 1024} KiB")
    done = mirror.sync(expect=7)
    assert "min-free" in done.stderr
    assert done.fetched("/packages/") == []
    mirror.configure(min_free="2 MiB")
    mirror.sync()
    mirror.assert_equal()


@needs_volumes
def test_no_inodes_left_is_said_and_relief_converges(disk: Path, upstream: Simulator) -> None:
    for number in range(20):
        upstream.add_project(f"project-{number}", "1.0", size=500)
    for leave in (0, 3, 12, 40, 100):
        mirror = on_disk(disk, upstream)
        ballast = fill_inodes(disk, leave)
        mirror.sync(expect=7)
        mirror.assert_holds(finished=False)
        shutil.rmtree(ballast)
        mirror.sync()
        mirror.assert_equal()
        shutil.rmtree(mirror.directory)


@needs_volumes
def test_a_read_only_volume_is_said(disk: Path, upstream: Simulator) -> None:
    small(upstream)
    mirror = on_disk(disk, upstream)
    mirror.sync()
    upstream.add_release("alpha-0", "2.0")
    remount(disk, "ro")
    done = mirror.sync(expect=7)
    assert ".lock: the volume is read-only: look at the kernel log, repair and remount it" in done.stderr
    mirror.assert_holds()
    remount(disk, "rw")
    mirror.sync()
    mirror.assert_equal()


@needs_volumes
def test_a_volume_that_turns_read_only_in_the_middle(tmp_path: Path, upstream: Simulator) -> None:
    small(upstream)
    image = make_image(tmp_path / "disk.img", 24)

    def break_it(path: str) -> None:
        if "alpha_3-2.0" in path:
            trigger.write_text("1")

    with mounted(image, tmp_path / "disk", "loop,errors=remount-ro") as disk:
        device = subprocess.run(
            ["findmnt", "-no", "SOURCE", disk], capture_output=True, text=True, check=True
        )
        trigger = Path("/sys/fs/ext4") / Path(device.stdout.strip()).name / "trigger_fs_error"
        if not trigger.exists():
            pytest.skip("this kernel cannot simulate a file system error")
        mirror = on_disk(disk, upstream)
        mirror.sync()
        for number in range(6):
            upstream.add_release(f"alpha-{number}", "2.0")
        upstream.servers.on_request = break_it
        done = mirror.sync(expect=7)
        assert len(done.stderr.splitlines()) < 10
        mirror.assert_holds(finished=False)
    upstream.servers.on_request = None
    subprocess.run(["e2fsck", "-fy", image], capture_output=True, check=False)
    with mounted(image, tmp_path / "disk") as disk:
        mirror = on_disk(disk, upstream)
        mirror.assert_holds(finished=False)
        mirror.sync()
        mirror.assert_equal()


def as_nobody(upstream: Simulator, base: Path) -> Mirror:
    """A mirror that its user can reach, if root runs the tests from where others may read."""
    base.chmod(0o755)
    mirror = Mirror(base, upstream)
    mirror.conf.chmod(0o644)
    for python in (sys.executable, "/usr/bin/python3"):  # ours may lie in root's home
        mirror.python = [python]
        with contextlib.suppress(OSError):
            if mirror.finish(mirror.start("--version", user=NOBODY)).exit_code == 0:
                return mirror
    pytest.skip("no Python and checkout that others may read")


@needs_volumes
@pytest.mark.parametrize("wrong", ["directory", "web/packages", "state", "web/simple"])
def test_a_directory_of_another_owner_is_said(upstream: Simulator, wrong: str) -> None:
    small(upstream, 2)
    with tempfile.TemporaryDirectory() as base:
        mirror = as_nobody(upstream, Path(base))
        if wrong == "directory":
            mirror.directory.mkdir()
            victim = mirror.directory
        else:
            mirror.directory.mkdir()
            shutil.chown(mirror.directory, NOBODY, NOBODY)
            mirror.run("mirror", user=NOBODY)
            victim = mirror.directory / wrong
        shutil.chown(victim, 0, 0)
        upstream.add_release("alpha-0", "2.0")
        upstream.add_project("alpha-9", "1.0")
        done = mirror.run("mirror", user=NOBODY, expect=7)
        assert "ermission" in done.stderr or "writable" in done.stderr
        assert str(victim) in done.stderr or str(mirror.directory) in done.stderr
        mirror.assert_holds(finished=False)
        shutil.chown(victim, NOBODY, NOBODY)
        mirror.run("mirror", user=NOBODY)
        mirror.assert_equal()
