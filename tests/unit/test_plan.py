"""What is fetched, kept and removed: examples, and the property that any start ends as the page says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from bandersnatch import plan
from bandersnatch.errors import GuardError
from bandersnatch.model import Blob
from bandersnatch.state import Row
from hypothesis import given, settings
from hypothesis import strategies as st

PATH = "packages/aa/bb/cc/six-1.0.tar.gz"
DAY = 86400


def blob(path: str = PATH, digest: str = "sha256:new", size: int = 3) -> Blob:
    return Blob(path, f"https://files.example.org/{path}", digest, size, 0)


def row(path: str = PATH, digest: str = "sha256:new", size: int = 3, verified: bool = True) -> Row:
    return Row(path, digest, size, verified)


def decide(
    blobs: list[Blob],
    rows: list[Row] | None = None,
    sizes: Mapping[str, int] | None = None,
    taken: tuple[str, ...] = (),
    force: bool = False,
) -> plan.Decision:
    by_path = {one.path: one for one in rows or []}
    there = {path: one.size for path, one in by_path.items()} if sizes is None else sizes
    return plan.decide(blobs, by_path, lambda path: there.get(path, -1), taken.__contains__, force)


def test_a_file_that_is_known_and_there_is_kept() -> None:
    decision = decide([blob()], [row()])
    assert decision.keep == [row()]
    assert [*decision.fetch, *decision.check, *decision.drop, *decision.clash] == []


def test_a_file_that_is_not_there_is_fetched() -> None:
    assert decide([blob()]).fetch == [blob()]


def test_a_file_that_was_lost_is_fetched() -> None:
    assert decide([blob()], [row()], sizes={}).fetch == [blob()]


def test_a_file_of_the_wrong_size_is_fetched() -> None:
    assert decide([blob()], [row()], sizes={PATH: 2}).fetch == [blob()]


def test_a_file_nobody_knows_is_looked_at_first() -> None:
    assert decide([blob()], sizes={PATH: 3}).check == [blob()]


def test_a_file_taken_over_is_looked_at_first() -> None:
    assert decide([blob()], [row(digest="", size=-1, verified=False)], sizes={PATH: 3}).check == [blob()]


def test_a_file_with_another_hash_is_looked_at_first() -> None:
    """A killed run may have replaced it already, and another algorithm may say the same."""
    assert decide([blob()], [row(digest="sha256:old")]).check == [blob()]


def test_a_file_without_a_stated_hash_is_not_looked_at_again() -> None:
    assert decide([blob(digest="", size=-1)], [row()]).keep == [row()]


def test_with_force_every_file_is_looked_at() -> None:
    assert decide([blob()], [row()], force=True).check == [blob()]


def test_a_file_that_the_page_no_longer_links_is_dropped() -> None:
    assert decide([], [row()]).drop == [PATH]


def test_a_path_of_another_project_is_left_to_it() -> None:
    decision = decide([blob()], taken=(PATH,), sizes={PATH: 3})
    assert decision.clash == [PATH]
    assert [*decision.fetch, *decision.check, *decision.drop] == []


def test_only_stated_sizes_count_as_bytes_to_fetch() -> None:
    decision = decide([blob(size=5), blob("packages/aa/bb/cc/other", size=-1)])
    assert plan.bytes_to_fetch([decision, decision]) == 10


CONTENTS = st.sampled_from([b"", b"a", b"b", b"aa"])
PATHS = [f"packages/aa/bb/{folder}/file-{number}" for folder in "xy" for number in range(3)]


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{content.hex()}"


@st.composite
def starts(draw: st.DrawFn) -> tuple[dict[str, bytes], dict[str, Row], set[str]]:
    """Any disk, and rows that are true, outdated in a way that a size shows, or unverified."""
    disk = draw(st.dictionaries(st.sampled_from(PATHS), CONTENTS))
    rows = {}
    for path in draw(st.sets(st.sampled_from(PATHS))):
        content = disk.get(path)
        kind = draw(st.sampled_from(["true", "outdated", "unverified"]))
        if kind == "unverified":
            rows[path] = Row(path, draw(st.sampled_from(["", digest(b"a")])), -1, False)
        elif kind == "outdated" or content is None:
            size = draw(st.integers(0, 3).filter(lambda size, now=content: now is None or size != len(now)))
            rows[path] = Row(path, digest(bytes(size)), size, True)
        else:
            rows[path] = Row(path, digest(content), len(content), True)
    others = draw(st.sets(st.sampled_from(PATHS))) - set(rows)
    return disk, rows, others


@st.composite
def pages(draw: st.DrawFn) -> dict[str, tuple[Blob, bytes]]:
    """What a page links, and what upstream has there."""
    page = {}
    for path in draw(st.sets(st.sampled_from(PATHS))):
        content = draw(CONTENTS)
        stated = draw(st.sampled_from([digest(content), digest(content, "sha512"), ""]))
        page[path] = blob(path, stated, draw(st.sampled_from([len(content), -1]))), content
    return page


def right(content: bytes | None, wanted: Blob) -> bool:
    return content is not None and wanted.digest in {"", digest(content), digest(content, "sha512")}


def carry_out(
    decision: plan.Decision, page: dict[str, tuple[Blob, bytes]], disk: dict[str, bytes]
) -> dict[str, Row]:
    """What the workers and the committer do with a decision."""
    rows = {one.path: one for one in decision.keep}
    for wanted in decision.check + decision.fetch:
        path = wanted.path
        moved = decision.moved.get(path, path)
        if wanted in decision.check and right(disk.get(moved), wanted):
            disk[path] = disk[moved]
        else:
            disk[path] = page[path][1]
        rows[path] = Row(path, wanted.digest or digest(disk[path]), len(disk[path]), True)
    for path in decision.drop:
        disk.pop(path, None)
    return rows


@settings(deadline=None, max_examples=400)
@given(starts(), pages(), st.booleans())
def test_carrying_out_a_decision_gives_what_the_page_says(
    start: tuple[dict[str, bytes], dict[str, Row], set[str]],
    page: dict[str, tuple[Blob, bytes]],
    force: bool,
) -> None:
    disk, rows, others = start
    before = dict(disk)
    blobs = [wanted for wanted, _ in page.values()]

    def size_of(path: str) -> int:
        return len(disk[path]) if path in disk else -1

    decision = plan.decide(blobs, rows, size_of, others.__contains__, force)
    after = carry_out(decision, page, disk)

    ours = {path for path in page if path not in others}
    assert set(decision.clash) == set(page) - ours
    assert all(right(disk.get(path), page[path][0]) for path in ours)
    assert not (set(rows) - ours) & set(disk), "dropped files are gone"
    strangers = set(PATHS) - ours - set(rows)
    assert {path: disk.get(path) for path in strangers} == {path: before.get(path) for path in strangers}
    assert set(after) == ours

    again = plan.decide(blobs, after, size_of, others.__contains__, False)
    assert set(again.keep) == set(after.values())
    assert [*again.fetch, *again.check, *again.drop] == [], "a second run has nothing to do"


def names(count: int) -> list[str]:
    return [f"project-{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("removals", "mirrored"),
    [(0, 0), (0, 1), (1, 1), (50, 60), (50, 100_000), (1000, 100_000), (5, 6)],
)
def test_the_guard_lets_through(removals: int, mirrored: int) -> None:
    plan.guard(names(removals), mirrored, 50, 1.0)


@pytest.mark.parametrize(
    ("removals", "mirrored"), [(51, 60), (51, 5000), (1001, 100_000), (2, 2), (50, 50), (100_000, 100_000)]
)
def test_the_guard_refuses(removals: int, mirrored: int) -> None:
    with pytest.raises(GuardError, match=rf"{removals} of {mirrored} .*project-0.*--allow-removals"):
        plan.guard(names(removals), mirrored, 50, 1.0)


def test_the_guard_names_the_first_ones_only() -> None:
    with pytest.raises(GuardError, match=r"project-9 and 90 more\."):
        plan.guard(names(100), 200, 50, 1.0)


@given(st.text("abcdefgh-0123456789", min_size=1), st.integers(0, 2**33), st.integers(864, 3650 * DAY))
def test_the_next_turn_is_within_the_period_and_not_at_once(name: str, now: int, period: int) -> None:
    wait = plan.next_check(name, now, period) - now
    assert period // 8 <= wait <= period


@given(st.integers(0, 2**33))
def test_turns_are_spread_over_the_period_whenever_all_pages_were_read_at_once(now: int) -> None:
    period = 7 * DAY
    waits = [plan.next_check(name, now, period) - now for name in names(2000)]
    shares = Counter(wait * 8 // (period + 1) for wait in waits)
    assert max(shares.values()) < 2 * 2000 / 7


def test_a_turn_that_is_taken_in_time_comes_back_after_a_period() -> None:
    period, now = 7 * DAY, 1_790_000_000
    for name in names(100):
        turn = plan.next_check(name, now, period)
        turn = plan.next_check(name, turn + 1, period)  # from here on it has found its place
        following = plan.next_check(name, turn + 1, period)
        assert following - turn in range(period - 2, period + 2)


def test_turns_are_the_same_in_every_process() -> None:
    turns = [plan.next_check(name, 1_790_000_000, 7 * DAY) for name in ("six", "requests", "a")]
    assert turns == [1790582723, 1790326586, 1790274306]
