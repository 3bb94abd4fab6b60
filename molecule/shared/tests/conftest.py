"""What the tests of a host share: its website, and the index that it mirrors."""

import os
from collections.abc import Callable

import pytest
import testinfra
from testinfra.host import Host
from website import Site

UPSTREAM = "/usr/local/bin/upstream.py /srv/upstream"


@pytest.fixture(scope="module")
def site(host: Host) -> Site:
    """The website of the host under test."""
    return Site(host.check_output("hostname -I").split()[0])


@pytest.fixture(scope="session")
def upstream() -> Host:
    """The host with the index, which is also the one where clients run."""
    return testinfra.get_host(f"podman://{os.environ['MOLECULE_SCENARIO_NAME']}-upstream")


@pytest.fixture(scope="session")
def index(upstream: Host) -> Callable[..., str]:
    """Change the index: `index("publish", "demo-news", "1.1")`."""

    def change(*words: str) -> str:
        return str(upstream.check_output(" ".join([UPSTREAM, *words])))

    return change
