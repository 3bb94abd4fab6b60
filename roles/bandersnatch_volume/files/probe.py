"""Try whether a directory can hold a mirror; exits 1 with one line where not.

Usage: probe.py KIND DIRECTORY try|look, where `look` writes nothing.
"""

import contextlib
import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path

# simple/ has one for each project. ext3 stops at 32,000, ext4 without dir_nlink at 65,000.
DIRECTORIES = 66_000
INODES = 10_000  # fewer left than this, and not even a small mirror fits
GOOD = "use ext4, XFS, Btrfs or ZFS"


def file_system(directory):
    """The type of the file system that `directory` lies on, as /proc/self/mountinfo has it."""
    device = directory.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == number:
            return rest.split()[0]
    return "unknown"


def is_case_sensitive(directory):
    for name in ("Aa", "aA"):
        with contextlib.suppress(FileExistsError):
            (directory / name).mkdir()
    return len(list(directory.iterdir())) == 2


def limit(directory):
    """How many directories `directory` takes; None where there is no limit that a mirror would meet."""
    for number in range(DIRECTORIES):
        try:
            (directory / str(number)).mkdir()
        except OSError as error:
            # a small volume may be full before: that is not what is asked here
            return number if error.errno == errno.EMLINK else None
    return None


def trouble_seen(directory, kind, volume):
    """Why `directory` cannot hold a mirror, as far as looking goes, or None."""
    if volume != "mount" and kind != "ext4":
        return f"it is on {kind}, not on ext4: is the volume mounted?"
    if kind in ("ext2", "ext3"):
        return f"it is on {kind}, which cannot hold a directory for each project: {GOOD}"
    space = os.statvfs(directory)
    if space.f_files and space.f_favail < INODES:
        return f"it has {space.f_favail} inodes left, a mirror needs more than {INODES}"
    return None


def trouble_met(directory, kind, volume):
    """Why it cannot, by trying, or None."""
    scratch = Path(tempfile.mkdtemp(prefix=".probe-", dir=directory))
    try:
        if not is_case_sensitive(scratch):
            return (
                f"{kind} does not tell Aa from aA there, projects would mix: {GOOD}, on ext4 without casefold"
            )
        # Of a volume of ours the superblock has told. One that holds a mirror has passed already, and on
        # network file systems this takes a minute.
        if volume == "mount" and not (directory / "state").exists():
            most = limit(scratch / "Aa")
            if most is not None:
                return f"{kind} takes only {most} directories in one: {GOOD}"
    finally:
        shutil.rmtree(scratch)
    return None


def trouble(volume, directory, is_trying):
    """Why `directory` cannot hold a mirror, or None."""
    kind = file_system(directory)
    try:
        found = trouble_seen(directory, kind, volume)
        return found or (trouble_met(directory, kind, volume) if is_trying else None)
    except OSError as error:
        return f"root cannot write there ({kind}): {error.strerror}"


if __name__ == "__main__":
    _, what, path, how = sys.argv
    why = trouble(what, Path(path), how == "try")
    sys.exit(why and f"bandersnatch_volume_mount: {path} cannot hold a mirror: {why}")
