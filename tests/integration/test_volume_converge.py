"""The volume's role, from a bare host to a grown volume, in a mount namespace with an fstab of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE, ROOT
from volumes import blank, call, clean, needs_volumes

ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
# the loop device of a grown image must see its new size, as a disk that was grown does by itself
GROW = "truncate -s 192M disk && losetup --set-capacity $DEVICE"
# as a release had it that knew no nosymfollow
AGE = "sed s/nosymfollow,//g /etc/fstab >aged; cat aged >/etc/fstab; mount -o remount,symfollow image-mount"
LOOK = "findmnt -no FSTYPE,OPTIONS image-mount >>seen; df -B1M --output=size device-mount >>seen"

pytestmark = [
    needs_volumes,
    pytest.mark.skipif(not ANSIBLE.exists(), reason="ansible-core is not installed beside pytest"),
]


def play(name: str, step: dict[str, object] | str) -> dict[str, Any]:
    """A play of one step: the role with these variables, or a shell command."""
    role = {"role": "bandersnatch_volume", "tags": ["volume"]}
    if isinstance(step, dict):
        variables = {f"bandersnatch_volume_{key}": str(value) for key, value in step.items()}
        return {"name": name, "hosts": "localhost", "gather_facts": False, "roles": [role], "vars": variables}
    tasks = [{"ansible.builtin.shell": step, "tags": ["always"], "check_mode": False}]
    return {"name": name, "hosts": "localhost", "gather_facts": False, "tasks": tasks}


def changed(base: Path, number: int) -> dict[str, list[str]]:
    """By play of a run: the names of the tasks that changed something."""
    plays = json.loads((base / f"run{number}.json").read_text())["plays"]
    return {
        play["play"]["name"]: [
            task["task"]["name"].partition(" : ")[2]
            for task in play["tasks"]
            if task["hosts"].get("localhost", {}).get("changed")
        ]
        for play in plays
    }


def runs(base: Path, *steps: tuple[str, dict[str, dict[str, object] | str]], device: str = "") -> None:
    """Run playbooks one after the other in one namespace, each with its options."""
    (base / "fstab").write_text("# nothing yet\n")
    lines = ["set -e", "mount --bind fstab /etc/fstab", f"export DEVICE={device}"]
    for number, (options, plays) in enumerate(steps):
        (base / f"play{number}.yml").write_text(json.dumps([play(*item) for item in plays.items()]))
        lines.append(
            f"{ANSIBLE} -i localhost, -c local --tags volume {options} play{number}.yml >run{number}.json"
            f" || {{ cat run{number}.json; exit 1; }}"
        )
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)],
        cwd=base,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(base / "ansible"),
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "LC_ALL": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr


def superblock(image: Path) -> dict[str, str]:
    """What dumpe2fs says of a file system."""
    lines = call("dumpe2fs", "-h", image).splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_from_bare_to_grown(tmp_path: Path, loop: Callable[[Path], str]) -> None:
    disk = blank(tmp_path / "disk", 128)
    call("sfdisk", "--quiet", "--label", "gpt", disk, feed=",")
    device = loop(disk)
    image = {
        "image": tmp_path / "made/mirror.img",
        "mount": tmp_path / "image-mount",
        "size": "128M",
    }
    both = {"kind": "device", "device": device, "mount": tmp_path / "device-mount"}
    twice = {**both, "format_device": device}
    large = {**image, "size": "192M"}
    bare = {
        path: path.exists() and path.read_bytes() for path in (disk, tmp_path / "made", tmp_path / "fstab")
    }
    runs(tmp_path, ("--check", {"image": image, "device": twice}))
    say = changed(tmp_path, 0)
    assert say["image"] == [
        "Make the folder of the image",
        "Say what would be made",
        "Mount it, now and after each start of the host",
    ]
    assert say["device"] == [
        "Make the file system",
        "Mount it, now and after each start of the host",
    ]
    assert (bare[disk], bare[tmp_path / "made"]) == (disk.read_bytes(), (tmp_path / "made").exists())
    assert not (tmp_path / "image-mount").exists()

    runs(
        tmp_path,
        ("", {"image": image, "again": image, "device": twice, "once more": twice}),
        ("--check", {"image": large, "grow": GROW, "device": both}),
        ("", {"image": large, "device": both, "image again": large, "device again": both}),
        ("", {"age": AGE, "image": large, "image again": large, "device": both, "look": LOOK}),
        device=device,
    )
    made = changed(tmp_path, 0)
    assert "Make the image, or make it longer" in made["image"]
    assert "Make the file system" in made["image"]
    assert made["device"] == ["Wipe what the device carries, as it was named twice", *say["device"]]
    assert made["again"] == made["once more"] == []
    assert changed(tmp_path, 1) == {
        "image": ["Make the image, or make it longer", "Say that it would grow"],
        "grow": [""],
        "device": ["Say that it would grow"],
    }
    grown = changed(tmp_path, 2)
    assert grown["image"][0] == "Make the image, or make it longer"
    assert grown["device"]
    assert grown["image again"] == grown["device again"] == []

    mounted = ["Mount it, now and after each start of the host"]
    assert changed(tmp_path, 3) == {
        "age": [""],
        "image": mounted,
        "image again": [],
        "device": mounted,
        "look": [""],
    }

    options, _, room = (tmp_path / "seen").read_text().splitlines()
    careful = {"nosuid", "nodev", "noexec", "noatime", "nosymfollow"}
    assert {"ext4", "rw"} | careful <= set(options.replace(",", " ").split())
    assert 150 < int(room) < 192
    sheet = (tmp_path / "fstab").read_text()
    stated = "ext4 noatime,nodev,nosuid,noexec,nosymfollow,nofail"
    assert f"{image['image']} {image['mount']} {stated},loop 0 0" in sheet
    facts = superblock(disk)
    assert f"UUID={facts['Filesystem UUID']} {both['mount']} {stated} 0 2" in sheet
    for file in (Path(str(image["image"])), disk):
        facts = superblock(file)
        assert int(facts["Block count"]) * int(facts["Block size"]) == 192 << 20
        assert int(facts["Inode count"]) >= (192 << 20) / 8192
        assert int(facts["Reserved block count"]) <= int(facts["Block count"]) / 1000
        features = set(facts["Filesystem features"].split())
        assert {"dir_index", "dir_nlink", "large_dir"} <= features
        assert "casefold" not in features
        assert clean(file)
