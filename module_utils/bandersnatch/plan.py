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
    replace: list[str]  # paths in `fetch` whose served file has another hash
    drop: list[str]  # paths that the page no longer links
    clash: list[str]  # paths that belong to another project: a file has one owner


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
    decision = Decision([], [], [], [], list(rows), [])
    wanted = set()
    for blob in blobs:
        path = blob.path
        row = rows.get(path)
        if row is None and taken(path):
            decision.clash.append(path)
            continue
        wanted.add(path)
        there = size_of(path)
        other = row is not None and row.verified and blob.digest not in {"", row.digest}
        if there < 0 or other or (blob.size >= 0 and there != blob.size):
            decision.fetch.append(blob)
            if there >= 0 and row is not None and other:
                decision.replace.append(path)
        elif row is None or force or not row.verified or there != row.size:
            decision.check.append(blob)
        else:
            decision.keep.append(row)
    decision.drop[:] = [path for path in rows if path not in wanted]
    return decision


def bytes_to_fetch(decisions: Iterable[Decision]) -> int:
    """The bytes that these decisions will bring, as far as the index states sizes."""
    return sum(blob.size for decision in decisions for blob in decision.fetch if blob.size > 0)


def guard(removals: Sequence[str], mirrored: int, most: int, percent: float) -> None:
    """Refuse to remove more than `most` projects and `percent` of the mirror, or all of it.

    Raises GuardError, which names the first ones and the way to let it through.
    """
    count = len(removals)
    too_many = count > most and count > mirrored * percent / 100
    everything = count == mirrored and count > 1
    if not (too_many or everything):
        return
    names = ", ".join(removals[:_NAMED]) + (f" and {count - _NAMED} more" if count > _NAMED else "")
    raise GuardError(
        f"refused to remove {count} of {mirrored} projects: {names}. Nothing was changed. If upstream or the "
        f"filters really mean it, run once with --allow-removals (limits: max-removals = {most} and "
        f"max-removals-percent = {percent:g})"
    )


def next_check(name: str, now: int, period: int, first: bool) -> int:
    """POSIX seconds at which a page is read again though nothing new is said of it.

    A first turn comes after an eighth of the period at the soonest and a whole one at the latest, at a place
    that the name decides: so the turns of a mirror made in one go are spread evenly.
    """
    if not first:
        return now + period
    # a small multiplicative hash: the same in every process, unlike hash()
    place = sum((index + 1) * 2654435761 * ord(letter) for index, letter in enumerate(name)) % 1024
    return now + period // 8 + (period - period // 8) * place // 1024
