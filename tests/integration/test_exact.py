"""What the upstream says, the mirror says: every key, in JSON and in HTML, from every kind of index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import Mirror
from invariant import Links, Served, differences, holds
from scenes import LOCAL, UNICODE, variety
from simserver import StaticSite
from simulator import Simulator, Style

INDEXES = {
    "html only": Style(json=False, serials="none", etag=False, metadata_keys=True),
    "html only, old": Style(json=False, serials="none", api="1.0", metadata_keys=False),
    "html only, relative URLs": Style(json=False, urls="relative"),
    "json only": Style(html=False),
    "no serials": Style(serials="none"),
    "no serials, no ETag": Style(serials="none", etag=False),
    "serials as strings, 1.1, no ETag, no metadata keys": Style(
        serials="str", api="1.1", etag=False, metadata_keys=False
    ),
    "1.0": Style(api="1.0"),
    "relative URLs": Style(urls="relative"),
    "files on another port": Style(urls="elsewhere"),
}


def test_every_key_is_carried_over(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.sync()
    mirror.assert_equal()
    page = mirror.served.page("variety")
    files = {file["filename"]: file for file in page["files"]}
    assert files["variety-0.9.tar.gz"]["yanked"] == 'broken <b>build</b> & "worse" – don\'t'
    assert files["variety-0.8.tar.gz"]["yanked"] is True
    assert files[LOCAL]["requires-python"] == ">=3.10"
    assert files[UNICODE]["url"].isascii()
    assert mirror.served.page("archived")["project-status"] == {
        "status": "archived",
        "reason": "use <variety> & be happy",
    }
    assert page["meta"]["api-version"] == "1.4"


def test_serials_are_integers(upstream: Simulator, mirror: Mirror) -> None:
    upstream.style.serials = "str"
    upstream.add_project("six", "1.0")
    mirror.sync()
    assert mirror.served.page("six")["meta"]["_last-serial"] == upstream.projects["six"].serial
    assert mirror.served.root() == {"six": upstream.projects["six"].serial}


def test_html_pages_carry_the_attributes_as_text(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.sync()
    links = mirror.served.html("variety")
    assert set(links.tags) <= {"html", "head", "meta", "title", "body", "h1", "a", "br"}
    by_name = {text: attrs for attrs, text in links.anchors}
    assert by_name["variety-0.9.tar.gz"]["data-yanked"] == 'broken <b>build</b> & "worse" – don\'t'
    assert by_name["variety-0.9.tar.gz"]["data-gpg-sig"] == "true"
    assert by_name["variety-0.8.tar.gz"]["data-yanked"] == ""
    wheel = by_name["variety-3.0-py3-none-any.whl"]
    assert wheel["data-core-metadata"].startswith("sha256=")
    assert wheel["data-dist-info-metadata"] == wheel["data-core-metadata"]
    assert wheel["data-provenance"].startswith("https://index.example.org/")
    archived = mirror.served.html("archived")
    assert archived.metas["pypi:project-status"] == "archived"
    assert archived.metas["pypi:project-status-reason"] == "use <variety> & be happy"
    assert archived.metas["pypi:repository-version"].startswith("1.")
    text = (mirror.web / "simple" / "variety" / "index.html").read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "<b>build" not in text


def test_root_index_shows_names_as_upstream_spells_them(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("Plain.Name", "1.0")
    upstream.add_project("apple", "1.0")
    mirror.sync()
    links = Links((mirror.web / "simple" / "index.html").read_text("utf-8"))
    assert [text for _, text in links.anchors] == ["apple", "Plain.Name"]
    assert [attrs["href"].strip("/").split("/")[-1] for attrs, _ in links.anchors] == ["apple", "plain-name"]


@pytest.mark.parametrize("kind", INDEXES)
def test_other_kinds_of_index_are_mirrored(kind: str, tmp_path: Path) -> None:
    with Simulator(INDEXES[kind]) as upstream:
        variety(upstream)
        mirror = Mirror(tmp_path, upstream)
        mirror.sync()
        lossy = not upstream.style.json
        mirror.assert_equal(lossy=lossy)
        upstream.add_release("variety", "9.0")
        upstream.delete_project("empty")
        mirror.sync()
        mirror.assert_equal(lossy=lossy)


def test_an_index_without_serials_is_converged_by_content(tmp_path: Path) -> None:
    with Simulator(Style(serials="none", etag=False)) as upstream:
        upstream.add_project("six", "1.0")
        mirror = Mirror(tmp_path, upstream)
        mirror.sync()
        upstream.add_release("six", "2.0")
        mirror.sync()
        mirror.assert_equal()


def test_a_page_that_says_less_than_the_standard_asks_is_read(upstream: Simulator, mirror: Mirror) -> None:
    def sloppy(doc: dict[str, Any]) -> None:
        del doc["name"]
        doc["meta"] = {"api-version": 1.0, "_last-serial": float(doc["meta"]["_last-serial"])}
        for file in doc["files"]:
            file["url"] += f"#sha256={file.pop('hashes')['sha256']}"

    project = upstream.add_project("six", "1.0")
    project.tamper = sloppy
    mirror.sync()
    mirror.assert_holds()
    project.tamper = None
    mirror.assert_equal()


def test_files_of_the_same_content_are_all_there(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("twins")
    for number in range(12):  # wheels of one release share their metadata
        name = f"twins-1.0-cp3{number}-cp3{number}-any.whl"
        upstream.add_file("twins", name, "1.0", metadata=b"Metadata-Version: 2.1\nName: twins\n")
        upstream.add_project(f"other-{number}")
        upstream.add_file(f"other-{number}", f"other-{number}-1.0.tar.gz", "1.0", content=b"always the same")
        upstream.add_file(f"other-{number}", f"other-{number}-0.0.tar.gz", "0.0", size=0)
    mirror.configure(workers=8)
    mirror.sync()
    mirror.assert_equal()


def test_a_file_whose_url_has_another_shape_lies_at_its_hash(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("odd")
    upstream.add_file("odd", "odd-1.0.tar.gz", "1.0", layout="odd")
    mirror.sync()
    mirror.assert_equal()
    sha = upstream.files()[0].sha256
    assert (mirror.web / "packages" / sha[:2] / sha[2:4] / sha[4:] / "odd-1.0.tar.gz").is_file()


def test_an_allowlist_asks_for_the_listed_pages_only(upstream: Simulator, mirror: Mirror) -> None:
    variety(upstream)
    mirror.allow("Variety", "plain_name")
    done = mirror.sync()
    assert {r.path for r in done.asked("/simple/")} == {"/simple/variety/", "/simple/plain-name/"}
    assert set(mirror.served.page_dirs()) == {"variety", "plain-name"}
    mirror.assert_holds()


def test_a_spelling_variant_is_followed_to_its_page(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("Foo_Bar", "1.0")
    mirror.allow("Foo__.Bar")
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.parametrize("negotiate", [True, False], ids=["as our site serves", "plain files"])
def test_a_mirror_of_our_mirror_equals_the_upstream(
    upstream: Simulator, mirror: Mirror, tmp_path: Path, negotiate: bool
) -> None:
    variety(upstream)
    mirror.sync()
    second = tmp_path / "second"
    second.mkdir()
    with StaticSite(mirror.web, negotiate) as site:
        chained = Mirror(second, site.url)
        chained.sync()
        holds(Served(chained.directory))
        assert differences(upstream, chained.directory, lossy=not negotiate) == []
        upstream.add_release("variety", "9.0")
        upstream.delete_project("empty")
        mirror.sync()
        chained.sync()
        holds(Served(chained.directory))
        assert differences(upstream, chained.directory, lossy=not negotiate) == []


def test_pages_of_the_chain_are_the_same_bytes(upstream: Simulator, mirror: Mirror, tmp_path: Path) -> None:
    variety(upstream)
    mirror.sync()
    second = tmp_path / "second"
    second.mkdir()
    with StaticSite(mirror.web) as site:
        chained = Mirror(second, site.url)
        chained.sync()
    for name, directory in mirror.served.page_dirs().items():
        for kind in ("index.html", "index.v1_json"):
            assert (chained.served.page_dir(name) / kind).read_bytes() == (directory / kind).read_bytes()
    for kind in ("index.html", "index.v1_json"):
        path = Path("simple") / kind
        assert (chained.web / path).read_bytes() == (mirror.web / path).read_bytes()


def test_last_modified_is_the_start_of_the_last_good_run(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("six", "1.0")
    mirror.sync()
    text = (mirror.web / "last-modified").read_text("ascii").strip()
    assert len(text) == len("20261123T10:11:12")
    assert text[8] == "T"
