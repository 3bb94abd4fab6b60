"""The disk has a file system made for a mirror, is mounted by its own name, and has grown."""

from testinfra.host import Host
from website import Site

MIB = 1 << 20


def test_it_is_mounted_by_the_name_of_its_file_system(host: Host) -> None:
    name = host.check_output("blkid --probe --output value --match-tag UUID /dev/mirror")
    (line,) = (x for x in host.file("/etc/fstab").content_string.splitlines() if " /srv/pypi " in x)
    assert line == f"UUID={name} /srv/pypi ext4 noatime,nodev,nosuid,noexec,nosymfollow,nofail 0 2"
    mount = host.mount_point("/srv/pypi")
    assert mount.device == host.check_output("realpath /dev/mirror")
    assert {"rw", "noatime", "nodev", "nosuid", "noexec", "nosymfollow"} <= set(mount.options)


def test_it_has_grown_with_the_disk(host: Host) -> None:
    assert int(host.check_output("blockdev --getsize64 /dev/mirror")) == 384 * MIB
    size = int(host.check_output("df --block-size=1 --output=size /srv/pypi | tail -n 1"))
    assert 300 * MIB < size < 384 * MIB


def test_what_was_on_it_is_still_served(site: Site) -> None:
    for entry in site.files("demo-app").values():
        assert len(site.get(entry["path"]).body) == entry["size"]
