from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from bandersnatch import status
from bandersnatch.history import Past, Record
from statuses import GOOD, HOUR, NOW, after, days, made

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/status.schema.json").read_text())
RUN: dict[str, Any] = {
    "phase": "fetching files",
    "started": NOW - 9,
    "eta_seconds": 75,
    "failed": 0,
    "rate": 2048,
    "projects": {"done": 1, "total": 4},
    "files": {"done": 10, "total": 0},
    "bytes": {"done": 4096, "total": 8192},
}


def check(one: status.Status) -> dict[str, Any]:
    """It is what the published schema says, and JSON; gives it."""
    value = json.loads(json.dumps(status.as_dict(one)))
    jsonschema.validate(value, SCHEMA, format_checker=jsonschema.FormatChecker())
    return dict(value)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_before_the_first_run_there_is_nothing_and_that_is_said() -> None:
    one = made(Past())
    assert not one.fresh
    value = check(one)
    assert (value["last_run"], value["stale_at"], value["size"]["bytes"]) == (None, None, None)
    assert status.text(one).splitlines()[0] == "Stale: there was no good sync yet"


@pytest.mark.parametrize(
    ("age", "fresh"), [(0, True), (24 * HOUR - 1, True), (24 * HOUR, False), (-HOUR - 1, False)]
)
def test_fresh_means_younger_than_the_limit(age: float, fresh: bool) -> None:
    record = GOOD._replace(started=NOW - age - 5, ended=NOW - age)
    assert made(after(record)).fresh is fresh


def test_the_lag_is_what_upstream_is_ahead_and_how_long_ago_it_was_not() -> None:
    refused = Record(NOW - 60, NOW - 55, exit_code=4, error="would remove 9 projects", upstream_serial=140)
    value = check(made(after(GOOD, refused)))
    assert (value["serial"], value["upstream_serial"], value["lag_serials"]) == (100, 140, 40)
    assert value["lag_seconds"] == 120
    assert value["last_run"]["outcome"] == "refused by the deletion guard"
    assert value["fresh"] is True, "the last good sync is what counts"


def test_the_next_run_is_expected_as_the_ones_before() -> None:
    one = made(after(GOOD, interval=120.0))
    assert check(one)["next_run_expected"] == "2026-11-28T01:00:00Z"
    late = one._replace(now=NOW + HOUR)
    assert "overdue" in status.text(late)
    assert check(made(after(GOOD)))["next_run_expected"] is None


def test_the_growth_is_that_of_the_last_month() -> None:
    sizes = days(
        ("2025-01-01", 1), ("2026-11-08", 1 << 30), ("2026-11-18", 2 << 30), ("2026-11-28", 21 << 30)
    )
    one = made(after(GOOD, days=sizes))
    assert one.growth == (1 << 30)
    assert one.days_left == 10
    assert "full in 10 days" in status.text(one)
    assert made(after(GOOD, days=days(("2026-11-28", 5)))).growth is None
    shrinking = made(after(GOOD, days=days(("2026-11-27", 9), ("2026-11-28", 5))))
    assert shrinking.days_left is None
    check(shrinking)


@pytest.mark.parametrize(
    ("code", "failed", "projects", "good"),
    [
        (0, 0, 7, True),
        (3, 1, 7, True),
        (3, 2, 7, False),
        (3, 10, 100, True),
        (3, 11, 100, False),
        (6, 0, 7, False),
    ],
)
def test_a_few_failures_are_good_enough(code: int, failed: int, projects: int, good: bool) -> None:
    assert status.is_good(code, failed, projects) is good


def test_downloads_and_a_run_that_is_going() -> None:
    summary = {"downloads": 30, "days": {"2026-11-26": {"downloads": 10}, "2026-11-27": {"downloads": 20}}}
    one = made(after(GOOD), downloads=summary, progress=RUN)
    value = check(one)
    assert value["downloads"] == {"total": 30, "days": {"2026-11-26": 10, "2026-11-27": 20}}
    assert value["running"]["eta_seconds"] == 75
    text = status.text(one)
    assert "fetching files: 1 of 4 projects, 10 files, 4.0 KiB, 2.0 KiB/s, 1 min 15 s left" in text
    assert "30 since 2026-11-26; 20 on 2026-11-27" in text


def test_failures_are_named_on_one_line_each() -> None:
    failing = GOOD._replace(
        exit_code=3, failed=12, failures=tuple((f"p{n}", "a\x1b[31m\nb") for n in range(10))
    )
    text = status.text(made(after(failing)))
    assert "  p0: a\\x1b[31m\\nb" in text
    assert "... and 2 more" in text
    check(made(after(failing)))


def test_passwords_are_not_told() -> None:
    one = made(after(GOOD))
    assert "secret" not in json.dumps(status.as_dict(one)) + status.text(one)
