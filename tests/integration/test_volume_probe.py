"""Which file systems can hold a mirror: the volume's role tries it, here on real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import ROOT
from volumes import blank, call, fast_directory, make_image, mounted, needs_volumes, remount, unmount

PROBE = ROOT / "roles/bandersnatch_volume/files/probe.py"

pytestmark = needs_volumes


def probe(kind: str, point: Path, how: str = "try") -> str:
    """Why a mirror cannot lie there, empty if it can. Nothing is left behind."""
    before = sorted(point.iterdir())
    done = subprocess.run(
        ["/usr/bin/python3", PROBE, kind, point, how], capture_output=True, text=True, check=False
    )
    assert done.returncode == (1 if done.stderr else 0)
    assert done.stderr.count("\n") == (1 if done.stderr else 0), done.stderr
    assert sorted(point.iterdir()) == before
    return done.stderr


@pytest.fixture
def quick() -> Iterator[Path]:
    """A directory in memory: 66,000 directories take a while on a disk."""
    with tempfile.TemporaryDirectory(dir=fast_directory()) as base:
        yield Path(base)


def test_ext4_passes(quick: Path, tmp_path: Path) -> None:
    image = make_image(quick / "image", 200, "-b", "1024", "-N", "80000")
    with mounted(image, tmp_path / "mount") as point:
        assert not probe("mount", point)
        assert not probe("image", point)
        assert not probe("device", point, "look")


def test_ext3_is_refused_by_name(tmp_path: Path) -> None:
    call("mkfs.ext3", "-q", blank(tmp_path / "image", 32))
    with mounted(tmp_path / "image", tmp_path / "mount") as point:
        assert "is on ext3" in probe("mount", point, "look")
        assert "not on ext4" in probe("image", point, "look")


def test_the_link_limit_is_met_where_no_name_tells(quick: Path, tmp_path: Path) -> None:
    """An ext3 that is mounted as ext4 has ext3's limit; so has ext4 without dir_nlink."""
    image = make_image(quick / "image", 200, "-b", "1024", "-N", "80000", "-O", "^dir_nlink")
    with mounted(image, tmp_path / "mount") as point:
        assert "takes only 64998 directories" in probe("mount", point)


def test_names_that_differ_in_case_only_must_be_two(tmp_path: Path, loop: Callable[[Path], str]) -> None:
    if not shutil.which("mount.exfat-fuse") or not os.access("/dev/fuse", os.R_OK):
        pytest.skip("needs exfat-fuse, exfatprogs and /dev/fuse")
    device, point = loop(blank(tmp_path / "image", 64)), tmp_path / "mount"
    point.mkdir()
    call("mkfs.exfat", device)
    call("mount.exfat-fuse", device, point)
    try:
        assert "does not tell Aa from aA" in probe("mount", point)
    finally:
        unmount(point)


def test_an_ext4_directory_with_casefold_is_refused(tmp_path: Path) -> None:
    image = make_image(tmp_path / "image", 64, "-O", "casefold", "-E", "encoding=utf8")
    point = tmp_path / "mount"
    point.mkdir()
    if subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, check=False).returncode:
        pytest.skip("this kernel has no casefold; `make test-vm` tries it on one that has")
    try:
        (point / "mirror").mkdir()
        call("chattr", "+F", point / "mirror")
        assert "without casefold" in probe("mount", point / "mirror")
    finally:
        unmount(point)


def test_a_volume_with_few_inodes_is_refused(tmp_path: Path) -> None:
    with mounted(make_image(tmp_path / "image", 32, "-N", "5000"), tmp_path / "mount") as point:
        assert "inodes left" in probe("mount", point, "look")


def test_a_volume_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with mounted(make_image(tmp_path / "image", 64, "-N", "20000"), tmp_path / "mount") as point:
        remount(point, "ro")
        assert "root cannot write there (ext4): Read-only" in probe("mount", point)


def test_a_volume_of_ours_that_is_not_mounted_is_missed(tmp_path: Path) -> None:
    proc = Path("/proc/sys")  # surely not on ext4
    done = subprocess.run(
        ["/usr/bin/python3", PROBE, "image", proc, "look"], capture_output=True, check=False
    )
    assert b"is the volume mounted?" in done.stderr
