"""A mirror for everybody, as seen over HTTPS with its certificate checked, and the other site on its host."""

import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from testinfra.host import Host
from website import JSON, Site

CERTIFICATE = "/etc/ssl/bandersnatch/certificate.pem"
NAMES = ["mirror.example.org", "mirror"]


@pytest.fixture
def trusting(host: Host, tmp_path: Path) -> ssl.SSLContext:
    """Trusts the host's own certificate and no other."""
    (tmp_path / "ca.pem").write_text(host.file(CERTIFICATE).content_string)
    return ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))


def fetch(site: Site, trusting: ssl.SSLContext, path: str, **headers: str) -> bytes:
    """What the mirror answers over HTTPS."""
    connection = http.client.HTTPConnection(NAMES[0], timeout=10)
    plain = socket.create_connection((site.address, 443), timeout=10)
    connection.sock = trusting.wrap_socket(plain, server_hostname=NAMES[0])
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, path
        return answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("name", NAMES)
def test_plain_http_says_where_https_is(site: Site, name: str) -> None:
    answer = site.get("/simple/demo-app/", Host=name)
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{name}/simple/demo-app/"


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_in_the_certificate_and_http_2_is_offered(
    site: Site, trusting: ssl.SSLContext, name: str
) -> None:
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((site.address, 443), timeout=10) as plain,
        trusting.wrap_socket(plain, server_hostname=name) as safe,
    ):
        assert safe.selected_alpn_protocol() == "h2"


def test_the_key_is_root_s_alone(host: Host) -> None:
    key = host.file("/etc/ssl/bandersnatch/key.pem")
    assert (key.user, key.mode) == ("root", 0o600)


def test_it_says_how_it_is_doing(site: Site, trusting: ssl.SSLContext) -> None:
    assert fetch(site, trusting, "/healthz") == b"ok\n"
    assert json.loads(fetch(site, trusting, "/status.json"))["url"] == "https://mirror.example.org/"
    assert b"bandersnatch_last_run_exit_code 0\n" in fetch(site, trusting, "/metrics")


def test_downloads_are_counted(host: Host, site: Site, trusting: ssl.SSLContext) -> None:
    def counted() -> dict[str, Any]:
        host.check_output("runuser -u bandersnatch -- bandersnatch update-stats")
        return dict(json.loads(fetch(site, trusting, "/local-stats/summary.json")))

    assert host.file("/etc/cron.d/bandersnatch").contains("update-stats")
    before = counted()["downloads"]
    (entry,) = json.loads(fetch(site, trusting, "/simple/demo-lib/", Accept=JSON))["files"]
    fetch(site, trusting, urljoin("/simple/demo-lib/", entry["url"]))
    after = counted()
    assert after["downloads"] == before + 1
    assert "demo-lib" in after["recent"]["projects"]


def test_the_operator_s_other_site_is_served_as_before(site: Site) -> None:
    answer = site.get("/", Host="other.example.org")
    assert (answer.status, answer.body) == (200, b"the operator's own")


def test_of_nginx_s_config_nothing_that_was_there_has_changed(host: Host) -> None:
    before = host.file("/root/nginx-before").content_string
    assert "/etc/nginx/conf.d/other.conf" in before
    assert "/etc/nginx/sites-available/default" in before
    host.check_output("sha256sum --check --quiet /root/nginx-before")
    assert host.file("/etc/nginx/sites-enabled/default").is_symlink


def test_the_image_has_grown(host: Host) -> None:
    size = int(host.check_output("df --block-size=1M --output=size /srv/pypi | tail -n 1"))
    assert 650 < size < 768
