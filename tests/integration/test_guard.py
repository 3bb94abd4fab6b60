"""The deletion guard: what it refuses, what it lets through, and that it refuses before the first removal."""

from __future__ import annotations

import pytest
from harness import Mirror, tree
from scenes import small
from simulator import Simulator


def test_the_guard_refuses_mass_deletion_before_the_first_removal(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream, 8)
    mirror.configure(max_removals=2, max_removals_percent=10)
    mirror.sync()
    before = tree(mirror.web / "simple")
    for number in range(3):
        upstream.delete_project(f"alpha-{number}")
    done = mirror.sync(expect=4)
    assert "alpha-0" in done.output
    assert "--allow-removals" in done.output
    after = tree(mirror.web / "simple")
    assert {name: after.get(name) for name in before} == before
    mirror.assert_holds()
    mirror.sync("--allow-removals")
    mirror.assert_equal()


def test_the_guard_lets_few_removals_through(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 8)
    mirror.configure(max_removals=2, max_removals_percent=1)
    mirror.sync()
    upstream.delete_project("alpha-0")
    upstream.delete_project("alpha-1")
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.parametrize("left", [0, 30])
def test_a_root_index_that_shrank_removes_nothing(upstream: Simulator, mirror: Mirror, left: int) -> None:
    for number in range(60):
        upstream.add_project(f"tiny-{number}")
    mirror.configure(max_removals=20)
    mirror.sync()
    kept = dict(upstream.projects)
    for name in list(upstream.projects)[left:]:
        upstream.delete_project(name)
    done = mirror.sync(expect=None)
    assert done.exit_code in (4, 6)  # an empty index may as well count as no index at all
    assert len(mirror.served.page_dirs()) == 60
    mirror.assert_holds()
    upstream.projects = kept
    mirror.sync()
    mirror.assert_equal()
