"""The mirror tree: complete things in one step, nothing through symbolic links, errors with a remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from bandersnatch import store as store_module
from bandersnatch import syscalls
from bandersnatch.errors import StorageError
from bandersnatch.store import PAGE_HTML, PAGE_JSON, Store

OLD = {PAGE_JSON: b"old json", PAGE_HTML: b"old html"}
NEW = {PAGE_JSON: b"new json", PAGE_HTML: b"new html"}
PATH = "packages/aa/bb/" + "c" * 60 + "/six-1.0.tar.gz"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened(tmp_path)


def opened(tmp_path: Path, hash_index: bool = False) -> Store:
    made = Store(tmp_path / "mirror", hash_index)
    made.create()
    made.prepare()
    return made


def published(store: Store, name: str = "six", pages: dict[str, bytes] = OLD) -> Path:
    store.stage(name, pages)
    store.publish(name)
    return Path(store.page(name))


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def part(store: Store, data: bytes = b"content") -> str:
    where = Path(store.part("sha256:1", PATH))
    where.write_bytes(data)
    return str(where)


# The frame


def test_the_parent_of_the_mirror_must_exist(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no such directory"):
        Store(tmp_path / "typo" / "mirror").create()


def test_preparing_again_keeps_parts_and_drops_staged_pages(store: Store) -> None:
    where = part(store)
    store.stage("six", OLD)
    store.prepare()
    assert Path(where).read_bytes() == b"content"
    assert sorted(os.listdir(store.staged)) == [".interim", ".json"]


def test_nothing_temporary_is_left_at_the_end(store: Store) -> None:
    part(store)
    store.stage("six", OLD)
    store.stage_json("six", b"{}")
    store.finish(failed=False)
    assert sorted(os.listdir(store.directory)) == ["web"]


def test_a_failed_run_leaves_long_parts_to_the_next(store: Store) -> None:
    part(store)
    store.stage("six", OLD)
    store.finish(failed=True)
    assert sorted(os.listdir(store.directory)) == ["web"]
    store.prepare()
    long = Path(part(store, bytes(16 << 20)))
    Path(store.part("sha256:2", PATH)).write_bytes(b"short")
    store.finish(failed=True)
    assert [path for path in Path(store.directory, "tmp").rglob("*") if path.is_file()] == [long]
    store.prepare()
    store.finish(failed=False)
    assert sorted(os.listdir(store.directory)) == ["web"]


@pytest.mark.parametrize("name", ["web", "web/simple", "web/packages", "tmp"])
def test_a_directory_that_is_a_symbolic_link_is_refused(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "mirror" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    made = Store(tmp_path / "mirror")
    with pytest.raises(StorageError, match="symbolic link"):
        made.prepare()
    assert not list(elsewhere.iterdir())


def test_free_space_and_size_are_those_of_the_volume(store: Store) -> None:
    assert 0 < store.free() <= store.total()


# Files


def test_a_part_has_the_same_place_in_each_run(tmp_path: Path, store: Store) -> None:
    assert store.part("sha256:1", PATH) == Store(tmp_path / "mirror").part("sha256:1", PATH)
    assert len({store.part(digest, path) for digest in "ab" for path in "cd"}) == 4


def test_a_placed_file_is_whole_and_its_part_gone(store: Store) -> None:
    where = part(store)
    store.place(where, PATH)
    assert (Path(store.web) / PATH).read_bytes() == b"content"
    assert store.size_of(PATH) == 7
    assert not os.path.exists(where)


def test_a_removed_file_leaves_no_empty_directory(store: Store) -> None:
    other = PATH.replace("aa", "ab")
    store.place(part(store), PATH)
    store.place(part(store), other)
    store.remove_file(PATH)
    store.remove_file(PATH)
    assert os.listdir(store.packages) == ["ab"]
    store.remove_file(other)
    assert os.listdir(store.packages) == []


def test_a_file_can_be_placed_where_a_directory_was_removed(store: Store) -> None:
    for _ in range(2):
        store.place(part(store), PATH)
        store.remove_file(PATH)
    store.place(part(store), PATH)
    assert store.size_of(PATH) == 7


@pytest.mark.parametrize("kind", ["nothing", "directory", "link"])
def test_what_is_no_plain_file_has_no_size(store: Store, tmp_path: Path, kind: str) -> None:
    path = Path(store.web) / PATH
    path.parent.mkdir(parents=True)
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        (tmp_path / "target").write_bytes(b"x")
        path.symlink_to(tmp_path / "target")
    assert store.size_of(PATH) == -1


def test_no_file_is_placed_through_a_symbolic_link(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (Path(store.packages) / "aa").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="symbolic link"):
        store.place(part(store), PATH)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_all_files_are_found(store: Store) -> None:
    old = "packages/source/s/six/six-0.1.tar.gz"
    store.place(part(store), PATH)
    store.place(part(store), old)
    assert sorted(store.files()) == [PATH, old]


# Pages


def test_a_page_is_published_whole(store: Store) -> None:
    page = published(store)
    assert content(page) == OLD
    assert content(published(store, pages=NEW)) == NEW
    assert store.is_served("six", NEW)
    assert not store.is_served("six", OLD)


def test_a_page_with_another_set_of_files_is_not_the_same(store: Store) -> None:
    published(store)
    assert not store.is_served("six", {PAGE_HTML: OLD[PAGE_HTML]})
    assert content(published(store, pages={PAGE_HTML: b"html"})) == {PAGE_HTML: b"html"}


def test_an_interim_page_does_not_touch_the_staged_one(store: Store) -> None:
    store.stage("six", NEW)
    store.stage("six", OLD, interim=True)
    store.publish("six", interim=True)
    assert content(Path(store.page("six"))) == OLD
    store.publish("six")
    assert content(Path(store.page("six"))) == NEW


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_without_an_atomic_exchange_pages_are_replaced_file_by_file(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(first: str, second: str) -> None:
        raise FileNotFoundError if not os.path.exists(second) else OSError(number, "no")

    monkeypatch.setattr(syscalls, "exchange", refuse)
    page = published(store)
    assert content(page) == OLD
    published(store, pages={PAGE_JSON: b"alone"})
    assert content(page) == {PAGE_JSON: b"alone"}


def test_a_removed_page_is_gone_with_its_legacy_json(store: Store) -> None:
    page = published(store)
    store.stage_json("six", b"{}")
    store.place_json("six")
    store.remove_page("six")
    store.remove_page("six")
    assert not page.exists()
    assert not (Path(store.web) / "pypi" / "six").exists()


def test_a_page_that_is_a_link_is_replaced_not_followed(store: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, data in OLD.items():
        (elsewhere / name).write_bytes(data)
    Path(store.page("six")).symlink_to(elsewhere)
    assert not store.is_served("six", OLD)
    page = published(store, pages=NEW)
    assert not page.is_symlink()
    assert content(elsewhere) == OLD
    Path(store.page("seven")).symlink_to(elsewhere)
    store.remove_page("seven")
    assert content(elsewhere) == OLD


@pytest.mark.parametrize("length", [1, 248, 255])
def test_names_of_any_length_can_be_published_and_removed(store: Store, length: int) -> None:
    name = "n" * length
    store.stage(name, OLD, interim=True)
    store.publish(name, interim=True)
    published(store, name)
    assert store.stage_json(name, b"{}")
    store.place_json(name)
    store.remove_page(name)
    assert os.listdir(store.simple) == []


# Both layouts of pages


def test_hash_index_puts_pages_below_their_first_letter(tmp_path: Path) -> None:
    store = opened(tmp_path, hash_index=True)
    assert published(store).relative_to(store.simple) == Path("s/six")
    store.remove_page("six")
    assert os.listdir(store.simple) == []


def test_pages_of_both_layouts_are_found(tmp_path: Path) -> None:
    flat = opened(tmp_path)
    for name in ("a", "six"):
        published(flat, name)
    hashed = opened(tmp_path, hash_index=True)
    for name in ("a", "alpha"):
        published(hashed, name)
    found = {(os.path.relpath(path, flat.simple), name) for path, name in flat.page_directories()}
    assert found == {("a", "a"), ("six", "six"), ("a/a", "a"), ("a/alpha", "alpha")}


def test_switching_to_hash_index_takes_flat_pages_away_and_no_other(tmp_path: Path) -> None:
    flat = opened(tmp_path)
    names = ("a", "alpha", "beta")
    for name in names:
        published(flat, name)
    hashed = opened(tmp_path, hash_index=True)
    for name in names:
        published(hashed, name, NEW)
        hashed.leave_other_layout(name)
    assert {os.path.relpath(path, flat.simple) for path, _ in hashed.page_directories()} == {
        "a/a",
        "a/alpha",
        "b/beta",
    }
    assert content(Path(hashed.page("a"))) == NEW
    assert sorted(os.listdir(Path(hashed.simple) / "a")) == ["a", "alpha"]


def test_switching_from_hash_index_takes_hashed_pages_away_and_no_other(tmp_path: Path) -> None:
    hashed = opened(tmp_path, hash_index=True)
    names = ("a", "alpha", "beta")
    for name in names:
        published(hashed, name)
    flat = opened(tmp_path)
    published(flat, "a", NEW)  # lies where the letter's directory is
    assert content(Path(hashed.page("alpha"))) == OLD, "not yet switched, still there"
    flat.leave_other_layout("a")
    for name in names[1:]:
        published(flat, name, NEW)
        flat.leave_other_layout(name)
    assert sorted(os.listdir(flat.simple)) == ["a", "alpha", "beta"]
    assert content(Path(flat.page("a"))) == NEW


# Single files


def test_a_legacy_json_that_is_served_already_is_not_staged(store: Store) -> None:
    assert store.stage_json("six", b"{}")
    store.place_json("six")
    assert not store.stage_json("six", b"{}")
    assert store.stage_json("six", b"{1}")
    assert store.remove_json("six")
    assert not store.remove_json("six")


def test_a_long_file_is_replaced_only_if_it_differs(store: Store) -> None:
    assert store.replace(store.stage_chunks("root", [b"a", b"b"]), "simple/index.html")
    inode = os.stat(f"{store.simple}/index.html").st_ino
    assert not store.replace(store.stage_chunks("root", [b"ab"]), "simple/index.html")
    assert os.stat(f"{store.simple}/index.html").st_ino == inode
    assert store.replace(store.stage_chunks("root", [b"ac"]), "simple/index.html")
    assert not os.path.exists(f"{store.staged}/root")


def test_a_file_is_discarded_once(store: Store) -> None:
    store.replace(store.stage_chunks("root", [b"a"]), "simple/index.html")
    assert store.discard("simple/index.html")
    assert not store.discard("simple/index.html")


# Errors


def test_a_full_volume_is_said_wherever_it_shows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store_module.os, "write", full)
    monkeypatch.setattr(store_module.os, "fsync", full)
    monkeypatch.setattr(syscalls, "syncfs", full)
    for act in (
        lambda: store.stage("six", OLD),
        lambda: store.stage_json("six", b"{}"),
        lambda: store.stage_chunks("root", [b"x"]),
        store.flush,
    ):
        with pytest.raises(StorageError, match="full"):
            act()
