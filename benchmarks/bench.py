"""One run after the other: upstreams made once, mirrors made anew, every result checked."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import contenders
import measure
import upstream
from contenders import CURL, PEER, Contender, Job
from verify import WrongError, verify
from webserver import HOST, Site, Traffic, free_port


class Cost(NamedTuple):
    """What one run took."""

    wall: float  # seconds
    cpu: float  # seconds
    memory: int  # bytes
    requests: int
    received: int  # bytes


class Upstream(NamedTuple):
    """An index on disk."""

    root: Path
    shape: upstream.Shape
    serial: int


class Bench:
    """The scratch directory and what lies in it."""

    def __init__(self, scratch: Path, found: list[Contender], repeat: int) -> None:
        self.scratch = scratch
        self.contenders = found
        self.repeat = repeat
        self._dropped = 0
        self._port = free_port()
        self.url = f"http://{HOST}:{self._port}"

    def say(self, text: str) -> None:
        """What is being done, on the terminal: the table comes at the end."""
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    # Upstreams

    @functools.cache  # noqa: B019 (there is one Bench)
    def upstream(self, projects: int, contents: bool, every: int = 0, copy: str = "") -> Upstream:
        """An upstream of so many projects; with `every` it has few pages; `copy` makes a further one."""
        kind = f"{'files' if contents else 'pages'}-{projects}{copy}"
        self.say(f"making the upstream {kind}")
        release_json = any(one.name == PEER for one in self.contenders)
        shape = upstream.Shape(projects, contents, release_json, self.url)
        root = self.scratch / "upstream" / kind
        serial = upstream.build_root(root, shape, every) if every else upstream.build(root, shape)
        return Upstream(root, shape, serial)

    # Mirrors

    def mirror(self, who: Contender, name: str) -> Path:
        """A mirror directory that is not there yet."""
        directory = self.place(who, name)
        directory.parent.mkdir(exist_ok=True)
        self.drop(directory)
        return directory

    def place(self, who: Contender, name: str) -> Path:
        """Where a mirror directory lies."""
        return self.scratch / who.name.replace(" ", "-") / name

    def drop(self, directory: Path) -> None:
        """Take a mirror away.

        Nothing is deleted before the end: ext4 without a journal passes over the inodes of the last minutes'
        deletions, one by one, whenever it makes a file. That took a quarter of the next run's CPU.
        """
        if directory.exists():
            self._dropped += 1
            directory.rename(self.scratch / f"dropped-{self._dropped}")

    def copy(self, source: Path, target: Path) -> None:
        """A mirror like another one: its state is changed in place, so hard links will not do."""
        self.drop(target)
        subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)

    def job(self, source: Upstream, directory: Path, *, check: bool = False, drop: str = "") -> Job:
        """What a run is asked for: the files too, if the upstream has them."""
        return Job(source.root, self.url, directory, source.shape.contents, check, drop)

    # Runs

    def run(
        self, who: Contender, job: Job, serial: int, latency: float = 0, names: set[str] | None = None
    ) -> Cost:
        """One run, measured; its result must be right."""
        command = self._ready(who, job)
        with Site(self.scratch, self._port, job.upstream, serial, latency) as site:
            usage = measure.run(command, who.environment(self.scratch), self._log(who))
        traffic = site.traffic()
        self._check(who, job, traffic, names)
        return Cost(*usage, traffic.requests, traffic.bytes)

    def run_until(self, who: Contender, job: Job, serial: int, requests: int) -> None:
        """Kill a run, all its processes at once, when it has made so many requests."""
        command = self._ready(who, job)
        with Site(self.scratch, self._port, job.upstream, serial) as site, self._log(who).open("wb") as log:
            process = subprocess.Popen(
                command,
                env=who.environment(self.scratch),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            while process.poll() is None and site.asked() < requests:
                time.sleep(0.01)
            if process.poll() is not None:
                raise SystemExit(f"{who.name} ended before it could be killed: take more projects")
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _ready(self, who: Contender, job: Job) -> list[str]:
        if who.name != CURL:
            job.directory.mkdir(exist_ok=True)
        command = who.command(job)
        os.sync()  # what others have written is not this run's to bring to the disk
        return command

    def _log(self, who: Contender) -> Path:
        return self.scratch / f"{who.name.replace(' ', '-')}.log"

    def _check(self, who: Contender, job: Job, traffic: Traffic, names: set[str] | None) -> None:
        wrong = f"{traffic.refused} requests were refused" if traffic.refused else ""
        try:
            verify(who.name, job, names)
        except (WrongError, OSError, KeyError, ValueError) as error:
            wrong = repr(error)
        if wrong:
            raise SystemExit(f"The result of {who.name} is wrong: {wrong}\n{measure.tail(self._log(who))}")


def mirrors(found: list[Contender]) -> list[Contender]:
    """Those that keep a mirror; curl only fetches."""
    return [one for one in found if one.name != contenders.CURL]
