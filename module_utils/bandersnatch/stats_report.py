"""The statistics as files under web/local-stats/: rendered deterministically, placed atomically.

`days/YYYY-MM-DD.bz2` is PEP 381's: package, filename, useragent, count. The JSON beside it says the same by
project, with what the User-Agents mean in their place. `summary.json` runs along.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from itertools import groupby

from .files import opener, read_chunks, storage_error
from .stats_store import KINDS, Day, Fetched, StatsStore
from .useragent import Agent

HEADER = "# package,filename,useragent,count\n"
SCHEMA = 1
GRACE = timedelta(hours=1)  # nginx logs an answer when it ends, and may write its log in batches
RECENT_DAYS = 30
_MOST_PROJECTS = 100  # of the summary; the days' files have them all
_MOST_VALUES = 100  # installers, Pythons, systems: there are fewer
_CHUNK = 1 << 16

_PLURALS = {"project": "projects", "installer": "installers", "python": "pythons", "system": "systems"}


def is_complete(day: date, now: datetime) -> bool:
    """Whether a UTC day is over, and its last lines logged. Later ones have its files written again."""
    end = datetime.combine(day + timedelta(days=1), time(), timezone.utc)
    return now >= end + GRACE


# Rendering


def render_csv(fetched: Iterable[Fetched]) -> Iterator[bytes]:
    """A day as PEP 381 has it, not yet compressed."""
    text = io.StringIO()
    text.write(HEADER)
    writer = csv.writer(text, lineterminator="\n")
    for release, agents in fetched:
        counts: Counter[str] = Counter()
        for agent, _, count in agents:
            counts[agent] += count
        for agent, count in sorted(counts.items()):
            writer.writerow((release.project, release.filename, agent, count))
        if text.tell() >= _CHUNK:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """bzip2, at its best: the same bytes for the same content."""
    compressor = bz2.BZ2Compressor(9)
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


def render_day(day: Day, totals: dict[str, dict[str, int]], fetched: Iterable[Fetched]) -> Iterator[bytes]:
    """A day by project: versions, files, installers, Pythons, systems. One line a project."""
    head = {"schema": SCHEMA, "day": day.day.isoformat(), "downloads": day.downloads, **totals}
    yield _json(head)[:-1].encode() + b',\n"projects": {'
    separator = "\n"
    for project, files in groupby(fetched, key=lambda one: one.release.project):
        yield f"{separator}{_json(project)}: {_json(_project(files))}".encode()
        separator = ",\n"
    yield b"\n}}\n"


def _project(files: Iterable[Fetched]) -> dict[str, object]:
    versions: dict[str, dict[str, int]] = {}
    says: Counter[Agent] = Counter()
    for release, agents in files:
        for _, agent, count in agents:
            says[agent] += count
        versions.setdefault(release.version, {})[release.filename] = sum(agent[2] for agent in agents)
    facets: dict[str, Counter[str]] = {_PLURALS[kind]: Counter() for kind in Agent._fields}
    for agent, count in says.items():
        for kind, value in agent._asdict().items():
            facets[_PLURALS[kind]][value] += count
    parts = {
        version: {"downloads": sum(names.values()), "files": names} for version, names in versions.items()
    }
    return {"downloads": sum(says.values()), "versions": parts, **facets}


def render_summary(store: StatsStore, now: datetime) -> bytes:
    """All days, and what was fetched most in the last 30 of them."""
    days = store.days()
    last = min(days[-1].day, now.date()) if days else now.date()
    first = last - timedelta(days=RECENT_DAYS - 1)
    recent: dict[str, object] = {"first": first.isoformat(), "last": last.isoformat()} if days else {}
    for kind in KINDS:
        limit = _MOST_PROJECTS if kind == "project" else _MOST_VALUES
        recent[_PLURALS[kind]] = dict(store.sums(kind, first, last, limit))
    summary = {
        "schema": SCHEMA,
        "downloads": sum(day.downloads for day in days),
        "days": {
            day.day.isoformat(): {"downloads": day.downloads, "complete": is_complete(day.day, now)}
            for day in days
        },
        "recent": recent,
    }
    return (json.dumps(summary, indent=1, ensure_ascii=False) + "\n").encode()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# Placing


class Report:
    """Brings the files under `<web>/local-stats/` in line with the database."""

    def __init__(self, store: StatsStore, web: str, part: str, now: datetime, *, dry: bool) -> None:
        """`part`: the temporary file, on the same file system, outside of `web`."""
        self._store = store
        self._root = f"{web}/local-stats"
        self._part = part
        self._now = now
        self._dry = dry

    def write_days(self) -> tuple[list[str], list[str]]:
        """Write the files of complete days that lack counts, or are lost.

        Gives the days that changed, and those left alone because another program wrote their file: it may
        know of lines that are gone from the logs.
        """
        written, kept = [], []
        for day in self._store.days():
            paths = [f"{self._root}/days/{day.day.isoformat()}{ending}" for ending in (".bz2", ".json")]
            missing = not all(map(os.path.lexists, paths))
            if not is_complete(day.day, self._now) or not (day.stale or missing):
                continue
            if not day.ours and os.path.lexists(paths[0]):
                if day.stale:  # said once
                    kept.append(day.day.isoformat())
                    self._store.mark(day.day, stale=False, ours=False)
            elif self._write_day(day, *paths):
                written.append(day.day.isoformat())
        return written, kept

    def write_summary(self) -> bool:
        """Write summary.json; True where it changed."""
        return self._place(f"{self._root}/summary.json", [render_summary(self._store, self._now)])

    def _write_day(self, day: Day, table: str, document: str) -> bool:
        # Said before the files are there: else a run killed in between would take them for another program's.
        self._store.mark(day.day, stale=True, ours=True)
        changed = self._place(table, compressed(render_csv(self._store.fetched(day.day))))
        totals = {
            _PLURALS[kind]: dict(self._store.sums(kind, day.day, day.day, _MOST_VALUES))
            for kind in Agent._fields
        }
        changed |= self._place(document, render_day(day, totals, self._store.fetched(day.day)))
        self._store.mark(day.day, stale=False, ours=True)
        return changed

    def _place(self, path: str, chunks: Iterable[bytes]) -> bool:
        """Put a file in its place if its content differs; True where it does."""
        try:
            if self._dry:
                return not _equals(path, chunks)
            with open(self._part, "wb", opener=opener) as file:
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
            if _equals(path, read_chunks(self._part)):
                os.unlink(self._part)
                return False
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.rename(self._part, path)
            _sync(os.path.dirname(path))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(self._part)  # it may be what fills the volume
            raise storage_error(path, error) from error
        return True


def _equals(path: str, chunks: Iterable[bytes]) -> bool:
    """Whether a file holds exactly these bytes."""
    try:
        with open(path, "rb") as file:
            return all(file.read(len(chunk)) == chunk for chunk in chunks) and not file.read(1)
    except FileNotFoundError:
        return False


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
