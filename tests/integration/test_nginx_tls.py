"""HTTPS: the certificates that the role makes or takes, and the site with one."""

from __future__ import annotations

import shutil
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginxsite import ANSIBLE, NGINX, ROLE, Site, render, serve, wait_for

JSON = "application/vnd.pypi.simple.v1+json"
NAMES = ["localhost", "127.0.0.1", "::1", "mirror.example.org", "*.example.org"]

pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
    pytest.mark.skipif(not ANSIBLE.exists(), reason="ansible-core is not installed beside pytest"),
]


def script(name: str, *words: object) -> str:
    """What one of the role's programs says, run as on the host."""
    command = [sys.executable, ROLE / "files" / name, *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def self_signed(folder: Path, *names: str, check: bool = False) -> str:
    folder.mkdir(exist_ok=True)
    return script("self_signed.py", *(["--check"] if check else []), folder, *names)


def described(certificate: Path) -> str:
    command = ["openssl", "x509", "-noout", "-text", "-in", str(certificate)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# The certificate that the role makes


def test_a_certificate_is_made_once(tmp_path: Path) -> None:
    assert self_signed(tmp_path, *NAMES) == "there is none yet"
    before = contents(tmp_path)
    assert before.keys() == {"certificate.pem", "key.pem"}
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "certificate.pem").stat().st_mode) == 0o644
    text = described(tmp_path / "certificate.pem")
    for name in ("DNS:mirror.example.org", "DNS:*.example.org", "IP Address:127.0.0.1", "CA:FALSE"):
        assert name in text
    assert self_signed(tmp_path, *reversed(NAMES)) == ""  # whatever their order
    assert contents(tmp_path) == before


def test_looking_changes_nothing_and_says_what_would_be_done(tmp_path: Path) -> None:
    assert self_signed(tmp_path / "new", "a.example.org", check=True) == "there is none yet"
    assert contents(tmp_path / "new") == {}
    self_signed(tmp_path / "new", "a.example.org")
    before = contents(tmp_path / "new")
    assert self_signed(tmp_path / "new", "b.example.org", check=True) == "the names have changed"
    assert self_signed(tmp_path / "new", "a.example.org", check=True) == ""
    assert contents(tmp_path / "new") == before


def test_new_names_mean_a_new_certificate_of_the_same_key(tmp_path: Path) -> None:
    self_signed(tmp_path, "a.example.org")
    before = contents(tmp_path)
    assert self_signed(tmp_path, "a.example.org", "b.example.org") == "the names have changed"
    after = contents(tmp_path)
    assert after["key.pem"] == before["key.pem"]
    assert after["certificate.pem"] != before["certificate.pem"]
    assert self_signed(tmp_path, "a.example.org", "b.example.org") == ""


@pytest.mark.parametrize(("days", "said"), [("29", "the present one ends within 30 days"), ("31", "")])
def test_it_is_renewed_before_it_ends(tmp_path: Path, days: str, said: str) -> None:
    self_signed(tmp_path, "a.example.org")
    request = ["req", "-x509", "-new", "-key", tmp_path / "key.pem", "-days", days, "-subj", "/CN=a"]
    request += ["-addext", "subjectAltName=DNS:a.example.org", "-out", tmp_path / "certificate.pem"]
    subprocess.run(["openssl", *map(str, request)], check=True)
    assert self_signed(tmp_path, "a.example.org", check=True) == said
    assert self_signed(tmp_path, "a.example.org") == said
    assert self_signed(tmp_path, "a.example.org") == ""


@pytest.mark.parametrize("damaged", ["key.pem", "certificate.pem"])
@pytest.mark.parametrize("content", ["", "not PEM", None])
def test_what_is_damaged_is_made_again(tmp_path: Path, damaged: str, content: str | None) -> None:
    self_signed(tmp_path, "a.example.org")
    (tmp_path / damaged).unlink()
    if content is not None:
        (tmp_path / damaged).write_text(content)
    assert self_signed(tmp_path, "a.example.org") != ""
    assert self_signed(tmp_path, "a.example.org") == ""
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert contents(tmp_path).keys() == {"certificate.pem", "key.pem"}


