"""Whatever the start, the next run reaches equality, and asks for no more than it needs."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import faults
import pytest
from harness import Mirror, tree
from scenes import small, variety
from simulator import Simulator, Style, Upload

DAY = 86400.0


def file_of(mirror: Mirror, upload: Upload) -> Path:
    return mirror.web / upload.path


def pages_of(mirror: Mirror) -> dict[str, tuple[object, ...]]:
    return tree(mirror.web / "simple")


def test_a_second_run_asks_once_and_touches_no_page(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.sync()
    before = pages_of(mirror)
    done = mirror.sync()
    assert [(r.path, r.status) for r in done.requests] == [("/simple/", 304)]
    assert pages_of(mirror) == before
    mirror.assert_equal()


def test_a_second_run_with_an_allowlist_asks_for_each_page_conditionally(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream)
    mirror.allow("alpha-0", "alpha-1")
    mirror.sync()
    before = pages_of(mirror)
    done = mirror.sync()
    assert sorted((r.path, r.status) for r in done.requests) == [
        ("/simple/alpha-0/", 304),
        ("/simple/alpha-1/", 304),
    ]
    assert pages_of(mirror) == before


def test_an_upload_brings_its_page_and_its_files_only(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    upstream.add_release("alpha-3", "2.0")
    done = mirror.sync()
    assert done.fetched("/simple/") in (["/simple/", "/simple/alpha-3/"], ["/simple/alpha-3/", "/simple/"])
    assert len(done.fetched("/packages/")) == 3  # wheel, its metadata, sdist
    assert all("alpha_3-2.0" in path for path in done.fetched("/packages/"))
    mirror.assert_equal()


def test_a_yank_changes_the_page_and_fetches_no_file(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    upstream.yank("alpha-1", "1.0", "it eats data")
    done = mirror.sync()
    assert done.fetched("/packages/") == []
    mirror.assert_equal()


def test_deleted_projects_releases_and_files_go(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    upstream.delete_project("alpha-0")
    upstream.delete_release("alpha-1", "1.0")
    upstream.delete_file("alpha-2", "alpha_2-1.1.tar.gz")
    mirror.sync()
    mirror.assert_equal()
    assert not (mirror.web / "simple" / "alpha-0").exists()


def test_empty_directories_go_with_their_files(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("keep", "1.0")
    upstream.add_project("gone", "1.0")
    mirror.sync()
    upstream.delete_project("gone")
    mirror.sync()
    folders = [path for path in (mirror.web / "packages").rglob("*") if path.is_dir()]
    assert [path for path in folders if not any(path.iterdir())] == []


def test_the_root_index_follows_upstreams_serial_though_no_project_of_ours_changed(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream, 3)
    mirror.section("blocklist", packages="alpha-1")
    mirror.sync()
    upstream.add_release("alpha-1", "2.0")
    assert "nothing changed" in mirror.sync().output
    root = json.loads((mirror.web / "simple/index.v1_json").read_bytes())
    assert root["meta"]["_last-serial"] == upstream.serial
    mirror.assert_holds()


def test_the_root_index_follows_the_serial_that_comes_with_an_unchanged_one(tmp_path: Path) -> None:
    with Simulator(Style(json=False)) as upstream:  # in HTML only the header says it
        small(upstream, 2)
        mirror = Mirror(tmp_path, upstream)
        mirror.sync()
        upstream.add_release("alpha-1", "2.0")
        done = mirror.sync()
        assert done.asked("/simple/")[0].status == 304
        root = json.loads((mirror.web / "simple/index.v1_json").read_bytes())
        assert root["meta"]["_last-serial"] == upstream.serial
        assert mirror.sync().output.count("nothing changed") == 1


def test_the_root_index_follows_a_new_spelling_of_a_name(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    upstream.projects["alpha-1"].display = "Alpha.1"
    done = mirror.sync()
    assert mirror.served.root("html") == {"alpha-0": "alpha-0", "alpha-1": "Alpha.1", "alpha-2": "alpha-2"}
    assert done.fetched() == ["/simple/"]
    assert mirror.sync().output.count("nothing changed") == 1
    mirror.assert_equal()


def test_without_its_allowlist_a_mirror_spells_names_as_upstream(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("Plain.Name", "1.0")
    upstream.add_project("other", "1.0")
    mirror.allow("plain-name")
    mirror.sections["plugins"] = {"enabled": "allowlist_project"}
    mirror.write_config()
    mirror.sync()
    mirror.sections.clear()
    mirror.write_config()
    mirror.sync()
    assert mirror.served.root("html") == {"other": "other", "plain-name": "Plain.Name"}


def test_a_file_that_two_projects_link_is_never_missing(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("one")
    upstream.add_project("two")
    for name in ("one", "two"):
        upstream.add_file(name, "shared-1.0.tar.gz", "1.0", content=b"the same bytes")
    mirror.sync(expect=None)  # it may be left out of one of them, in words
    mirror.assert_holds()
    upstream.delete_project("one")
    mirror.sync(expect=None)
    mirror.sync()
    mirror.assert_equal()


def test_a_quarantined_project_goes_and_comes_back(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    upstream.quarantine("alpha-4")
    mirror.sync()
    mirror.assert_equal()
    assert not (mirror.web / "simple" / "alpha-4").exists()
    upstream.set_status("alpha-4", "active")
    upstream.add_release("alpha-4", "1.2")
    mirror.sync()
    mirror.assert_equal()


def test_a_quarantined_project_of_the_allowlist_goes(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.allow("alpha-0", "alpha-1")
    mirror.sync()
    upstream.quarantine("alpha-1")
    mirror.sync()
    mirror.assert_equal()


def test_an_archived_project_is_found_by_rereading(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    upstream.set_status("alpha-2", "archived", "no time")
    mirror.clock = 8 * DAY
    done = mirror.sync()
    assert sorted(done.fetched()) == ["/simple/alpha-2/"]  # the other pages answered 304
    mirror.assert_equal()
    upstream.set_status("alpha-2", "active")
    mirror.clock = 16 * DAY
    mirror.sync()
    mirror.assert_equal()


def test_rereading_is_spread_over_the_days(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 30)
    mirror.sync()
    asked: list[str] = []
    shares = []
    for step in range(1, 9):
        mirror.clock = step * DAY
        now = [r.path for r in mirror.sync().asked("/simple/alpha")]
        asked += now
        shares.append(len(now))
    assert {path.strip("/").split("/")[-1] for path in asked} == set(upstream.projects)
    assert max(shares) < 20  # not all at once


@pytest.mark.parametrize("jump", [-400, 400])
def test_a_clock_that_jumps_changes_nothing(upstream: Simulator, mirror: Mirror, jump: int) -> None:
    small(upstream)
    mirror.clock = jump * DAY
    mirror.sync()
    mirror.clock = 0.0
    upstream.add_release("alpha-0", "2.0")
    upstream.delete_project("alpha-1")
    mirror.sync()
    mirror.assert_equal()


def test_a_new_allowlist_entry_is_mirrored_and_a_dropped_one_goes(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream)
    mirror.allow("alpha-0", "alpha-1")
    mirror.sync()
    mirror.allow("alpha-1", "alpha-2")
    done = mirror.sync()
    assert all("alpha_2" in path for path in done.fetched("/packages/"))
    assert set(mirror.served.page_dirs()) == {"alpha-1", "alpha-2"}
    mirror.assert_holds()


def test_a_project_of_the_allowlist_that_upstream_lacks_is_named(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.allow("alpha-0", "no-such-thing")
    done = mirror.sync(expect=None)
    assert done.exit_code in (0, 3)
    assert "no-such-thing" in done.output
    assert set(mirror.served.page_dirs()) == {"alpha-0"}
    mirror.assert_holds()


def test_a_changed_release_filter_applies_to_what_is_mirrored(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    mirror.section("latest_release", keep="1")
    mirror.sync()
    mirror.assert_holds()
    names = {file["filename"] for file in mirror.served.page("alpha-0")["files"]}
    assert names == {"alpha_0-1.1-py3-none-any.whl", "alpha_0-1.1.tar.gz"}
    assert not [u.path for u in upstream.files() if "-1.0" in u.filename and file_of(mirror, u).exists()]
    del mirror.sections["latest_release"]
    mirror.write_config()
    mirror.sync()
    mirror.assert_equal()


def test_a_changed_blocklist_applies_to_what_is_mirrored(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    mirror.section("blocklist", packages="\nalpha-0\nAlpha_5")
    mirror.sync()
    assert set(mirror.served.page_dirs()) == {f"alpha-{n}" for n in range(1, 5)}
    mirror.assert_holds()


def test_without_its_state_a_run_reads_pages_and_fetches_no_file(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.sync()
    before = pages_of(mirror)
    for part in mirror.directory.glob("state*"):
        part.unlink()
    done = mirror.sync()
    assert done.fetched("/packages/") == []
    assert pages_of(mirror).keys() == before.keys()
    mirror.assert_equal()


def test_without_its_state_a_run_still_removes_what_upstream_removed(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream)
    mirror.sync()
    for part in mirror.directory.glob("state*"):
        part.unlink()
    upstream.delete_project("alpha-0")
    mirror.sync()
    mirror.assert_equal(orphans=False)


def test_a_damaged_state_is_said_and_never_a_traceback(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    for part in mirror.directory.glob("state*"):
        part.unlink()
    (mirror.directory / "state").write_bytes(b"this is not a database, whatever it looks like" * 200)
    done = mirror.sync(expect=None)
    if done.exit_code == 0:
        mirror.assert_equal()
    else:
        assert "state" in done.output
        (mirror.directory / "state").unlink()
        mirror.sync()
        mirror.assert_equal()


@pytest.mark.parametrize("harm", ["lost", "empty", "same size", "directory", "lost page", "lost metadata"])
def test_force_check_repairs_and_fetches_nothing_else(upstream: Simulator, mirror: Mirror, harm: str) -> None:
    small(upstream)
    mirror.sync()
    upload = next(u for u in upstream.files() if u.metadata)
    victim, fetched = file_of(mirror, upload), [f"/{upload.path}"]
    if harm == "lost":
        victim.unlink()
    elif harm == "empty":
        victim.write_bytes(b"")
    elif harm == "same size":
        victim.write_bytes(bytes(len(upload.content)))
    elif harm == "directory":
        victim.unlink()
        (victim / "deeper").mkdir(parents=True)
    elif harm == "lost page":
        (mirror.web / "simple" / "alpha-3" / "index.html").unlink()
        fetched = []
    else:
        Path(f"{victim}.metadata").unlink()
        fetched = [f"/{upload.path}.metadata"]
    done = mirror.sync("--force-check")
    assert done.fetched("/packages/") == fetched
    mirror.assert_equal()


@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
@pytest.mark.parametrize("name", ["simple/index.html", "simple/alpha-0/index.html", "last-modified"])
def test_what_is_no_file_is_replaced_by_one(
    upstream: Simulator, mirror: Mirror, tmp_path: Path, kind: str, name: str
) -> None:
    small(upstream, 1)
    mirror.sync()
    victim, kept = mirror.web / name, tmp_path / "kept"
    victim.rename(kept)
    content = kept.read_bytes()
    if kind == "directory":
        (victim / "deeper").mkdir(parents=True)
    elif kind == "link":
        victim.symlink_to(kept)
    else:
        os.mkfifo(victim)
    mirror.sync("--force-check")
    assert stat.S_ISREG(victim.lstat().st_mode)
    assert kept.read_bytes() == content
    mirror.assert_equal()


def test_a_new_file_that_is_damaged_already_is_not_trusted(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("six", "1.0")
    (upload, _) = upstream.files()
    file_of(mirror, upload).parent.mkdir(parents=True)
    file_of(mirror, upload).write_bytes(bytes(len(upload.content)))
    mirror.sync()
    mirror.assert_equal()


def test_files_that_lie_there_already_are_adopted(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    for upload in upstream.files():
        file_of(mirror, upload).parent.mkdir(parents=True)
        file_of(mirror, upload).write_bytes(upload.content)
    done = mirror.sync()
    assert [path for path in done.fetched("/packages/") if not path.endswith(".metadata")] == []
    mirror.assert_equal()


def test_a_failed_project_is_named_and_retried(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    upstream.add_release("alpha-1", "2.0")
    upstream.add_release("alpha-2", "2.0")
    upstream.fault(faults.answer("/simple/alpha-1/", 403))
    done = mirror.sync(expect=3)
    assert "alpha-1" in done.output
    assert "403" in done.output
    mirror.assert_holds()
    assert "2.0" in mirror.served.page("alpha-2")["versions"]
    assert "2.0" not in mirror.served.page("alpha-1")["versions"]
    upstream.heal()
    done = mirror.sync()
    assert "/simple/alpha-1/" in done.fetched()
    assert "/simple/alpha-2/" not in done.fetched()
    mirror.assert_equal()


def test_a_listed_project_whose_page_is_gone_holds_nobody_back(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.sync()
    upstream.add_release("alpha-0", "2.0")
    upstream.add_release("alpha-1", "2.0")
    upstream.fault(faults.answer("/simple/alpha-0/", 404))
    mirror.sync(expect=None)
    mirror.assert_holds()
    assert "2.0" in mirror.served.page("alpha-1")["versions"]
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_a_stale_page_is_not_taken_for_the_new_one(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    accept = "application/vnd.pypi.simple.v1+json"
    old = upstream.answer("/simple/alpha-0/", accept)
    mirror.sync()
    upstream.add_release("alpha-0", "2.0")
    upstream.fault(faults.replay("/simple/alpha-0/", old))
    mirror.sync(expect=None)
    mirror.assert_holds()
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_a_cache_that_calls_an_old_page_unmodified_is_not_believed(
    upstream: Simulator, mirror: Mirror
) -> None:
    upstream.add_project("alpha", "1.0")
    mirror.sync()
    upstream.add_release("alpha", "2.0")

    def stale(handler: faults.Handler, reply: faults.Reply) -> None:
        known = "If-None-Match" in handler.headers
        handler.send(faults.Reply(304) if known else reply)

    upstream.fault(faults.Fault("/simple/alpha/", stale))
    mirror.sync()
    mirror.assert_equal()


def test_upstream_may_change_while_it_is_read(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    changes = iter(
        [lambda: upstream.delete_release("alpha-5", "1.0"), lambda: upstream.add_release("alpha-4", "3.0")]
    )

    def change(path: str) -> None:
        if path.startswith("/packages/"):
            next(changes, lambda: None)()

    upstream.servers.on_request = change
    mirror.sync(expect=None)
    mirror.assert_holds()
    upstream.servers.on_request = None
    mirror.sync()
    mirror.assert_equal()
