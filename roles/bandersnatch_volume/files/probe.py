"""Try whether a directory can hold a mirror: probe.py DIRECTORY FILE_SYSTEM_OR_EMPTY. Exits 1 with one line where not."""

import contextlib
import os
import shutil
import sys
import tempfile

DIRECTORIES = 33_000  # ext2 and ext3 stop at 32,000, and simple/ has one for each project
INODES = 10_000  # fewer left than this, and not even a small mirror fits


def file_system(directory):
    """The type of the file system that `directory` lies on, as /proc/self/mountinfo has it."""
    device = os.stat(directory).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            fields, _, rest = line.partition(" - ")
            if fields.split()[2] == number:
                return rest.split()[0]
    return "unknown"


def is_case_sensitive(directory):
    for name in ("Aa", "aA"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.join(directory, name))
    return len(os.listdir(directory)) == 2


def directories_made(directory):
    """How many directories `directory` takes, up to what a mirror needs."""
    for number in range(DIRECTORIES):
        try:
            os.mkdir(os.path.join(directory, str(number)))
        except OSError:
            return number
    return DIRECTORIES


def problem(directory, wanted):
    """Why `directory` cannot hold a mirror, or None."""
    kind = file_system(directory)
    if wanted and kind != wanted:
        return f"{directory} is on {kind}, not on {wanted}: is the volume mounted?"
    space = os.statvfs(directory)
    if space.f_files and space.f_favail < INODES:
        return f"{directory} has {space.f_favail} inodes left, a mirror needs more than {INODES}"
    scratch = tempfile.mkdtemp(prefix=".probe-", dir=directory)
    try:
        if not is_case_sensitive(scratch):
            return f"{directory} ({kind}) does not tell Aa from aA: projects would mix; use one without casefold"
        # A volume that holds a mirror has passed already, and on network file systems this takes a minute.
        if not os.path.exists(os.path.join(directory, "state")):
            made = directories_made(os.path.join(scratch, "Aa"))
            if made < DIRECTORIES:
                return f"{directory} ({kind}) takes only {made} directories in one: use ext4, XFS, Btrfs or ZFS"
    finally:
        shutil.rmtree(scratch)
    return None


if __name__ == "__main__":
    found = problem(sys.argv[1], sys.argv[2])
    if found:
        sys.exit(found)
