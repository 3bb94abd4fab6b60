"""A state rebuilt from the disk, and what is cleared away because nobody links it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bandersnatch import index, index_html, takeover
from bandersnatch.errors import StoppedError
from bandersnatch.model import File, Page
from bandersnatch.state import Project, Row, State
from bandersnatch.store import PAGE_HTML, PAGE_JSON, Store


class Place:
    """A mirror directory and its state."""

    def __init__(self, base: Path, hash_index: bool = False) -> None:
        self.store = Store(base / "mirror", hash_index)
        self.store.create()
        self.store.prepare()
        self.state = State(str(base / "mirror" / "state"))
        self.web = base / "mirror" / "web"
        self.notes: list[str] = []

    def adopt(self) -> None:
        takeover.adopt(self.store, self.state, self.notes.append, lambda: None)

    def sweep(self) -> int:
        return takeover.sweep(self.store, self.state, lambda: None)

    def publish(self, page: Page, kind: str = PAGE_JSON) -> None:
        text = (
            index.render_json(page, "../../") if kind == PAGE_JSON else index_html.render_html(page, "../../")
        )
        self.store.stage(page.name, {kind: text})
        self.store.publish(page.name)

    def lay(self, path: str) -> None:
        target = self.web / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"content")

    def own(self, name: str, *paths: str) -> None:
        """A project as a good run leaves it."""
        self.state.put_projects([Project(name, name, 1, 1, None, 1, "read")])
        self.state.put_files((name, Row(path, "sha256:1", 7, True)) for path in paths)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.state.close()


def path_of(name: str) -> str:
    return f"packages/aa/bb/{'c' * 60}/{name}"


def file(name: str, core_metadata: bool = False) -> File:
    url = f"https://files.example.org/{path_of(name)}"
    return File(
        name, url, path_of(name), {"sha256": "d" * 64}, f"sha256:{'d' * 64}", core_metadata=core_metadata
    )


def page(name: str = "six", *files: File) -> Page:
    return Page(name, files or (file("six-1.0.tar.gz"), file("six-1.0.whl", core_metadata=True)))


@pytest.mark.parametrize("kind", [PAGE_JSON, PAGE_HTML])
def test_files_that_pages_link_are_entered_unverified(place: Place, kind: str) -> None:
    place.publish(page(), kind)
    names = ("six-1.0.tar.gz", "six-1.0.whl", "six-1.0.whl.metadata")
    for name in names:
        place.lay(path_of(name))
    place.adopt()
    rows = place.state.files_of("six")
    assert set(rows) == {path_of(name) for name in names}
    assert not any(row.verified for row in rows.values())
    assert place.state.has_project("six")
    assert place.state.get("adopted") == "yes"
    assert place.notes == []


def test_links_to_what_is_not_there_are_not_entered(place: Place) -> None:
    place.publish(page())
    place.adopt()
    assert place.state.has_project("six")
    assert place.state.files_of("six") == {}


def test_a_page_that_cannot_be_read_is_said_and_made_anew(place: Place) -> None:
    place.publish(page("good"))
    place.store.stage("bad", {PAGE_JSON: b"{"})
    place.store.publish("bad")
    place.adopt()
    assert [name for name, _, _ in place.state.roots()] == ["bad", "good"]
    assert len(place.notes) == 1
    assert "bad" in place.notes[0]


def test_names_that_no_project_has_are_left_alone(place: Place) -> None:
    (place.web / "simple" / "no project!").mkdir()
    place.adopt()
    assert place.state.count_projects() == 0


def test_names_are_normalised(place: Place) -> None:
    place.publish(page())
    (place.web / "simple" / "six").rename(place.web / "simple" / "S_ix")
    place.adopt()
    assert [name for name, _, _ in place.state.roots()] == ["s-ix"]


def test_a_mirror_that_began_empty_needs_no_sweep(place: Place) -> None:
    place.adopt()
    assert place.state.get("sweep") is None
    place.state.put("adopted", None)
    place.lay(path_of("orphan-1.0.tar.gz"))
    place.adopt()
    assert place.state.get("sweep") == "due"


def test_adopting_again_starts_over(place: Place) -> None:
    place.own("from before", path_of("old"))
    place.adopt()
    assert place.state.count_projects() == 0
    assert not place.state.has_file(path_of("old"))


def test_adopting_that_is_stopped_enters_nothing(place: Place) -> None:
    place.publish(page())

    def stop() -> None:
        raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        takeover.adopt(place.store, place.state, place.notes.append, stop)
    assert place.state.get("adopted") is None
    assert place.state.count_projects() == 0


def test_both_layouts_of_pages_are_adopted(tmp_path: Path) -> None:
    Place(tmp_path, hash_index=True).publish(page())
    flat = Place(tmp_path)
    flat.publish(page("seven"))
    flat.adopt()
    assert [name for name, _, _ in flat.state.roots()] == ["seven", "six"]


def test_sweeping_removes_what_belongs_to_nobody(place: Place) -> None:
    place.own("six", path_of("six-1.0.tar.gz"))
    place.publish(page())
    place.publish(page("stranger"))
    for name in ("six-1.0.tar.gz", "orphan-1.0.tar.gz"):
        place.lay(path_of(name))
    place.lay("packages/source/o/orphan/orphan-0.1.tar.gz")
    assert place.sweep() == 2
    assert sorted(path.name for path in (place.web / "simple").iterdir()) == ["six"]
    assert list(place.store.files()) == [path_of("six-1.0.tar.gz")]
    assert place.sweep() == 0


def test_sweeping_leaves_other_parts_of_web_alone(place: Place) -> None:
    others = ["index.html", "last-modified", "local-stats/days/2026-01-01.bz2", "simple/index.html"]
    for path in others:
        place.lay(path)
    assert place.sweep() == 0
    assert all((place.web / path).exists() for path in others)


def test_sweeping_keeps_complete_files_of_projects_that_are_not(place: Place) -> None:
    place.lay(path_of("broken-1.0.tar.gz"))
    place.state.begin([(path_of("broken-1.0.tar.gz"), "broken")])
    assert place.sweep() == 0


def test_sweeping_does_not_follow_symbolic_links(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    (place.web / "packages" / "link").symlink_to(outside)
    (place.web / "simple" / "link").symlink_to(outside)
    place.sweep()
    assert (outside / "precious").exists()


def test_sweeping_keeps_a_page_that_waits_at_its_old_place(tmp_path: Path) -> None:
    Place(tmp_path).publish(page())
    hashed = Place(tmp_path, hash_index=True)
    hashed.own("six")
    hashed.sweep()
    assert (hashed.web / "simple" / "six").exists()
    hashed.publish(page())
    hashed.sweep()
    assert not (hashed.web / "simple" / "six").exists()
    assert (hashed.web / "simple" / "s" / "six" / PAGE_JSON).exists()


def test_what_a_killed_run_began_is_cleared_unless_it_is_wanted(place: Place) -> None:
    wanted, unwanted, failing = (path_of(f"{name}-1.0.tar.gz") for name in ("six", "gone", "failing"))
    for path in (wanted, unwanted, failing):
        place.lay(path)
    place.own("six", wanted)
    place.publish(page())
    place.publish(page("gone"))
    place.state.begin(
        [
            (wanted, "six"),
            ("simple/six", "six"),
            (unwanted, "gone"),
            ("simple/gone", "gone"),
            (path_of("never-came"), "gone"),
            (failing, "failing"),
        ]
    )
    assert takeover.clear_begun(place.store, place.state, {"failing": "why"}) == 1
    assert sorted(place.store.files()) == sorted([wanted, failing])
    assert sorted(path.name for path in (place.web / "simple").iterdir()) == ["six"]
    assert place.state.begun() == [(failing, "failing")]
