"""Small ext4 volumes on loop devices, for the tests that break a disk. They need root; others skip."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest


@cache
def unavailable() -> str:
    """Why there can be no volume here; empty if there can."""
    if os.geteuid() != 0:
        return "mounting a volume needs root"
    missing = [tool for tool in ("mkfs.ext4", "e2fsck", "mount", "umount") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    with tempfile.TemporaryDirectory() as base:
        image, point = Path(base) / "trial.img", Path(base) / "trial"
        point.mkdir()
        make_image(image, 8)
        done = subprocess.run(
            ["mount", "-o", "loop", image, point], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"no loop device can be mounted here: {done.stderr.strip()}"
        unmount(point)
    return ""


needs_volumes = pytest.mark.usefixtures("volumes")


def call(*command: object, feed: str = "") -> str:
    """What a command prints; it must succeed."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True, input=feed).stdout


def blank(path: Path, megabytes: int = 16) -> Path:
    """A sparse file with nothing in it."""
    with path.open("wb") as stream:
        stream.truncate(megabytes << 20)
    return path


def make_image(image: Path, megabytes: int, *options: str) -> Path:
    """A sparse file with an ext4 file system, no block reserved for root."""
    blank(image, megabytes)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *options, image], check=True, capture_output=True)
    return image


def unmount(point: Path) -> None:
    """Unmount; whoever is still busy there gets a moment."""
    for _ in range(100):
        if subprocess.run(["umount", point], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", point], capture_output=True, check=False)
    raise AssertionError(f"{point} stayed busy")


@contextlib.contextmanager
def mounted(image: Path, point: Path, options: str = "loop") -> Iterator[Path]:
    """The image, mounted."""
    point.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-o", options, image, point], check=True, capture_output=True)
    try:
        yield point
    finally:
        unmount(point)


def remount(point: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", point], check=True, capture_output=True)


def clean(image: Path) -> bool:
    """Whether fsck finds nothing."""
    return subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=False).returncode == 0


def fill(point: Path, leave: int) -> Path:
    """Take all space of a volume but `leave` bytes; unlink the returned file for relief."""
    ballast = point / "lost+found" / "ballast"
    os.sync()  # delayed allocation is not in the count otherwise
    size = os.statvfs(point).f_bavail * os.statvfs(point).f_frsize - leave
    with ballast.open("wb") as stream:
        while size > 4096:
            try:
                os.posix_fallocate(stream.fileno(), stream.seek(0, os.SEEK_END), size)
                break
            except OSError:  # the file's own extent blocks count too
                size -= 4096
    return ballast


def fill_inodes(point: Path, leave: int) -> Path:
    """Take all inodes but `leave`; remove the returned directory for relief."""
    ballast = point / "lost+found" / "inodes"
    ballast.mkdir()
    for number in range(os.statvfs(point).f_favail - leave):
        (ballast / str(number)).touch()
    return ballast


def snapshot(image: Path, copy: Path) -> Path:
    """Copy an image of which somebody may write: the copy is what the image was at one moment.

    A copy takes time, and a block may change meanwhile: two readings that agree say that none did.
    """
    for _ in range(200):
        shutil.copyfile(image, copy)
        if filecmp.cmp(image, copy, shallow=False):
            return copy
    raise AssertionError("the image never stood still")


def fast_directory() -> str | None:
    """Where images are copied quickly: memory, if there is enough of it."""
    shm = Path("/dev/shm")
    return (
        str(shm)
        if shm.is_dir() and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 1 << 29
        else None
    )
