"""What a long run shows, and when."""

from __future__ import annotations

import io
import json
import logging
import os
from pathlib import Path

import pytest
from bandersnatch.config import Config
from bandersnatch.progress import CLEAR_LINE, LogView, Progress, TerminalView, make_progress


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def read(path: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(path.read_text("utf-8"))
    return content


def test_a_silent_one_only_counts(clock: Clock) -> None:
    progress = Progress(clock=clock)
    progress.start("download", projects=2, files=10, bytes=1000)
    progress.advance(files=1, bytes=100)
    clock.now += 2
    progress.advance(projects=1, files=2, bytes=300)
    now = progress.snapshot()
    assert now.done == {"projects": 1, "files": 3, "bytes": 400}
    assert now.rate == pytest.approx(200)
    assert now.fraction == pytest.approx(0.3)


def test_the_slowest_unit_makes_the_eta(clock: Clock) -> None:
    progress = Progress(clock=clock)
    progress.start("download", files=10, bytes=1000)
    clock.now += 10
    progress.advance(files=5, bytes=100)  # files: 10 s more; bytes: 90 s more
    assert progress.snapshot().eta == pytest.approx(90)


def test_nothing_done_yet_means_no_eta(clock: Clock) -> None:
    progress = Progress(clock=clock)
    progress.start("download", files=10)
    clock.now += 10
    assert progress.snapshot().eta is None


def test_the_rate_is_that_of_the_last_half_minute(clock: Clock) -> None:
    progress = Progress(clock=clock)
    progress.start("download", bytes=10_000)
    for second in range(120):
        clock.now += 1
        progress.advance(bytes=100 if second < 60 else 10)
    assert progress.snapshot().rate == pytest.approx(10)


def test_a_new_phase_begins_at_zero(clock: Clock) -> None:
    progress = Progress(clock=clock)
    progress.start("one", files=3)
    progress.advance(files=3)
    progress.start("two", projects=5)
    assert progress.snapshot().phase == "two"
    assert progress.snapshot().done["files"] == 0


def test_log_lines_come_every_30_seconds_the_first_after_30(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress(LogView(), clock=clock)
    progress.start("download", files=100)
    for _ in range(65):
        clock.now += 1
        progress.advance(files=1)
    assert [record.message for record in caplog.records] == [
        "download: files 30/100, 1 min 10 s left",
        "download: files 60/100, 40 s left",
    ]


def test_a_short_run_logs_nothing(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress(LogView(), clock=clock)
    progress.start("download", files=2)
    clock.now += 29
    progress.advance(files=2)
    progress.close()
    assert caplog.records == []


def test_a_failed_project_is_counted(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = Progress(clock=clock)
    progress.start("download", projects=2)
    progress.failed("six", "no")
    assert progress.snapshot().text() == "download: projects 0/2, 1 failed"
    assert caplog.records == []


def test_the_bar_is_drawn_over_itself_and_cleared(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(TerminalView(stream), clock=clock)
    clock.now += 1
    progress.start("download", files=4)
    progress.advance(files=1)  # too soon to be drawn
    clock.now += 1
    progress.advance(files=1)
    progress.close()
    lines = stream.getvalue().split(CLEAR_LINE)
    assert lines[0] == lines[-1] == ""
    assert lines[1].startswith("[....................]   0% download: files 0/4")
    assert lines[2].startswith("[##########..........]  50% download: files 2/4")
    assert len(lines) == 4
    assert all(len(line) < 80 for line in lines)


def test_a_terminal_that_went_away_stops_nothing(clock: Clock) -> None:
    stream = io.StringIO()
    stream.close()
    progress = Progress(TerminalView(stream), clock=clock)
    clock.now += 1
    progress.start("download")
    progress.close()


def test_the_file_says_where_the_run_is_and_goes_with_it(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "progress.json"
    progress = Progress(path=str(path), clock=clock)
    assert not path.exists()
    progress.start("download", projects=3, files=4, bytes=500)
    clock.now += 2
    progress.advance(projects=1, files=2, bytes=100)
    content = read(path)
    assert content["phase"] == "download"
    assert content["projects"] == {"done": 1, "total": 3}
    assert content["files"] == {"done": 2, "total": 4}
    assert content["bytes"] == {"done": 100, "total": 500}
    assert content["rate"] == 50
    assert content["eta_seconds"] == 8
    assert content["pid"] == os.getpid()
    assert {"started", "updated", "failed"} <= content.keys()
    progress.close()
    progress.close()
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_written_at_most_once_a_second(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "progress.json"
    progress = Progress(path=str(path), clock=clock)
    progress.start("download", files=4)
    clock.now += 0.5
    progress.advance(files=1)
    assert read(path)["files"] == {"done": 0, "total": 4}
    clock.now += 0.5
    progress.advance(files=1)
    assert read(path)["files"] == {"done": 2, "total": 4}


def test_a_run_that_never_began_leaves_the_file_of_the_one_that_did(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    path.write_text("{}")
    Progress(path=str(path)).close()
    assert path.exists()


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    progress = Progress(path=str(tmp_path / "missing" / "progress.json"))
    progress.start("download")
    progress.close()


def test_the_file_is_never_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "progress.json"
    for name in ("progress.json", "progress.json.new"):
        (tmp_path / name).symlink_to(victim)
    progress = Progress(path=str(path))
    progress.start("download")
    progress.close()
    assert victim.read_text() == "precious"


def test_without_a_terminal_it_is_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    config = Config(directory=tmp_path, master="https://index.example.org/simple/")
    assert isinstance(make_progress(config)._view, LogView)
    assert make_progress(config, quiet=True)._view is None
    assert make_progress(config, file=False)._path is None
