"""What upstream says is not trusted: each bad project is one error line, and everybody else is mirrored.

One run meets all of it; the tests look at what it left.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import faults
import pytest
from harness import Mirror, Run, tree
from invariant import Links
from scenes import small
from simulator import JSON_TYPE, Simulator, Style

Doc = dict[str, Any]
SCRIPT = '"><script>alert(1)</script><a href="javascript:alert(2)">'


def rename_file(name: str) -> Callable[[Doc], None]:
    """The first file says that it is called `name`."""

    def spoil(doc: Doc) -> None:
        doc["files"][0]["filename"] = name

    return spoil


def set_file(**keys: Any) -> Callable[[Doc], None]:
    """The first file has other values; underscores stand for hyphens."""

    def spoil(doc: Doc) -> None:
        doc["files"][0] |= {key.replace("_", "-"): value for key, value in keys.items()}

    return spoil


def hashes_of(**hashes: str) -> Callable[[Doc], None]:
    """The first file states other hashes beside its true one."""
    return lambda doc: doc["files"][0]["hashes"].update(hashes)


def drop_key(key: str) -> Callable[[Doc], None]:
    return lambda doc: doc["files"][0].pop(key)


def two_hashes(doc: Doc) -> None:
    """The same file name and URL again, with another hash."""
    doc["files"].append(doc["files"][0] | {"hashes": {"sha256": "0" * 64}})


# The first file of the project is unusable; its second file and the project may still be mirrored.
BAD_FILES: dict[str, Callable[[Doc], None]] = {
    "dot dot": rename_file("../../../../escaped"),
    "two dots": rename_file(".."),
    "absolute": rename_file("/etc/escaped"),
    "slash": rename_file("a/b.tar.gz"),
    "backslash": rename_file("..\\escaped"),
    "nul": rename_file("nul\0byte.tar.gz"),
    "newline": rename_file("new\nline.tar.gz"),
    "escape": rename_file("esc\x1b[31m.tar.gz"),
    "dash": rename_file("-rf.tar.gz"),
    "dot": rename_file(".htaccess"),
    "empty": rename_file(""),
    "long": rename_file("x" * 300 + ".tar.gz"),
    "long unicode": rename_file("ü" * 130 + ".tar.gz"),
    "surrogate": rename_file("lone\udc80.tar.gz"),
    "index": set_file(filename=["index.html"]),
    "number": set_file(filename=17),
    "no hash": set_file(hashes={}),
    "weak hash": set_file(hashes={"md5": "d41d8cd98f00b204e9800998ecf8427e"}),
    "hash of another length": set_file(hashes={"sha256": "abcd"}),
    "hash that is a path": set_file(hashes={"sha256": "../" * 21 + "x"}),
    "hash that is none": set_file(hashes={"sha256": None}),
    "wrong second hash": hashes_of(sha512="0" * 128),
    "wrong weak hash": hashes_of(md5="0" * 32),
    "file url": set_file(url="file:///etc/passwd"),
    "script url": set_file(url="javascript:alert(1)"),
    "url without host": set_file(url="http:///x.tar.gz"),
    "url with newline": set_file(url="http://127.0.0.1/\r\nX-Evil: 1"),
    "url with bad port": set_file(url="http://127.0.0.1:99999999/x"),
    "url with open bracket": set_file(url="http://[::1/x"),
    "url is a number": set_file(url=5),
    "no url": drop_key("url"),
    "no filename": drop_key("filename"),
    "smaller than said": set_file(size=10**9),
    "file is null": lambda doc: doc["files"].__setitem__(0, None),
}
# The page as a whole is unusable.
BAD_PAGES: dict[str, bytes] = {
    "not json": b"this is not json",
    "empty body": b"",
    "a list": b"[]",
    "a number": b"12",
    "no files": b'{"meta": {"api-version": "1.0"}, "name": "no-files"}',
    "files is text": b'{"meta": {"api-version": "1.0"}, "name": "files-is-text", "files": "abc"}',
    "of another project": b'{"meta": {"api-version": "1.0"}, "name": "alpha-0", "files": []}',
    "api version 2": b'{"meta": {"api-version": "2.0"}, "name": "api-version-2", "files": []}',
    "deep": b'{"meta": {"api-version": "1.0"}, "name": "deep", "files": '
    + b"[" * 200_000
    + b"]" * 200_000
    + b"}",
    "huge number": b'{"meta": {"api-version": "1.0", "_last-serial": '
    + b"9" * 5000
    + b'}, "name": "x", "files": []}',
    "not utf-8": b'{"meta": {"api-version": "1.0"}, "name": "\xff\xfe", "files": []}',
    "nan": b'{"meta": {"api-version": "1.0"}, "name": "nan", "files": NaN}',
}
# Names in the root index that no directory may have.
BAD_NAMES = [
    "..",
    ".",
    "",
    "../escaped",
    "a/b",
    "-dash",
    "nul\0",
    "new\nline",
    "x" * 300,
    "ünïcode",
    "index.html/",
    "\x1b[2J",
]


def slug(case: str) -> str:
    return case.replace(" ", "-").replace("_", "-")


class Scene(NamedTuple):
    upstream: Simulator
    mirror: Mirror
    run: Run
    outside: dict[str, tuple[object, ...]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One run over all of it, among good projects."""
    base = tmp_path_factory.mktemp("hostile")
    with Simulator() as upstream:
        mirror = Mirror(base, upstream, workers=8)
        small(upstream, 3)
        for case, spoil in BAD_FILES.items():
            upstream.add_project(f"file-{slug(case)}", "1.0").tamper = spoil
        for case, body in BAD_PAGES.items():
            upstream.add_project(slug(case), "1.0")
            upstream.fault(faults.answer(f"/simple/{slug(case)}/", 200, body=body, Content_Type=JSON_TYPE))
        scripted(upstream)
        root = upstream.root_json()
        root["projects"] += [{"name": name, "_last-serial": 5} for name in BAD_NAMES]
        root["projects"] += [{"name": "ALPHA_0", "_last-serial": 1}, {"name": 7}, 8, {"_last-serial": 9}]
        body = json.dumps(root).encode()
        upstream.fault(faults.answer("/simple/", 200, body=body, Content_Type=JSON_TYPE))
        before = tree(base)
        done = mirror.sync(expect=3)
        outside = {name: what for name, what in tree(base).items() if not name.startswith("mirror")}
        assert set(outside) <= set(before)
        yield Scene(upstream, mirror, done, outside)


