"""The file system that the site brought is used, and nothing beside it is made."""

from testinfra.host import Host
from website import Site


def test_the_mirror_lies_on_what_was_there(host: Host) -> None:
    assert host.check_output("stat --format %m /data/pypi/state") == "/data"
    assert host.mount_point("/data").filesystem == "xfs"
    assert host.file("/data/pypi/web/simple/demo-app").is_directory


def test_nothing_else_was_mounted_or_made(host: Host) -> None:
    sheet = host.file("/etc/fstab").content_string.splitlines()
    assert [line.split()[1] for line in sheet if line and not line.startswith("#")] == ["/data"]
    assert not host.file("/var/lib/bandersnatch").exists
    assert not host.file("/srv/pypi").exists
    assert host.check_output("find /data/pypi -name '.probe-*'") == ""


def test_it_is_served(site: Site) -> None:
    files = site.files("demo-app")
    assert len(files) == 3
    for entry in files.values():
        assert len(site.get(entry["path"]).body) == entry["size"]
