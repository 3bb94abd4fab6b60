"""Users, rights and the configuration."""

import pytest
from testinfra.host import Host

CONFIG = "/etc/bandersnatch.conf"


def test_the_configuration_is_root_s_and_not_everybody_s(host: Host) -> None:
    config = host.file(CONFIG)
    assert (config.user, config.group, config.mode) == ("root", "bandersnatch", 0o640)


def test_the_metrics_are_where_node_exporter_reads_them(host: Host) -> None:
    metrics = host.file("/var/lib/prometheus/node-exporter/bandersnatch.prom")
    assert (metrics.user, metrics.mode) == ("bandersnatch", 0o644)
    assert "\nbandersnatch_last_run_exit_code 0\n" in metrics.content_string


def test_the_command_accepts_the_configuration(host: Host) -> None:
    done = host.run(f"runuser -u bandersnatch -- bandersnatch -c {CONFIG} check-config")
    assert (done.rc, done.stderr) == (0, "")


def test_the_command_refuses_a_configuration_without_sense(host: Host) -> None:
    wrong = f"sed 's/^.mirror.$/&\\nworkers = many/' {CONFIG} > /tmp/wrong.conf"
    done = host.run_expect([2], f"{wrong} && bandersnatch -c /tmp/wrong.conf check-config")
    assert "workers" in done.stderr


def test_nobody_logs_in_as_the_engine_s_user(host: Host) -> None:
    assert host.user("bandersnatch").shell in ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false")
    assert host.check_output("getent shadow bandersnatch").split(":")[1][0] in "!*"


@pytest.mark.parametrize("directory", ["/srv/pypi", "/srv/pypi/web"])
def test_the_web_server_writes_nothing(host: Host, directory: str) -> None:
    assert host.user("www-data").exists
    assert (
        host.check_output(
            f"runuser -u www-data -- find {directory} -writable -not -type l 2>/dev/null || true"
        )
        == ""
    )


def test_services_run_and_start_by_themselves(host: Host) -> None:
    for name in ("nginx", "cron"):
        assert host.service(name).is_running
        assert host.service(name).is_enabled
    assert host.check_output("systemctl is-system-running") == "running"
