from __future__ import annotations

import pytest
from bandersnatch import plots
from hypothesis import given
from hypothesis import strategies as st


@given(st.floats(0, 1e15, allow_nan=False))
def test_a_round_number_is_not_below_and_not_twice_as_much(value: float) -> None:
    assert value <= plots.nice(value) <= max(2 * value, 1) + 1


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 1), (1, 1), (7, 8), (11, 15), (99, 100), (101, 150), (10**6, 10**6)]
)
def test_round_numbers(value: float, expected: int) -> None:
    assert plots.nice(value) == expected


def test_bars_lie_in_order_and_long_names_are_cut() -> None:
    rows = plots.rows({"b": 50, "a": 50, "x" * 99: 100, "z": 1}, 3)
    assert [row.downloads for row in rows] == [100, 50, 50]
    assert [row.name[0] for row in rows] == ["x", "a", "b"]
    assert [row.width for row in rows] == [100, 50, 50]
    assert len(rows[0].label) < 40
    assert rows[0].name == "x" * 99
    assert plots.rows({}, 3) == plots.rows({"a": 0}, 3) == ()


def test_days_without_downloads_are_there() -> None:
    columns = plots.columns({"2026-11-26": (10, True), "2026-11-28": (5, False)})
    assert columns is not None
    assert [(one.day, one.downloads, one.complete) for one in columns.columns] == [
        ("2026-11-26", 10, True),
        ("2026-11-27", 0, True),
        ("2026-11-28", 5, False),
    ]
    assert (columns.columns[0].height, columns.top, columns.total) == (100, "10", 15)
    assert plots.columns({}) is None


def test_the_last_sixty_days_are_shown() -> None:
    columns = plots.columns({"2020-01-01": (9, True), "2026-11-28": (5, True)})
    assert columns is not None
    assert len(columns.columns) == 60
    assert columns.total == 5


def test_a_line_goes_from_edge_to_edge() -> None:
    line = plots.line([("2026-11-01", 0), ("2026-11-11", 300 << 30), ("2026-11-21", 600 << 30)])
    assert line is not None
    assert line.top == "600 GiB"
    assert line.points == "0.00,100.00 50.00,50.00 100.00,0.00"
    assert plots.line([("2026-11-01", 5)]) is None
    full = plots.line([("2026-11-01", 5), ("2026-11-02", 1000 << 30)])
    assert full is not None
    assert full.top == "1 TiB"


def test_a_long_line_is_thinned_and_ends_today() -> None:
    days = [
        (f"{year}-{month:02}-{day:02}", 5)
        for year in range(2020, 2026)
        for month in range(1, 13)
        for day in (1, 11, 21)
    ]
    line = plots.line(days)
    assert line is not None
    assert len(line.days) <= 181
    assert line.days[-1] == days[-1]
