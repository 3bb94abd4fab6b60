#!/usr/bin/env python3
"""How long `make site` takes with nothing to do, on a host that it has made.

Run it as root where `make site` was run: each round is a real run of site.yml, and one that changes anything
ends the benchmark.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
TASK = re.compile(r"^(.*?) -{3,} +([\d.]+)s$", re.MULTILINE)  # as ansible.posix.profile_tasks prints them
GOAL = 20  # seconds a host


def run(inventory: str) -> tuple[float, float, str]:
    """Wall and CPU seconds of one run, and its output."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        ["make", "--no-print-directory", "site", f"INVENTORY={inventory}"],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks",
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    hosts = {name: [int(count) for count in counts] for name, *counts in RECAP.findall(done.stdout)}
    if done.returncode or not hosts or any(any(counts[1:]) for counts in hosts.values()):
        sys.exit(f"{done.stdout}{done.stderr}\nnot a run with nothing to do: `make site` first")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, cpu, done.stdout


def main() -> None:
    """Print each round, the median, and the tasks that took longest in the last one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--inventory", default="inventory.example")
    options = parser.parse_args()
    walls, cpus = [], []
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    for _ in range(options.repeat):
        wall, cpu, output = run(options.inventory)
        walls.append(wall)
        cpus.append(cpu)
        print(f"wall {wall:5.1f} s   CPU {cpu:5.1f} s")
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    print(f"median: wall {wall:.1f} s, CPU {cpu:.1f} s; the goal is {GOAL} s a host")
    for name, seconds in TASK.findall(output)[:10]:
        print(f"  {float(seconds):5.2f} s  {name}")


if __name__ == "__main__":
    main()
