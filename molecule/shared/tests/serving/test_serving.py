"""The website, asked as clients ask."""

import hashlib
import json
import time
from collections.abc import Iterator

import pytest
from testinfra.host import Host
from website import JSON, Site

HTML = "application/vnd.pypi.simple.v1+html"
ANY_PAGE = ["/simple/", "/simple/demo-app/"]

# What each client sends (tests/integration/test_nginx.py has their versions), and what it must get.
ACCEPTS = [
    ("pip 22.2 and later, PDM", f"{JSON}, {HTML}; q=0.1, text/html; q=0.01", JSON),
    ("pip before 22.2", "text/html", "text/html"),
    ("uv", f"{JSON}, {HTML};q=0.2, text/html;q=0.01", JSON),
    ("poetry", f"{JSON}, */*;q=0.1", JSON),
    ("only JSON", JSON, JSON),
    ("browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
    ("curl", "*/*", "text/html"),
    ("none", None, "text/html"),
    ("HTML by its version", HTML, HTML),
    ("the latest JSON", "application/vnd.pypi.simple.latest+json", JSON),
]


@pytest.mark.parametrize("path", ANY_PAGE)
@pytest.mark.parametrize(("accept", "given"), [row[1:] for row in ACCEPTS], ids=[row[0] for row in ACCEPTS])
def test_a_client_gets_the_form_that_it_asks_for(
    site: Site, path: str, accept: str | None, given: str
) -> None:
    answer = site.get(path, accept)
    assert answer.status == 200
    assert answer.headers.get_content_type() == given
    assert "accept" in ",".join(answer.headers.get_all("Vary", [])).lower().replace(" ", "").split(",")
    if given == JSON:
        assert json.loads(answer.body)["meta"]["api-version"].startswith("1.")
    else:
        assert answer.headers.get_content_charset() == "utf-8"
        assert answer.body.lstrip().lower().startswith(b"<!doctype html>")


@pytest.mark.parametrize("path", ANY_PAGE)
def test_a_form_that_there_is_not_is_refused(site: Site, path: str) -> None:
    assert site.get(path, "image/png").status == 406


def test_the_root_lists_what_is_allowed_and_nothing_else(site: Site) -> None:
    names = {
        project["name"].lower().replace("_", "-")
        for project in json.loads(site.get("/simple/", JSON).body)["projects"]
    }
    assert names == {"demo-app", "demo-lib", "demo-unicode", "demo-news", "demo-broken"}
    assert site.get("/simple/demo-other/").status == 404


def test_every_file_of_a_page_is_there_with_its_hash(site: Site) -> None:
    for project in ("demo-app", "demo-lib", "demo-unicode"):
        files = site.files(project)
        assert files
        for entry in files.values():
            answer = site.get(entry["path"])
            assert answer.status == 200
            assert hashlib.sha256(answer.body).hexdigest() == entry["hashes"]["sha256"]
            assert len(answer.body) == entry["size"]


def test_a_page_keeps_what_upstream_says(site: Site) -> None:
    yanked = site.files("demo-app")["demo_app-1.1-py3-none-any.whl"]
    assert yanked["yanked"] == 'wrong <limit> & "naïve" default: use 1.0'
    assert yanked["requires-python"] == ">=3.8"
    html = site.get("/simple/demo-app/", "text/html").body.decode()
    assert "wrong &lt;limit&gt; &amp; &#34;naïve" in html or "wrong &lt;limit&gt; &amp; &quot;naïve" in html


def test_core_metadata_is_served_as_text(site: Site) -> None:
    entry = site.files("demo-app")["demo_app-1.0-py3-none-any.whl"]
    answer = site.get(entry["path"] + ".metadata")
    assert answer.headers.get_content_type() == "text/plain"
    assert answer.headers.get_content_charset() == "utf-8"
    assert hashlib.sha256(answer.body).hexdigest() == entry["core-metadata"]["sha256"]


def test_a_name_beyond_ascii_is_readable_in_a_listing(site: Site) -> None:
    ((name, entry),) = site.files("demo-unicode").items()
    listing = site.get(entry["path"].rpartition("/")[0] + "/")
    assert listing.status == 200
    assert listing.headers.get_content_charset() == "utf-8"
    assert name in listing.body.decode("utf-8")


def test_last_modified_is_a_time_in_plain_text(site: Site) -> None:
    answer = site.get("/last-modified")
    assert answer.headers.get_content_type() == "text/plain"
    assert len(answer.body.strip()) == len("20240101T00:00:00")


def test_it_says_that_it_is_fresh(site: Site) -> None:
    answer = site.get("/healthz")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")


def test_it_says_how_it_is_doing(site: Site) -> None:
    answer = site.get("/status.json")
    assert answer.headers.get_content_type() == "application/json"
    told = json.loads(answer.body)
    assert (told["fresh"], told["size"]["projects"], told["last_run"]["exit_code"]) == (True, 5, 0)
    samples = site.get("/metrics").body.decode().splitlines()
    assert {"bandersnatch_projects 5", "bandersnatch_last_run_exit_code 0"} <= set(samples)


def test_who_has_a_page_is_not_sent_it_again(site: Site) -> None:
    first = site.get("/simple/demo-lib/", JSON)
    assert site.get("/simple/demo-lib/", JSON, If_None_Match=first.headers["ETag"]).status == 304


def test_a_download_can_go_on_where_it_stopped(site: Site) -> None:
    (entry,) = site.files("demo-lib").values()
    answer = site.get(entry["path"], Range="bytes=10-")
    assert answer.status == 206
    assert len(answer.body) == entry["size"] - 10


def test_a_page_without_its_slash_is_redirected(site: Site) -> None:
    answer = site.get("/simple/demo-app")
    assert answer.status == 301
    assert answer.headers["Location"].endswith("/simple/demo-app/")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "MKCOL"])
