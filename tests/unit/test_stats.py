"""stats.py: one run, as its caller sees it."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from bandersnatch import stats
from bandersnatch.config import Config
from bandersnatch.errors import LockedError, StorageError
from bandersnatch.stats import StatsSummary, update_stats

NOW = datetime(2026, 11, 24, 3, tzinfo=timezone.utc)
GOOD = (
    b'192.0.2.1 - - [23/Nov/2026:10:11:12 +0000] "GET /packages/aa/bb/cc/six-1.0.tar.gz HTTP/1.1" 200 4711'
    b' "-" "pip/24.0"\n'
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "logs").mkdir()
    (tmp_path / "mirror").mkdir()
    return Config(
        directory=tmp_path / "mirror",
        master="http://index.example.org/simple/",
        access_log_pattern=f"{tmp_path}/logs/access.log*",
    )


@pytest.fixture
def log(tmp_path: Path, config: Config) -> Path:
    path = tmp_path / "logs/access.log"
    path.write_bytes(GOOD * 3 + GOOD.replace(b" 200 ", b" 404 ") + b"rubbish\n")
    return path


def tree(config: Config) -> dict[str, bytes]:
    return {
        str(path.relative_to(config.directory)): path.read_bytes()
        for path in config.directory.rglob("*")
        if path.is_file()
    }


def test_statistics_that_are_off_do_nothing(config: Config) -> None:
    off = config._replace(access_log_pattern=None)
    done = update_stats(off)
    assert (done.changed, done.exit_code, tree(config)) == (False, 0, {})
    assert "set `access-log-pattern` in [statistics]" in done.text()


def test_no_log_yet_is_no_error(config: Config) -> None:
    done = update_stats(config)
    assert (done.changed, done.exit_code, done.logs) == (False, 0, 0)
    assert done.text() == f"update-stats: no log matches {config.access_log_pattern} yet"
    assert not config.web.exists()


def test_a_run_counts_and_a_second_changes_nothing(config: Config, log: Path) -> None:
    done = update_stats(config, now=NOW)
    assert done == StatsSummary(
        pattern=config.access_log_pattern,
        logs=1,
        logs_read=1,
        lines=5,
        downloads=3,
        not_downloads=1,
        broken=1,
        days_written=("2026-11-23",),
        summary_changed=True,
    )
    assert (done.changed, done.exit_code) == (True, 0)
    assert done.text() == "update-stats: 3 downloads in 5 new lines of 1 log; 1 broken line; wrote 2026-11-23"
    before = tree(config)
    again = update_stats(config, now=NOW)
    assert again == StatsSummary(pattern=config.access_log_pattern, logs=1)
    assert not again.changed
    assert again.text().endswith("; nothing to write")
    assert tree(config).items() - before.items() <= {(".stats.lock", tree(config)[".stats.lock"])}


def test_a_dry_run_says_the_same_as_the_run_and_leaves_nothing(config: Config, log: Path) -> None:
    dry = update_stats(config, dry_run=True, now=NOW)
    assert tree(config) == {}
    assert "would write 2026-11-23" in dry.text()
    real = update_stats(config, now=NOW)
    assert dry._replace(dry_run=False) == real
    before = tree(config)
    assert not update_stats(config, dry_run=True, now=NOW).changed
    after = tree(config)
    assert {name for name in after if after[name] != before.get(name)} <= {".stats.lock"}


def test_a_dry_run_of_a_mirror_that_is_not_there_yet_is_no_error(config: Config, log: Path) -> None:
    elsewhere = config._replace(directory=config.directory / "later")
    assert update_stats(elsewhere, dry_run=True, now=NOW).downloads == 3
    assert not elsewhere.directory.exists()


def test_a_missing_mirror_directory_is_named(config: Config, log: Path) -> None:
    with pytest.raises(StorageError, match="later"):
        update_stats(config._replace(directory=config.directory / "later"), now=NOW)


@pytest.mark.parametrize("dry", [True, False])
def test_a_second_run_at_the_same_time_is_refused(config: Config, log: Path, dry: bool) -> None:
    with (config.directory / ".stats.lock").open("w") as held:
        held.write("update-stats, process 42 on example\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="process 42") as raised:
            update_stats(config, dry_run=dry, now=NOW)
    assert raised.value.exit_code == 5


def test_a_damaged_log_is_a_problem_and_the_others_are_counted(config: Config, log: Path) -> None:
    packed = gzip.compress(GOOD.replace(b"six", b"idna") * 5)
    log.with_name("access.log.2.gz").write_bytes(packed[:40] + b"\0\0\0\0" + packed[44:])
    done = update_stats(config, now=NOW)
    assert (done.downloads, done.exit_code, len(done.problems)) == (3, 3, 1)
    assert done.text().startswith(f"update-stats: {log.parent}/access.log.2.gz: is damaged")
    assert update_stats(config, now=NOW).exit_code == 3, "it is not forgotten"


def test_a_log_that_may_not_be_read_is_named_with_the_remedy(
    config: Config, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = log.with_name("access.log.1")
    packed.write_bytes(GOOD)
    packed.chmod(0)
    real = os.open

    def checked(path: str, *rest: int) -> int:  # as it is for others than root
        if path == str(packed):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", checked)
    done = update_stats(config, now=NOW)
    assert done.problems == (
        f"{packed}: Permission denied: not counted; the user that runs update-stats must be able to read it",
    )
    assert (done.downloads, done.exit_code) == (3, 3)


def test_a_log_that_is_being_compressed_just_now_is_no_problem(config: Config, log: Path) -> None:
    packed = gzip.compress(log.read_bytes())
    log.with_name("access.log.1.gz").write_bytes(packed[: len(packed) - 9])
    done = update_stats(config)
    assert (done.downloads, done.exit_code) == (3, 0)


def test_pieces_are_counted_as_the_whole(config: Config, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats.logsource, "BLOCK_BYTES", 300)
    monkeypatch.setattr(stats, "MOST_PAIRS", 1)
    done = update_stats(config, now=NOW)
    assert (done.downloads, done.lines, done.logs_read, done.broken) == (3, 5, 1, 1)


def test_the_summary_is_plain_data(config: Config, log: Path) -> None:
    told = json.loads(json.dumps(update_stats(config, now=NOW).as_dict()))
    assert told["changed"] is True
    assert told["exit_code"] == 0
    assert told["days_written"] == ["2026-11-23"]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_log_that_stays_cut_is_a_problem(config: Config, log: Path, hours: int) -> None:
    packed = log.with_name("access.log.1.gz")
    packed.write_bytes(gzip.compress(log.read_bytes())[:-9])
    os.utime(packed, (NOW.timestamp() + hours * 3600,) * 2)
    done = update_stats(config, now=NOW)
    assert done.problems == (f"{packed}: ends in the middle of its compressed data",)


def test_a_hostile_log_name_stays_on_one_line(config: Config, log: Path) -> None:
    packed = gzip.compress(GOOD * 9)
    log.with_name("access.log.\n\x1b[31mx").write_bytes(packed[:40] + b"\0\0\0\0" + packed[44:])
    done = update_stats(config, now=NOW)
    assert len(done.problems) == 1
    assert done.problems[0].isprintable()
