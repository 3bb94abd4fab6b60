"""What nginx serves of the mirror's own account: the page, status.json, metrics, healthz; after real runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from bandersnatch import health
from faults import answer
from harness import ROOT, Mirror
from nginxsite import ANSIBLE, NGINX, Site, serve
from prometheus_client.parser import text_string_to_metric_families
from scenes import small
from simulator import Simulator

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(not ANSIBLE.exists(), reason="ansible-core is not installed beside pytest"),
]
LIMIT = 3600  # seconds: `stale-after`


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    with Simulator() as simulator:
        small(simulator, 2)
        yield simulator


@pytest.fixture(scope="module")
def mirror(upstream: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    one = Mirror(tmp_path_factory.mktemp("mirror"), upstream)
    one.sections["status"] = {"stale-after": str(LIMIT // 3600)}
    one.write_config()
    return one


@pytest.fixture(scope="module")
def site(mirror: Mirror) -> Iterator[Site]:
    """It runs from before the first sync on."""
    mirror.web.mkdir(parents=True)
    with serve(mirror.directory) as running:
        assert running.get("/").status == 200, "before the first run there is a listing"
        for path in ("/index.html", "/status.json", "/metrics"):
            assert running.get(path).status == 404
        early = running.get("/healthz")
        assert (early.status, early.body) == (503, b"stale\n")
        yield running


@pytest.fixture(autouse=True)
def synced(site: Site, mirror: Mirror) -> None:
    mirror.clock = 0
    mirror.sync()


@pytest.mark.parametrize(
    ("path", "kind", "cache"),
    [
        ("/", "text/html; charset=utf-8", "public, max-age=60"),
        ("/status.json", "application/json", "public, max-age=60"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "no-store"),
        ("/healthz", "text/plain; charset=utf-8", "no-store"),
    ],
)
def test_they_are_served_as_what_they_are(site: Site, path: str, kind: str, cache: str) -> None:
    got = site.get(path)
    assert got.status == 200
    assert got.headers["Content-Type"] == kind
    assert got.headers["Cache-Control"] == cache
    assert "default-src 'none'" in got.headers["Content-Security-Policy"]
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert site.get(path, method="POST").status == 405
    assert site.get(path, method="HEAD").status == 200


def test_the_page_is_the_mirrors_own(site: Site, mirror: Mirror) -> None:
    assert site.get("/").body == (mirror.web / "index.html").read_bytes()
    assert site.get("/", Accept_Encoding="gzip").headers["Content-Encoding"] == "gzip"


def test_programs_can_read_what_is_served(site: Site) -> None:
    assert json.loads(site.get("/status.json").body)["fresh"] is True
    names = {family.name for family in text_string_to_metric_families(site.get("/metrics").body.decode())}
    assert "bandersnatch_last_success_timestamp_seconds" in names


def test_healthy_while_fresh_and_never_from_a_cache(site: Site) -> None:
    got = site.get("/healthz")
    assert (got.status, got.body) == (200, b"ok\n")
    again = site.get(
        "/healthz", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT", If_None_Match="*", Range="bytes=0-0"
    )
    assert (again.status, again.body) == (200, b"ok\n")


@pytest.mark.parametrize(
    ("age", "status"),
    [(60, 200), (LIMIT - 30, 200), (LIMIT + 2 * health.GRAIN, 503), (10 * LIMIT, 503)],
)
def test_unhealthy_when_the_last_good_sync_is_too_old(
    site: Site, mirror: Mirror, age: int, status: int
) -> None:
    """The clock of the run goes behind by `age`: what it leaves is what a run so long ago would have left."""
    mirror.clock = -age
    mirror.sync()
    assert site.get("/healthz").status == status


def test_a_bad_run_does_not_make_it_healthier(site: Site, mirror: Mirror, upstream: Simulator) -> None:
    mirror.clock = -10 * LIMIT
    mirror.sync()
    upstream.fault(answer("/simple/.*", 403))
    mirror.clock = 0
    mirror.sync(expect=6)
    upstream.heal()
    got = site.get("/healthz")
    assert (got.status, got.body) == (503, b"stale\n")
    assert got.headers["Cache-Control"] == "no-store"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    mirror.sync()
    assert site.get("/healthz").status == 200


@pytest.mark.parametrize("path", ["/health/", "/health/unknown", "/history", "/state", "/../health/unknown"])
def test_what_is_behind_it_is_not_served(site: Site, path: str) -> None:
    assert site.get(path).status in (400, 404)


def test_health_checks_are_not_logged(site: Site, mirror: Mirror) -> None:
    site.get("/healthz")
    site.get("/metrics")
    log = (mirror.directory / "access.log").read_text()
    assert "GET /metrics" in log
    assert "GET /healthz" not in log


def test_role_and_engine_mean_the_same_digits() -> None:
    path = Path(ROOT / "roles/bandersnatch_nginx/vars/main.yml")
    assert tuple(yaml.safe_load(path.read_text())["__bandersnatch_nginx_clock"]) == health.DIGITS
