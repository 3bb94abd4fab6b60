"""`bandersnatch verify`: what is served, looked at without upstream."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import Gate
from harness import Mirror, arrives, tree
from scenes import small, variety
from simulator import Simulator

WRONG = 9


def looked(mirror: Mirror, expect: int = 0) -> list[str]:
    """The lines of faults; afterwards nothing has changed, and nobody was asked."""
    before = tree(mirror.directory)
    done = mirror.run("verify", expect=expect)
    assert tree(mirror.directory) == before
    assert done.requests == []
    assert done.stdout.startswith("Verified ")
    assert done.stdout.endswith(": all there, and as the pages state\n") == (expect == 0)
    return [line.removeprefix("ERROR ") for line in done.stderr.splitlines() if line.startswith("ERROR ")]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"simple_format": "JSON"},
        {"simple_format": "HTML"},
        {"hash_index": True},
        {"root_uri": "https://mirror.example.org/pypi/"},
        {"release_files": False},
        {"core_metadata": False},
    ],
    ids=str,
)
def test_a_mirror_is_whole(upstream: Simulator, mirror: Mirror, keys: dict[str, object]) -> None:
    variety(upstream)
    mirror.configure(**keys)
    mirror.sync()
    assert looked(mirror) == []


def test_it_says_how_much_was_looked_at(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    files = [path for path in (mirror.web / "packages").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    line = mirror.run("verify").stdout
    assert line.startswith(f"Verified 3 projects, {len(files)} files, {size / 1024:.1f} KiB: "), line


def first_file(mirror: Mirror) -> Path:
    """A file of alpha-1, with metadata beside it."""
    files = mirror.served.page("alpha-1")["files"]
    return mirror.web / mirror.served.path_of(next(one["url"] for one in files if one.get("core-metadata")))


def spoil(mirror: Mirror) -> None:
    path = first_file(mirror)
    path.write_bytes(bytes(len(path.read_bytes())))


def lengthen(mirror: Mirror) -> None:
    with first_file(mirror).open("ab") as file:
        file.write(b"x")


def link(mirror: Mirror) -> None:
    path = first_file(mirror)
    path.rename(mirror.base / "aside")
    path.symlink_to(mirror.base / "aside")


def lose_metadata(mirror: Mirror) -> None:
    Path(f"{first_file(mirror)}.metadata").unlink()


def page_of(mirror: Mirror, kind: str) -> Path:
    return mirror.web / "simple/alpha-1" / kind


def say_else(mirror: Mirror) -> None:
    page = page_of(mirror, "index.html")
    page.write_text(page.read_text().replace("<a ", '<a data-yanked="" ', 1))


def break_json(mirror: Mirror) -> None:
    page_of(mirror, "index.v1_json").write_text("{")


def list_none(mirror: Mirror) -> None:
    root = mirror.web / "simple/index.v1_json"
    listed = json.loads(root.read_text())
    listed["projects"] = [one for one in listed["projects"] if one["name"] != "alpha-1"]
    root.write_text(json.dumps(listed))
    Path(f"{root}.gz").write_bytes(gzip.compress(root.read_bytes()))


def spoil_packed(mirror: Mirror) -> None:
    Path(mirror.web / "simple/index.html.gz").write_bytes(gzip.compress(b"old"))


FAULTS: list[tuple[Callable[[Mirror], object], str, str]] = [
    (lambda mirror: first_file(mirror).unlink(), "alpha-1: packages/", " is missing"),
    (spoil, "alpha-1: packages/", " has not the hash that its page states"),
    (lengthen, "alpha-1: packages/", " bytes, and its page states "),
    (link, "alpha-1: packages/", " is missing"),
    (lose_metadata, "alpha-1: packages/", ".metadata is missing"),
    (say_else, "alpha-1: ", "its JSON and its HTML do not say the same"),
    (break_json, "alpha-1: ", "its index.v1_json is no page: "),
    (lambda mirror: page_of(mirror, "index.html").unlink(), "alpha-1: ", "it has no index.html"),
    (list_none, "root index: ", "alpha-1 has a page and is not listed in index.v1_json"),
    (
        lambda mirror: shutil.rmtree(mirror.web / "simple/alpha-1"),
        "root index: ",
        "alpha-1 is listed in index.v1_json and has no page",
    ),
    (spoil_packed, "root index: ", "index.html.gz is not index.html, compressed"),
    (
        lambda mirror: (mirror.web / "simple/index.html.gz").unlink(),
        "root index: ",
        "there is no index.html.gz",
    ),
]


@pytest.mark.parametrize(("fault", "start", "text"), FAULTS, ids=[text.strip() for _, _, text in FAULTS])
def test_each_fault_is_one_line_and_the_remedy_works(
    upstream: Simulator, mirror: Mirror, fault: Callable[[Mirror], object], start: str, text: str
) -> None:
    small(upstream, 3)
    upstream.add_file("alpha-1", "alpha_1-3.0-py3-none-any.whl", "3.0", metadata=b"Metadata-Version: 2.1\n")
    mirror.sync()
    fault(mirror)
    (line,) = looked(mirror, expect=WRONG)
    assert line.startswith(start)
    assert text in line
    mirror.sync("--force-check")
    assert looked(mirror) == []
    mirror.assert_equal()


def test_many_faults_of_a_project_are_one_line(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("many", *(f"{number}.0" for number in range(9)))
    mirror.sync()
    shutil.rmtree(mirror.web / "packages")
    (line,) = looked(mirror, expect=WRONG)
    assert line.count(" is missing") == 3
    assert line.endswith(" more")


def test_without_a_mirror_there_is_nothing_right(mirror: Mirror) -> None:
    mirror.directory.mkdir()
    (line,) = looked(mirror, expect=WRONG)
    assert line.startswith("root index: there is no index.v1_json: no sync has finished here")


def test_a_sync_that_is_at_work_is_no_fault(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    small(upstream, 5)
    for name in ("alpha-0", "alpha-3"):
        upstream.add_release(name, "2.0")
    gate = Gate("/packages/.*alpha.*3.*")
    upstream.fault(gate)
    first = mirror.start()
    arrives(gate, first)
    second = mirror.start("verify")
    stdout, stderr = second.communicate()
    assert (second.returncode, stderr) == (0, ""), stdout
    gate.open()
    assert mirror.finish(first).exit_code == 0
    assert looked(mirror) == []


def test_a_copy_of_what_is_served_is_enough(upstream: Simulator, mirror: Mirror) -> None:
    """On the other side of an air gap: no state, no upstream."""
    variety(upstream)
    mirror.sync()
    copy = mirror.base / "copy"
    shutil.copytree(mirror.web, copy / "web")
    mirror.directory = copy
    mirror.configure(directory=copy, master="http://127.0.0.1:9/simple/")
    assert looked(mirror) == []


def test_what_is_kept_after_its_end_upstream_is_looked_at_too(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 5)
    mirror.configure(delete_packages=False)
    mirror.sync()
    upstream.delete_project("alpha-1")
    upstream.delete_release("alpha-2", "1.0")
    mirror.sync("--allow-removals")
    assert looked(mirror) == []
    first_file(mirror).unlink()
    (line,) = looked(mirror, expect=WRONG)
    assert line.startswith("alpha-1: ")
