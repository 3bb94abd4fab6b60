"""update-stats against rotation, kills and hostile lines: each line is counted once, whatever happens."""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import test_nginx
from bandersnatch import logsource, stats
from bandersnatch.config import Config
from bandersnatch.stats import StatsSummary, update_stats
from nginxsite import NGINX, serve

START = datetime(2026, 11, 20, 22, tzinfo=timezone.utc)
NOW = datetime(2026, 12, 24, tzinfo=timezone.utc)
ENGINE = Path(stats.__file__).parents[1]
AGENTS = (
    "pip/24.0 CPython/3.11.2 Linux/6.1",
    "uv/0.4.0",
    r"pip/23.1 {\x22python\x22:\x223.12.1\x22}",
    "curl/8.1",
    "-",
)

# Commits pieces of a few lines, and dies by SIGKILL around the n-th one.
KILLED = """
import os, signal, sys
from pathlib import Path
from bandersnatch import logsource, stats, stats_store
from bandersnatch.config import Config

directory, pattern, commits, when = sys.argv[1:]
left = int(commits)
logsource.BLOCK_BYTES, stats.MOST_PAIRS = 1500, 5
add = stats_store.StatsStore.add

def killed(self, *args, **named):
    global left
    left -= 1
    if left == 0 and when == "inside":
        self._add_day = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    done = add(self, *args, **named)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

stats_store.StatsStore.add = killed
stats.update_stats(Config(directory=Path(directory), master="", access_log_pattern=pattern))
"""

# Commits pieces of a few dozen lines, and says when it begins.
HURRIED = """
import sys
from pathlib import Path
from datetime import datetime, timezone
from bandersnatch import logsource, stats
from bandersnatch.config import Config
logsource.BLOCK_BYTES, stats.MOST_PAIRS = 5000, 20
config = Config(directory=Path(sys.argv[1]), master="", access_log_pattern=sys.argv[2])
print("begun", flush=True)
stats.update_stats(config, now=datetime(2026, 12, 24, tzinfo=timezone.utc))
"""
KILLS = 300 if os.environ.get("SOAK") else 20


class Site:
    """A web server's log, its mirror directory, and what must be counted."""

    def __init__(self, root: Path) -> None:
        (root / "logs").mkdir()
        (root / "mirror").mkdir()
        self.log = root / "logs/access.log"
        self.config = Config(
            directory=root / "mirror", master="", access_log_pattern=f"{root}/logs/access.log*"
        )
        self.expected: Counter[tuple[str, str, str]] = Counter()  # day, file, agent
        self._clock = START
        self.random = random.Random(7)
        self.lines = 0

    def serve(self, count: int) -> None:
        """Log `count` requests, hostile ones among them."""
        with self.log.open("ab") as file:
            for _ in range(count):
                file.write(self._line())

    def _line(self) -> bytes:
        pick = self.random
        self._clock += timedelta(seconds=pick.randrange(1, 400))
        self.lines += 1
        name = f"project_{pick.randrange(8)}-{pick.randrange(3)}.0-py3-none-any.whl"
        agent = pick.choice(AGENTS)
        if pick.random() < 0.1:
            return pick.choice([b"\0" * 30, b'\xff"\xfe"' * 9, b"cut off", b'"' * 40]) + b"\n"
        method, status = ("GET", 200) if pick.random() < 0.8 else pick.choice([("HEAD", 200), ("GET", 404)])
        if (method, status) == ("GET", 200):
            self.expected[self._clock.date().isoformat(), name, agent] += 1
        stamp = self._clock.strftime("%d/%b/%Y:%H:%M:%S +0000")
        request = f"{method} /packages/aa/bb/{pick.randrange(9) * 7:060x}/{name} HTTP/2.0"
        return f'192.0.2.{pick.randrange(250)} - - [{stamp}] "{request}" {status} 99 "-" "{agent}"\n'.encode()

    def rename(self) -> None:
        """Rotate as logrotate does by default."""
        self._shift()
        self.log.rename(self.log.with_name("access.log.1"))
        self.log.touch()

    def copytruncate(self) -> None:
        """Rotate as logrotate's copytruncate does."""
        self._shift()
        shutil.copyfile(self.log, self.log.with_name("access.log.1"))
        os.truncate(self.log, 0)

    def compress(self, age: int = 2) -> None:
        """Compress an older log, with a new inode."""
        path = self.log.with_name(f"access.log.{age}")
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()

    def _shift(self) -> None:
        for age in range(9, 0, -1):
            for ending in ("", ".gz"):
                path = self.log.with_name(f"access.log.{age}{ending}")
                if path.exists():
                    path.rename(self.log.with_name(f"access.log.{age + 1}{ending}"))

    def update(self) -> StatsSummary:
        """Run update-stats when all days are over."""
        return update_stats(self.config, now=NOW)

    def check(self) -> None:
        """Everything is counted once."""
        unescaped = {
            (day, name, agent.replace(r"\x22", '"')): n for (day, name, agent), n in self.expected.items()
        }
        assert counted(self.config) == unescaped


