"""What a run says of itself."""

from __future__ import annotations

import json

import pytest
from bandersnatch.summary import MAX_FAILURES_SHOWN, Summary, human_bytes, human_time, one_line

QUIET = Summary(projects=7, serial=123, seconds=0.3)


def test_a_run_without_change_is_one_line() -> None:
    assert QUIET.text() == "In sync with upstream: nothing changed (7 projects, serial 123, 0.3 s)."


def test_without_a_serial_none_is_claimed() -> None:
    assert "serial" not in QUIET._replace(serial=None).text()


def test_what_changed_is_counted_and_on_demand_named() -> None:
    summary = QUIET._replace(
        added=("a", "b"), updated=("c",), removed=("d",), files_added=3, bytes_added=2048, files_removed=1
    )
    assert summary.text() == (
        "In sync with upstream: 2 projects added, 1 project updated, 1 project removed, "
        "3 files added (2.0 KiB), 1 file removed (7 projects, serial 123, 0.3 s)."
    )
    assert summary.text(names=True).splitlines()[1:] == ["  + a", "  + b", "  ~ c", "  - d"]


def test_a_dry_run_speaks_of_what_would_be() -> None:
    summary = QUIET._replace(dry_run=True, added=("a",), files_added=1)
    assert summary.text().startswith(
        "Dry run, nothing was written: 1 project would be added, 1 file would be"
    )
    assert "nothing would change" in QUIET._replace(dry_run=True).text()


def test_failures_are_named_one_a_line_and_make_the_exit_code_3() -> None:
    summary = QUIET._replace(failures=(("six", "404 Not Found"), ("evil", "a\nb\x1b[31m")))
    assert summary.exit_code == 3
    assert not summary.changed
    assert summary.text().splitlines()[1:] == [
        "2 projects failed; the next run tries again:",
        "  six: 404 Not Found",
        "  evil: a\\nb\\x1b[31m",
    ]


def test_many_failures_are_cut_short() -> None:
    failures = tuple((f"p{n}", "no") for n in range(MAX_FAILURES_SHOWN + 10))
    lines = QUIET._replace(failures=failures).failure_lines()
    assert len(lines) == MAX_FAILURES_SHOWN + 2
    assert lines[-1] == "  ... and 10 more"


def test_interruption_goes_before_failure() -> None:
    summary = QUIET._replace(interrupted=True, failures=(("six", "no"),))
    assert summary.exit_code == 130
    assert summary.headline.startswith("Interrupted")


@pytest.mark.parametrize(
    "change",
    [
        {"added": ("a",)},
        {"updated": ("a",)},
        {"removed": ("a",)},
        {"files_added": 1},
        {"files_removed": 1},
        {"root_changed": True},
    ],
)
def test_any_change_of_what_is_served_counts(change: dict[str, object]) -> None:
    assert QUIET._replace(**change).changed
    assert "nothing changed" not in QUIET._replace(**change).text()
    assert not QUIET.changed


def test_as_json() -> None:
    summary = QUIET._replace(added=("a",), failures=(("six", "no"),))
    data = json.loads(json.dumps(summary.as_dict()))
    assert data["added"] == ["a"]
    assert data["failures"] == [{"name": "six", "reason": "no"}]
    assert data["changed"] is True
    assert data["exit_code"] == 3
    assert data["serial"] == 123


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 2**40, "5.0 TiB"), (3 * 2**60, "3,072.0 PiB")],
)
def test_bytes_for_people(count: int, text: str) -> None:
    assert human_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.2 s"),
        (45, "45 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (3600, "1 h"),
        (100_000, "1 d 3 h"),
    ],
)
def test_time_for_people(seconds: float, text: str) -> None:
    assert human_time(seconds) == text


@pytest.mark.parametrize("text", ["plain", "größe", "日本"])
def test_ordinary_text_stays(text: str) -> None:
    assert one_line(text) == text


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\x1b[2J", "\x00", "\u2028", "\u202e", "\ud800", "\x85"])
def test_what_could_forge_a_line_is_escaped(text: str) -> None:
    assert one_line(text).isprintable()
    assert one_line(text).encode()
