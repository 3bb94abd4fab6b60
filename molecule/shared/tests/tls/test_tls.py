"""A mirror for everybody, as seen over HTTPS with its certificate checked."""

import socket
import ssl
from pathlib import Path

import pytest
from testinfra.host import Host
from website import Site

CERTIFICATE = "/etc/ssl/bandersnatch/certificate.pem"
NAMES = ["mirror.example.org", "mirror"]


@pytest.fixture
def trusting(host: Host, tmp_path: Path) -> ssl.SSLContext:
    """Trusts the host's own certificate and no other; offers HTTP/2."""
    (tmp_path / "ca.pem").write_text(host.file(CERTIFICATE).content_string)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.mark.parametrize("name", NAMES)
def test_plain_http_says_where_https_is(site: Site, name: str) -> None:
    answer = site.get("/simple/demo-app/", Host=name)
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{name}/simple/demo-app/"


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_in_the_certificate_and_http_2_is_offered(
    site: Site, trusting: ssl.SSLContext, name: str
) -> None:
    with (
        socket.create_connection((site.address, 443), timeout=10) as plain,
        trusting.wrap_socket(plain, server_hostname=name) as safe,
    ):
        assert safe.selected_alpn_protocol() == "h2"


def test_the_key_is_root_s_alone(host: Host) -> None:
    key = host.file("/etc/ssl/bandersnatch/key.pem")
    assert (key.user, key.mode) == ("root", 0o600)


def test_downloads_are_counted(host: Host) -> None:
    assert host.file("/etc/cron.d/bandersnatch").contains("update-stats")
    host.check_output("runuser -u bandersnatch -- bandersnatch update-stats")


def test_the_image_has_grown(host: Host) -> None:
    size = int(host.check_output("df --block-size=1M --output=size /srv/pypi | tail -n 1"))
    assert 650 < size < 768
