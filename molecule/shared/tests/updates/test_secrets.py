"""The passwords that the config file holds are nowhere else, after runs of Ansible and cron, good and bad."""

import os
from pathlib import Path

from testinfra.host import Host
from website import Site

MARKER = "hush-7f3a9c"  # in molecule.yml
CONFIG = "/etc/bandersnatch.conf"


def test_no_other_file_has_one(host: Host) -> None:
    places = "/ /run /srv/pypi"  # and not what else is mounted there
    found = host.run(f"find {places} -xdev -type f -exec grep -lF {MARKER} {{}} +")
    assert (found.stdout.split(), found.stderr) == ([CONFIG], "")
    assert host.file(CONFIG).content_string.count(MARKER) == 2
    assert host.run(f"runuser -u nobody -- cat {CONFIG}").failed


def test_the_log_has_none(host: Host) -> None:
    log = host.check_output(r"journalctl --no-pager --output=export | tr -d '\200-\377'")
    assert "demo-broken" in log, "what cron's runs said is there"
    assert MARKER not in log


def test_no_command_line_has_one(host: Host) -> None:
    run = "runuser -u bandersnatch -- bandersnatch mirror --force-check"
    again = f"until {run} >/dev/null 2>&1; [ $? != 5 ]; do sleep 1; done"  # cron's run may be at work
    seen = host.check_output(f"({again}) & while kill -0 $! 2>/dev/null; do ps -ewwo args; done")
    assert "bandersnatch mirror --force-check" in seen
    assert MARKER not in seen


def test_ansible_has_told_none() -> None:
    log = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "ansible.log").read_text()
    assert "TASK [Converge the mirror to its upstream]" in log
    assert MARKER not in log


def test_clients_are_told_none(site: Site) -> None:
    for path in ("/", "/status.json", "/metrics", "/simple/"):
        answer = site.get(path)
        assert answer.status == 200
        assert MARKER.encode() not in answer.body
