"""The results as Markdown, ready for the README."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from bench import Cost
from contenders import OURS, REPOSITORY, Contender
from phases import Row
from webserver import NGINX

_HEAD = """
| phase | who | wall s | CPU s | peak MB | requests | MB received | wall / ours | CPU / ours |
|---|---|--:|--:|--:|--:|--:|--:|--:|"""
_GROWTH = """
| pages only, ours | wall s | CPU s | CPU us a project | peak MB |
|---|--:|--:|--:|--:|"""


def table(rows: Sequence[Row], who: Sequence[Contender], repeat: int, circumstances: str) -> str:
    """All of it; `circumstances` are those of `where`."""
    programs = ", ".join(f"{one.name} ({one.version})" for one in who)
    lines = [f"{circumstances}; median of {repeat}; {programs}; {_nginx()} on loopback."]
    grown = [row for row in rows if row.projects]
    compared = [row for row in rows if not row.projects]
    if compared:
        lines.append(_HEAD)
    ours: Cost | None = None
    phase = ""
    for row in compared:
        cost = _median(row.costs)
        ours = cost if row.contender == OURS else ours
        ratios = " | " if row.contender == OURS or ours is None else _ratios(cost, ours)
        first = row.phase if row.phase != phase else ""
        phase = row.phase
        numbers = f"{cost.wall:.2f} | {cost.cpu:.2f} | {cost.memory / 1e6:.0f} | {cost.requests:,}"
        lines.append(f"| {first} | {row.contender} | {numbers} | {cost.received / 1e6:,.1f} | {ratios} |")
    if grown:
        lines.append(_GROWTH)
    for row in grown:
        cost = _median(row.costs)
        numbers = f"{cost.wall:.2f} | {cost.cpu:.2f} | {cost.cpu / row.projects * 1e6:,.0f}"
        lines.append(f"| {row.projects:,} projects | {numbers} | {cost.memory / 1e6:.0f} |")
    return "\n".join(lines) + "\n"


def _median(costs: Sequence[Cost]) -> Cost:
    middle: Callable[[int], float] = lambda field: statistics.median(cost[field] for cost in costs)  # noqa: E731
    return Cost(middle(0), middle(1), round(middle(2)), round(middle(3)), round(middle(4)))


def _ratios(cost: Cost, ours: Cost) -> str:
    return f"{cost.wall / ours.wall:.2f} | {cost.cpu / ours.cpu:.2f}"


def where(directory: Path, command: str) -> str:
    """Command, date, machine, as the benchmark begins; `directory` is where it works."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"`{command}`, {now}, commit {_commit()}; {os.cpu_count()} CPUs ({_processor()}), {memory:.0f} GiB, "
        f"{volume(directory)}, Linux {platform.release()}, load average {os.getloadavg()[0]:.1f} at the start"
    )


def volume(directory: Path) -> str:
    """The kind of file system that a directory is on; of ext4, whether it lacks a journal."""
    command = ["findmnt", "--noheadings", "--output", "FSTYPE,SOURCE", "--target", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    kind, _, source = done.stdout.strip().partition(" ")
    journals = Path("/proc/fs/jbd2").glob(f"{Path(source.strip()).name}-*")
    return f"{kind} without a journal" if kind == "ext4" and not any(journals) else kind


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _nginx() -> str:
    done = subprocess.run([NGINX or "nginx", "-v"], capture_output=True, text=True, check=False)
    return done.stderr.rpartition(" ")[2].strip()