def scripted(upstream: Simulator) -> None:
    """Markup in every text field; the project itself is fine and is mirrored."""
    upstream.add_project("scripted", "1.0", requires_python=SCRIPT, yanked=SCRIPT)
    upstream.set_status("scripted", "archived", SCRIPT)
    upstream.add_file("scripted", f"{SCRIPT.replace('/', '')}-1.0.tar.gz", "1.0")
    upstream.add_project("shared-path", "1.0").tamper = two_hashes


def test_good_projects_are_mirrored_whole(scene: Scene) -> None:
    served = scene.mirror.served
    for name in ("alpha-1", "alpha-2"):
        assert len(served.page(name)["files"]) == 4
    scene.mirror.assert_holds(finished=True)


def test_nothing_outside_the_mirror_was_written(scene: Scene) -> None:
    names = {Path(name).name for name in scene.outside}
    assert not {name for name in names if "escaped" in name}
    everything = list(scene.mirror.base.rglob("*"))
    assert not [path for path in everything if "escaped" in path.name or path.is_symlink()]
    assert not Path("/etc/escaped").exists()


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_left_out_and_named_in_one_line(scene: Scene, case: str) -> None:
    name = f"file-{slug(case)}"
    served = scene.mirror.served
    lines = [line for line in scene.run.stderr.splitlines() if f"{name}:" in line or f"{name} " in line]
    assert 1 <= len(lines) <= 2, scene.run.stderr
    good = f"{name.replace('-', '_')}-1.0.tar.gz"
    if name in served.page_dirs():
        assert [file["filename"] for file in served.page(name)["files"]] == [good]


