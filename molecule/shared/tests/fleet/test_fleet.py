"""A mirror of a mirror says what the first one says, to the last key."""

import json

from testinfra.host import Host
from website import JSON, Site

PROJECTS = ["demo-app", "demo-broken", "demo-lib", "demo-news", "demo-unicode"]


def origin(host: Host) -> Site:
    """The mirror that the one under test follows."""
    return Site(host.check_output("getent ahostsv4 mirror-1").split()[0])


def test_it_follows_the_first_mirror(host: Host) -> None:
    assert "http://mirror-1/simple/" in host.file("/etc/bandersnatch.conf").content_string


def test_both_list_the_same_with_the_same_serials(host: Host, site: Site) -> None:
    ours, theirs = (json.loads(s.get("/simple/", JSON).body) for s in (site, origin(host)))
    assert ours["projects"] == theirs["projects"]
    assert [project["name"].lower().replace("_", "-") for project in ours["projects"]] == PROJECTS
    assert all(isinstance(project["_last-serial"], int) for project in ours["projects"])


def test_both_have_the_same_pages_and_files(host: Host, site: Site) -> None:
    other = origin(host)
    for project in PROJECTS:
        assert site.page(project) == other.page(project)
        for entry in site.files(project).values():
            assert site.get(entry["path"]).body == other.get(entry["path"]).body != b""


def test_what_was_published_upstream_went_through_both(site: Site) -> None:
    assert "demo_news-2.0-py3-none-any.whl" in site.files("demo-news")