def counted(config: Config) -> Counter[tuple[str, str, str]]:
    """What the daily files say: (day, file, agent)."""
    found: Counter[tuple[str, str, str]] = Counter()
    for path in sorted((config.web / "local-stats/days").glob("*.bz2")):
        rows = csv.reader(io.StringIO(bz2.decompress(path.read_bytes()).decode()))
        assert next(rows) == ["# package", "filename", "useragent", "count"]
        for package, filename, agent, count in rows:
            assert filename.replace("_", "-").startswith(package)
            found[path.stem, filename, agent] += int(count)
    return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("rotate", [Site.rename, Site.copytruncate])
@pytest.mark.parametrize("compress", [False, True])
def test_rotation_between_runs(site: Site, rotate: Callable[[Site], None], compress: bool) -> None:
    lines = 0
    for turn in range(4):
        site.serve(150)
        lines += site.update().lines
        site.serve(40)  # seen after the rotation only
        rotate(site)
        if compress and turn:
            site.compress()
        site.serve(30)
        lines += site.update().lines
        assert lines == site.lines
        site.check()
    assert not site.update().changed


@pytest.mark.parametrize("rotate", [Site.rename, Site.copytruncate])
def test_rotations_that_no_run_saw(site: Site, rotate: Callable[[Site], None]) -> None:
    for turn in range(4):
        site.serve(100)
        if turn == 0:
            site.update()
        rotate(site)
        if turn:
            site.compress()
    done = site.update()
    assert done.problems == ()
    site.check()


def test_a_log_rotated_and_compressed_at_once_is_known_again(site: Site) -> None:
    site.serve(100)
    site.update()
    site.serve(50)
    site.rename()
    site.compress(1)
    done = site.update()
    assert done.lines == 50
    site.check()


def test_a_log_that_moves_to_another_file_system_is_known_again(site: Site) -> None:
    site.serve(100)
    site.update()
    copy = site.log.with_name("access.log.copy")
    shutil.copyfile(site.log, copy)
    site.log.unlink()
    copy.rename(site.log)
    site.serve(20)
    assert site.update().lines == 20
    site.check()


def test_logs_read_in_any_order_give_the_same_files(site: Site, tmp_path: Path) -> None:
    for _ in range(4):
        site.serve(120)
        site.rename()
    logs = sorted(site.log.parent.glob("access.log.*"))
    results = []
    for order in (logs, logs[::-1]):
        config = site.config._replace(directory=tmp_path / f"mirror{len(results)}")
        config.directory.mkdir()
        for path in order:
            update_stats(config._replace(access_log_pattern=str(path)), now=NOW)
        root = config.web
        results.append({path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()})
    assert results[0] == results[1]
    assert len(results[0]) > 4


@pytest.mark.parametrize("rotate", [Site.rename, Site.copytruncate])
@pytest.mark.parametrize("after", [1, 3])
def test_rotation_while_a_run_reads(
    site: Site, rotate: Callable[[Site], None], after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.serve(60)
    site.update()
    site.serve(200)
    blocks = logsource.Log.blocks

    def interrupted(log: logsource.Log) -> Iterator[tuple[bytes, int]]:
        for number, block in enumerate(blocks(log), 1):
            if number == after:
                rotate(site)
                site.serve(25)
            yield block

    with monkeypatch.context() as patched:
        patched.setattr(logsource, "BLOCK_BYTES", 4000)
        patched.setattr(stats, "MOST_PAIRS", 20)
        patched.setattr(logsource.Log, "blocks", interrupted)
        site.update()
    site.update()
    site.check()


def test_a_log_that_grows_while_it_is_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.serve(1)
    blocks = logsource.Log.blocks

    def growing(log: logsource.Log) -> Iterator[tuple[bytes, int]]:
        site.serve(60)
        yield from blocks(log)
        site.serve(60)

    with monkeypatch.context() as patched:
        patched.setattr(logsource.Log, "blocks", growing)
        assert site.update().lines == 61
    assert site.update().lines == 60
    site.check()


def test_an_unfinished_line_is_counted_when_it_is_whole(site: Site) -> None:
    site.serve(20)
    text = site.log.read_bytes()
    for end in (len(text) - 200, len(text) - 90, len(text) - 1, len(text)):
        site.log.write_bytes(text[:end])
        site.update()
    site.check()


@pytest.mark.parametrize("when", ["inside", "behind"])
@pytest.mark.parametrize("commits", [1, 2, 7])
def test_a_run_that_is_killed_counts_nothing_twice(site: Site, commits: int, when: str) -> None:
    site.serve(120)
    pattern = str(site.config.access_log_pattern)
    for turn in range(3):
        command = [sys.executable, "-c", KILLED, str(site.config.directory), pattern, str(commits), when]
        killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ENGINE)}, check=False)
        assert killed.returncode == -signal.SIGKILL
        if turn == 1:
            site.rename()
        site.serve(100)
    site.update()
    site.check()


