"""stats_report.py: the files' content, and when they are written."""

from __future__ import annotations

import bz2
import csv
import errno
import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from bandersnatch.accesslog import Tally
from bandersnatch.errors import StorageError
from bandersnatch.logsource import Found
from bandersnatch.stats_report import Report, is_complete
from bandersnatch.stats_store import StatsStore

DAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 24, 3, tzinfo=timezone.utc)
SIX = b"GET /packages/aa/bb/cc/six-1.0.tar.gz HTTP/1.1"
WHEEL = b"GET /packages/aa/bb/cc/six-1.0-py3-none-any.whl HTTP/1.1"
IDNA = b"GET /packages/aa/bb/cc/idna-3.7-py3-none-any.whl HTTP/1.1"
PIP = b"pip/24.0 CPython/3.11.2 Linux/6.1"
HOSTILE = rb"=cmd,\x22</script>\x22;\x0A\xE2\x98\x83"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StatsStore]:
    one = StatsStore(f"{tmp_path}/stats.sqlite")
    yield one
    one.close()


def add(store: StatsStore, pairs: dict[tuple[bytes, bytes], int], day: date = DAY) -> None:
    tally = Tally(store.words)
    tally.whole[day.toordinal()] = Counter({store.words.pair(*pair): count for pair, count in pairs.items()})
    store.add(tally, Found("x", "1:2", 1, 1), None, 1, b"h", done=True)


def report(store: StatsStore, tmp_path: Path, now: datetime = NOW, dry: bool = False) -> Report:
    return Report(store, f"{tmp_path}/web", f"{tmp_path}/.stats.part", now, dry=dry)


def files(tmp_path: Path) -> dict[str, bytes]:
    root = tmp_path / "web"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_day_is_complete_an_hour_after_its_end_in_utc() -> None:
    end = datetime(2026, 11, 24, 1, tzinfo=timezone.utc)
    assert is_complete(DAY, end)
    assert not is_complete(DAY, end - timedelta(seconds=1))
    assert is_complete(DAY, end.astimezone(timezone(timedelta(hours=-9))))


def test_the_table_is_as_pep_381_has_it(store: StatsStore, tmp_path: Path) -> None:
    add(store, {(SIX, PIP): 2, (SIX, b"-"): 1, (WHEEL, HOSTILE): 3, (IDNA, PIP): 1})
    assert report(store, tmp_path).write_days() == (["2026-11-23"], [])
    text = bz2.decompress((tmp_path / "web/local-stats/days/2026-11-23.bz2").read_bytes()).decode()
    assert text.splitlines()[0] == "# package,filename,useragent,count"
    assert list(csv.reader(io.StringIO(text)))[1:] == [
        ["idna", "idna-3.7-py3-none-any.whl", PIP.decode(), "1"],
        ["six", "six-1.0-py3-none-any.whl", '=cmd,"</script>";\\n☃', "3"],
        ["six", "six-1.0.tar.gz", "-", "1"],
        ["six", "six-1.0.tar.gz", PIP.decode(), "2"],
    ]
    assert len(text.splitlines()) == 5


def test_the_document_says_it_by_project_without_agents(store: StatsStore, tmp_path: Path) -> None:
    add(store, {(SIX, PIP): 2, (WHEEL, HOSTILE): 3, (IDNA, PIP): 1})
    report(store, tmp_path).write_days()
    raw = (tmp_path / "web/local-stats/days/2026-11-23.json").read_bytes()
    assert b"cmd" not in raw
    assert json.loads(raw) == {
        "schema": 1,
        "day": "2026-11-23",
        "downloads": 6,
        "installers": {"pip": 3, "other": 3},
        "pythons": {"3.11": 3, "unknown": 3},
        "systems": {"Linux": 3, "unknown": 3},
        "projects": {
            "idna": {
                "downloads": 1,
                "versions": {"3.7": {"downloads": 1, "files": {"idna-3.7-py3-none-any.whl": 1}}},
                "installers": {"pip": 1},
                "pythons": {"3.11": 1},
                "systems": {"Linux": 1},
            },
            "six": {
                "downloads": 5,
                "versions": {
                    "1.0": {"downloads": 5, "files": {"six-1.0-py3-none-any.whl": 3, "six-1.0.tar.gz": 2}}
                },
                "installers": {"pip": 2, "other": 3},
                "pythons": {"3.11": 2, "unknown": 3},
                "systems": {"Linux": 2, "unknown": 3},
            },
        },
    }


