"""Which jobs of a crontab are those of the old program, on this mirror."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bandersnatch.crontabs import has_jobs, without

ROOT = Path(__file__).resolve().parents[2]
CONF = "/etc/bandersnatch.conf"
OLD = [
    "*/2 * * * * root bandersnatch mirror |& logger -t bandersnatch[mirror]",
    "12 * * * * root bandersnatch update-stats |& logger -t bandersnatch[update-stats]",
    "0 3 * * * pypi /opt/bandersnatch/bin/bandersnatch -c /etc/bandersnatch.conf mirror >/dev/null 2>&1",
    "0 3 * * * /usr/bin/env python3 -m bandersnatch --config=/etc/bandersnatch.conf mirror",
    "@hourly pypi flock -n /tmp/lock 'bandersnatch mirror'",
    "0 * * * 0 pypi bandersnatch verify --delete",
    "*/5 * * * * /usr/local/bin/pep381run -q /srv/pypi",
    "*/5 * * * * pypi cd /srv && pep381run /srv/pypi/",
]
OTHERS = [
    "# */2 * * * * root bandersnatch mirror",
    "MAILTO=bandersnatch",
    'BANDERSNATCH = "bandersnatch mirror"',
    "0 4 * * * root apt-get update",
    "0 4 * * * root bandersnatch -c /etc/other.conf mirror",
    "0 4 * * * root bandersnatch --config=/etc/other.conf mirror",
    "0 4 * * * root pep381run /srv/other",
    "0 4 * * * root tail /var/log/bandersnatch/mirror.log",
    "0 4 * * * root echo bandersnatch",
    "",
]


@pytest.mark.parametrize("line", OLD)
def test_a_job_of_the_old_program_is_taken_out(line: str) -> None:
    assert without(f"# before\n{line}\n0 4 * * * root true", "/srv/pypi", CONF) == (
        "# before\n0 4 * * * root true",
        [line],
    )


@pytest.mark.parametrize("line", OTHERS)
def test_everything_else_stays_to_the_byte(line: str) -> None:
    text = f"{line}\r\n\t{line}"
    assert without(text, "/srv/pypi", CONF) == (text, [])


def test_a_job_with_another_config_is_that_mirrors() -> None:
    line = "0 4 * * * root bandersnatch -c /etc/other.conf mirror"
    assert without(line, "/srv/other", "/etc/other.conf") == ("", [line])
    assert without(OLD[0], "/srv/other", "/etc/other.conf") == (OLD[0], [])


def test_what_is_no_utf8_survives() -> None:
    text = os.fsdecode(b"# f\xfcr alle\n" + OLD[0].encode() + b"\n")
    assert os.fsencode(without(text, "/srv/pypi", CONF)[0]) == b"# f\xfcr alle\n"


def test_a_crontab_without_jobs_is_known() -> None:
    assert not has_jobs("# nothing\nMAILTO=''\n\n")
    assert has_jobs("# nothing\n@daily root true\n")


def test_the_jobs_of_this_project_are_not_taken_for_old_ones() -> None:
    pytest.importorskip("ansible")
    from templates import render

    text = render("bandersnatch_cron", "crontab.j2", {"bandersnatch_cron_has_statistics": True})
    assert "/bandersnatch -c /etc/bandersnatch.conf mirror" in text
    assert "/bandersnatch -c /etc/bandersnatch.conf update-stats" in text
    assert without(text, "/srv/pypi", CONF) == (text, [])
