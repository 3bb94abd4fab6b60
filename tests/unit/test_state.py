"""What the state remembers, which pages it calls due, and how it says that it cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from bandersnatch.errors import StorageError
from bandersnatch.model import Listed
from bandersnatch.state import Project, Row, State
from hypothesis import given

NOW, HORIZON = 1_000_000, 2_000_000
TERMS: dict[str, object] = {"all": False, "fingerprint": "f", "now": NOW, "horizon": HORIZON}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(str(tmp_path / "state"))
    yield opened
    opened.close()


def project(name: str = "six", **changes: object) -> Project:
    """A project that is up to date with `listed()`."""
    return Project(name, name, 5, 5, '"etag"', NOW + 1000, "f")._replace(**changes)  # type: ignore[arg-type]


def listed(name: str = "six", serial: int | None = 5, wanted: bool = True) -> tuple[Listed, bool]:
    return Listed(name, name, serial), wanted


def replace(state: State, rows: Iterable[tuple[Listed, bool]], judged: bool = False) -> None:
    rows = list(rows)
    wanted = {line.name: wanted for line, wanted in rows}
    state.replace_listed((line for line, _ in rows), wanted.__getitem__, judged)


def due(state: State, **terms: object) -> list[str]:
    found = state.due({**TERMS, **terms}, "", 100)
    assert state.count_due({**TERMS, **terms}) == len(found)
    return [one.name for one in found]


def test_what_is_up_to_date_is_not_due(state: State) -> None:
    replace(state, [listed()])
    state.put_projects([project()])
    assert due(state) == []
    assert not state.anything_due(TERMS)


@pytest.mark.parametrize(
    "change",
    [
        {"serial": 4, "listed_serial": 4},
        {"fingerprint": "of other settings"},
        {"fingerprint": ""},
        {"next_check": NOW},
        {"next_check": HORIZON + 1},
        {"serial": None, "listed_serial": None},
    ],
    ids=["serial", "settings", "taken over", "its turn", "clock jumped back", "never had a serial"],
)
def test_what_differs_is_due(state: State, change: dict[str, object]) -> None:
    replace(state, [listed()])
    state.put_projects([project(**change)])
    assert due(state) == ["six"]


@pytest.mark.parametrize(
    "change", [{"serial": 6}, {"listed_serial": 4}], ids=["page is newer", "page is this"]
)
def test_a_page_that_the_root_index_has_caught_up_with_is_not_due(
    state: State, change: dict[str, object]
) -> None:
    replace(state, [listed()])
    state.put_projects([project(**change)])
    assert due(state) == []


def test_a_project_that_is_not_mirrored_is_due(state: State) -> None:
    replace(state, [listed()])
    (one,) = state.due(TERMS, "", 10)
    assert (one.name, one.known, one.etag, one.listed_serial) == ("six", False, None, 5)


def test_a_project_without_a_serial_is_always_due(state: State) -> None:
    replace(state, [listed(serial=None)])
    state.put_projects([project()])
    assert due(state) == ["six"]
    assert not state.serials_known()


def test_with_all_every_wanted_project_is_due(state: State) -> None:
    replace(state, [listed("a"), listed("b"), listed("c", wanted=False)])
    state.put_projects([project("a"), project("b")])
    assert due(state, all=True) == ["a", "b"]


def test_a_failed_project_is_due_and_read_without_a_condition(state: State) -> None:
    """Its page may be the one that we have, and its files wrong nevertheless."""
    replace(state, [listed()])
    state.put_projects([project()])
    state.failed([("six", "why", NOW)])
    assert state.anything_due(TERMS)
    (one,) = state.due(TERMS, "", 10)
    assert (one.known, one.etag) == (True, None)
    state.mended(["six"])
    assert due(state) == []


def test_the_etag_counts_only_under_the_same_settings(state: State) -> None:
    replace(state, [listed()])
    state.put_projects([project()])
    every = {**TERMS, "all": True}
    assert state.due(every, "", 10)[0].etag == '"etag"'
    assert state.due({**every, "fingerprint": "other"}, "", 10)[0].etag is None


def test_a_new_serial_is_read_without_a_condition(state: State) -> None:
    """A cache that is behind would answer "not modified"."""
    replace(state, [listed(serial=9)])
    state.put_projects([project()])
    assert state.due(TERMS, "", 10)[0].etag is None


@pytest.mark.parametrize("change", [{"next_check": NOW}, {"next_check": HORIZON + 1}])
def test_turns_are_noticed_without_news(state: State, change: dict[str, object]) -> None:
    state.put_projects([project("a"), project("b", **change)])
    assert state.anything_due(TERMS)


def test_due_projects_come_in_portions(state: State) -> None:
    replace(state, [listed(name) for name in "dbace"])
    portions, after = [], ""
    while found := state.due(TERMS, after, 2):
        after = found[-1].name
        portions.append([one.name for one in found])
    assert portions == [["a", "b"], ["c", "d"], ["e"]]


def test_a_name_that_is_listed_twice_counts_once(state: State) -> None:
    replace(state, [listed(), (Listed("six", "Six", 7), True)])
    assert due(state) == ["six"]


def test_a_new_list_writes_only_what_differs(state: State) -> None:
    def changes() -> int:
        return state._db.total_changes  # the one thing that tells

    names = [f"p{number}" for number in range(1_000)]
    replace(state, [listed(name) for name in names])
    before = changes()
    replace(state, [listed(name) for name in reversed(names)])
    assert changes() == before
    others = [*names[:500], "new", *names[501:]]
    replace(state, [listed(name, serial=9 if name == "p7" else 5) for name in others])
    assert changes() == before + 3
    found = {one.name: one.listed_serial for one in state.due(TERMS, "", 2_000)}
    assert found == {name: 9 if name == "p7" else 5 for name in others}


LINES = st.lists(
    st.builds(Listed, st.sampled_from("abcdefgh"), st.sampled_from("AB"), st.integers(1, 2)), max_size=12
)


@given(lists=st.lists(LINES, min_size=1, max_size=3), in_order=st.booleans(), judged=st.booleans())
def test_a_list_is_what_came_last_whatever_the_order(
    lists: list[list[Listed]], in_order: bool, judged: bool
) -> None:
    wanted = {name: number % 2 == 0 for number, name in enumerate("abcdefgh")}
    state = State(":memory:")
    try:
        for lines in lists:
            if in_order:
                lines.sort(key=lambda line: line.name)
            state.replace_listed(iter(lines), wanted.__getitem__, judged)
            last = {line.name: (*line, wanted[line.name]) for line in lines}
            found = state._db.execute("SELECT name, display, serial, wanted FROM listed ORDER BY name")
            assert found.fetchall() == [last[name] for name in sorted(last)]
    finally:
        state.close()


def test_lines_that_stay_are_not_judged_again(state: State) -> None:
    replace(state, [listed(name) for name in "acd"])
    asked = []

    def wanted(name: str) -> bool:
        asked.append(name)
        return False

    lines = [Listed("a", "a", 5), Listed("b", "b", 5), Listed("c", "c", 6), Listed("d", "d", 5)]
    state.replace_listed(lines, wanted, judged=True)
    assert asked == ["b", "c"]
    assert due(state) == ["a", "d"]
    state.replace_listed(lines, wanted)
    assert asked == ["b", "c", "a", "b", "c", "d"]
    assert due(state) == []


def test_what_is_not_listed_or_not_wanted_is_gone(state: State) -> None:
    replace(state, [listed("kept"), listed("blocked", wanted=False)])
    state.put_projects([project(name) for name in ("kept", "blocked", "deleted")])
    assert state.gone() == ["blocked", "deleted"]


def test_a_page_that_has_not_changed_is_confirmed(state: State) -> None:
    replace(state, [listed(serial=8)])
    state.put_projects([project()])
    state.confirm([(8, NOW + 500, "six")])
    assert due(state) == []
    assert due(state, now=NOW + 500) == ["six"]


def test_a_doomed_project_that_comes_back_is_read_whole(state: State) -> None:
    replace(state, [listed()])
    state.put_projects([project()])
    state.doom(["six"])
    (one,) = state.due(TERMS, "", 10)
    assert (one.known, one.etag) == (True, None)


def test_files_have_one_owner(state: State) -> None:
    state.put_files([("six", Row("p", "sha256:1", 3, True))])
    assert state.files_of("six") == {"p": Row("p", "sha256:1", 3, True)}
    assert state.owners(["p", "q"]) == {"p": "six"}
    state.put_files([("seven", Row("p", "", -1, False))])
    assert state.files_of("six") == {}
    state.drop_files(["p"])
    assert state.owners(["p"]) == {}
    assert not state.has_file("p")


def test_a_dropped_project_leaves_nothing(state: State) -> None:
    state.put_projects([project()])
    state.put_files([("six", Row("p", "sha256:1", 3, True))])
    state.failed([("six", "why", NOW)])
    state.drop_project("six")
    assert not state.has_project("six")
    assert not state.has_file("p")
    assert not state.anything_due(TERMS)


def test_failures_of_projects_that_nobody_asks_for_are_forgotten(state: State) -> None:
    replace(state, [listed("kept"), listed("blocked", wanted=False)])
    state.put_projects([project("kept")])
    state.failed([("kept", "a", 1), ("blocked", "b", 1), ("deleted", "c", 1)])
    state.forget_unlisted_failures()
    state.mended(["kept"])
    assert not state.anything_due(TERMS)


def test_what_was_begun_is_known_until_it_ends(state: State) -> None:
    state.begin([("p", "six"), ("q", "six")])
    state.begin([("p", "seven")])
    state.ended(["q"])
    assert state.begun() == [("p", "seven")]


def test_projects_taken_over_are_told_from_those_read(state: State) -> None:
    state.put_projects([project()])
    assert state.all_read()
    state.put_projects([project("old", fingerprint="")])
    assert not state.all_read()


def test_roots_come_by_name(state: State) -> None:
    state.put_projects([project("b", display="B", serial=2), project("a", display="A", serial=None)])
    assert list(state.roots()) == [("a", "A", None), ("b", "B", 2)]
    assert state.highest_serial() == 2
    assert state.count_projects() == 2


def test_roots_are_spelt_as_upstream_lists_them_now(state: State) -> None:
    state.put_projects([project("b", display="B"), project("a", display="A")])
    replace(state, [(Listed("a", "A", 1), True)])
    state.put("root", "current")
    replace(state, [(Listed("a", "A", 2), True)])
    assert state.get("root") == "current"
    replace(state, [(Listed("a", "á", 2), True)])
    assert state.get("root") == "stale"
    assert [display for _, display, _ in state.roots()] == ["á", "B"]


def test_values_are_remembered_and_forgotten(state: State) -> None:
    assert state.get("key") is None
    state.put("key", "value")
    assert state.get("key") == "value"
    state.put("key", None)
    assert state.get("key") is None


def test_damage_that_shows_while_reading_on_is_said(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = State(str(path))
    state.put_projects(project(f"project-{number:05}") for number in range(3000))
    state.put_files((f"project-{number:05}", Row(f"p{number}", "d" * 70, 1, True)) for number in range(3000))
    state.close()
    data = bytearray(path.read_bytes())
    page = 4096
    for start in range(len(data) // 2 // page * page, len(data), page):
        data[start : start + 64] = b"\xff" * 64
    path.write_bytes(data)
    damaged = State(str(path))
    with pytest.raises(StorageError, match="Move the file away"):
        assert [damaged.files_of(name) for name, _, _ in damaged.roots()] == "never"
    damaged.close()


def totals(path: Path) -> tuple[int, int]:
    """Counted, as somebody else would."""
    with sqlite3.connect(path) as other:
        sizes = [max(size, 0) for (size,) in other.execute("SELECT size FROM file")]
    return len(sizes), sum(sizes)


def test_files_and_bytes_are_kept_up_by_every_change(state: State, tmp_path: Path) -> None:
    steps: list[Callable[[], None]] = [
        lambda: state.put_files((f"p{n % 3}", Row(f"a/{n}", "d", n, True)) for n in range(9)),
        lambda: state.put_files([("p0", Row("a/0", "d", 70, True)), ("p1", Row("a/1", "", -1, False))]),
        lambda: state.drop_files(["a/2", "a/3", "a/99"]),
        lambda: state.drop_project("p1"),
        lambda: state.put_files([("p1", Row("a/1", "d", 5, True))]),
        state.forget_all,
    ]
    seen = []
    for step in steps:
        with state.transaction():
            step()
        assert state.count_files() == totals(tmp_path / "state")
        seen.append(state.count_files())
    assert seen == [(9, 36), (9, 105), (7, 100), (4, 89), (5, 94), (0, 0)]


def test_what_is_rolled_back_is_not_counted(state: State, tmp_path: Path) -> None:
    def killed() -> None:
        with state.transaction():
            state.put_files([("six", Row("a", "d", 5, True))])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert state.count_files() == totals(tmp_path / "state") == (0, 0)


def test_a_state_without_totals_is_counted_once(state: State, tmp_path: Path) -> None:
    with state.transaction():
        state.put_files([("six", Row("a", "d", 5, True))])
    with sqlite3.connect(tmp_path / "state") as older:
        older.execute("DELETE FROM meta WHERE key IN ('files', 'bytes')")
    again = State(str(tmp_path / "state"))
    assert again.count_files() == (1, 5)
    again.close()
