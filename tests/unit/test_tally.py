"""What counts as added, updated and failed."""

from __future__ import annotations

from typing import Any

from bandersnatch.apply import Work
from bandersnatch.model import Blob
from bandersnatch.plan import Decision
from bandersnatch.progress import Progress
from bandersnatch.state import Due
from bandersnatch.summary import Summary
from bandersnatch.tally import Tally
from bandersnatch.worker import PageAnswer

BLOB = Blob("packages/aa/bb/cc/six-1.0.tar.gz", "https://files.example.org/six", "sha256:1", 7, 0)


def work(name: str = "six", known: bool = True, **changes: Any) -> Work:
    decision = Decision([], [], [], [], [], {}, set(), set())
    made = Work(Due(name, name, 1, known, None), PageAnswer(name, "new"), decision)
    for field, value in changes.items():
        setattr(made, field, value)
    return made


def tallied(*works: Work, planned: bool = False) -> Summary:
    tally = Tally(Progress())
    for one in works:
        (tally.plan if planned else tally.count)(one)
    return tally.summary(serial=1, projects=2, dry_run=planned, interrupted=False, seconds=0.0)


def test_a_new_project_is_added_even_without_files() -> None:
    assert tallied(work(known=False)).added == ("six",)


def test_a_page_that_stayed_is_no_update() -> None:
    done = tallied(work())
    assert done.updated == ()
    assert not done.changed


def test_a_new_page_is_an_update() -> None:
    assert tallied(work(staged=True)).updated == ("six",)


def test_a_repaired_file_is_an_update() -> None:
    done = tallied(work(parts=[("part", BLOB.path)], placed=7))
    assert (done.updated, done.files_added, done.bytes_added) == (("six",), 1, 7)


def test_a_dropped_file_is_an_update() -> None:
    one = work()
    one.decision.drop.append(BLOB.path)
    done = tallied(one)
    assert (done.updated, done.files_removed) == (("six",), 1)


def test_a_file_that_did_not_come_is_no_update() -> None:
    one = work(reasons=["six-1.0.tar.gz: 404"], missing=[BLOB.path])
    one.decision.fetch.append(BLOB)
    done = tallied(one)
    assert done.updated == ()
    assert done.failures == (("six", "six-1.0.tar.gz: 404"),)
    assert done.exit_code == 3


def test_a_dry_run_counts_what_would_be_fetched() -> None:
    one = work()
    one.decision.fetch.append(BLOB)
    done = tallied(one, planned=True)
    assert (done.updated, done.files_added, done.bytes_added) == (("six",), 1, 7)


def test_unknown_sizes_do_not_count_as_bytes() -> None:
    one = work()
    one.decision.fetch.append(BLOB._replace(size=-1))
    assert tallied(one, planned=True).bytes_added == 0


def test_a_broken_project_changes_nothing() -> None:
    one = work(known=False, broken=True, staged=True, reasons=["no answer"], parts=[("part", BLOB.path)])
    done = tallied(one)
    assert not done.changed
    assert done.failures == (("six", "no answer"),)


def test_reasons_are_joined_and_kept_on_one_line() -> None:
    done = tallied(work(reasons=["first\nline", "second"]))
    assert done.failures == (("six", "first\\nline; second"),)


def test_names_come_in_order() -> None:
    done = tallied(*(work(name, known=False) for name in "cab"), *(work(name, staged=True) for name in "zy"))
    assert (done.added, done.updated) == (("a", "b", "c"), ("y", "z"))
