"""Runs with a change of the engine at one exact place: killed there, or stumbling there."""

from __future__ import annotations

import signal
import sys

from harness import Mirror, Run

_DIE = "lambda *a, **k: os.kill(os.getpid(), 9)"


def patched(mirror: Mirror, change: str, *options: str) -> Run:
    """`bandersnatch mirror` after `change` (Python) has been done to the engine's modules."""
    program = (
        "import os, sys\n"
        "from bandersnatch import apply, cli, index, publish, state, store, sync, tally, wave, worker\n"
        f"{change}\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    if mirror.upstream:
        mirror.upstream.take_requests()
    return mirror.finish(
        mirror.launch([sys.executable, "-c", program, "-c", str(mirror.conf), "mirror", *options])
    )


def killed(mirror: Mirror, place: str, *options: str) -> Run:
    """Run and `kill -9` where the run would enter `place`, such as "apply.Committer._remember"."""
    done = patched(mirror, f"{place} = {_DIE}", *options)
    assert done.exit_code == -signal.SIGKILL, f"never came to {place}: {done.output}"
    return done
