#!/usr/bin/env python3
"""update-stats beside GoAccess and mawk, on the same synthetic log, in turn.

    benchmarks/stats.py [--megabytes 64] [--rounds 3]

The log is deterministic: User-Agents are as long as pip's; some files and agents are seen far more often than
others (Zipf); three downloads in four are of jobs that fetch the same files with the same agent again and
again; a third of the requests are for pages; a few lines are broken.

"update-stats" is the whole command with its database, from an empty one; "counting alone" is its loop over
the log. The peers only count in memory. mawk counts the very same keys (day, file, agent) and must find as
many, with two programs: fields at blanks, as such programs are often written, and fields at quotes, the
quickest that was found. GoAccess runs at its fastest: one panel, no query strings. A peer that is not
installed is left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

ENGINE = Path(__file__).resolve().parents[1] / "module_utils"
FILES, AGENTS = 20_000, 600
JOBS, FILES_OF_JOB = 1_500, 30
DAY = "23/Nov/2026"

OURS = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from bandersnatch.config import Config
from bandersnatch.stats import update_stats
directory, log, day = sys.argv[1:]
config = Config(directory=Path(directory), master="", access_log_pattern=log)
print(update_stats(config, now=datetime(2026, 11, int(day), 12, tzinfo=timezone.utc)).text())
"""

COUNTING = """
import sys
from bandersnatch.accesslog import Tally, Words
from bandersnatch.logsource import opened
tally = Tally(Words())
with opened(sys.argv[1]) as log:
    for lines, _ in log.blocks():
        tally.feed(lines)
tally.settle()
print(tally.lines)
"""

# The same keys as ours: the day, the file's name, the agent; parts of a file once a client.
MAWK_BLANKS = r"""
$6 == "\"GET" && $7 ~ /^\/packages\// && ($9 == 200 || $9 == 206) {
    parts = split($7, path, "/")
    if (path[parts] ~ /\.metadata$/) next
    match($0, /"[^"]*"$/)
    agent = substr($0, RSTART)
    if ($9 == 206 && seen[$1, $7, agent]++) next
    count[substr($4, 2, 11), path[parts], agent]++
}
END { for (key in count) { keys++; total += count[key] } print keys, total }
"""

# Of several ways, the quickest: no pattern where a comparison does, few splits.
MAWK_QUOTES = r"""
NF < 7 || $5 != " " { broken++; next }
index($2, "GET /packages/") == 1 && match($3, /^ 20[06] /) {
    parts = split(substr($2, 1, index($2, " HTTP/") - 1), path, "/")
    if (path[parts] ~ /\.metadata$/) next
    if ($3 ~ /^ 206/) {
        split($1, head, " ")
        if ((head[1], $2, $6) in seen) next
        seen[head[1], $2, $6]
    }
    count[substr($1, length($1) - 27, 11), path[parts], $6]++
}
END { for (key in count) { keys++; total += count[key] } print keys, total, broken }
"""

PANELS = (  # of GoAccess, all but REQUESTS
    *("VISITORS", "REQUESTS_STATIC", "NOT_FOUND", "HOSTS", "OS", "BROWSERS", "VISIT_TIMES", "VIRTUAL_HOSTS"),
    *("REFERRERS", "REFERRING_SITES", "KEYPHRASES", "STATUS_CODES", "REMOTE_USER", "CACHE_STATUS"),
    *("GEO_LOCATION", "MIME_TYPE", "TLS_TYPE"),
)


class Cost(NamedTuple):
    """What a command took."""

    cpu: float  # seconds, user and system
    memory: int  # bytes, at its highest
    output: str