# The certificate that the operator brings


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("pairs")
    self_signed(base / "one", *NAMES)
    self_signed(base / "two", *NAMES)
    (base / "text").write_text("not PEM")
    locked = [
        "pkey",
        "-in",
        base / "one/key.pem",
        "-aes256",
        "-passout",
        "pass:secret",
        "-out",
        base / "locked",
    ]
    subprocess.run(["openssl", *map(str, locked)], check=True)
    chain = [(base / name / "certificate.pem").read_text() for name in ("two", "one")]
    (base / "reversed").write_text("".join(chain))
    (base / "chain").write_text("".join(reversed(chain)))
    return base


@pytest.mark.parametrize(
    ("certificate", "key", "variable", "why"),
    [
        ("", "one/key.pem", "certificate", "is not set"),
        ("one/certificate.pem", "", "key", "is not set"),
        ("missing", "one/key.pem", "certificate", "No such file"),
        ("one/certificate.pem", "missing", "key", "No such file"),
        ("one", "one/key.pem", "certificate", "Is a directory"),
        ("text", "one/key.pem", "certificate", "no certificate"),
        ("one/key.pem", "one/key.pem", "certificate", "no certificate"),
        ("one/certificate.pem", "text", "key", "no private key"),
        ("one/certificate.pem", "one/certificate.pem", "key", "no private key"),
        ("one/certificate.pem", "locked", "key", "passphrase"),
        ("one/certificate.pem", "two/key.pem", "key", "is not the key"),
        ("reversed", "one/key.pem", "key", "is not the key"),
    ],
)
def test_a_pair_that_nginx_cannot_use_is_refused_by_the_variable_s_name(
    pairs: Path, certificate: str, key: str, variable: str, why: str
) -> None:
    said = script("check_pair.py", certificate and pairs / certificate, key and pairs / key)
    assert said.startswith(f"bandersnatch_nginx_tls_{variable}")
    assert why in said
    assert "\n" not in said


@pytest.mark.parametrize("certificate", ["one/certificate.pem", "chain"])
def test_a_good_pair_is_taken(pairs: Path, certificate: str) -> None:
    assert script("check_pair.py", pairs / certificate, pairs / "one/key.pem") == ""


# The site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    base = tmp_path_factory.mktemp("tls")
    self_signed(base / "pair", *NAMES)
    page = base / "web/simple/six"
    page.mkdir(parents=True)
    (page / "index.v1_json").write_text('{"name": "six"}')
    given = {"tls_certificate": f"{base}/pair/certificate.pem", "tls_key": f"{base}/pair/key.pem"}
    with serve(base, tls="files", **given) as running:
        yield running


