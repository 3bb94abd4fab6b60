#!/usr/bin/env python3
"""Our sync beside bandersnatch 8.2 and curl, from one synthetic upstream, in turn: see benchmarks/README.md.

benchmarks/mirror.py                         the small size: under ten minutes
benchmarks/mirror.py --full                  the sizes that the README's table has: about an hour
benchmarks/mirror.py --phase full --projects 50 --repeat 1
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import contenders
import table
import webserver
from bench import Bench
from phases import FULL, SMALL, Phases, Row, Sizes

NAMES = ("metadata", "full", "latency", "nothing", "check", "resume", "incremental", "growth", "memory")


def main() -> None:
    """Find the contenders, run the phases, print the table."""
    arguments = _arguments()
    command = shlex.join(["benchmarks/mirror.py", *sys.argv[1:]])
    circumstances = table.where(arguments.directory or Path(tempfile.gettempdir()), command)
    _peer(arguments.peer, arguments.make_peer)
    found, missing = contenders.find(arguments.peer)
    wanted = list(arguments.phase or NAMES)
    if "latency" in wanted and not webserver.ECHO.exists():
        wanted.remove("latency")
        missing.append("the phase latency is left out: apt-get install libnginx-mod-http-echo")
    if "without a journal" in circumstances:
        missing.append("file creation is slow for minutes after deletions here: see benchmarks/README.md")
    for sentence in missing:
        print(sentence)
    with tempfile.TemporaryDirectory(prefix="bandersnatch-bench-", dir=arguments.directory) as name:
        bench = Bench(Path(name), found, arguments.repeat)
        phases = Phases(bench, _sizes(arguments)).all()
        rows: list[Row] = []
        for phase in NAMES:
            if phase in wanted:
                rows += phases[phase]()
    text = table.table(rows, found, arguments.repeat, circumstances)
    print(f"\n{text}", end="")
    if arguments.output:
        arguments.output.write_text(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--small", action="store_true", help="the default")
    size.add_argument("--full", action="store_true", help="20,000 projects; 1,000 projects with their files")
    size.add_argument("--projects", type=int, metavar="N", help="this many in each phase instead")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs of each; %(default)s")
    parser.add_argument("--phase", action="append", choices=NAMES, help="only this one; can be repeated")
    parser.add_argument(
        "--peer", type=Path, default=contenders.DEFAULT_PEER, help="a venv with bandersnatch 8.2; %(default)s"
    )
    parser.add_argument("--make-peer", metavar="PYTHON", help="make that venv with this Python >= 3.12")
    parser.add_argument("--directory", type=Path, help="where to work; --full needs 25 GB there")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there too")
    arguments = parser.parse_args()
    if arguments.repeat < 1 or (arguments.projects is not None and arguments.projects < 10):
        parser.error("at least 1 run, at least 10 projects")
    return arguments


def _sizes(arguments: argparse.Namespace) -> Sizes:
    count = arguments.projects
    if count:
        return Sizes(count, count, count, (count, 2 * count, 4 * count), root=max(count, 10) * 100)
    return FULL if arguments.full else SMALL


def _peer(peer: Path, python: str | None) -> None:
    """The venv of bandersnatch 8.2: made if it was asked for, or if it is ours, missing, and can be made."""
    if python is None:
        if peer != contenders.DEFAULT_PEER or (peer / "bin/bandersnatch").exists():
            return
        python = contenders.new_python()
        if python is None:
            return
    print(f"installing bandersnatch {contenders.PEER_VERSION} in {peer}", flush=True)
    try:
        contenders.make_peer(peer, python)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"that failed ({error})", flush=True)


if __name__ == "__main__":
    main()