def make_log(path: Path, size: int) -> int:
    """Write a log of `size` bytes; gives its lines."""
    pick = random.Random(381)
    files = [_file(pick, number) for number in range(FILES)]
    agents = [_agent(number) for number in range(AGENTS)]
    by_file, by_agent, by_job = (
        list(accumulate(1 / (rank + 1) for rank in range(count))) for count in (FILES, AGENTS, JOBS)
    )
    jobs = [
        (
            pick.choices(files, cum_weights=by_file, k=FILES_OF_JOB),
            pick.choices(agents, cum_weights=by_agent)[0],
        )
        for _ in range(JOBS)
    ]
    lines = written = 0
    with path.open("w") as log:
        while written < size:
            chosen = [
                (pick.choice(wanted), agent)
                for wanted, agent in pick.choices(jobs, cum_weights=by_job, k=7500)
            ]
            others = pick.choices(files, cum_weights=by_file, k=2500)
            chosen += zip(others, pick.choices(agents, cum_weights=by_agent, k=2500), strict=True)
            pick.shuffle(chosen)
            # The day's seconds pass as the log grows, whatever its size.
            text = "".join(_line(pick, *one, at=min(86_399, written * 86_400 // size)) for one in chosen)
            log.write(text)
            written += len(text)
            lines += 10_000
    return lines


def _file(pick: random.Random, number: int) -> str:
    digest = f"{pick.getrandbits(256):064x}"
    name = f"project_{number % 4000}-{number % 7}.{number % 13}.{number % 5}-py3-none-any.whl"
    return f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{name}"


def _agent(number: int) -> str:
    if number % 5 == 4:
        return f"uv/0.{number % 10}.{number}"
    text = (
        f'pip/2{number % 5}.{number % 4} {{"ci":null,"cpu":"x86_64","distro":{{"id":"bookworm","libc":'
        f'{{"lib":"glibc","version":"2.{number % 9 + 30}"}},"name":"Debian GNU/Linux","version":"12"}},'
        f'"implementation":{{"name":"CPython","version":"3.{number % 7 + 8}.{number}"}},"installer":'
        f'{{"name":"pip","version":"2{number % 5}.{number % 4}"}},"openssl_version":"OpenSSL 3.0.15",'
        f'"python":"3.{number % 7 + 8}.{number}","setuptools_version":"66.1.1","system":'
        f'{{"name":"Linux","release":"6.1.0-{number % 30}-amd64"}}}}'
    )
    return text.replace('"', r"\x22")


def _line(pick: random.Random, file: str, agent: str, at: int) -> str:
    head = f"192.0.2.{pick.randrange(250)} - - [{DAY}:{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02} +0000]"
    kind = pick.random()
    if kind < 0.60:
        return f'{head} "GET {file} HTTP/1.1" 200 {pick.randrange(10**6)} "-" "{agent}"\n'
    if kind < 0.90:
        return f'{head} "GET /simple/{file[81:]}/ HTTP/1.1" {pick.choice((200, 304))} 4711 "-" "{agent}"\n'
    if kind < 0.96:
        return f'{head} "GET {file}.metadata HTTP/2.0" 200 4711 "-" "{agent}"\n'
    if kind < 0.98:
        return f'{head} "GET {file} HTTP/1.1" 206 65536 "-" "{agent}"\n'
    if kind < 0.9999:
        return f'{head} "GET /wp-login.php HTTP/1.1" 404 153 "-" "Mozilla/5.0"\n'
    return f'{head} "GET {file}\n'


def run(command: Sequence[str], **environment: str) -> Cost:
    """Run a command and measure it."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, env={**os.environ, **environment})
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{command[0]} failed: {os.waitstatus_to_exitcode(status)}")
        output.seek(0)
        return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output.read().strip())


def ours(log: Path, directory: Path, day: int = 23) -> Cost:
    """update-stats; on the log's own day it counts, two days later it writes the day's files too."""
    return run([sys.executable, "-c", OURS, str(directory), str(log), str(day)], PYTHONPATH=str(ENGINE))


def counted(directory: Path) -> str:
    """Distinct keys and downloads in our database."""
    with sqlite3.connect(directory / "stats.sqlite") as database:
        keys, total = database.execute("SELECT COUNT(*), SUM(count) FROM download").fetchone()
    return f"{keys} {total}"


def main() -> None:
    """Make the log, run all in turn, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--megabytes", type=int, default=64, help="of the log; 500 and 2000 are the full sizes"
    )
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bandersnatch-bench-") as name:
        measure(Path(name), arguments.megabytes * 10**6, arguments.rounds)


def measure(work: Path, size: int, rounds: int) -> None:
    """The table for a log of `size` bytes."""
    log = work / "access.log"
    with ProcessPoolExecutor(1) as pool:  # of its own: the memory of this one counts for each command
        lines = pool.submit(make_log, log, size).result()
    panels = [f"--ignore-panel={panel}" for panel in PANELS]
    quick = ["--no-global-config", "--log-format=COMBINED", "--no-query-string", "--no-progress"]
    peers = {
        "mawk at quotes": ["mawk", "-F", '"', MAWK_QUOTES, str(log)],
        "mawk at blanks": ["mawk", MAWK_BLANKS, str(log)],
        "goaccess": ["goaccess", str(log), *quick, *panels, "-o", str(work / "goaccess.json")],
    }
    for peer in [peer for peer, command in peers.items() if shutil.which(command[0]) is None]:
        print(f"{peer} is not installed: left out")
        del peers[peer]
    costs: dict[str, list[Cost]] = {}
    for turn in range(rounds):
        directory = work / f"mirror{turn}"
        directory.mkdir()
        alone = [sys.executable, "-c", COUNTING, str(log)]
        costs.setdefault("update-stats", []).append(ours(log, directory))
        costs.setdefault("counting alone", []).append(run(alone, PYTHONPATH=str(ENGINE)))
        for peer, command in peers.items():
            costs.setdefault(peer, []).append(run(command, LC_ALL="C"))
            counts = costs[peer][-1].output
            if command[0] == "mawk" and not f"{counts} ".startswith(f"{counted(directory)} "):
                raise SystemExit(f"{peer} counts {counts}, update-stats {counted(directory)}")
        costs.setdefault("again, nothing new", []).append(ours(log, directory))
        costs.setdefault("the day's files", []).append(ours(log, directory, day=25))
    keys = int(counted(work / "mirror0").split()[0])
    print(f"{lines:,} lines, {size / 1e6:.0f} MB, {keys:,} distinct (file, agent) pairs; ", end="")
    print(f"{os.cpu_count()} CPUs, Python {platform.python_version()}, median of {rounds}")
    print_table(costs, lines, tuple(peers))


def print_table(costs: dict[str, list[Cost]], lines: int, peers: Sequence[str]) -> None:
    """One line for each command, and how many times as fast as the peers ours is."""
    cpu = {what: statistics.median(cost.cpu for cost in all_costs) for what, all_costs in costs.items()}
    print(f"{'':20} {'CPU s':>8} {'lines/CPU s':>12} {'MB peak':>8}  times as fast as")
    for what, all_costs in costs.items():
        memory = statistics.median(cost.memory for cost in all_costs) / 1e6
        is_whole = what in ("update-stats", "counting alone")
        speed = f"{lines / cpu[what]:,.0f}" if is_whole or what in peers else ""
        ratios = [f"{peer} {cpu[peer] / cpu[what]:.2f}" for peer in peers if is_whole]
        print(f"{what:20} {cpu[what]:8.2f} {speed:>12} {memory:8.0f}  {', '.join(ratios)}".rstrip())


if __name__ == "__main__":
    main()
