"""`kill -9` at random moments: what is served is right while killed, and nothing complete is fetched again.

Some 100 kills by default, 1,000 with SOAK=1. A failed run prints its seed: CRASH_SEED=... repeats it.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from faults import Gate
from harness import Mirror, arrives, changes, kill
from simulator import Simulator

KILLS = 1000 if os.environ.get("SOAK") else 100
ROUND = 4  # kills until a run may end
SEED = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(10**6))


def populate(upstream: Simulator) -> None:
    for number in range(25):
        upstream.add_project(f"project-{number}", "1.0", "1.1", size=20_000)
    upstream.add_project("big", "1.0", size=1_500_000)


def change(upstream: Simulator, rng: random.Random, step: int) -> None:
    """Uploads, yanks and a new project."""
    for name in rng.sample(sorted(upstream.projects), 8):
        upstream.add_release(name, f"2.{step}", size=20_000)
    upstream.yank(rng.choice(sorted(upstream.projects)), "1.0", f"step {step}")
    upstream.add_project(f"new-{step}", "1.0")


def shrink(upstream: Simulator, rng: random.Random, step: int) -> None:
    """Projects, releases and files go; others come, so that there is always something to delete."""
    for name in rng.sample(sorted(upstream.projects), 6):
        upstream.delete_project(name)
    for name in rng.sample(sorted(upstream.projects), 8):
        project = upstream.projects[name]
        if len(project.versions) > 1:
            upstream.delete_release(name, project.versions[0])
        elif project.uploads:
            upstream.delete_file(name, project.uploads[0].filename)
    for number in range(6):
        upstream.add_project(f"later-{step}-{number}", "1.0", "1.1", size=20_000)


def cut_short(upstream: Simulator, mirror: Mirror, rng: random.Random, longest: float) -> None:
    """Kill a run and its workers at a random moment; check what it left, and what it fetched."""
    had = mirror.complete()
    upstream.take_requests()
    watched = rng.choice([None, "web/packages", "web/simple"])
    process = mirror.start("mirror", "--allow-removals")
    if watched:  # the moments at which what is served changes are few and short: seek them
        changes(mirror.directory / watched, process)
    time.sleep(rng.uniform(0, 0.02 if watched else longest))  # not a synchronisation: any moment is right
    kill(process)
    mirror.assert_holds(finished=False)
    assert not had & {r.path for r in upstream.take_requests() if r.status in (200, 206)}


@pytest.mark.parametrize("kind", ["full", "incremental", "deleting"])
def test_kill_9_at_any_moment_breaks_nothing(upstream: Simulator, mirror: Mirror, kind: str) -> None:
    print(f"CRASH_SEED={SEED}")
    rng = random.Random(f"{kind} {SEED}")
    populate(upstream)
    started = time.monotonic()
    mirror.sync()
    longest = (time.monotonic() - started) * 1.1
    for step in range(KILLS // 3 // ROUND + 1):
        if kind == "full":
            os.rename(mirror.directory, mirror.base / f"done-{step}")
        else:
            (change if kind == "incremental" else shrink)(upstream, rng, step)
        for _ in range(ROUND):
            cut_short(upstream, mirror, rng, longest)
        had = mirror.complete()
        done = mirror.sync("--allow-removals")
        assert not had & set(done.fetched("/packages/"))
        mirror.assert_equal()


def test_killed_in_the_middle_of_a_file_the_rest_is_fetched(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("small", "1.0")
    upstream.add_project("big")
    upstream.add_file("big", "big-1.0.tar.gz", "1.0", size=4_000_000)
    half = 2_000_000

    def stall(handler: object, reply: object) -> None:
        handler.head(reply, len(reply.body))  # type: ignore[attr-defined]
        handler.wfile.write(reply.body[:half])  # type: ignore[attr-defined]
        gate.reached.set()
        handler.server.servers.released.wait()  # type: ignore[attr-defined]

    gate = Gate("/packages/.*/big-1.0.tar.gz")
    gate.act = stall
    upstream.fault(gate)
    process = mirror.start()
    arrives(gate, process)
    part_grows(mirror, half)
    kill(process)
    mirror.assert_holds(finished=False)
    upstream.heal()
    done = mirror.sync()
    ranges = [r.headers.get("range", "") for r in done.asked("/packages/") if "big" in r.path]
    assert len(ranges) == 1
    assert ranges[0].startswith("bytes=")
    assert int(ranges[0].removeprefix("bytes=").rstrip("-")) > 0
    mirror.assert_equal()


def part_grows(mirror: Mirror, size: int) -> None:
    """Wait until a part of nearly `size` bytes lies there (a buffer may hold the rest back)."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(part.stat().st_size > size // 2 for part in (mirror.directory / "tmp").rglob("*.part")):
            return
        time.sleep(0.02)
    raise AssertionError("no part file grew")


def test_leftovers_of_a_killed_run_go_when_upstream_changed(upstream: Simulator, mirror: Mirror) -> None:
    populate(upstream)
    gate = Gate("/packages/.*/project_24-1.1.tar.gz")
    upstream.fault(gate)
    process = mirror.start()
    arrives(gate, process)
    kill(process)
    upstream.heal()
    for number in range(10):
        upstream.delete_project(f"project-{number}")
    mirror.sync()
    mirror.assert_equal()


def test_junk_in_the_engines_own_directory_is_harmless(upstream: Simulator, mirror: Mirror) -> None:
    populate(upstream)
    mirror.sync()
    junk: Path = mirror.directory / "tmp" / "files"
    junk.mkdir(parents=True, exist_ok=True)
    (junk / ("a" * 64 + ".part")).write_bytes(b"junk")
    (junk / "unknown").write_bytes(b"junk")
    (mirror.directory / "tmp" / "pages" / "old").mkdir(parents=True)
    (mirror.directory / "progress.json").write_text("{")
    (mirror.directory / "progress.json.new").write_text("{")
    upstream.add_release("project-1", "3.0")
    mirror.sync()
    mirror.assert_equal()
