"""Fixtures for all tests. Small on purpose: what a test needs should be seen in the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Mirror
from hypothesis import HealthCheck, settings
from simulator import Simulator
from volumes import call, unavailable

# A loaded machine is slow, not wrong; and a run that fails shall fail again when it is repeated.
settings.register_profile(
    "steady",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")


@pytest.fixture
def upstream() -> Iterator[Simulator]:
    """An empty upstream on loopback."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def mirror(tmp_path: Path, upstream: Simulator) -> Mirror:
    """A mirror of `upstream` with nothing in it yet."""
    return Mirror(tmp_path, upstream)


@pytest.fixture(scope="session")
def volumes() -> None:
    """Skip where no volume can be mounted."""
    if reason := unavailable():
        pytest.skip(reason)


@pytest.fixture
def loop(volumes: None) -> Iterator[Callable[[Path], str]]:
    """Make a loop device of a file."""
    devices: list[str] = []

    def attach(file: Path) -> str:
        devices.append(call("losetup", "--find", "--show", file).strip())
        return devices[-1]

    yield attach
    for device in devices:
        call("losetup", "--detach", device)
