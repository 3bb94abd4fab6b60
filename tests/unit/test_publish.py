"""The root index is written when it may differ, and says so only when it does."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bandersnatch.config import Config
from bandersnatch.errors import StorageError
from bandersnatch.publish import publish_root, write_diff, write_last_modified
from bandersnatch.state import Project, State
from bandersnatch.store import Store


class Place:
    def __init__(self, base: Path) -> None:
        self.config = Config(directory=base / "mirror", master="https://index.example.org/simple/")
        self.store = Store(self.config.directory)
        self.store.create()
        self.store.prepare()
        self.state = State(str(base / "state"))
        self.simple = base / "mirror" / "web" / "simple"

    def project(self, name: str, serial: int | None = 5) -> None:
        self.state.put_projects([Project(name.lower(), name, serial, serial, None, 0, "f")])
        self.state.put("root", "stale")

    def publish(self, *without: str, force: bool = False, **settings: object) -> bool:
        config = self.config._replace(**settings)  # type: ignore[arg-type]
        return publish_root(config, self.store, self.state, frozenset(without), force)

    def listed(self) -> list[str]:
        return [row["name"] for row in json.loads((self.simple / "index.v1_json").read_bytes())["projects"]]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.state.close()


def test_an_empty_mirror_has_a_root_index(place: Place) -> None:
    assert place.publish()
    assert place.listed() == []
    assert (place.simple / "index.html").exists()


def test_it_lists_what_is_mirrored_as_upstream_spells_it(place: Place) -> None:
    place.project("Beta")
    place.project("alpha")
    assert place.publish()
    assert place.listed() == ["alpha", "Beta"]


def test_it_is_not_written_again_where_nothing_changed(place: Place) -> None:
    place.project("six")
    place.publish()
    stamp = (place.simple / "index.html").stat()
    assert not place.publish()
    place.state.put("root", "stale")
    assert not place.publish(), "written again, and found the same"
    assert (place.simple / "index.html").stat().st_ino == stamp.st_ino


def test_a_new_serial_is_a_change(place: Place) -> None:
    place.project("six")
    place.publish()
    place.project("six", 6)
    assert place.publish()


def test_a_new_serial_of_upstream_is_stated_and_no_change(place: Place) -> None:
    place.project("six")
    place.publish()
    for serial in ("9", "10"):
        place.state.put("root serial", serial)
        assert not place.publish()
        assert f'"_last-serial":{serial}}}'.encode() in (place.simple / "index.v1_json").read_bytes()


def test_a_project_that_goes_is_not_the_highest(place: Place) -> None:
    place.project("six", 5)
    place.project("seven", 7)
    place.publish("seven")
    assert json.loads((place.simple / "index.v1_json").read_bytes())["meta"]["_last-serial"] == 5


def test_its_serial_is_that_of_upstream_else_the_highest(place: Place) -> None:
    place.project("six", 5)
    place.publish()
    assert json.loads((place.simple / "index.v1_json").read_bytes())["meta"]["_last-serial"] == 5
    place.state.put("root serial", "9")
    place.publish(force=True)
    assert json.loads((place.simple / "index.v1_json").read_bytes())["meta"]["_last-serial"] == 9


def test_what_is_to_be_removed_is_not_listed(place: Place) -> None:
    place.project("six")
    place.project("seven")
    place.publish()
    assert place.publish("six")
    assert place.listed() == ["seven"]


def test_killed_before_the_removal_it_is_written_again(place: Place) -> None:
    place.project("six")
    place.publish()
    place.publish("six")
    assert place.publish(), "six came back, and its page never went"
    assert place.listed() == ["six"]


@pytest.mark.parametrize("name", ["index.html", "index.v1_json"])
def test_beside_it_lies_the_same_compressed(place: Place, name: str) -> None:
    place.project("six")
    place.publish()
    packed = (place.simple / f"{name}.gz").read_bytes()
    assert gzip.decompress(packed) == (place.simple / name).read_bytes()
    assert packed[3:8] == bytes(5), "a name or a time in it: other bytes each time"
    place.project("seven")
    assert place.publish()
    again = (place.simple / f"{name}.gz").read_bytes()
    assert gzip.decompress(again) == (place.simple / name).read_bytes()


@pytest.mark.parametrize("renames", [1, 2, 3])
def test_killed_between_the_two_it_is_put_right_by_the_next_run(
    place: Place, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.publish()
    place.project("six")
    replace, left = place.store.replace, renames

    def killed(staged: str, path: str) -> bool:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        return replace(staged, path)

    monkeypatch.setattr(place.store, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        place.publish()
    monkeypatch.undo()
    assert place.publish()
    for name in ("index.html", "index.v1_json"):
        plain = (place.simple / name).read_bytes()
        assert b"six" in plain
        assert gzip.decompress((place.simple / f"{name}.gz").read_bytes()) == plain


def test_a_mirror_of_an_older_version_gets_what_it_lacks(place: Place) -> None:
    place.publish()
    for path in place.simple.glob("*.gz"):
        path.unlink()
    assert place.publish()
    assert len(list(place.simple.glob("*.gz"))) == 2
    assert not place.publish()


@pytest.mark.parametrize("name", ["index.html", "index.v1_json", "index.html.gz", "index.v1_json.gz"])
def test_a_lost_one_is_written_again(place: Place, name: str) -> None:
    place.publish()
    (place.simple / name).unlink()
    assert place.publish()
    assert (place.simple / name).exists()


def test_a_damaged_one_is_written_again_with_force(place: Place) -> None:
    place.publish()
    (place.simple / "index.html").write_text("damaged")
    assert not place.publish()
    assert place.publish(force=True)
    assert not place.publish(force=True)


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("HTML", ["index.html", "index.html.gz"]),
        ("JSON", ["index.v1_json", "index.v1_json.gz"]),
        ("ALL", ["index.html", "index.html.gz", "index.v1_json", "index.v1_json.gz"]),
    ],
)
def test_only_the_wanted_formats_are_there(place: Place, form: str, names: list[str]) -> None:
    place.publish()
    place.publish(simple_format=form)
    assert sorted(path.name for path in place.simple.iterdir()) == names
    assert not place.publish(simple_format=form)


def test_last_modified_is_as_pep_381_has_it(place: Place) -> None:
    write_last_modified(place.store, 1_790_000_000)
    text = (place.simple.parent / "last-modified").read_text()
    assert text == time.strftime("%Y%m%dT%H:%M:%S\n", time.gmtime(1_790_000_000))
    assert len(text) == 18


def test_the_diff_file_names_each_path_on_a_line(place: Place, tmp_path: Path) -> None:
    config = place.config._replace(diff_file=tmp_path / "diff")
    write_diff(config, ["/a", "/b"], 7)
    assert (tmp_path / "diff").read_text() == "/a\n/b\n"
    write_diff(config._replace(diff_append_epoch=True), ["/c"], 7)
    assert (tmp_path / "diff-7").read_text() == "/c\n"


def test_a_diff_file_that_cannot_be_written_is_said(place: Place, tmp_path: Path) -> None:
    config = place.config._replace(diff_file=tmp_path / "no" / "diff")
    with pytest.raises(StorageError, match=r"\[mirror\] diff-file = .*/no/diff cannot be written \(No such"):
        write_diff(config, [], 7)
