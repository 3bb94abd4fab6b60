"""Settings that change, runs that end early, and repairs: what the second run makes of it."""

from __future__ import annotations

import shutil
import signal

import faults
import pytest
from harness import Mirror, arrives, tree
from invariant import Served, equals_upstream, holds
from scenes import small, variety
from simulator import Simulator, Style


def forget(mirror: Mirror) -> None:
    for part in mirror.directory.glob("state*"):
        part.unlink()


def test_a_repair_that_failed_is_made_by_the_next_run(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    lost, damaged = upstream.files()[0], upstream.files()[-1]
    (mirror.web / lost.path).unlink()
    (mirror.web / damaged.path).write_bytes(bytes(len(damaged.content)))
    upstream.fault(faults.answer("/packages/.*", 403))
    mirror.sync("--force-check", expect=3)
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_force_check_repairs_the_root_index(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    (mirror.web / "simple" / "index.html").write_text("gone wrong")
    (mirror.web / "simple" / "index.v1_json").write_text("{}")
    mirror.sync("--force-check")
    mirror.assert_equal()


def test_a_lost_root_index_comes_back(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    (mirror.web / "simple" / "index.v1_json").unlink()
    done = mirror.sync()
    assert "nothing changed" not in done.stdout
    mirror.assert_equal()


@pytest.mark.parametrize("gone", ["web", "web/simple"])
def test_lost_pages_are_made_anew_before_a_root_index_lists_them(
    upstream: Simulator, mirror: Mirror, gone: str
) -> None:
    small(upstream, 3)
    mirror.sync()
    shutil.rmtree(mirror.directory / gone)
    mirror.sync()  # upstream says that nothing is new
    mirror.assert_equal()
    shutil.rmtree(mirror.directory / gone)
    upstream.delete_project("alpha-2")
    upstream.fault(faults.answer("/simple/alpha-1/", 404))
    done = mirror.sync(expect=3)
    assert set(mirror.served.page_dirs()) == {"alpha-0"}
    assert bool(done.fetched("/packages/")) == (gone == "web")
    mirror.assert_holds()
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_stop_on_error_forgets_no_project_whose_file_failed(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.configure(stop_on_error=True)
    upstream.fault(faults.answer("/packages/.*alpha_1-1.0.tar.gz", 403))
    done = mirror.sync(expect=3)
    assert "alpha_1-1.0.tar.gz" in done.output
    mirror.assert_holds(finished=False)
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_terminated_while_upstream_wants_patience(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    gate = faults.Gate("/simple/")
    gate.act = lambda handler, reply: (  # type: ignore[method-assign]
        faults.busy("/simple/", retry_after="100").act(handler, reply),
        gate.reached.set(),
    )
    upstream.fault(gate)
    process = mirror.start()
    arrives(gate, process)
    process.send_signal(signal.SIGTERM)
    done = mirror.finish(process)
    assert done.exit_code == 130, done.output
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_hash_index_switched_on_and_off_leaves_no_old_page(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    upstream.add_project("a", "1.0")  # its page lies where those of a-projects do
    upstream.add_project("v", "1.0")
    mirror.sync()
    for step, switched in enumerate((True, False, True)):
        upstream.add_release("variety", f"7.{step}")
        mirror.configure(hash_index=switched)
        done = mirror.sync()
        equals_upstream(upstream, Served(mirror.directory, hash_index=switched))
        assert len(done.fetched("/packages/")) <= 3


def test_hash_index_switched_while_projects_go(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 4)
    mirror.sync()
    upstream.delete_project("alpha-1")
    upstream.delete_release("alpha-2", "1.0")
    upstream.add_release("alpha-3", "2.0")
    mirror.configure(hash_index=True)
    upstream.fault(faults.answer("/simple/alpha-3/", 403))
    mirror.sync(expect=3)
    # alpha-3 waits at its old place; nothing else may be left there, linking what is gone
    assert not (mirror.web / "simple" / "alpha-1").exists()
    assert not (mirror.web / "simple" / "alpha-2").exists()
    upstream.heal()
    mirror.sync()
    equals_upstream(upstream, Served(mirror.directory, hash_index=True))


def test_simple_format_switched_to_and_fro(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    for form, kinds in (("HTML", ("html",)), ("JSON", ("json",)), ("ALL", ("json", "html"))):
        mirror.configure(simple_format=form)
        mirror.sync()
        holds(Served(mirror.directory, kinds=kinds))
        names = {path.name for path in (mirror.web / "simple").rglob("*") if path.is_file()}
        pages = {{"html": "index.html", "json": "index.v1_json"}[kind] for kind in kinds}
        assert names == pages | {f"{page}.gz" for page in pages}
    mirror.assert_equal()


def test_json_switched_off_takes_the_legacy_json_away(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.configure(json=True)
    mirror.sync()
    mirror.configure(json=False)
    mirror.sync()
    assert not list((mirror.web / "pypi").rglob("*"))
    mirror.assert_equal()


def test_json_is_no_news_when_it_is_the_same(tmp_path, mirror: Mirror) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "plain").mkdir()
    with Simulator(Style(serials="none", etag=False)) as upstream:
        small(upstream, 2)
        plain = Mirror(tmp_path / "plain", upstream, json=True)
        plain.sync()
        assert "nothing changed" in plain.sync().stdout


def test_release_files_switched_off_asks_the_guard_then_removes_the_files(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream, 3)
    mirror.sync()
    mirror.configure(release_files=False)
    mirror.sync(expect=4)
    mirror.assert_equal()
    mirror.sync("--allow-removals")
    assert not [path for path in (mirror.web / "packages").rglob("*") if path.is_file()]
    assert mirror.served.page("alpha-0")["files"][0]["url"].startswith(upstream.url)
    mirror.configure(release_files=True)
    mirror.sync()
    mirror.assert_equal()


def test_a_mirror_of_pages_alone_survives_the_loss_of_its_state(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.configure(release_files=False)
    mirror.sync()
    before = tree(mirror.web / "simple")
    forget(mirror)
    done = mirror.sync()
    assert "nothing changed" in done.stdout
    assert tree(mirror.web / "simple").keys() == before.keys()


def test_delete_packages_switched_on_removes_what_was_kept(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 4)
    mirror.configure(delete_packages=False)
    mirror.sync()
    upstream.delete_project("alpha-0")
    upstream.delete_release("alpha-1", "1.0")
    mirror.sync()
    mirror.assert_holds()
    mirror.sync()
    mirror.configure(delete_packages=True)
    mirror.sync()
    mirror.assert_equal()


def test_a_project_both_allowed_and_blocked_is_not_mirrored(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.allow("alpha-0", "alpha-1")
    mirror.section("blocklist", packages="\nalpha-1")
    mirror.sync()
    assert set(mirror.served.page_dirs()) == {"alpha-0"}


@pytest.mark.parametrize("length", [247, 255])
def test_names_as_long_as_a_directory_name_can_be(upstream: Simulator, mirror: Mirror, length: int) -> None:
    name = "n" * length
    mirror.configure(json=True)
    small(upstream, 1)
    upstream.add_project(name)
    upstream.add_file(name, "n-1.0.tar.gz", "1.0", layout="odd")
    mirror.sync()
    mirror.assert_equal()
    upstream.add_file(name, "n-2.0.tar.gz", "2.0")
    mirror.sync()
    mirror.configure(json=False)
    mirror.sync()
    mirror.assert_equal()
    upstream.delete_project(name)
    mirror.sync()
    mirror.assert_equal()


def test_a_page_that_is_a_symbolic_link_is_replaced_and_its_target_untouched(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream, 3)
    mirror.sync()
    outside = mirror.base / "outside"
    for name in ("alpha-0", "alpha-1"):
        page = mirror.web / "simple" / name
        (outside / name).parent.mkdir(exist_ok=True)
        page.rename(outside / name)
        page.symlink_to(outside / name)
    before = tree(outside)
    upstream.add_release("alpha-0", "2.0")
    upstream.delete_project("alpha-1")
    mirror.sync()
    assert tree(outside) == before
    mirror.assert_equal()


def test_a_web_directory_elsewhere_is_refused_in_words(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    (mirror.base / "elsewhere").mkdir()
    mirror.directory.mkdir()
    mirror.web.symlink_to(mirror.base / "elsewhere")
    done = mirror.sync(expect=7)
    assert "symbolic link" in done.output
    assert not list((mirror.base / "elsewhere").iterdir())


def test_a_file_that_never_comes_is_a_failure_but_no_change(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    upstream.fault(faults.answer("/packages/.*alpha_1-1.0.tar.gz", 404))
    mirror.sync(expect=3)
    done = mirror.sync(expect=3)
    assert "nothing changed" in done.stdout
    assert "alpha_1-1.0.tar.gz" in done.output


def test_a_dry_run_of_somebody_elses_directory_writes_nothing(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync()
    for name in ("state", ".lock"):
        (mirror.directory / name).unlink()
    before = tree(mirror.directory)
    mirror.sync("--dry-run")
    mirror.sync("--dry-run", "--force-check")
    assert tree(mirror.directory) == before


def test_a_long_file_that_breaks_off_is_gone_on_with_in_the_next_run(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream, 1)
    upstream.add_project("long")
    upstream.add_file("long", "long-1.0.tar.gz", "1.0", size=20_000_000)
    path = "/packages/.*/long-1.0.tar.gz"
    upstream.fault(faults.truncated(path, count=1), faults.busy(path, retry_after="100000"))
    mirror.sync(expect=3)
    mirror.assert_holds(finished=False)
    upstream.heal()
    done = mirror.sync()
    (again,) = [request for request in done.asked("/packages/") if "long" in request.path]
    assert again.status == 206
    mirror.assert_equal()


def test_what_no_page_links_goes_though_another_project_fails(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    forget(mirror)
    lost = mirror.web / "packages" / "aa" / "bb" / ("c" * 60) / "nobody-1.0.tar.gz"
    lost.parent.mkdir(parents=True)
    lost.write_bytes(b"nobody's")
    upstream.fault(faults.answer("/simple/alpha-0/", 403))
    mirror.sync(expect=3)
    mirror.assert_holds()
    assert mirror.served.page("alpha-0")["files"]  # what it links is not known to the state: all stays
    assert lost.exists()
    upstream.heal()
    upstream.add_release("alpha-0", "2.0")
    upstream.fault(faults.answer("/packages/.*alpha_0-2.0.tar.gz", 404))
    mirror.sync(expect=3)
    mirror.assert_holds()
    assert not lost.exists()


def test_a_password_of_master_is_not_in_the_state(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 1)
    mirror.configure(master=upstream.url.replace("http://", "http://user:opensesame@"))
    mirror.sync()
    assert b"opensesame" not in (mirror.directory / "state").read_bytes()


def test_another_master_is_read_anew(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 3)
    mirror.sync()
    with Simulator() as other:
        small(other, 3)
        other.yank("alpha-1", "1.0", "only here")
        other.serial = upstream.serial
        for name in other.projects:
            other.projects[name].serial = upstream.projects[name].serial
        mirror.configure(master=other.url)
        mirror.upstream = other
        mirror.sync()
        mirror.assert_equal()
