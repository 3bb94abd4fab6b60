"""Power cuts: the volume's image, copied at random moments of a sync, holds only what was flushed until then.

Each copy is mounted (the journal is replayed), checked, and some are brought up to date by a run.
8 copies by default, 100 with SOAK=1.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Mirror, changes
from invariant import Served, equals_upstream, holds
from simulator import Simulator
from volumes import clean, fast_directory, make_image, mounted, needs_volumes, snapshot

CUTS = 100 if os.environ.get("SOAK") else 8
SEED = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(10**6))


@pytest.fixture
def workshop() -> Iterator[Path]:
    """A directory for the images, in memory where there is enough."""
    with tempfile.TemporaryDirectory(dir=fast_directory()) as base:
        yield Path(base)


def populate(upstream: Simulator) -> None:
    for number in range(40):
        upstream.add_project(f"project-{number}", "1.0", "1.1", size=15_000)


def change(upstream: Simulator, rng: random.Random, step: int) -> None:
    for name in rng.sample(sorted(upstream.projects), 5):
        upstream.delete_project(name)
    for name in rng.sample(sorted(upstream.projects), 15):
        upstream.add_release(name, f"2.{step}", size=15_000)
    for number in range(5):
        upstream.add_project(f"later-{step}-{number}", "1.0", size=15_000)


def inspect(copy: Path, upstream: Simulator, converge: bool) -> None:
    """What a machine finds after the power is back."""
    point = copy.parent / "after"
    with mounted(copy, point, "loop"):
        holds(Served(point / "mirror"), finished=False)
        if converge:
            (copy.parent / "again").mkdir(exist_ok=True)
            found = Mirror(copy.parent / "again", upstream)
            found.directory = point / "mirror"
            found.configure(directory=found.directory)
            found.sync("--allow-removals")
            equals_upstream(upstream, found.directory)
    assert clean(copy)


def moment(rng: random.Random, mirror: Mirror, process: subprocess.Popen[str]) -> None:
    """Let the run go on for a while; every other time until it publishes something."""
    if rng.random() < 0.5:
        changes(mirror.directory / rng.choice(["web/packages", "web/simple"]), process)
        time.sleep(rng.uniform(0, 0.01))
    else:
        time.sleep(rng.uniform(0, 0.4))


def tell(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """A signal for the run and its workers, unless they have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def flush(rng: random.Random, point: Path) -> None:
    """What the kernel may do by itself at any moment: nothing, the journal, or everything.

    The journal alone is the hard case: names reach the disk, and the blocks of new files need not.
    """
    choice = rng.choice(["nothing", "journal", "journal", "everything"])
    if choice == "journal":
        descriptor = os.open(point / "lost+found" / "unrelated", os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, b"x")
        os.fsync(descriptor)
        os.close(descriptor)
    elif choice == "everything":
        os.sync()


@needs_volumes
def test_a_power_cut_at_any_moment_breaks_nothing(upstream: Simulator, workshop: Path) -> None:
    print(f"CRASH_SEED={SEED}")
    rng = random.Random(f"power {SEED}")
    image = make_image(workshop / "disk.img", 40)
    populate(upstream)
    upstream.servers.on_request = lambda path: time.sleep(0.005)  # a run shall last a while
    with mounted(image, workshop / "disk", "loop,commit=1") as point:
        mirror = Mirror(workshop, upstream)
        mirror.directory = point / "mirror"
        mirror.configure(directory=mirror.directory)
        for step in range(CUTS // 4):
            process = mirror.start("mirror", "--allow-removals")
            try:
                for _ in range(4):
                    moment(rng, mirror, process)
                    tell(process, signal.SIGSTOP)
                    flush(rng, point)
                    inspect(snapshot(image, workshop / "copy.img"), upstream, converge=rng.random() < 0.4)
                    tell(process, signal.SIGCONT)
            finally:
                tell(process, signal.SIGCONT)
                done = mirror.finish(process)
            assert done.exit_code == 0, done.output
            mirror.assert_equal()
            change(upstream, rng, step)


@needs_volumes
def test_what_a_finished_run_reports_survives_a_power_cut(upstream: Simulator, workshop: Path) -> None:
    image = make_image(workshop / "disk.img", 40)
    populate(upstream)
    with mounted(image, workshop / "disk", "loop,commit=300") as point:
        mirror = Mirror(workshop, upstream)
        mirror.directory = point / "mirror"
        mirror.configure(directory=mirror.directory)
        mirror.sync()
        snapshot(image, workshop / "copy.img")
    with mounted(workshop / "copy.img", workshop / "after") as point:
        pages = Served(point / "mirror").page_dirs()
        assert len(pages) == 40
        holds(Served(point / "mirror"), finished=False)
    assert clean(workshop / "copy.img")
