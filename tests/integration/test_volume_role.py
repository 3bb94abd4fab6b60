"""What the volume's role sees and refuses, on real loop devices. Nothing here is mounted through fstab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE, ROOT
from volumes import make_image, needs_volumes

ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
FILES = ROOT / "roles/bandersnatch_volume/files"
MIB = 1 << 20

pytestmark = [
    needs_volumes,
    pytest.mark.skipif(not ANSIBLE.exists(), reason="ansible-core is not installed beside pytest"),
]


def call(*command: object) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Make a loop device of a file."""
    devices: list[str] = []

    def attach(file: Path) -> str:
        devices.append(call("losetup", "--find", "--show", file).strip())
        return devices[-1]

    yield attach
    for device in devices:
        call("losetup", "--detach", device)


def blank(path: Path, megabytes: int = 16) -> Path:
    with path.open("wb") as stream:
        stream.truncate(megabytes * MIB)
    return path


def survey(kind: str, source: object, mount: Path) -> dict[str, Any]:
    return dict(json.loads(call("/usr/bin/python3", FILES / "survey.py", kind, source, mount)))


def refusals(base: Path, cases: dict[str, dict[str, object]]) -> dict[str, str]:
    """What the role's preflight says to each case's variables; empty where it has nothing against them."""
    said = base / "said"
    said.mkdir()
    tasks = [
        {
            "block": [
                {
                    "ansible.builtin.include_role": {
                        "name": "bandersnatch_volume",
                        "tasks_from": "preflight",
                    },
                    "vars": {f"bandersnatch_volume_{name}": str(value) for name, value in variables.items()},
                }
            ],
            "rescue": [
                {
                    "ansible.builtin.copy": {
                        "content": "{{ ansible_failed_result.msg }}",
                        "dest": str(said / case),
                    }
                }
            ],
        }
        for case, variables in cases.items()
    ]
    book = base / "play.yml"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    done = subprocess.run(
        [ANSIBLE, "--inventory", "localhost,", "--connection", "local", book],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(base / "ansible"),
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "LC_ALL": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {case: (said / case).read_text() if (said / case).exists() else "" for case in cases}


def test_nothing_that_holds_anything_is_touched(tmp_path: Path, loop: Callable[[Path], str]) -> None:
    hidden, free = tmp_path / "hidden", tmp_path / "free"
    hidden.mkdir()
    (hidden / "thesis.tex").write_text("dear")
    swap = loop(blank(tmp_path / "swap"))
    call("mkswap", swap)
    written = loop(blank(tmp_path / "written"))
    Path(written).write_bytes(b"\0" * 5000 + b"hello")
    ours = loop(make_image(tmp_path / "ours", 16, "-L", "bandersnatch"))
    image = {"kind": "image", "mount": free, "size": "16M"}
    device = {"kind": "device", "mount": free}
    said = refusals(
        tmp_path,
        {
            "new image": {**image, "image": tmp_path / "new/image"},
            "a file that holds something": {**image, "image": blank_with_data(tmp_path / "file")},
            "shrinking": {**image, "image": blank(tmp_path / "large", 32)},
            "no room": {**image, "image": tmp_path / "huge", "size": "5000T"},
            "a directory": {**image, "image": hidden},
            "mounting over files": {**image, "mount": hidden, "image": tmp_path / "new/image"},
            "another mount": {**image, "mount": "/proc", "image": tmp_path / "new/image"},
            "a blank device": {**device, "device": loop(blank(tmp_path / "blank"))},
            "a device with a signature": {**device, "device": swap},
            "the same, named twice": {**device, "device": swap, "format_device": swap},
            "a device with data": {**device, "device": written},
            "our own device": {**device, "device": ours},
            "no device": {**device, "device": tmp_path / "nothing"},
        },
    )
    expected = {
        "new image": "",
        "a file that holds something": "carries data",
        "shrinking": "never shrunk",
        "no room": "could not be filled",
        "a directory": "is no file",
        "mounting over files": "holds files",
        "another mount": "is mounted at /proc",
        "a blank device": "",
        "a device with a signature": "carries swap",
        "the same, named twice": "",
        "a device with data": "carries data",
        "our own device": "",
        "no device": "is no block device",
    }
    assert said.keys() == expected.keys()
    for case, words in expected.items():
        assert words in said[case] if words else not said[case], f"{case}: {said[case]}"
        assert "\n" not in said[case]


def blank_with_data(path: Path) -> Path:
    blank(path)
    with path.open("r+b") as stream:
        stream.write(b"hello")
    return path


def test_the_survey_reads_a_file_system_that_is_smaller_than_its_device(
    tmp_path: Path, loop: Callable[[Path], str]
) -> None:
    image = make_image(tmp_path / "image", 16, "-L", "bandersnatch")
    with image.open("r+b") as stream:
        stream.truncate(24 * MIB)
    seen = survey("device", loop(image), tmp_path / "mount")
    assert (seen["found"], seen["label"], seen["size"], seen["unused"]) == (
        "ext4",
        "bandersnatch",
        24 * MIB,
        8 * MIB,
    )


def test_the_survey_finds_the_loop_device_of_an_image(tmp_path: Path, loop: Callable[[Path], str]) -> None:
    image = make_image(tmp_path / "image", 16)
    device = loop(image)
    assert survey("image", image, tmp_path / "mount")["devices"] == [device]


def test_the_probe_refuses_ext3(tmp_path: Path) -> None:
    image = blank(tmp_path / "image", 32)
    call("mkfs.ext3", "-q", image)
    point = tmp_path / "mount"
    point.mkdir()
    call("mount", "-o", "loop", image, point)
    try:
        done = subprocess.run(
            ["/usr/bin/python3", FILES / "probe.py", point, ""], capture_output=True, text=True, check=False
        )
        left = [path.name for path in point.iterdir()]
    finally:
        call("umount", point)
    assert done.returncode == 1
    assert "ext3" in done.stderr
    assert left == ["lost+found"]


def test_the_probe_passes_ext4_and_leaves_nothing(tmp_path: Path) -> None:
    image = make_image(tmp_path / "image", 64, "-N", "15000")
    point = tmp_path / "mount"
    point.mkdir()
    call("mount", "-o", "loop", image, point)
    try:
        call("/usr/bin/python3", FILES / "probe.py", point, "ext4")
        left = [path.name for path in point.iterdir()]
    finally:
        call("umount", point)
    assert left == ["lost+found"]
