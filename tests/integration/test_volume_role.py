"""What the volume's role sees and refuses, on real loop devices. Nothing here is mounted through fstab."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import ROOT
from volumes import blank, call, make_image, mounted, needs_volumes

import playbooks

SURVEY = ROOT / "roles/bandersnatch_volume/files/survey.py"
MIB = 1 << 20

pytestmark = [needs_volumes, playbooks.needs_ansible]


def survey(kind: str, source: object, mount: Path) -> dict[str, Any]:
    return dict(json.loads(call("/usr/bin/python3", SURVEY, kind, source, mount)))


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
    plays = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
    done = playbooks.run(base, plays, {"localhost": {}})
    assert done.returncode == 0, done.stdout + done.stderr
    return {case: (said / case).read_text() if (said / case).exists() else "" for case in cases}


def write(path: Path, content: bytes, at: int = 0) -> Path:
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(content)
    return path


def check(base: Path, cases: dict[str, tuple[dict[str, object], str]]) -> None:
    """Each case's variables are refused with its words, in one line; without words they are not."""
    said = refusals(base, {case: variables for case, (variables, _) in cases.items()})
    for case, (_, words) in cases.items():
        assert words in said[case] if words else not said[case], f"{case}: {said[case]}"
        assert "\n" not in said[case]


def test_nothing_that_holds_anything_is_touched(tmp_path: Path, loop: Callable[[Path], str]) -> None:
    hidden, free = tmp_path / "hidden", tmp_path / "free"
    hidden.mkdir()
    (hidden / "thesis.tex").write_text("dear")
    swap = loop(blank(tmp_path / "swap"))
    call("mkswap", swap)
    parted = loop(blank(tmp_path / "parted"))
    call("sfdisk", "--quiet", "--label", "gpt", parted, feed=",")
    image = {"kind": "image", "mount": free, "size": "128M"}
    device = {"kind": "device", "mount": free}
    start, middle, end = (
        loop(write(blank(tmp_path / f"data at {at}"), b"hello", at)) for at in (5000, 9 * MIB, 16 * MIB - 9)
    )
    narrow = loop(make_image(tmp_path / "narrow", 16, "-O", "^dir_nlink"))
    with mounted(make_image(tmp_path / "busy", 16), tmp_path / "elsewhere") as elsewhere:
        busy = call("findmnt", "--noheadings", "--output", "SOURCE", elsewhere).strip()
        twice = {"device": busy, "format_device": busy}
        check(
            tmp_path,
            {
                "new image": ({**image, "image": tmp_path / "new/image"}, ""),
                "a file that holds something": (
                    {**image, "image": write(blank(tmp_path / "file"), b"hello")},
                    "carries data",
                ),
                "shrinking": ({**image, "image": blank(tmp_path / "large", 200)}, "never shrunk"),
                "no room": ({**image, "image": tmp_path / "huge", "size": "5000T"}, "could not be filled"),
                "a directory": ({**image, "image": hidden}, "is no file"),
                "mounting over files": (
                    {**image, "mount": hidden, "image": tmp_path / "new/image"},
                    "holds files",
                ),
                "another mount": (
                    {**image, "mount": "/proc", "image": tmp_path / "new/image"},
                    "is mounted at /proc",
                ),
                "a blank device": ({**device, "device": loop(blank(tmp_path / "blank"))}, ""),
                "a signature": ({**device, "device": swap}, "carries swap"),
                "the same, named twice": ({**device, "device": swap, "format_device": swap}, ""),
                "another one named": (
                    {**device, "device": swap, "format_device": parted},
                    "both name the same",
                ),
                "partitions": ({**device, "device": parted}, "carries PMBR, gpt"),
                "data at the start": ({**device, "device": start}, "carries data"),
                "data in the middle": ({**device, "device": middle}, "carries data"),
                "data at the end": ({**device, "device": end}, "carries data"),
                "our own": ({**device, "device": loop(make_image(tmp_path / "ours", 16))}, ""),
                "no room for projects": ({**device, "device": narrow}, "tune2fs -O dir_index,dir_nlink"),
                "in use": ({**device, "device": busy}, "is in use on this host"),
                "in use, named twice": ({**device, **twice}, "is in use on this host"),
            },
        )


def test_a_wrong_value_is_refused_by_its_variable_s_name(tmp_path: Path) -> None:
    file = blank(tmp_path / "file")
    wrong: dict[str, list[dict[str, object]]] = {
        "size": [{"size": size} for size in ("20", "-5G", "much", "1M")],
        "mount": [
            {"mount": "srv/pypi"},
            *({"kind": "mount", "mount": x} for x in (tmp_path / "nothing", file)),
        ],
        "image": [{"image": "mirror.img"}],
        "device": [
            {"kind": "device", "device": x} for x in ("", "sdb", "/dev/no-such-disk", "/dev/null", file)
        ],
    }
    check(
        tmp_path,
        {
            f"{name} {number}": (
                {"mount": tmp_path / "free", "image": tmp_path / "image", **variables},
                f"bandersnatch_volume_{name}",
            )
            for name, cases in wrong.items()
            for number, variables in enumerate(cases)
        },
    )


def test_an_ext4_that_was_too_narrow_is_taken_once_the_advice_is_followed(
    tmp_path: Path, loop: Callable[[Path], str]
) -> None:
    device = loop(make_image(tmp_path / "image", 16, "-O", "^dir_nlink,^dir_index"))
    assert survey("device", device, tmp_path)["narrow"]
    call("tune2fs", "-O", "dir_index,dir_nlink", device)
    assert subprocess.run(["e2fsck", "-fDp", device], capture_output=True, check=False).returncode in (0, 1)
    assert not survey("device", device, tmp_path)["narrow"]


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
