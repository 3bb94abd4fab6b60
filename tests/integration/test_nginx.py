"""The site that the role writes, served by a real nginx: what clients get for what they ask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginxsite import ANSIBLE, NGINX, Site, serve

JSON, VHTML = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"
HTML = "text/html; charset=utf-8"
WHEEL = "packages/aa/bb/cc/six-1.0-py3-none-any.whl"

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(not ANSIBLE.exists(), reason="ansible-core is not installed beside pytest"),
]


def fill(web: Path) -> None:
    """A mirror of one project."""
    texts = {
        "simple/index.html": "root html",
        "simple/index.v1_json": "root json " * 200,
        "simple/six/index.html": "six html",
        "simple/six/index.v1_json": '{"name": "six"}' * 100,
        "simple/s/sevn/index.html": "sevn html",
        "last-modified": "20261123T10:00:00",
        WHEEL: "0123456789",
        f"{WHEEL}.metadata": "Name: naïve",
        "packages/aa/bb/dd/ünïcode-1.0.tar.gz": "x",
        ".hidden": "hidden",
    }
    for name, text in texts.items():
        (web / name).parent.mkdir(parents=True, exist_ok=True)
        (web / name).write_text(text)
    (web / "packages/leak").symlink_to("/etc/passwd")
    if os.geteuid() == 0:  # a link of root's would be root's own
        os.chown(web / "packages/leak", 65534, 65534, follow_symlinks=False)
    (web.parent / "state").write_text("the engine's own")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    base = tmp_path_factory.mktemp("site")
    fill(base / "web")
    with serve(base) as running:
        yield running


@pytest.fixture(scope="module")
def deep_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    base = tmp_path_factory.mktemp("deep")
    fill(base / "web")
    with serve(base, hash_index=True) as running:
        yield running


ACCEPTS = {
    "pip 22.2 and newer": (f"{JSON}, {VHTML}; q=0.1, text/html; q=0.01", JSON),
    "pip before 22.2": ("text/html", HTML),
    "uv": (f"{JSON}, {VHTML};q=0.2, text/html;q=0.01", JSON),
    "poetry": (JSON, JSON),
    "pdm": (f"{VHTML};q=0.3, {JSON};q=0.5, */*;q=0.1", JSON),
    "a browser": ("text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", HTML),
    "curl": ("*/*", HTML),
    "nothing said": (None, HTML),
    "the latest JSON": ("application/vnd.pypi.simple.latest+json", JSON),
    "the latest HTML": ("application/vnd.pypi.simple.latest+html", f"{VHTML}; charset=utf-8"),
    "versioned HTML": (VHTML, f"{VHTML}; charset=utf-8"),
    "JSON is not acceptable": (f"{JSON};q=0, text/html", HTML),
    "any text": ("text/*", HTML),
    "in capitals": (JSON.upper(), JSON),
}


@pytest.mark.parametrize(("accept", "expected"), ACCEPTS.values(), ids=ACCEPTS.keys())
@pytest.mark.parametrize("path", ["/simple/", "/simple/six/"])
def test_pages_come_as_the_client_accepts_them(
    site: Site, path: str, accept: str | None, expected: str
) -> None:
    answer = site.get(path, accept)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == expected
    assert "Accept" in answer.headers.get_all("Vary", [])
    file = site.web / path.strip("/") / ("index.v1_json" if expected == JSON else "index.html")
    assert answer.body == file.read_bytes()


@pytest.mark.parametrize("accept", ["image/png", "application/vnd.pypi.simple.v2+json", "text/html;q=0", "x"])
def test_what_nothing_fits_is_406(site: Site, accept: str) -> None:
    assert site.get("/simple/six/", accept).status == 406


def test_pages_are_compressed_on_the_fly_but_not_the_root_index(site: Site) -> None:
    page = site.get("/simple/six/", JSON, Accept_Encoding="gzip")
    assert page.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in site.get("/simple/", JSON, Accept_Encoding="gzip").headers


@pytest.mark.parametrize("path", ["/simple", "/simple/six"])
def test_a_page_without_its_slash_is_a_redirect_by_path(site: Site, path: str) -> None:
    answer = site.get(path, JSON)
    assert (answer.status, answer.headers["Location"]) == (301, path + "/")


def test_an_unknown_project_is_404_and_simple_is_never_listed(site: Site) -> None:
    assert site.get("/simple/nobody/", JSON).status == 404
    assert site.get("/simple/s/", JSON).status == 404
    assert site.get("/simple/s/", "text/html").status == 404


def test_files_are_bytes_that_may_be_kept_and_resumed(site: Site) -> None:
    answer = site.get(f"/{WHEEL}")
    assert (answer.status, answer.body) == (200, b"0123456789")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "immutable" in answer.headers["Cache-Control"]
    part = site.get(f"/{WHEEL}", Range="bytes=4-5")
    assert (part.status, part.body) == (206, b"45")
    again = site.get(f"/{WHEEL}", If_None_Match=answer.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


def test_metadata_is_text_in_utf8(site: Site) -> None:
    answer = site.get(f"/{WHEEL}.metadata")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == "Name: naïve"
    assert site.get("/last-modified").headers["Content-Type"] == "text/plain; charset=utf-8"


def test_packages_are_listed_in_utf8(site: Site) -> None:
    answer = site.get("/packages/aa/bb/dd/")
    assert answer.headers["Content-Type"] == HTML
    assert "ünïcode-1.0.tar.gz" in answer.body.decode()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_only_reading_is_allowed(site: Site, method: str) -> None:
    assert site.get("/simple/six/", JSON, method).status == 405
    assert (site.web / "simple/six/index.html").exists()


def test_head_says_what_get_would(site: Site) -> None:
    get, head = site.get("/simple/six/", JSON), site.get("/simple/six/", JSON, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.body))


@pytest.mark.parametrize(
    "path",
    [
        "/.hidden",
        "/../state",
        "/simple/../../state",
        "/%2e%2e/state",
        "/simple/..%2f..%2f..%2fstate",
        "/simple/%2e%2e/%2e%2e/state",
        "/simple//../..//state",
        "/packages/leak",
        "/packages/..%00/state",
        "/negotiated/json/simple/six/index.v1_json",
        "/negotiated/html/../../state",
        "/state",
        "//etc/passwd",
    ],
)
def test_hostile_paths_are_refused(site: Site, path: str) -> None:
    answer = site.get(path, "*/*")
    assert 400 <= answer.status < 500, answer.body
    assert b"the engine's own" not in answer.body
    assert b"root:" not in answer.body


@pytest.mark.parametrize("path", ["/", "/simple/", "/simple/six/", f"/{WHEEL}", "/nothing", "/packages/"])
def test_every_answer_has_the_security_headers(site: Site, path: str) -> None:
    headers = site.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] == "nginx"  # and no version


def test_a_hashed_index_is_found_under_the_usual_address(deep_site: Site) -> None:
    for path in ("/simple/sevn/", "/simple/s/sevn/"):
        answer = deep_site.get(path, "text/html")
        assert (answer.status, answer.body) == (200, b"sevn html"), path
    assert deep_site.get("/simple/", "text/html").body == b"root html"
