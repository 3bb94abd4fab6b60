"""Decisions, without touching anything: what a page needs, what may be removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from .errors import GuardError
from .model import Blob
from .state import Row

_NAMED = 10  # how many projects the guard names


class Decision(NamedTuple):
    """What brings the files of one project from what is there to what its new page links."""

    keep: list[Row]
    fetch: list[Blob]
    check: list[Blob]  # there, but not known to be right: hash it, fetch it if it is wrong
    drop: list[str]  # paths that the page no longer links
    clash: list[str]  # paths that belong to another project: a file has one owner
    moved: dict[str, str]  # path of a file in `check`: the path in `drop` where it lies until now
    same: set[str]  # paths in `check` of which nothing says that they changed: their size may do
    occupied: set[str]  # paths in `fetch` and `check` at which something lies


def decide(
    blobs: Iterable[Blob],
    rows: Mapping[str, Row],
    size_of: Callable[[str], int],
    taken: Callable[[str], bool],
    force: bool,
) -> Decision:
    """Compare what a page links with what is on disk.

    `rows` are the project's files by path, `size_of` the bytes of a file on disk (-1: none), `taken` whether
    a path belongs to another project; with `force` every file is checked again.
    """
    decision = Decision([], [], [], [], [], {}, set(), set())
    wanted = set()
    for blob in blobs:
        path = blob.path
        row = rows.get(path)
        if row is None and taken(path):
            decision.clash.append(path)
            continue
        wanted.add(path)
        there = size_of(path)
        if there < 0:
            decision.fetch.append(blob)
            continue
        if blob.size >= 0 and there != blob.size:
            decision.fetch.append(blob)
        elif force or row is None or not row.verified or there != row.size:
            decision.check.append(blob)
            if row is not None and row.digest == blob.digest:
                decision.same.add(path)
        elif blob.digest not in {"", row.digest}:
            # Upstream replaced it, or states another algorithm now, or a killed run has replaced it already.
            decision.check.append(blob)
        else:
            decision.keep.append(row)
            continue
        decision.occupied.add(path)
    decision.drop[:] = [path for path in rows if path not in wanted]
    if decision.drop and decision.fetch:
        _find_moved(decision, rows, size_of)
    return decision


def _find_moved(decision: Decision, rows: Mapping[str, Row], size_of: Callable[[str], int]) -> None:
    """Take what lies at another path from there: indexes laid their files out otherwise in former times."""
    dropped = {path.rpartition("/")[2]: path for path in decision.drop}
    fetch = []
    for blob in decision.fetch:
        place = dropped.get(blob.path.rpartition("/")[2], "")
        row, size = rows.get(place), size_of(place) if place else -1
        other = row is None or (row.verified and row.digest != blob.digest)
        if other or size < 0 or (blob.size not in {-1, size}) or size_of(blob.path) >= 0:
            fetch.append(blob)
        else:
            decision.check.append(blob)
            decision.moved[blob.path] = place
    decision.fetch[:] = fetch


def bytes_to_fetch(decisions: Iterable[Decision]) -> int:
    """The bytes that these decisions will bring, as far as the index states sizes."""
    return sum(blob.size for decision in decisions for blob in decision.fetch if blob.size > 0)


def guard(removals: Sequence[str], mirrored: int, most: int, percent: float, begun: bool = False) -> None:
    """Refuse to remove more than `most` projects and `percent` of the mirror, or all of it.

    `begun`: earlier waves of the run are in place. Raises GuardError, which names the first ones and the way
    to let it through.
    """
    count = len(removals)
    too_many = count > most and count > mirrored * percent / 100
    everything = count == mirrored and count > 1
    if not (too_many or everything):
        return
    names = ", ".join(removals[:_NAMED]) + (f" and {count - _NAMED} more" if count > _NAMED else "")
    state = (
        "No page was removed; what this run had brought before is in place"
        if begun
        else "Nothing was changed"
    )
    raise GuardError(
        f"refused to remove {count} of {mirrored} projects: {names}. {state}. If upstream or the "
        f"filters really mean it, run once with --allow-removals (limits: max-removals = {most} and "
        f"max-removals-percent = {percent:g})"
    )


def next_check(name: str, now: int, period: int) -> int:
    """POSIX seconds at which a page is read again though nothing new is said of it.

    Each project has its own place in the period, which its name decides: so the turns are spread evenly,
    also after a run that read all pages at once. The next turn is a period away at the latest, and an eighth
    of it at the soonest: what was just read needs no second look.
    """
    # a small multiplicative hash: the same in every process, unlike hash()
    place = sum((index + 1) * 2654435761 * ord(letter) for index, letter in enumerate(name)) % 65536
    wait = (place * period // 65536 - now) % period
    soonest = period // 8
    return now + (wait if wait >= soonest else soonest + 7 * wait)