def test_the_summary_has_all_days_and_the_last_thirty_in_detail(store: StatsStore, tmp_path: Path) -> None:
    add(store, {(IDNA, PIP): 7}, DAY - timedelta(days=30))
    add(store, {(SIX, PIP): 1}, DAY - timedelta(days=28))
    add(store, {(SIX, PIP): 2, (IDNA, b"curl/8"): 1}, DAY + timedelta(days=1))
    add(store, {(SIX, PIP): 9}, DAY + timedelta(days=400))  # a clock that went wrong
    assert report(store, tmp_path).write_summary()
    assert json.loads((tmp_path / "web/local-stats/summary.json").read_bytes()) == {
        "schema": 1,
        "downloads": 20,
        "days": {
            "2026-10-24": {"downloads": 7, "complete": True},
            "2026-10-26": {"downloads": 1, "complete": True},
            "2026-11-24": {"downloads": 3, "complete": False},
            "2027-12-28": {"downloads": 9, "complete": False},
        },
        "recent": {
            "first": "2026-10-26",
            "last": "2026-11-24",
            "projects": {"six": 3, "idna": 1},
            "installers": {"pip": 3, "script": 1},
            "pythons": {"3.11": 3, "unknown": 1},
            "systems": {"Linux": 3, "unknown": 1},
        },
    }


def test_nothing_is_written_twice_and_the_same_counts_give_the_same_bytes(
    store: StatsStore, tmp_path: Path
) -> None:
    add(store, {(SIX, PIP): 2, (IDNA, PIP): 1})
    one = report(store, tmp_path)
    assert (one.write_days(), one.write_summary()) == ((["2026-11-23"], []), True)
    before = files(tmp_path)
    assert (one.write_days(), one.write_summary()) == (([], []), False)

    again = StatsStore(f"{tmp_path}/other.sqlite")
    add(again, {(IDNA, PIP): 1})
    add(again, {(SIX, PIP): 2})
    (tmp_path / "other").mkdir()
    other = report(again, tmp_path / "other")
    other.write_days()
    other.write_summary()
    again.close()
    assert files(tmp_path / "other") == before
    assert not (tmp_path / ".stats.part").exists()


def test_late_lines_have_a_day_written_again(store: StatsStore, tmp_path: Path) -> None:
    add(store, {(SIX, PIP): 2})
    one = report(store, tmp_path)
    one.write_days()
    add(store, {(SIX, PIP): 1})
    assert one.write_days() == (["2026-11-23"], [])
    assert b",3\n" in bz2.decompress(files(tmp_path)["local-stats/days/2026-11-23.bz2"])


@pytest.mark.parametrize("ending", [".bz2", ".json"])
def test_a_lost_file_is_written_again(store: StatsStore, tmp_path: Path, ending: str) -> None:
    add(store, {(SIX, PIP): 2})
    one = report(store, tmp_path)
    one.write_days()
    before = files(tmp_path)
    (tmp_path / f"web/local-stats/days/2026-11-23{ending}").unlink()
    assert one.write_days() == (["2026-11-23"], [])
    assert files(tmp_path) == before


def test_days_that_are_not_over_wait(store: StatsStore, tmp_path: Path) -> None:
    add(store, {(SIX, PIP): 2}, DAY + timedelta(days=1))
    assert report(store, tmp_path).write_days() == ([], [])


def test_the_file_of_another_program_is_kept(store: StatsStore, tmp_path: Path) -> None:
    days = tmp_path / "web/local-stats/days"
    days.mkdir(parents=True)
    (days / "2026-11-23.bz2").write_bytes(b"from before")
    add(store, {(SIX, PIP): 2})
    one = report(store, tmp_path)
    assert one.write_days() == ([], ["2026-11-23"])
    assert one.write_days() == ([], []), "said once"
    assert files(tmp_path) == {"local-stats/days/2026-11-23.bz2": b"from before"}
    (days / "2026-11-23.bz2").unlink()
    assert one.write_days() == (["2026-11-23"], [])


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(store: StatsStore, tmp_path: Path) -> None:
    add(store, {(SIX, PIP): 2})
    dry = report(store, tmp_path, dry=True)
    assert (dry.write_days(), dry.write_summary()) == ((["2026-11-23"], []), True)
    assert not (tmp_path / "web").exists()
    store.mark(DAY, stale=True, ours=False)
    real = report(store, tmp_path)
    real.write_days()
    real.write_summary()
    store.mark(DAY, stale=True, ours=True)
    assert (dry.write_days(), dry.write_summary()) == (([], []), False)


def test_a_full_volume_is_named_and_keeps_no_part(
    store: StatsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    add(store, {(SIX, PIP): 2})
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"2026-11-23\.bz2: the volume is full"):
            report(store, tmp_path).write_days()
    assert not (tmp_path / ".stats.part").exists()
    assert report(store, tmp_path).write_days() == (["2026-11-23"], [])


def test_folded_agents_are_one_line_of_the_table(tmp_path: Path) -> None:
    store = StatsStore(f"{tmp_path}/stats.sqlite", fold_agents=True)
    add(store, {(SIX, PIP): 2, (SIX, b"pip/23.1 CPython/3.9.1 Linux/5.10"): 1})
    report(store, tmp_path).write_days()
    store.close()
    table = bz2.decompress(files(tmp_path)["local-stats/days/2026-11-23.bz2"]).decode()
    assert table == "# package,filename,useragent,count\nsix,six-1.0.tar.gz,pip,3\n"
