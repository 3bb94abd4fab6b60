"""docs/air-gap.md, as it is written: the commands of its code blocks, with the paths of a test."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from harness import ROOT, Mirror, tree
from scenes import small, variety
from simulator import Simulator

BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/air-gap.md").read_text(), re.DOTALL)

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")


def carry(outside: Mirror, inside: Mirror) -> None:
    """Both sides' commands; what is served inside is right after each of them."""
    (export,), steps = (block.strip().splitlines() for block in BLOCKS)
    for command in (export, *steps):
        words = command.replace("/srv/pypi", str((outside if command == export else inside).directory))
        words = words.replace("/media/disk", str(outside.base / "disk"))
        words = words.replace(" --chown=bandersnatch:bandersnatch", "")  # there is no such user here
        if command == steps[-1]:
            assert words == "runuser -u bandersnatch -- bandersnatch verify"
            inside.run("verify")
            continue
        subprocess.run(words, shell=True, check=True)
        inside.assert_holds(finished=False)


def contents(mirror: Mirror) -> dict[str, object]:
    return {path: content for path, (*_, content) in tree(mirror.web).items()}


def test_what_is_carried_is_what_is_served(upstream: Simulator, mirror: Mirror) -> None:
    (mirror.base / "inside").mkdir()
    inside = Mirror(mirror.base / "inside", "http://127.0.0.1:9/simple/")
    (inside.directory / "web/packages").mkdir(parents=True)
    (inside.directory / "web/simple").mkdir()
    (mirror.base / "disk/web").mkdir(parents=True)
    variety(upstream)
    small(upstream, 6)
    mirror.sync()
    carry(mirror, inside)
    assert contents(inside) == contents(mirror)

    upstream.delete_project("alpha-0")
    upstream.delete_release("alpha-1", "1.0")
    upstream.add_release("alpha-2", "3.0")
    upstream.add_project("new", "1.0")
    mirror.sync()
    carry(mirror, inside)
    assert contents(inside) == contents(mirror)
    assert "alpha-0" not in inside.served.page_dirs()
