"""Cron alone brings what is new upstream, says so in syslog, and loses no failure."""

import time
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host
from website import Site

LIMIT = 150  # seconds: cron starts a run each minute, and a run takes a few seconds
VERSION = f"1.{int(time.time())}"  # one that no earlier run of the tests has published
NEW = f"demo_news-{VERSION}-py3-none-any.whl"


@pytest.fixture(scope="session", autouse=True)
def news(index: Callable[..., str]) -> Iterator[None]:
    """A release upstream that is new, and beside it a project that cannot be brought."""
    index("break", "demo-broken")
    index("publish", "demo-news", VERSION)
    yield
    index("mend", "demo-broken")


def wait_for(found: Callable[[], bool]) -> bool:
    """Wait until it is so, at most LIMIT seconds."""
    end = time.monotonic() + LIMIT
    while not found():
        if time.monotonic() > end:
            return False
        time.sleep(1)
    return True


def test_cron_brings_a_release_although_another_project_fails(site: Site) -> None:
    assert wait_for(lambda: NEW in site.files("demo-news"))
    answer = site.get(site.files("demo-news")[NEW]["path"])
    assert (answer.status, len(answer.body)) == (200, site.files("demo-news")[NEW]["size"])
    assert list(site.files("demo-broken")) == ["demo_broken-1.0-py3-none-any.whl"]


def test_syslog_has_the_run_under_its_tag_with_the_failure_and_its_exit_code(host: Host) -> None:
    def logged(text: str) -> bool:
        return any(text in line for line in host.check_output(tagged_lines(host)).splitlines())

    assert wait_for(lambda: logged("exited with 3"))
    assert logged("demo-broken")


def tagged_lines(host: Host) -> str:
    """How to see what is tagged bandersnatch[mirror]; the journal cuts such a tag in two."""
    if host.file("/var/log/syslog").exists:
        return r"grep 'bandersnatch\[mirror\]:' /var/log/syslog"
    return "journalctl --no-pager --output cat SYSLOG_IDENTIFIER=bandersnatch SYSLOG_PID=mirror"


def test_the_engine_does_not_run_as_root(host: Host) -> None:
    assert host.file("/srv/pypi/state").user == "bandersnatch"
    assert host.check_output("find /srv/pypi/web -not -user bandersnatch") == ""