def curl(site: Site, *words: str) -> str:
    certificate = str(site.base / "pair/certificate.pem")
    command = ["curl", "--silent", "--show-error", "--cacert", certificate, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


def test_pages_come_over_http_2_with_a_certificate_that_holds(site: Site) -> None:
    for host in ("localhost", "127.0.0.1"):
        url = f"https://{host}:{site.tls_port}/simple/six/"
        said = curl(site, "--header", f"Accept: {JSON}", "--write-out", "\n%{http_version} %{http_code}", url)
        assert said.splitlines() == ['{"name": "six"}', "2 200"]


def test_an_http_2_request_is_in_the_access_log(site: Site) -> None:
    curl(site, f"https://localhost:{site.tls_port}/simple/six/?logged")
    wait_for(lambda: '"GET /simple/six/?logged HTTP/2.0" ' in (site.base / "access.log").read_text())


@pytest.mark.parametrize(
    ("path", "location"),
    [("/simple/six/", "/simple/six/"), ("/a?b=c%20d", "/a?b=c%20d"), ("//evil/", "//evil/")],
)
def test_plain_http_only_says_where_https_is(site: Site, path: str, location: str) -> None:
    answer = site.get(path, JSON)
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://127.0.0.1:{site.tls_port}{location}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert site.get(path, method="POST").status == 405


def test_a_page_without_its_slash_stays_on_https(site: Site) -> None:
    answer = site.get("/simple/six", JSON, tls=True)
    assert (answer.status, answer.headers["Location"]) == (301, "/simple/six/")


@pytest.mark.parametrize(("version", "taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_only_today_s_versions_of_tls_are_spoken(site: Site, version: str, taken: bool) -> None:
    flag = "-" + version.lower().replace("tlsv", "tls")
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{site.tls_port}", flag]
    command += ["-cipher", "DEFAULT:@SECLEVEL=0"] if version == "TLSv1_1" else []
    done = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=20)
    assert ("Verify return code" in done.stdout and "Cipher is (NONE)" not in done.stdout) is taken


def test_a_client_that_was_given_the_certificate_verifies_it(site: Site) -> None:
    context = ssl.create_default_context(cafile=str(site.base / "pair/certificate.pem"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    with (
        socket.create_connection(("127.0.0.1", site.tls_port)) as plain,
        context.wrap_socket(plain, server_hostname="mirror.example.org") as secure,
    ):
        assert secure.version() == "TLSv1.3"


# What is written for which variables


def test_both_ports_serve_where_plain_http_does_not_redirect(site: Site, tmp_path: Path) -> None:
    given = {"tls_certificate": f"{site.base}/pair/certificate.pem", "tls_key": f"{site.base}/pair/key.pem"}
    (tmp_path / "web").mkdir()
    (tmp_path / "web/last-modified").write_text("now")
    with serve(tmp_path, tls="files", tls_redirect=False, **given) as both:
        assert both.get("/last-modified").body == b"now"
        assert both.get("/last-modified", tls=True).body == b"now"


def test_browsers_are_told_to_remember_https_only_where_it_cannot_lock_anybody_out(tmp_path: Path) -> None:
    usual = {"directory": "/srv/pypi", "log_folder": "/var/log/bandersnatch"}
    hsts = "add_header Strict-Transport-Security max-age="
    assert hsts in render(tmp_path, **usual, tls="files")
    assert hsts not in render(tmp_path, **usual, tls="files", tls_redirect=False)
    assert hsts not in render(tmp_path, **usual, tls="files", port=8080)
    assert hsts not in render(tmp_path, **usual, tls="self_signed")
    assert hsts not in render(tmp_path, **usual)


@pytest.mark.parametrize(
    ("version", "listen", "directive"),
    [
        ("nginx/1.18.0 (Ubuntu)", "listen 443 default_server ssl http2;", 0),
        ("nginx/1.22.1", "listen 443 default_server ssl http2;", 0),
        ("nginx/1.25.1", "listen 443 default_server ssl;", 1),
        ("nginx/1.26.3", "listen 443 default_server ssl;", 1),
    ],
)
def test_http_2_is_switched_on_as_this_nginx_has_it(
    tmp_path: Path, version: str, listen: str, directive: int
) -> None:
    text = render(tmp_path, version=f"nginx version: {version}\n", directory="/srv", tls="self_signed")
    assert listen in text
    assert text.count("http2 on;") == directive


def test_it_listens_where_it_is_told(tmp_path: Path) -> None:
    addresses = ["192.0.2.1", "[2001:db8::1]"]
    text = render(tmp_path, listen_addresses=addresses, server_names=["a.example.org"], directory="/srv")
    sockets = [line.split()[1:] for line in text.splitlines() if "listen " in line]
    assert sockets == [["192.0.2.1:80;"], ["[2001:db8::1]:80;"]]
    text = render(tmp_path, inet6=True, directory="/srv")
    assert [line.strip() for line in text.splitlines() if "listen " in line] == [
        "listen 80 default_server;",
        "listen [::]:80 default_server;",
    ]
