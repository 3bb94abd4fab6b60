"""A mirror under test: a directory, a config file, and the command as a real process."""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from faults import Gate
from invariant import Served, equals_upstream, holds
from simserver import Request
from simulator import Simulator

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180  # seconds until a command counts as stuck; a loaded machine is slow, not wrong


class Run(NamedTuple):
    """What a finished command left behind."""

    exit_code: int
    stdout: str
    stderr: str
    requests: list[Request]

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def fetched(self, prefix: str = "/") -> list[str]:
        """The paths that were asked for and transferred (200 or 206)."""
        return [r.path for r in self.requests if r.path.startswith(prefix) and r.status in (200, 206)]

    def asked(self, prefix: str = "/") -> list[Request]:
        return [r for r in self.requests if r.path.startswith(prefix)]


class Mirror:
    """A mirror of a simulator. `keys` are those of [mirror]; underscores stand for hyphens."""

    def __init__(self, base: Path, upstream: Simulator | str, **keys: object) -> None:
        self.base = base
        self.upstream = upstream if isinstance(upstream, Simulator) else None
        self.directory = base / "mirror"
        self.conf = base / "bandersnatch.conf"
        master = upstream if isinstance(upstream, str) else upstream.url
        self.keys: dict[str, object] = {
            "directory": self.directory,
            "master": master,
            "timeout": 10,
            "workers": 2,
            **{key if key == "root_uri" else key.replace("_", "-"): value for key, value in keys.items()},
        }
        self.sections: dict[str, dict[str, str]] = {}
        self.python = [sys.executable]
        self.clock = 0.0  # seconds that the command's clock is ahead of ours
        self.write_config()

    @property
    def web(self) -> Path:
        return self.directory / "web"

    @property
    def served(self) -> Served:
        return Served(self.directory)

    def configure(self, *drop: str, **keys: object) -> None:
        """Change keys of [mirror]; those in `drop` go."""
        self.keys |= {
            key if key == "root_uri" else key.replace("_", "-"): value for key, value in keys.items()
        }
        for key in drop:
            del self.keys[key]
        self.write_config()

    def section(self, name: str, **keys: str) -> None:
        """Add a section, a filter for instance; `[plugins] enabled = all` comes with the first."""
        self.sections["plugins"] = {"enabled": "all"}
        self.sections[name] = keys
        self.write_config()

    def allow(self, *projects: str) -> None:
        """Mirror only these."""
        self.section("allowlist", packages="\n" + "\n".join(projects))

    def write_config(self) -> None:
        parser = configparser.ConfigParser(interpolation=None)
        parser["mirror"] = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in self.keys.items()
        }
        parser.read_dict(self.sections)
        with self.conf.open("w", encoding="utf-8") as stream:
            parser.write(stream)

    def environment(self) -> dict[str, str]:
        """A clean one: no proxy, no pip configuration, our engine."""
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "TMPDIR") if key in os.environ}
        clock = [str(ROOT / "tests/integration/fakeclock")] if self.clock else []
        return kept | {
            "HOME": str(self.base),
            "PYTHONPATH": os.pathsep.join([*clock, str(ROOT / "module_utils")]),
            "FAKE_CLOCK": str(self.clock),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": "http://127.0.0.1:9/simple/",  # nobody listens: no test asks a real index
        }

    def start(self, *arguments: str, user: int | None = None) -> subprocess.Popen[str]:
        """Start `bandersnatch -c CONF ARGUMENTS` in a process group of its own."""
        return self.launch(
            [*self.python, "-m", "bandersnatch", "-c", str(self.conf), *(arguments or ("mirror",))], user
        )

    def launch(self, command: list[str], user: int | None = None) -> subprocess.Popen[str]:
        """Start any command as `start` does: the clean environment, a process group of its own."""
        return subprocess.Popen(
            command,
            env=self.environment(),
            cwd=self.base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    def finish(self, process: subprocess.Popen[str]) -> Run:
        """Wait for a started command."""
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            kill(process)
            raise AssertionError(f"bandersnatch did not end within {PATIENCE} s") from None
        requests = self.upstream.take_requests() if self.upstream else []
        return Run(process.returncode, stdout, stderr, requests)

    def run(self, *arguments: str, expect: int | None = 0, user: int | None = None) -> Run:
        """Run to the end; `expect` is the exit code (None: any)."""
        if self.upstream:
            self.upstream.take_requests()
        done = self.finish(self.start(*arguments, user=user))
        assert "Traceback" not in done.output, done.output
        assert expect in (None, done.exit_code), f"exit {done.exit_code}, not {expect}:\n{done.output}"
        return done

    def sync(self, *options: str, expect: int | None = 0) -> Run:
        """`bandersnatch mirror`."""
        return self.run("mirror", *options, expect=expect)

    def complete(self) -> set[str]:
        """The URL paths of files whose whole content lies in the mirror, published or not."""
        assert self.upstream is not None
        parts = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (self.directory / "tmp").rglob("*.part")}
        found = set()
        for upload in self.upstream.files():
            path = self.web / upload.path
            if upload.sha256 in parts or (path.is_file() and path.read_bytes() == upload.content):
                found.add(f"/{upload.url_path}")
        return found

    def assert_equal(self, **options: bool) -> None:
        """The mirror is whole and says what upstream says."""
        assert self.upstream is not None
        equals_upstream(self.upstream, self.served, **options)

    def assert_holds(self, finished: bool = True) -> None:
        holds(self.served, finished)


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9 of the whole process group, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):  # it had ended
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def arrives(gate: Gate, process: subprocess.Popen[str]) -> None:
    """Wait until a started command has asked for what the gate holds back."""
    deadline = time.monotonic() + PATIENCE
    while not gate.reached.wait(0.1):
        if process.poll() is not None or time.monotonic() > deadline:
            kill(process)
            raise AssertionError(f"it never asked for {gate.pattern}; exit code {process.returncode}")


def changes(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until something is renamed into or out of a directory, or the run has ended."""

    def stamp() -> int:
        return folder.stat().st_mtime_ns if folder.exists() else 0

    before = stamp()
    while process.poll() is None and stamp() in (0, before):
        time.sleep(0.0002)


def tree(directory: Path) -> dict[str, tuple[object, ...]]:
    """Every name below a directory with what would change if anybody wrote to it."""
    found: dict[str, tuple[object, ...]] = {}
    for base, folders, names in os.walk(directory):
        for name in [*folders, *names]:
            path = Path(base) / name
            stat = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path.relative_to(directory))] = (stat.st_mode, stat.st_ino, stat.st_mtime_ns, content)
    return found
