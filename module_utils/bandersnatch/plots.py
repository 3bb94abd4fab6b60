"""Numbers to the geometry of plots: what the page's template draws as SVG. Pure.

Text in a drawing that is scaled to a phone's width cannot be read. A plot is as wide as the page: positions
are per cent of that, text and heights are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from .summary import human_bytes

_LABEL = 34  # characters of a name that fit beside its number on a phone
_DAYS = 60
_POINTS = 180  # of a line
_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


class Row(NamedTuple):
    """A bar that lies."""

    name: str
    label: str  # the name, cut where it is too long
    downloads: int
    width: float  # per cent


class Column(NamedTuple):
    """A bar that stands. Of a drawing 100 high, as wide as there are columns."""

    day: str
    downloads: int
    height: float
    complete: bool


class Columns(NamedTuple):
    """A plot of days."""

    columns: tuple[Column, ...]
    top: str  # what the upper edge stands for
    total: int


class Line(NamedTuple):
    """A plot of sizes over time. `points` of a drawing 100 by 100."""

    days: tuple[tuple[str, int], ...]
    points: str
    area: str
    top: str


def rows(values: Mapping[str, int], limit: int) -> tuple[Row, ...]:
    """The biggest values as lying bars."""
    most = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:limit]
    top = max((count for _, count in most), default=0)
    return tuple(
        Row(
            name,
            name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}…",
            count,
            round(100 * count / top, 2),
        )
        for name, count in most
        if top
    )


def columns(days: Mapping[str, tuple[int, bool]]) -> Columns | None:
    """Counts of days, of which each has (count, is it complete), as standing bars; days without are zero."""
    if not days:
        return None
    last = date.fromisoformat(max(days))
    first = max(date.fromisoformat(min(days)), last - timedelta(days=_DAYS - 1))
    span = [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]
    found = [(day, *days.get(day, (0, True))) for day in span]
    ceiling = nice(max(count for _, count, _ in found))
    return Columns(
        tuple(Column(day, count, round(100 * count / ceiling, 2), whole) for day, count, whole in found),
        f"{ceiling:,}",
        sum(count for _, count, _ in found),
    )


def line(days: Sequence[tuple[str, int]]) -> Line | None:
    """Sizes in bytes over time, from zero up; None where there are fewer than two days."""
    if len(days) < 2:
        return None
    thinned = _thinned(days)
    first, last = _number(days[0][0]), _number(days[-1][0])
    ceiling = _nice_bytes(max(size for _, size in days))
    spots = [
        (100 * (_number(day) - first) / (last - first), 100 - 100 * size / ceiling) for day, size in thinned
    ]
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in spots)
    return Line(tuple(thinned), points, f"0,100 {points} 100,100", human_bytes(ceiling).replace(".0 ", " "))


def nice(value: float) -> int:
    """The next round number that is not below `value`: 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, ..."""
    if value <= 1:
        return 1
    power = int(10 ** (len(str(math.ceil(value))) - 1))
    return math.ceil(next(step * power for step in _STEPS if step * power >= value))


def _nice_bytes(size: int) -> int:
    """The same in binary units: 300 GiB, 400 GiB, ..., 800 GiB, 1 TiB."""
    unit = 1
    while size >= 1024 * unit:
        unit *= 1024
    upper = nice(size / unit)
    return unit * (1024 if upper >= 1000 else upper)


def _thinned(days: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    step = math.ceil(len(days) / _POINTS)
    kept = list(days[::step])
    return kept if kept[-1] == days[-1] else [*kept, days[-1]]


def _number(day: str) -> int:
    return date.fromisoformat(day).toordinal()