def test_nothing_but_reading(site: Site, method: str) -> None:
    assert site.get("/simple/demo-app/", method=method).status in (403, 405)
    assert site.get("/new", method=method).status in (403, 405)


def test_a_head_request_brings_no_body(site: Site) -> None:
    answer = site.get("/simple/demo-app/", JSON, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/state",
        "/../state",
        "/%2e%2e/state",
        "/simple/../../state",
        "/packages/..%2f..%2fstate",
        "/simple/..%2f..%2f..%2f..%2fetc/passwd",
        "/.lock",
        "/progress.json",
        "/tmp/",
    ],
)
def test_what_is_the_engine_s_own_is_not_served(site: Site, path: str) -> None:
    assert 400 <= site.get(path).status < 500


@pytest.fixture(scope="module")
def intruders(host: Host) -> Iterator[list[str]]:
    """What could come to lie under the website's root and must not be shown."""
    paths = ["/.hidden", "/simple/demo-app/.hidden", "/shadow", "/simple/demo-app/shadow"]
    for path in paths[:2]:
        host.check_output(f"touch /srv/pypi/web{path}")
    for path in paths[2:]:
        host.check_output(
            f"ln -s /etc/passwd /srv/pypi/web{path} && chown -h bandersnatch: /srv/pypi/web{path}"
        )
    yield paths
    host.check_output("rm " + " ".join(f"/srv/pypi/web{path}" for path in paths))


def test_dot_files_and_links_that_lead_out_are_not_served(site: Site, intruders: list[str]) -> None:
    assert [site.get(path).status in (403, 404) for path in intruders] == [True] * len(intruders)


def test_the_log_goes_on_in_a_new_file_after_a_rotation(site: Site, host: Host) -> None:
    folder = "/var/log/bandersnatch"
    before = host.check_output(f"ls {folder}").split()
    host.check_output("logrotate --force /etc/logrotate.d/bandersnatch")
    assert len(host.check_output(f"ls {folder}").split()) == len(before) + 1
    for _ in range(100):  # nginx is told by a signal: what it answers before that goes into the old file
        site.get("/nothing?after-rotation")
        if host.run(f"grep -q after-rotation {folder}/access.log").succeeded:
            break
        time.sleep(0.1)
    else:
        pytest.fail("nginx went on writing into the rotated file")
    assert host.file(f"{folder}/access.log").user == "www-data"
    assert host.file(f"{folder}/access.log").group == "bandersnatch"
    assert host.file(f"{folder}/access.log").mode == 0o640
    host.check_output(f"runuser -u bandersnatch -- cat {folder}/access.log {folder}/access.log.1")
    assert host.run(f"runuser -u nobody -- cat {folder}/access.log").failed
