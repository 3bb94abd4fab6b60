#!/usr/bin/env python3
"""What the role's website costs beside a bare nginx with the same files: two servers of one nginx, in turns.

Needed: nginx, wrk, the controller's .venv (`make venv`). As root, or as the user that may read the directory.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("module_utils", "tests", "tests/integration")]

from nginxsite import Site, free_ports, serve  # noqa: E402 - the path above is what finds it

JSON = "application/vnd.pypi.simple.v1+json"
PIP = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
FILE = "packages/aa/bb/cc/six-1.0-py3-none-any.whl"
TICK = os.sysconf("SC_CLK_TCK")
# What anybody would write for static files, with the same compression and the same log.
BARE = """
sendfile on; tcp_nopush on;
server {{
    listen 127.0.0.1:{port};
    root {base}/web;
    access_log {base}/bare.log combined;
    types {{ application/vnd.pypi.simple.v1+json v1_json; }}
    gzip on; gzip_comp_level 4; gzip_types application/vnd.pypi.simple.v1+json; gzip_vary on;
    location = /simple/index.v1_json {{ gzip_static on; }}
}}
"""


class Case(NamedTuple):
    """One kind of request: where the role's site and the bare server have the same bytes."""

    name: str
    path: str
    bare: str
    encoding: str = "identity"


CASES = (
    Case("root index, JSON, gzip", "/simple/", "/simple/index.v1_json", "gzip"),
    Case("project page, JSON, gzip", "/simple/six/", "/simple/six/index.v1_json", "gzip"),
    Case("project page, JSON", "/simple/six/", "/simple/six/index.v1_json"),
    Case("file of 100 kB", f"/{FILE}", f"/{FILE}"),
    Case("its .metadata", f"/{FILE}.metadata", f"/{FILE}.metadata"),
)


MOUNTS = {
    "a volume of the role's": "rw,nosymfollow",
    "a mount that the site brings": "rw",
}


class Cost(NamedTuple):
    """What a round brought."""

    rate: float  # requests a second
    cpu: float  # microseconds of nginx's processor for each


def fill(web: Path) -> None:
    """A root index of 20,000 projects, a page of 100 files, a file of 100 kB with its metadata."""
    chance = random.Random(1)
    rows = ",".join(f'{{"name":"project-{number}","_last-serial":{number}}}' for number in range(20_000))
    digests = [chance.randbytes(32).hex() for _ in range(100)]
    entries = ",".join(
        f'{{"filename":"six-1.{number}-py3-none-any.whl","url":"../../packages/{digest[:2]}/{digest[2:]}",'
        f'"hashes":{{"sha256":"{digest}"}},"size":{number}}}'
        for number, digest in enumerate(digests)
    )
    meta = '"meta":{"api-version":"1.4"}'
    texts = {
        "simple/index.v1_json": f'{{{meta},"projects":[{rows}]}}'.encode(),
        "simple/six/index.v1_json": f'{{{meta},"name":"six","files":[{entries}]}}'.encode(),
        FILE: chance.randbytes(100_000),
        f"{FILE}.metadata": b"Metadata-Version: 2.1\nName: six\n" * 60,
    }
    for name, content in texts.items():
        (web / name).parent.mkdir(parents=True, exist_ok=True)
        (web / name).write_bytes(content)
    root = web / "simple/index.v1_json"
    root.with_name("index.v1_json.gz").write_bytes(gzip.compress(root.read_bytes(), 4, mtime=0))


def worker_of(site: Site) -> int:
    """nginx's one worker."""
    master = (site.base / "pid").read_text().strip()
    return int(Path(f"/proc/{master}/task/{master}/children").read_text().split()[0])


def processor(pid: int) -> int:
    """Ticks of user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def measure(url: str, encoding: str, seconds: int, worker: int) -> Cost:
    """A round of wrk; each answer must be good."""
    command = ["wrk", "--threads", "1", "--connections", "16", "--duration", f"{seconds}s"]
    command += ["--header", f"Accept: {PIP}", "--header", f"Accept-Encoding: {encoding}", url]
    before = processor(worker)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ticks = processor(worker) - before
    count, rate = re.search(r"(\d+) requests in", said), re.search(r"Requests/sec: +([\d.]+)", said)
    if count is None or rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{url}:\n{said}")
    return Cost(float(rate[1]), ticks / TICK / int(count[1]) * 1e6)


def row(name: str, ours: Sequence[Cost], bare: Sequence[Cost]) -> str:
    """A line of the table: medians and their ratios."""
    (rate, cpu), (bare_rate, bare_cpu) = (
        (statistics.median(cost.rate for cost in costs), statistics.median(cost.cpu for cost in costs))
        for costs in (ours, bare)
    )
    numbers = f"{rate:,.0f} | {bare_rate:,.0f} | {rate / bare_rate:.2f} | {cpu:.1f} | {bare_cpu:.1f}"
    return f"| {name} | {numbers} | {cpu / bare_cpu:.2f} |"


def main() -> None:
    """Measure each case, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of each server for each kind of request")
    parser.add_argument("--seconds", type=int, default=2, help="of each round")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    rounds = f"medians of {options.rounds} rounds of {options.seconds} s"
    print(f"load {load:.1f} at the start; {rounds}, wrk with 16 connections")
    for where, mounted in MOUNTS.items():
        print(f"\n| {where} | ours /s | bare /s | ours / bare | ours us CPU | bare us CPU | ours / bare |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        print("\n".join(compare(mounted, options.rounds, options.seconds)), flush=True)


def compare(mounted: str, rounds: int, seconds: int) -> list[str]:
    """The lines of a table; `mounted`: the options of the mirror's mount, as the role finds them."""
    lines = []
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        fill(base / "web")
        with serve(base, BARE.format(port=port, base=base), mounted=mounted) as site:
            worker = worker_of(site)
            for case in CASES:
                costs: tuple[list[Cost], list[Cost]] = ([], [])
                urls = (
                    f"http://127.0.0.1:{site.port}{case.path}",
                    f"http://127.0.0.1:{port}{case.bare}",
                )
                for number in range(rounds):
                    for which in (0, 1) if number % 2 else (1, 0):
                        cost = measure(urls[which], case.encoding, seconds, worker)
                        costs[which].append(cost)
                lines.append(row(case.name, *costs))
    return lines


if __name__ == "__main__":
    main()
