from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from bandersnatch import history
from bandersnatch.errors import StorageError
from bandersnatch.history import DAYS_KEPT, RUNS_KEPT, DamagedError, History, Past, Record, Size

NOTHING = Size()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[History]:
    one = History(str(tmp_path))
    yield one
    one.close()


def good(at: float, **values: object) -> Record:
    return Record(at, at + 1, good=True, serial=7, upstream_serial=7, **values)  # type: ignore[arg-type]


def bad(at: float, error: str = "upstream is silent", code: int = 6) -> Record:
    return Record(at, at + 1, exit_code=code, error=error)


def add(book: History, *records: Record, size: Size = NOTHING, day: str = "2026-11-28") -> Past:
    for record in records:
        with book.transaction():
            book.add(record, size, day)
    return book.past(runs=RUNS_KEPT, days=DAYS_KEPT)


def test_a_run_without_change_is_only_the_last_one(book: History) -> None:
    past = add(book, good(1000), good(1120))
    assert past.runs == ()
    assert past.last == past.good == good(1120)


def test_a_record_comes_back_as_it_was(book: History) -> None:
    record = good(
        1000, added=2, names={"added": ("a", "b")}, failures=(("c", "<b>why</b>"),), failed=1, exit_code=3
    )
    (stored,) = add(book, record).runs
    assert stored == record._replace(names={"added": ["a", "b"]})


def test_a_bad_run_leaves_the_last_good_one(book: History) -> None:
    past = add(book, good(1000), bad(1120))
    assert past.last == bad(1120)
    assert past.good == good(1000)
    assert past.runs == (bad(1120),)


def test_the_same_failure_again_is_counted_on_its_row(book: History) -> None:
    past = add(book, bad(1000), bad(1120), bad(1240))
    (row,) = past.runs
    assert (row.repeated, row.first_started, row.started) == (2, 1000, 1240)
    assert add(book, bad(1360, error="another reason")).runs[0].repeated == 0


def test_after_a_good_run_the_same_failure_is_a_new_one(book: History) -> None:
    past = add(book, bad(1000), good(1120), good(1240), bad(1360))
    assert [(run.started, run.repeated) for run in past.runs] == [(1360, 0), (1120, 0), (1000, 0)]


def test_a_lasting_failure_of_a_project_is_one_row(book: History) -> None:
    failing = {"exit_code": 3, "failed": 1, "failures": (("six", "404"),)}
    past = add(book, *(good(at, **failing) for at in (1000, 1120, 1240)))
    (row,) = past.runs
    assert row.repeated == 2
    changed = add(book, good(1360, added=1, **failing)).runs
    assert len(changed) == 2, "a run that changed something has its own row"


def test_the_runs_are_bounded(book: History) -> None:
    past = add(book, *(good(float(at), added=1) for at in range(RUNS_KEPT + 20)))
    assert len(past.runs) == RUNS_KEPT
    assert past.runs[0].started == RUNS_KEPT + 19
    assert book.past(runs=3, days=1).runs == past.runs[:3]


def test_sizes_are_kept_by_day_and_what_is_unknown_stays(book: History) -> None:
    add(book, good(1), size=Size(1, 2, 3, 4, 5), day="2026-11-26")
    add(book, good(2), size=Size(1, 2, 30, 4, 5), day="2026-11-26")
    past = add(book, bad(3), size=Size(free=2, total=5), day="2026-11-27")
    assert past.days == (("2026-11-26", Size(1, 2, 30, 4, 5)), ("2026-11-27", Size(1, 2, 30, 2, 5)))
    assert past.size == Size(1, 2, 30, 2, 5)


def test_the_days_are_bounded(book: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "DAYS_KEPT", 3)
    for day in range(10, 16):
        add(book, good(1), size=Size(bytes=day), day=f"2026-11-{day}")
    assert [day for day, _ in book.past(runs=1, days=99).days] == ["2026-11-13", "2026-11-14", "2026-11-15"]


def test_the_interval_is_the_usual_one(book: History) -> None:
    assert add(book, good(0), good(120), good(240)).interval is None, "too few to tell"
    assert add(book, good(250), good(370), good(490), good(40000)).interval == 120


def test_a_killed_transaction_leaves_nothing(book: History, tmp_path: Path) -> None:
    add(book, good(1, added=1))

    def killed() -> None:
        with book.transaction():
            book.add(good(2, added=1), Size(bytes=9), "2026-11-28")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert [run.started for run in history.read(str(tmp_path)).runs] == [1]


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert history.read(str(tmp_path)) == Past()
    assert os.listdir(tmp_path) == []


def test_reading_works_while_another_writes(book: History, tmp_path: Path) -> None:
    add(book, good(1, added=1))
    with book.transaction():
        book.add(good(2, added=1), Size(), "2026-11-28")
        assert [run.started for run in history.read(str(tmp_path)).runs] == [1]


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be taken for one" * 9, b"SQLite format 3\0" * 99]
)
def test_a_damaged_one_is_told_and_can_be_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "history").write_bytes(content)
    with pytest.raises(DamagedError, match="history"):
        History(str(tmp_path))
    with pytest.raises(DamagedError):
        history.read(str(tmp_path))
    history.begin_anew(str(tmp_path))
    assert History(str(tmp_path)).past(runs=1, days=1) == Past()


@pytest.mark.parametrize("key", ["last", "good", "size", "starts"])
def test_garbage_in_a_value_is_damage(book: History, key: str) -> None:
    add(book, good(1))
    with book.transaction():
        book.put(key, '{"half')
    with pytest.raises(DamagedError):
        book.past(runs=1, days=1)


def test_a_newer_one_is_left_alone(book: History, tmp_path: Path) -> None:
    book._query("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="version 99") as caught:
        History(str(tmp_path))
    assert not isinstance(caught.value, DamagedError)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "history").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="symbolic link"):
        History(str(tmp_path))
    assert not (tmp_path / "elsewhere").exists()