@pytest.mark.parametrize("case", BAD_PAGES)
def test_a_bad_page_fails_its_project_in_one_line(scene: Scene, case: str) -> None:
    assert slug(case) not in scene.mirror.served.page_dirs()
    lines = [
        line for line in scene.run.stderr.splitlines() if f"{slug(case)}:" in line or f"{slug(case)} " in line
    ]
    assert 1 <= len(lines) <= 2, scene.run.stderr


def test_bad_names_of_the_root_index_are_left_out(scene: Scene) -> None:
    served = scene.mirror.served
    assert set(served.root() or {}) == set(served.page_dirs())
    assert not [name for name in served.page_dirs() if not name.isascii() or name.startswith((".", "-"))]


def test_markup_in_text_fields_is_shown_as_text(scene: Scene) -> None:
    served = scene.mirror.served
    links = served.html("scripted")
    assert "script" not in links.tags
    assert all(not attrs["href"].startswith("javascript") for attrs, _ in links.anchors)
    assert links.anchors[0][0]["data-yanked"] == SCRIPT
    assert links.metas["pypi:project-status-reason"] == SCRIPT
    root = Links((scene.mirror.web / "simple" / "index.html").read_text("utf-8"))
    assert "script" not in root.tags


def test_one_path_with_two_hashes_is_never_served_wrong(scene: Scene) -> None:
    served = scene.mirror.served
    assert any("shared-path" in line for line in scene.run.stderr.splitlines())
    if "shared-path" in served.page_dirs():
        hashes = {file["hashes"]["sha256"] for file in served.page("shared-path")["files"]}
        assert "0" * 64 not in hashes


def test_messages_have_no_control_characters(scene: Scene) -> None:
    assert not [c for c in scene.run.output if ord(c) < 32 and c not in "\n\t\r"]
    assert "\x7f" not in scene.run.output


def test_two_projects_equal_after_normalisation_are_one(scene: Scene) -> None:
    assert [name for name in scene.mirror.served.page_dirs() if name.lower() == "alpha-0"] == ["alpha-0"]


