"""What a volume would meet on this host, as JSON: survey.py KIND IMAGE_OR_DEVICE MOUNT_POINT. Changes nothing."""

import json
import os
import shutil
import stat
import subprocess
import sys

BLANK = 1024 * 1024  # bytes at the beginning: what has no signature and no data there counts as blank


def output_of(*command):
    """The lines that a command prints; none where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def room_for(path):
    """Free bytes on the disk that `path` lies, or will lie, on."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free


def found_on(source):
    """What lies on a device or in a file: the signatures of file systems, partitions and volumes, `data`, or ''."""
    signatures = output_of("wipefs", "--no-act", "--noheadings", "--output", "TYPE", source)
    if signatures:
        return ", ".join(sorted(set(signatures)))
    with open(source, "rb") as content:
        return "data" if content.read(BLANK).strip(b"\0") else ""


def unused(source, size):
    """How many of the `size` bytes of `source` its ext4 file system does not use."""
    with open(source, "rb") as content:
        content.seek(1024)
        block = content.read(1024)  # the superblock; fields by the kernel's documentation of ext4
    blocks = int.from_bytes(block[0x4:0x8], "little") + (int.from_bytes(block[0x150:0x154], "little") << 32)
    return size - (blocks << (10 + int.from_bytes(block[0x18:0x1C], "little")))


def survey(kind, source, mount):
    """The facts, as the role's tasks read them."""
    mounted = output_of("findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", mount)
    seen = {
        "mounted": mounted[0] if mounted else "",  # the device; of an image its loop device
        "hidden": not mounted and os.path.isdir(mount) and bool(os.listdir(mount)),
        "room": room_for(source) if kind == "image" else 0,
        "folder": os.path.isdir(os.path.dirname(source)),
        "exists": os.path.exists(source),
        "valid": True,  # the source is what its kind says
        "size": 0,
        "held": 0,  # bytes of the image that its disk holds already
        "devices": [],  # which of them is to be mounted
        "found": "",
        "unused": 0,
        "tools": all(shutil.which(tool) for tool in ("mkfs.ext4", "wipefs", "losetup", "resize2fs")),
    }
    if not seen["exists"]:
        seen["valid"] = kind == "image"
        return seen
    status = os.stat(source)
    seen["valid"] = stat.S_ISREG(status.st_mode) if kind == "image" else stat.S_ISBLK(status.st_mode)
    if not seen["valid"]:
        return seen
    with open(source, "rb") as content:
        seen["size"] = content.seek(0, os.SEEK_END)
    seen["held"] = status.st_blocks * 512 if kind == "image" else 0
    seen["devices"] = [os.path.realpath(source)]
    if kind == "image":
        seen["devices"] = output_of("losetup", "--noheadings", "--output", "NAME", "--associated", source)
    seen["found"] = found_on(source)
    if seen["found"] == "ext4":
        seen["unused"] = unused(source, seen["size"])
    return seen


if __name__ == "__main__":
    print(json.dumps(survey(*sys.argv[1:])))