def test_runs_killed_at_any_moment_count_each_line_once(site: Site) -> None:
    pattern, environment = str(site.config.access_log_pattern), {**os.environ, "PYTHONPATH": str(ENGINE)}
    killed, longest = 0, 0.3
    for turn in range(KILLS):
        site.serve(site.random.randrange(600))
        if turn % 3 == 2:
            site.random.choice([Site.rename, Site.copytruncate])(site)
            if turn % 2:
                site.compress(1)
        run = subprocess.Popen(
            [sys.executable, "-c", HURRIED, str(site.config.directory), pattern],
            env=environment,
            stdout=subprocess.PIPE,
        )
        assert run.stdout is not None
        run.stdout.read(1)  # it begins to read the logs
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(site.random.random() * longest)
        run.kill()
        run.stdout.close()
        in_time = run.wait() == -signal.SIGKILL
        killed += in_time
        longest *= 1.2 if in_time else 0.6  # about as long as a run takes here
        if turn % 10 == 9:  # before a log is rotated away
            site.update()
    assert killed >= KILLS // 4
    update_stats(site.config, now=NOW + timedelta(days=3650))
    site.check()


@pytest.mark.parametrize("placed", [1, 2, 3])
def test_a_run_that_is_killed_while_it_writes_is_made_good(
    site: Site, placed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.serve(300)
    rename, left = os.rename, placed

    def killed(source: str, target: str) -> None:
        nonlocal left
        left -= 1
        rename(source, target)
        if left == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            site.update()
    done = site.update()
    assert done.days_kept == ()
    site.check()
    assert not site.update().changed


def test_parts_of_one_client_count_once(site: Site) -> None:
    stamp = "23/Nov/2026:10:11:12 +0000"
    name = "big-1.0-py3-none-any.whl"
    for client in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1"):
        with site.log.open("a") as file:
            file.write(
                f'{client} - - [{stamp}] "GET /packages/aa/bb/cc/{name} HTTP/1.1" 206 9 "-" "uv/0.4.0"\n'
            )
        site.update()
    site.expected["2026-11-23", name, "uv/0.4.0"] = 3
    site.check()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_what_nginx_logs_of_the_site_that_the_role_writes(tmp_path: Path) -> None:
    hostile = 'pip/24.0 "quoted" back\\slash, <script> é'
    test_nginx.fill(tmp_path / "web")
    with serve(tmp_path) as served:  # at its end nginx has written its log
        path = f"/{test_nginx.WHEEL}"
        for _ in range(2):
            assert served.get(path, User_Agent="uv/0.4.0").status == 200
        assert served.get(path, User_Agent=hostile).status == 200
        assert served.get(f"{path}?x=%22", User_Agent=hostile).status == 200
        for first in (0, 4):
            assert served.get(path, User_Agent="uv/0.4.0", Range=f"bytes={first}-{first + 3}").status == 206
        assert served.get(path, method="HEAD").status == 200
        assert served.get(f"{path}.metadata").status == 200
        assert served.get("/simple/six/").status == 200
        assert served.get("/packages/aa/bb/cc/six-2.0-py3-none-any.whl").status == 404

    config = Config(directory=tmp_path, master="", access_log_pattern=f"{tmp_path}/access.log")
    done = update_stats(config, now=datetime.now(timezone.utc) + timedelta(days=2))
    assert (done.lines, done.broken, done.downloads) == (10, 0, 5)
    sent = hostile.encode("latin-1").decode("utf-8", "backslashreplace")  # http.client sends Latin-1
    agents: Counter[str] = Counter()
    for (_, filename, agent), count in counted(config).items():  # of two days, if it is midnight just now
        assert filename == "six-1.0-py3-none-any.whl"
        agents[agent] += count
    assert agents == {sent: 2, "uv/0.4.0": 3}
