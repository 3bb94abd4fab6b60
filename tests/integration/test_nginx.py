"""The site that the role writes, served by a real nginx: what clients get for what they ask."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import PATIENCE
from nginxsite import ANSIBLE, NGINX, Site, serve
from volumes import call, needs_volumes, unmount

CHROMIUM = shutil.which("chromium")
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
        "packages/aa/bb/dd/пакет_日本語-2.0-py3-none-any.whl": "x",
        ".hidden": "hidden",
    }
    for name, text in texts.items():
        (web / name).parent.mkdir(parents=True, exist_ok=True)
        (web / name).write_text(text)
    (web / "packages/leak").symlink_to("/etc/passwd")
    (web.parent / "state").write_text("the engine's own")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    base = tmp_path_factory.mktemp("site")
    fill(base / "web")
    for name in ("index.html", "index.v1_json"):
        plain = base / "web/simple" / name
        plain.with_name(f"{name}.gz").write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    with serve(base) as running:
        yield running


@pytest.fixture(scope="module")
def deep_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    base = tmp_path_factory.mktemp("deep")
    fill(base / "web")
    with serve(base, hash_index=True) as running:
        yield running


# What clients really send, recorded from the programs themselves where a version is named.
ACCEPTS = {
    "pip 23.2.1": (f"{JSON}, {VHTML}; q=0.1, text/html; q=0.01", JSON),
    "pip 20.3.4 and 22.1.2": ("text/html", HTML),
    "uv 0.13.9": (f"{JSON}, {VHTML};q=0.2, text/html;q=0.01", JSON),
    "PDM 2.26.2": (f"{JSON}, {VHTML}; q=0.1, text/html; q=0.01", JSON),
    "poetry 2.5.1": (f"{JSON}, */*;q=0.1", JSON),
    "only JSON": (JSON, JSON),
    "JSON before HTML before any": (f"{VHTML};q=0.3, {JSON};q=0.5, */*;q=0.1", JSON),
    "Chromium 156": (
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;q=0.8,"
        "application/signed-exchange;v=b3;q=0.7",
        HTML,
    ),
    "Firefox 140 ESR": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
    "curl 7.88.1": ("*/*", HTML),
    "nothing said": (None, HTML),
    "the latest JSON": ("application/vnd.pypi.simple.latest+json", JSON),
    "the latest HTML": ("application/vnd.pypi.simple.latest+html", f"{VHTML}; charset=utf-8"),
    "versioned HTML": (VHTML, f"{VHTML}; charset=utf-8"),
    "JSON is not acceptable": (f"{JSON};q=0, text/html", HTML),
    "JSON is not acceptable, with decimals": (f"{JSON} ; q=0.000 , text/html", HTML),
    "only by the least weight": (f"{JSON};q=0.001", JSON),
    "HTML is preferred": (f"{JSON};q=0.5, text/html;q=0.9", HTML),
    "HTML is preferred, in the other order": (f"text/html, {JSON};q=0.9", HTML),
    "JSON is preferred, in the other order": (f"text/html;q=0.1, {JSON};q=0.2", JSON),
    "of equals JSON": (f"text/html;q=0.7, {VHTML};q=0.7, {JSON};q=0.7", JSON),
    "of equals versioned HTML": (f"text/html;q=0.7, {VHTML};q=0.7, {JSON};q=0.6", f"{VHTML}; charset=utf-8"),
    "versioned HTML is preferred": (
        f"text/html;q=0.2, {VHTML};q=0.3, {JSON};q=0.1",
        f"{VHTML}; charset=utf-8",
    ),
    "with another parameter": (f"text/html;level=1;q=0.4, {JSON};x=y;q=0.3", HTML),
    "a range is less than what is in it": (f"text/html;q=0.3, */*, {JSON};q=0.5", JSON),
    "HTML not, but any text": (f"text/html;q=0, text/*, {JSON};q=0.1", JSON),
    "without a zero before the point": (f"text/html;q=.3, {JSON};q=.2", HTML),
    "any text": ("text/*", HTML),
    "any application": ("application/*", JSON),
    "in capitals": (JSON.upper(), JSON),
    "names that only begin alike": (f"text/html5, {JSON}x, text/html;q=0.1", HTML),
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


@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        "application/vnd.pypi.simple.v2+json",
        "application/json",
        "text/html;q=0",
        f"{JSON};q=0.0, {VHTML};q=0, */*;q=0.000",
        "text/html5",
        "x-text/html",
        "x",
        ";q=1",
    ],
)
def test_what_nothing_fits_is_406(site: Site, accept: str) -> None:
    answer = site.get("/simple/six/", accept)
    assert answer.status == 406
    assert answer.headers["Vary"] == "Accept"


def test_pages_are_compressed_on_the_fly(site: Site) -> None:
    page = site.get("/simple/six/", JSON, Accept_Encoding="gzip")
    assert page.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(page.body) == site.get("/simple/six/", JSON).body


@pytest.mark.parametrize(
    ("accept", "name"), [(JSON, "index.v1_json"), (VHTML, "index.html"), (None, "index.html")]
)
def test_the_root_index_comes_compressed_as_it_lies_on_disk(
    site: Site, accept: str | None, name: str
) -> None:
    packed = site.get("/simple/", accept, Accept_Encoding="gzip, deflate")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.body == (site.web / f"simple/{name}.gz").read_bytes()
    plain = site.get("/simple/", accept)
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Content-Type"] == packed.headers["Content-Type"]
    assert plain.headers["ETag"] != packed.headers["ETag"]
    for answer in (plain, packed):
        assert "Accept-Encoding" in ", ".join(answer.headers.get_all("Vary", []))
    again = site.get("/simple/", accept, Accept_Encoding="gzip", If_None_Match=packed.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


def test_without_its_compressed_form_the_root_index_comes_as_it_is(deep_site: Site) -> None:
    answer = deep_site.get("/simple/", JSON, Accept_Encoding="gzip")
    assert (answer.status, answer.body) == (200, (deep_site.web / "simple/index.v1_json").read_bytes())
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("accept", [JSON, VHTML, "text/html"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("path", ["/simple/", "/simple/six/"])
def test_who_has_it_is_not_sent_it_again(site: Site, path: str, accept: str, encoding: str) -> None:
    first = site.get(path, accept, Accept_Encoding=encoding)
    assert first.headers["Cache-Control"] == "public, max-age=60"
    for condition in ({"If_None_Match": "ETag"}, {"If_Modified_Since": "Last-Modified"}):
        sent = {name: first.headers[header] for name, header in condition.items()}
        again = site.get(path, accept, Accept_Encoding=encoding, **sent)
        assert (again.status, again.body) == (304, b"")
        assert "Accept" in again.headers.get_all("Vary", [])
    changed = site.get(path, accept, Accept_Encoding=encoding, If_None_Match='"other"')
    assert (changed.status, changed.body) == (200, first.body)


@pytest.mark.parametrize("path", ["/simple", "/simple/six", "/simple/six?a=b"])
def test_a_page_without_its_slash_is_a_redirect_by_path(site: Site, path: str) -> None:
    answer = site.get(path, JSON)
    where, mark, query = path.partition("?")
    assert (answer.status, answer.headers["Location"]) == (301, f"{where}/{mark}{query}")


MANY = "-".join("AbCdEfGhIjKlMnOpQrStUvWxY")  # 25 words, 24 separators
SPELLINGS = {
    "Six": "six",
    "SIX": "six",
    "zope.interface": "zope-interface",
    "Foo.Bar_baz--Qux": "foo-bar-baz-qux",
    "a_-.b": "a-b",
    "PyYAML": "pyyaml",
    "SQLAlchemy-Utils": "sqlalchemy-utils",
    "ruamel.yaml.clib": "ruamel-yaml-clib",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 7: "abcdefghijklmnopqrstuvwxyz" * 7,
    "AAAAAAAA": "aaaaaaaa",
    "a.b_c" * 6: "a-b-c" * 6,
    MANY.replace("-", "."): MANY.lower(),
    MANY.replace("-", "_.-_"): MANY.lower(),
    "A" + "x" * 199: "a" + "x" * 199,
    "trailing_": "trailing-",
    "3D.js": "3d-js",
}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("name", "normal"), SPELLINGS.items())
def test_a_name_that_is_not_normalised_is_one_redirect_to_its_page(
    site: Site, deep_site: Site, name: str, normal: str, slash: str
) -> None:
    assert normal == re.sub(r"[-_.]+", "-", name).lower()  # PEP 503
    for one in (site, deep_site):
        answer = one.get(f"/simple/{name}{slash}", JSON)
        assert (answer.status, answer.headers["Location"]) == (301, f"/simple/{normal}/")
        answer = one.get(f"/simple/{name}{slash}?a=b%0d%0a", JSON)
        assert answer.headers["Location"] == f"/simple/{normal}/?a=b%0d%0a"


@pytest.mark.parametrize(
    "name",
    [
        "AAAAAAAAA",
        "A" * 200,
        "Ab" * 100,
        "_six",
        "-six",
        "Nobody_Else!",
        "Six%0d%0aSet-Cookie:%20a=b",
        "Six%0ASix",
        "Six%00",
        "Na%c3%afve",
        "Six%20",
        "six/Six",
        "Six/six/",
        "A" + "x" * 200,
        "a." * 25 + "a",
        "A." * 4000,
        "-" * 4000,
        "a" + "-_." * 1200 + "A",
        "".join(letter * 8 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXY") + "!",
    ],
)
def test_no_other_name_is_redirected(site: Site, name: str) -> None:
    for slash in ("", "/"):
        answer = site.get(f"/simple/{name}{slash}", JSON)
        assert answer.status in {400, 404}
        assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "path", ["//evil.example.org/Six", "/simple//evil.example.org/", "/simple/%2fevil.Org", "//Six"]
)
def test_no_redirect_leads_to_another_site(site: Site, path: str) -> None:
    location = site.get(path, JSON).headers.get("Location", "/")
    assert location.startswith("/")
    assert not location.startswith("//")


def test_a_hashed_index_has_the_usual_redirect(deep_site: Site) -> None:
    answer = deep_site.get("/simple/sevn", JSON)
    assert (answer.status, answer.headers["Location"]) == (301, "/simple/sevn/")


def test_the_files_of_the_root_index_are_there_by_name(site: Site) -> None:
    for name, kind in (("index.html", HTML), ("index.v1_json", JSON)):
        answer = site.get(f"/simple/{name}", Accept_Encoding="gzip")
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        assert answer.body == (site.web / "simple" / name).read_bytes()


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


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_a_listing_with_names_beyond_ascii(site: Site, tmp_path: Path) -> None:
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    )
    command = [str(CHROMIUM), *flags.split(), "--disable-component-update", "--disable-sync"]
    command += [
        f"--user-data-dir={tmp_path}",
        "--dump-dom",
        f"http://127.0.0.1:{site.port}/packages/aa/bb/dd/",
    ]
    shown = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout.decode("utf-8")
    for name in ("ünïcode-1.0.tar.gz", "пакет_日本語-2.0-py3-none-any.whl"):
        assert f">{name}</a>" in shown


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
        "/packages/..%2f..%2fstate",
        "/packages/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/packages/..\\..\\state",
        "/packages/..%5c..%5cstate",
        "/packages/aa/..;/../state",
        "/..%252fstate",
        "/%c0%ae%c0%ae/state",
        "/%00",
        "/last-modified%00.html",
        "/%zz",
        "/normalized/Six",
        "/negotiated/json/simple/",
        "/simple/.hidden/",
        "/simple/six/.hidden",
        "/packages/%2ehidden",
        "/progress.json",
        "/tmp/",
        "/.lock",
        "/" + "a/" * 3000,
        "/" + "a" * 9000,
        "/simple/" + "a" * 300 + "/",
        "http://example.org/../state",
        "*",
        "state",
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


@needs_volumes
def test_where_the_mount_follows_no_links_nginx_need_not_look(tmp_path: Path) -> None:
    fill(tmp_path / "web")
    call("mount", "--bind", tmp_path, tmp_path)
    try:
        call("mount", "-o", "remount,bind,nosymfollow", tmp_path)
        mounted = call("findmnt", "--noheadings", "--output", "OPTIONS", "--target", tmp_path).strip()
        with serve(tmp_path, mounted=mounted) as site:
            assert "disable_symlinks" not in (tmp_path / "site.conf").read_text()
            assert site.get("/packages/leak").status == 403
            assert site.get(f"/{WHEEL}").status == 200
    finally:
        unmount(tmp_path)


@pytest.mark.parametrize(
    ("path", "accept", "method", "status"),
    [
        ("/", None, "GET", 200),
        ("/simple/", None, "GET", 200),
        ("/simple/six/", JSON, "GET", 200),
        (f"/{WHEEL}", None, "GET", 200),
        (f"/{WHEEL}.metadata", None, "GET", 200),
        ("/packages/", None, "GET", 200),
        ("/last-modified", None, "GET", 200),
        ("/simple/Six", None, "GET", 301),
        ("/simple/six", None, "GET", 301),
        ("/%zz", None, "GET", 400),
        ("/nothing", None, "GET", 404),
        ("/simple/nothing/", JSON, "GET", 404),
        ("/packages/nothing", None, "GET", 404),
        ("/.hidden", None, "GET", 404),
        ("/simple/six/", None, "POST", 405),
        ("/simple/six/", "image/png", "GET", 406),
        ("/" + "a" * 9000, None, "GET", 414),
    ],
)
def test_every_answer_has_the_security_headers(
    site: Site, path: str, accept: str | None, method: str, status: int
) -> None:
    answer = site.get(path, accept, method)
    assert answer.status == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Server"] == "nginx"  # and no version


def test_an_error_is_not_kept_as_if_it_were_the_file(site: Site) -> None:
    for path in ("/packages/nothing", "/simple/nothing/", "/simple/six/.hidden"):
        assert "Cache-Control" not in site.get(path, JSON).headers


def test_a_hashed_index_is_found_under_the_usual_address(deep_site: Site) -> None:
    for path in ("/simple/sevn/", "/simple/s/sevn/"):
        answer = deep_site.get(path, "text/html")
        assert (answer.status, answer.body) == (200, b"sevn html"), path
    assert deep_site.get("/simple/", "text/html").body == b"root html"
