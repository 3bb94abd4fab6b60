"""What the keys of [mirror] do to the tree and to the requests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import faults
from harness import Mirror
from invariant import Served, equals_upstream, holds
from scenes import small, variety
from simulator import Simulator


def test_hash_index_puts_pages_below_their_first_letter(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.configure(hash_index=True)
    mirror.sync()
    equals_upstream(upstream, Served(mirror.directory, hash_index=True))
    assert (mirror.web / "simple" / "v" / "variety" / "index.html").is_file()
    upstream.delete_project("variety")
    mirror.sync()
    equals_upstream(upstream, Served(mirror.directory, hash_index=True))


def test_root_uri_makes_absolute_links(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.configure(root_uri="https://files.example.org/")
    mirror.sync()
    url = mirror.served.page("variety")["files"][0]["url"]
    assert url.startswith("https://files.example.org/packages/")
    equals_upstream(upstream, Served(mirror.directory, root_uri="https://files.example.org/"))


def test_a_changed_root_uri_rewrites_the_pages(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync()
    mirror.configure(root_uri="https://files.example.org/")
    done = mirror.sync()
    equals_upstream(upstream, Served(mirror.directory, root_uri="https://files.example.org/"))
    assert done.fetched("/packages/") == []


def test_simple_format_html_writes_html_only(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.configure(simple_format="HTML")
    mirror.sync()
    assert not list((mirror.web / "simple").rglob("index.v1_json"))
    assert {text for _, text in mirror.served.html("old-layout").anchors} == {"old-layout-0.1.tar.gz"}
    holds(Served(mirror.directory, kinds=("html",)))


def test_simple_format_json_writes_json_only(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.configure(simple_format="JSON")
    mirror.sync()
    assert not list((mirror.web / "simple").rglob("index.html"))
    equals_upstream(upstream, Served(mirror.directory, kinds=("json",)))


def test_release_files_false_mirrors_pages_only(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.configure(release_files=False, root_uri="https://files.example.org/")
    done = mirror.sync()
    assert [path for path in done.fetched("/packages/") if not path.endswith(".metadata")] == []
    served = Served(mirror.directory, root_uri="https://files.example.org/", release_files=False)
    assert set(served.page_dirs()) == {project.name for project in upstream.listed()}


def test_delete_packages_false_keeps_what_upstream_removes(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.configure(delete_packages=False)
    mirror.sync()
    gone = upstream.delete_release("alpha-1", "1.0")
    gone += upstream.projects["alpha-0"].uploads
    upstream.delete_project("alpha-0")
    mirror.sync()
    mirror.assert_holds()
    assert "alpha-0" in mirror.served.page_dirs()
    assert all((mirror.web / upload.path).read_bytes() == upload.content for upload in gone)


def test_kept_pages_follow_the_settings(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.configure(delete_packages=False)
    mirror.sync()
    upstream.delete_project("alpha-0")
    upstream.quarantine("alpha-1")
    mirror.sync()
    mirror.configure(hash_index=True, simple_format="JSON", root_uri="https://files.example.org/")
    planned = mirror.sync("--dry-run")
    done = mirror.sync()
    updated = [
        re.findall(r"([\d,]+) (?:projects )?(?:would be )?updated", run.stdout) for run in (planned, done)
    ]
    assert updated[0] == updated[1] != []
    assert done.fetched("/packages/") == []
    served = Served(mirror.directory, hash_index=True, kinds=("json",), root_uri="https://files.example.org/")
    holds(served)
    assert set(served.page_dirs()) == set(served.root() or {}) >= {"alpha-0", "alpha-1"}
    for name in ("alpha-0", "alpha-1"):
        assert not (mirror.web / "simple" / name).exists()
        assert served.page(name)["files"][0]["url"].startswith("https://files.example.org/packages/")
    assert "nothing changed" in mirror.sync().stdout
    mirror.configure("root_uri", hash_index=False, simple_format="ALL")
    mirror.sync()
    mirror.assert_holds()
    assert {"alpha-0", "alpha-1"} <= set(mirror.served.page_dirs())


def test_a_kept_page_stays_where_its_files_do_not_fit_the_settings(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream)
    mirror.configure(delete_packages=False, release_files=False)
    mirror.sync()
    upstream.delete_project("alpha-0")
    mirror.sync()
    before = (mirror.web / "simple/alpha-0/index.v1_json").read_bytes()
    mirror.configure(release_files=True)
    mirror.sync()
    assert (mirror.web / "simple/alpha-0/index.v1_json").read_bytes() == before


def test_json_true_keeps_the_legacy_json(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.configure(json=True)
    mirror.sync()
    document = json.loads((mirror.web / "pypi" / "alpha-0" / "json").read_bytes())
    assert document["info"]["name"] == "alpha-0"
    upstream.delete_project("alpha-0")
    mirror.sync()
    assert not (mirror.web / "pypi" / "alpha-0").exists()
    mirror.assert_equal()


def test_download_mirror_serves_the_files(upstream: Simulator, mirror: Mirror) -> None:
    with Simulator() as elsewhere:
        small(upstream)
        small(elsewhere, 3)  # has half of them
        mirror.configure(download_mirror=elsewhere.url)
        done = mirror.sync()
        theirs = [r.path for r in elsewhere.requests if r.status == 200]
        assert len(theirs) == 3 * 6
        assert not set(theirs) & set(done.fetched("/packages/"))
        assert len(done.fetched("/packages/")) == 3 * 6
    mirror.assert_equal()


def test_download_mirror_without_fallback_asks_nobody_else(upstream: Simulator, mirror: Mirror) -> None:
    with Simulator() as elsewhere:
        small(upstream, 2)
        small(elsewhere, 1)
        mirror.configure(download_mirror=elsewhere.url, download_mirror_no_fallback=True)
        done = mirror.sync(expect=3)
        assert done.asked("/packages/") == []
    mirror.assert_holds()
    assert len(mirror.served.page("alpha-0")["files"]) == 4


def test_diff_file_lists_what_changed(upstream: Simulator, mirror: Mirror, tmp_path: Path) -> None:
    small(upstream)
    mirror.sync()
    diff = tmp_path / "changes"
    mirror.configure(diff_file=diff)
    upstream.add_release("alpha-3", "2.0")
    mirror.sync()
    listed = diff.read_text("utf-8").split()
    assert all(path.startswith(str(mirror.web)) for path in listed)
    assert {Path(path).name for path in listed} >= {"alpha_3-2.0-py3-none-any.whl", "alpha_3-2.0.tar.gz"}
    assert not any("alpha_2" in path for path in listed)


def test_diff_append_epoch_names_a_file_for_each_run(
    upstream: Simulator, mirror: Mirror, tmp_path: Path
) -> None:
    small(upstream, 1)
    mirror.configure(diff_file=tmp_path / "changes", diff_append_epoch=True)
    mirror.sync()
    (written,) = tmp_path.glob("changes-*")
    assert written.name.removeprefix("changes-").isdigit()


def test_core_metadata_false_promises_none(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    mirror.configure(core_metadata=False)
    done = mirror.sync()
    assert not [path for path in done.fetched() if path.endswith(".metadata")]
    mirror.assert_holds()


def test_compare_method_stat_trusts_the_size(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    mirror.sync()
    mirror.configure(compare_method="stat")
    upload = upstream.files()[0]
    (mirror.web / upload.path).write_bytes(upload.content[:-1])
    done = mirror.sync("--force-check")
    assert done.fetched("/packages/") == [f"/{upload.path}"]
    mirror.assert_equal()


def test_stop_on_error_ends_with_the_error(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream)
    upstream.fault(faults.answer("/simple/alpha-0/", 403))
    mirror.configure(stop_on_error=True)
    done = mirror.sync(expect=3)
    assert "alpha-0" in done.output
    mirror.assert_holds(finished=False)
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()
