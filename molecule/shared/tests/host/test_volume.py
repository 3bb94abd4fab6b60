"""The volume, as it is mounted now: also after a restart of the host."""

from testinfra.host import Host


def test_the_mirror_directory_is_an_ext4_volume_mounted_with_care(host: Host) -> None:
    mount = host.mount_point("/srv/pypi")
    assert mount.exists
    assert mount.filesystem == "ext4"
    assert {"rw", "noatime", "nodev", "nosuid", "noexec", "nosymfollow"} <= set(mount.options)


def test_it_is_mounted_once(host: Host) -> None:
    assert host.check_output("findmnt --noheadings --output TARGET /srv/pypi").split() == ["/srv/pypi"]


def test_no_link_on_it_leads_anywhere(host: Host) -> None:
    """Not for nginx nor for anybody else."""
    link = "/srv/pypi/web/packages/link"
    host.check_output(f"ln -s /etc/passwd {link}")
    try:
        assert host.run(f"cat {link}").failed
    finally:
        host.check_output(f"rm {link}")


def test_no_loop_device_is_left_over(host: Host) -> None:
    """One loop device a volume: a second one would be written to behind the first one's back."""
    image = host.check_output("losetup --noheadings --output BACK-FILE $(findmnt -no SOURCE /srv/pypi)")
    assert image.startswith("/")
    assert len(host.check_output(f"losetup --noheadings --output NAME --associated {image}").split()) == 1
