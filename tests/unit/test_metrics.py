from __future__ import annotations

import re
from pathlib import Path

from bandersnatch import metrics
from bandersnatch.history import Past, Record, Size
from prometheus_client.parser import text_string_to_metric_families
from statuses import GOOD, NOW, SIZE, after, days, made

ROOT = Path(__file__).resolve().parents[2]


def values(text: str) -> dict[str, float]:
    """Each sample by its name, as Prometheus' own parser reads it."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type == "gauge", family.name
        for sample in family.samples:
            found[sample.name + "".join(f" {label}" for label in sample.labels.values())] = sample.value
    return found


def test_prometheus_reads_what_the_status_says() -> None:
    run = GOOD._replace(added=2, updated=3, files_added=9, bytes_added=1234)
    past = after(run, days=days(("2026-11-18", 10 << 30), ("2026-11-28", 20 << 30)))
    found = values(metrics.render(made(past, downloads={"downloads": 30, "days": {}})))
    assert found["bandersnatch_last_success_timestamp_seconds"] == NOW - 90
    assert found["bandersnatch_last_run_duration_seconds"] == 30
    assert found["bandersnatch_last_run_exit_code"] == 0
    assert found["bandersnatch_serial"] == 100
    assert found["bandersnatch_lag_serials"] == 0
    assert found["bandersnatch_lag_seconds"] == 120
    assert found["bandersnatch_projects"] == SIZE.projects
    assert found["bandersnatch_bytes"] == SIZE.bytes
    assert found["bandersnatch_volume_free_bytes"] == SIZE.free
    assert found["bandersnatch_growth_bytes_per_day"] == 1 << 30
    assert found["bandersnatch_last_change_projects updated"] == 3
    assert found["bandersnatch_last_change_added_bytes"] == 1234
    assert found["bandersnatch_downloads"] == 30


def test_a_failed_run_leaves_the_last_success() -> None:
    bad = Record(NOW - 60, NOW - 50, exit_code=6, error="silence", upstream_serial=100)
    found = values(metrics.render(made(after(GOOD, bad))))
    assert found["bandersnatch_last_run_exit_code"] == 6
    assert found["bandersnatch_last_success_timestamp_seconds"] == NOW - 90
    assert found["bandersnatch_last_run_timestamp_seconds"] == NOW - 50


def test_what_is_not_known_is_left_out() -> None:
    found = values(metrics.render(made(Past(size=Size(free=5)))))
    assert found["bandersnatch_volume_free_bytes"] == 5
    assert not any("serial" in name or "success" in name for name in found)


def test_labels_are_escaped() -> None:
    one = made(after(GOOD))._replace(upstream='a"b\\c\nd')
    (info,) = [
        f for f in text_string_to_metric_families(metrics.render(one)) if f.name == "bandersnatch_info"
    ]
    assert info.samples[0].labels["upstream"] == 'a"b\\c\nd'


def test_no_password_is_in_it() -> None:
    assert "secret" not in metrics.render(made(after(GOOD)))


def test_every_metric_is_documented() -> None:
    run = GOOD._replace(added=1, bytes_added=1)
    past = after(run, days=days(("2026-11-18", 1), ("2026-11-28", 2)))
    names = {f"bandersnatch_{one.name}" for one in metrics.metrics(made(past, downloads={"downloads": 1}))}
    page = (ROOT / "docs/status.md").read_text()
    assert names == set(re.findall(r"^\| `(bandersnatch_\w+)", page, re.MULTILINE))
