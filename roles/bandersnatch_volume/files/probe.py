"""Try whether a directory can hold a mirror; exits 1 with one line where not.

Usage: probe.py DIRECTORY FILE_SYSTEM, the latter the one that it must be, or empty.
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


def problem(directory, wanted):
    """Why `directory` cannot hold a mirror, or None."""
    kind = file_system(directory)
    if wanted and kind != wanted:
        return f"{directory} is on {kind}, not on {wanted}: is the volume mounted?"
    if kind in ("ext2", "ext3"):
        return f"{directory} is on {kind}, which cannot hold a directory for each project: {GOOD}"
    space = os.statvfs(directory)
    if space.f_files and space.f_favail < INODES:
        return f"{directory} has {space.f_favail} inodes left, a mirror needs more than {INODES}"
    scratch = Path(tempfile.mkdtemp(prefix=".probe-", dir=directory))
    try:
        if not is_case_sensitive(scratch):
            return f"{directory} ({kind}) does not tell Aa from aA, projects would mix: turn casefold off"
        # A volume that holds a mirror has passed already, and on network file systems this takes a minute.
        if not (directory / "state").exists():
            most = limit(scratch / "Aa")
            if most is not None:
                return f"{directory} ({kind}) takes only {most} directories in one: {GOOD}"
    finally:
        shutil.rmtree(scratch)
    return None


if __name__ == "__main__":
    path = Path(sys.argv[1])
    if not path.is_dir():
        sys.exit(f"{path} is no directory on this host: mount or make it, or choose another kind of volume")
    sys.exit(problem(path, sys.argv[2]))
