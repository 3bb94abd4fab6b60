"""What a volume would meet on this host, as JSON. Changes nothing.

Usage: survey.py KIND IMAGE_OR_DEVICE MOUNT_POINT
"""

import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

SAMPLE = 64 * 1024  # bytes
SAMPLES = 512  # of a device without a signature: to read a whole disk would take hours
DIR_INDEX, DIR_NLINK = 0x20, 0x20  # of the compatible and of the read-only compatible features of ext4


def output_of(*command):
    """The lines that a command prints; none where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)  # noqa: S603
    lines = done.stdout.decode(errors="replace").splitlines() if done.returncode == 0 else []
    return [line.strip() for line in lines if line.strip()]


def room_for(path):
    """Free bytes on the disk that `path` lies, or will lie, on."""
    return shutil.disk_usage(next(folder for folder in (path, *path.parents) if folder.exists())).free


def is_blank(content, size):
    """Whether there are zeros only, at both ends and in samples between."""
    places = {*range(0, size, max(SAMPLE, size // SAMPLES)), max(0, size - SAMPLE)}
    for place in sorted(places):
        content.seek(place)
        if content.read(SAMPLE).strip(b"\0"):
            return False
    return True


def found_on(source, size):
    """The signatures of file systems, partitions and volumes on a device or in a file, else `data`, or ''."""
    signatures = output_of("wipefs", "--no-act", "--noheadings", "--output", "TYPE", source)
    if signatures:
        return ", ".join(sorted(set(signatures)))
    with source.open("rb") as content:
        return "" if is_blank(content, size) else "data"


def ext4_on(source, size):
    """Of an ext4 file system: label, limit, how many of the `size` bytes of `source` it does not use."""
    with source.open("rb") as content:
        content.seek(1024)
        block = content.read(1024)  # the superblock; fields by the kernel's documentation of ext4
    high = int.from_bytes(block[0x150:0x154], "little")
    blocks = int.from_bytes(block[0x4:0x8], "little") + (high << 32)
    used = blocks << (10 + int.from_bytes(block[0x18:0x1C], "little"))
    compatible, read_only = (int.from_bytes(block[at : at + 4], "little") for at in (0x5C, 0x64))
    return {
        "label": block[0x78:0x88].rstrip(b"\0").decode(errors="replace"),
        "unused": size - used,
        "narrow": not (compatible & DIR_INDEX and read_only & DIR_NLINK),
    }


def is_kept(device):
    """Whether the kernel keeps a device for somebody: a mount, swap, a RAID, a volume group."""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def knows_nosymfollow():
    """Whether the kernel (5.10) and mount(8) (util-linux 2.38) have that option."""
    kernel, tool = os.uname().release, "".join(output_of("mount", "--version"))
    versions = [re.search(r"(\d+)\.(\d+)", text) for text in (kernel, tool)]
    return all(
        found and (int(found[1]), int(found[2])) >= least
        for found, least in zip(versions, ((5, 10), (2, 38)), strict=True)
    )


def around(kind, source, mount):
    """What is known before the image or device is looked at."""
    mounted = output_of("findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", str(mount))
    return {
        "mounted": mounted[0] if mounted else "",  # the device; of an image its loop device
        "directory": mount.is_dir(),
        "hidden": not mounted and mount.is_dir() and any(mount.iterdir()),
        "room": room_for(source) if kind == "image" else 0,
        "nosymfollow": knows_nosymfollow(),
        "exists": source.exists(),
        "valid": kind == "image" or source.exists(),  # the source is what its kind says
        "kept": False,
        "size": 0,
        "held": 0,  # bytes of the image that its disk holds already
        "devices": [],  # which of them is to be mounted
        "found": "",
        "label": "",
        "unused": 0,
        "narrow": False,  # ext4 with directories that stop at 65,000 others
    }


def survey(kind, source, mount):
    """The facts, as the role's tasks read them."""
    seen = around(kind, source, mount)
    if kind == "mount" or not seen["exists"]:
        return seen
    status = source.stat()
    seen["valid"] = stat.S_ISREG(status.st_mode) if kind == "image" else stat.S_ISBLK(status.st_mode)
    if not seen["valid"]:
        return seen
    with source.open("rb") as content:
        seen["size"] = content.seek(0, os.SEEK_END)
    if kind == "image":
        seen["held"] = status.st_blocks * 512
        seen["devices"] = output_of("losetup", "--noheadings", "--output", "NAME", "--associated", source)
    else:
        seen["kept"] = is_kept(source)
        seen["devices"] = [str(source.resolve())]
    seen["found"] = found_on(source, seen["size"])
    if seen["found"] == "ext4":
        seen.update(ext4_on(source, seen["size"]))
    return seen


if __name__ == "__main__":
    print(json.dumps(survey(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
