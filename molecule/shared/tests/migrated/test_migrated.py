"""The mirror of another program has been taken over in place."""

import hashlib
import re

import pytest
import testinfra
from testinfra.host import Host
from website import Site, name_of

PROJECTS = ["demo-app", "demo-broken", "demo-lib", "demo-news", "demo-unicode"]
INDEX = ["index.html", "index.html.gz", "index.v1_json", "index.v1_json.gz"]
REQUEST = re.compile(r'^(\S+) .*"GET (/packages/\S+) HTTP')


def test_no_file_was_downloaded_that_was_there(host: Host) -> None:
    address = host.check_output("hostname -I").split()[0]
    log = testinfra.get_host("local://").check_output("podman logs migrate-upstream 2>&1")
    requests = [match.groups() for match in map(REQUEST.match, log.splitlines()) if match]
    asked = [path for client, path in requests if client == address and not path.endswith("?former")]
    assert asked  # old programs have no metadata files
    assert [path for path in asked if not path.endswith(".metadata")] == []


@pytest.mark.parametrize("project", PROJECTS)
def test_every_file_is_served_with_its_hash(site: Site, project: str) -> None:
    files = site.files(project)
    assert files
    for entry in files.values():
        assert hashlib.sha256(site.get(entry["path"]).body).hexdigest() == entry["hashes"]["sha256"]


def test_what_the_old_program_left_lies_aside(host: Host) -> None:
    aside = host.check_output("find /srv/pypi/before-migration -type f").splitlines()
    assert "/srv/pypi/before-migration/status" in aside
    assert sorted(host.file("/srv/pypi/web/simple").listdir()) == [*PROJECTS, *INDEX]
    assert not host.file("/srv/pypi/web/packages/py3").exists
    assert host.check_output("find /srv/pypi/web -not -user bandersnatch") == ""


def test_its_jobs_are_gone_and_ours_are_there(host: Host) -> None:
    assert host.run("grep -rE 'pep381run|root bandersnatch' /etc/crontab /etc/cron.d").rc == 1
    assert host.file("/etc/cron.d/bandersnatch").contains("bandersnatch -c /etc/bandersnatch.conf mirror")


def test_the_old_config_is_kept_and_carried_over(host: Host) -> None:
    config = host.file("/etc/bandersnatch.conf").content_string
    assert re.search(r"^master *= *http://upstream", config, re.MULTILINE)
    if name_of(host) == "bandersnatch":
        assert re.search(r"^workers *= *2$", config, re.MULTILINE)
        assert host.file("/srv/pypi/before-migration/etc/bandersnatch.conf").contains("whitelist_project")
