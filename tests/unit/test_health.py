from __future__ import annotations

import os
from pathlib import Path

from bandersnatch import health
from bandersnatch.health import DIGITS, GRAIN, cover
from hypothesis import given
from hypothesis import strategies as st

TIMES = st.integers(1_000_000_000, 9_999_999_999)  # ten digits: until the year 2286


def found(names: set[str], second: int) -> bool:
    """What nginx does: it looks for each beginning of the time."""
    return any(str(second)[:-digits] in names for digits in DIGITS)


@given(TIMES, st.integers(0, 400_000), st.data())
def test_every_second_within_the_limit_is_covered(now: int, limit: int, data: st.DataObject) -> None:
    names = cover(now, now + limit)
    assert found(names, now)
    assert found(names, now + limit)
    assert found(names, data.draw(st.integers(now, now + limit)))


@given(TIMES, st.integers(0, 400_000), st.data())
def test_none_is_covered_outside_of_it(now: int, limit: int, data: st.DataObject) -> None:
    names = cover(now, now + limit)
    after = now + limit + GRAIN
    assert not found(names, data.draw(st.integers(after, max(after, 9_999_999_999))))
    assert not found(names, data.draw(st.integers(999_000_000, now - GRAIN)))


@given(TIMES, st.integers(0, 86_400 * 366))
def test_it_takes_few_names(now: int, limit: int) -> None:
    assert len(cover(now, now + limit)) <= 6 * 9 + limit // 10 ** DIGITS[-1] + 2


def test_short_ones_second_by_second() -> None:
    for start in (1_795_827_190, 1_795_829_999, 1_799_999_950):
        names = cover(start, start + 3_000)
        covered = [second for second in range(start - 500, start + 4_000) if found(names, second)]
        assert covered == list(range(start // 100 * 100, (start + 3_000) // 100 * 100 + 100))


def test_the_files_follow_the_last_good_sync(tmp_path: Path) -> None:
    health.mark(str(tmp_path), 1_795_827_190.7, 3_600)
    folder = tmp_path / "health"
    assert set(os.listdir(folder)) == cover(1_795_827_190, 1_795_830_790)
    kept = folder / "1795828"
    inode = kept.stat().st_ino
    health.mark(str(tmp_path), 1_795_827_490.2, 3_600)
    assert set(os.listdir(folder)) == cover(1_795_827_490, 1_795_831_090)
    assert kept.stat().st_ino == inode, "what is right is not written again"
    assert kept.read_text() == "ok\n"
    assert kept.stat().st_mode & 0o777 == 0o644