def test_a_page_of_very_many_files_is_mirrored(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("wide")
    for number in range(1000):
        upstream.add_file("wide", f"wide-{number}.tar.gz", f"{number}", size=1)
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.skipif(not os.environ.get("SOAK"), reason="it takes a minute and 2 GB: make soak")
def test_a_page_of_a_million_files_is_read(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    head = b'{"meta": {"api-version": "1.0"}, "name": "alpha-0", "files": ['
    files = (
        b'{"filename":"w-%d.zip","url":"w","hashes":{"sha256":"%064x"}}' % (n, n) for n in range(1_000_000)
    )
    page = head + b",".join(files) + b"]}"

    def wide(handler: faults.Handler, reply: faults.Reply) -> None:
        handler.head(faults.Reply(200, {"Content-Type": JSON_TYPE}), len(page))
        handler.wfile.write(page)

    upstream.fault(faults.Fault("/simple/alpha-0/", wide, None, 200))
    mirror.configure(release_files=False, simple_format="JSON")
    mirror.sync()
    assert len(mirror.served.page("alpha-0")["files"]) == 1_000_000
    assert set(mirror.served.page_dirs()) == {"alpha-0", "alpha-1"}


def test_a_page_without_end_is_cut_off(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)

    def endless(handler: faults.Handler, reply: faults.Reply) -> None:
        handler.head(faults.Reply(200, {"Content-Type": JSON_TYPE}), None)
        handler.wfile.write(b'{"meta": {"api-version": "1.0"}, "name": "alpha-0", "files": [')
        released = handler.server.servers.released
        while not released.is_set():
            handler.wfile.write(b" " * 1_000_000)

    upstream.fault(faults.Fault("/simple/alpha-0/", endless, None, 200))
    done = mirror.sync(expect=3)
    assert "alpha-0" in done.stderr
    assert set(mirror.served.page_dirs()) == {"alpha-1"}
    mirror.assert_holds(finished=False)


def test_a_file_without_end_is_cut_off_at_its_size(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)

    def endless(handler: faults.Handler, reply: faults.Reply) -> None:
        handler.head(faults.Reply(200, {"Content-Type": "application/octet-stream"}), None)
        released = handler.server.servers.released
        while not released.is_set():
            handler.wfile.write(bytes(1_000_000))

    upstream.fault(faults.Fault("/packages/.*/alpha_0-1.0.tar.gz", endless, None, 200))
    done = mirror.sync(expect=3)
    assert "alpha_0-1.0.tar.gz" in done.stderr
    mirror.assert_holds(finished=False)


def test_metadata_with_a_wrong_hash_is_not_promised(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    upstream.fault(faults.wrong_bytes("/packages/.*/alpha_0-1.0.*metadata"))
    done = mirror.sync(expect=3)
    assert "alpha_0-1.0" in done.stderr
    mirror.assert_holds(finished=False)


@pytest.mark.parametrize("where", ["web", "web/simple", "web/packages", "web/simple/alpha-0", "tmp"])
def test_symbolic_links_in_the_tree_are_not_followed(
    upstream: Simulator, mirror: Mirror, tmp_path: Path, where: str
) -> None:
    small(upstream, 1)
    outside = tmp_path / "outside"
    outside.mkdir()
    link = mirror.directory / where
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    mirror.sync(expect=None)
    assert tree(outside) == {}


def test_every_stated_hash_is_checked_and_one_that_cannot_be_is_not_stated(
    upstream: Simulator, mirror: Mirror
) -> None:
    upstream.add_project("many-hashes", "1.0")

    def states(doc: Doc, **more: str) -> None:
        for file, upload in zip(doc["files"], upstream.projects["many-hashes"].uploads, strict=True):
            file["hashes"] |= {"md5": hashlib.md5(upload.content).hexdigest(), **more}

    upstream.projects["many-hashes"].tamper = lambda doc: states(doc, unheard_of="00")
    mirror.sync()
    assert [list(file["hashes"]) for file in mirror.served.page("many-hashes")["files"]] == [
        ["sha256", "md5"]
    ] * 2
    mirror.assert_holds()
    upstream.projects["many-hashes"].tamper = lambda doc: states(doc, sha1="0" * 40)
    upstream.add_release("many-hashes", "2.0")
    mirror.sync(expect=3)
    mirror.assert_holds()  # what was right once is not believed to have the hashes that are stated since


def test_metadata_is_checked_by_a_weak_hash_too(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("weak", "1.0")
    upstream.projects["weak"].tamper = set_file(core_metadata={"md5": "0" * 32})
    done = mirror.sync(expect=3)
    assert "weak-1.0-py3-none-any.whl.metadata" in done.stderr
    mirror.assert_holds()


@pytest.mark.parametrize("json_pages", [True, False], ids=["JSON", "HTML"])
def test_a_page_of_another_project_is_not_taken_for_the_one_asked_for(
    tmp_path: Path, json_pages: bool
) -> None:
    with Simulator(Style(json=json_pages)) as upstream:
        small(upstream, 3)
        upstream.fault(faults.redirect("/simple/alpha-1/", "/simple/alpha-2/"))
        mirror = Mirror(tmp_path, upstream, allow_non_https=True)
        done = mirror.sync(expect=3)
        assert done.stderr.splitlines()[1:] == [
            "ERROR   alpha-1: upstream answers with the page of alpha-2, another project"
        ]
        assert set(mirror.served.page_dirs()) == {"alpha-0", "alpha-2"}
        upstream.heal()
        mirror.sync()
        assert set(mirror.served.page_dirs()) == {"alpha-0", "alpha-1", "alpha-2"}
        mirror.assert_holds()
