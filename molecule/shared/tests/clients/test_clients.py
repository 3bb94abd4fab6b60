"""Real clients, on another host, install from the mirror alone."""

import os
import shlex

import pytest
from testinfra.host import Host
from website import name_of

LOG = "/var/log/bandersnatch/access.log"
URL = os.environ.get("MIRROR_URL", "http://{host}")
CERTIFICATE = "/etc/ssl/bandersnatch/certificate.pem"
TRUSTED = "/tmp/trusted.pem"  # where the client has it
CLIENT = "env -i HOME=/nonexistent PATH=/usr/bin:/bin PIP_CONFIG_FILE=/dev/null"
COMMANDS = {
    "pip": "/opt/client/bin/pip install --no-cache-dir --force-reinstall {trust}",
    "uv": "/usr/local/bin/uv pip install --no-cache --no-config --reinstall --python /opt/client/bin/python",
}


@pytest.mark.parametrize("client", COMMANDS)
def test_a_client_installs_a_project_and_what_it_needs(host: Host, upstream: Host, client: str) -> None:
    name = name_of(host)
    upstream.check_output("/opt/client/bin/pip uninstall -y demo-app demo-lib")
    seen = int(host.check_output(f"wc -l < {LOG}"))

    environment, trust = CLIENT, f"--trusted-host {name}"
    if URL.startswith("https:"):
        environment, trust = f"{CLIENT} SSL_CERT_FILE={TRUSTED}", f"--cert {TRUSTED}"
        certificate = shlex.quote(host.file(CERTIFICATE).content_string)
        upstream.check_output(f"printf %s {certificate} > {TRUSTED}")
    command = COMMANDS[client].format(trust=trust)
    upstream.check_output(f"{environment} {command} --index-url {URL.format(host=name)}/simple/ demo-app")

    probe = "import demo_app, demo_lib; print(demo_app.version, demo_lib.version)"
    assert upstream.check_output(f"/opt/client/bin/python -c '{probe}'") == "1.0 1.0"  # 1.1 is yanked
    lines = host.check_output(f"tail -n +{seen + 1} {LOG}").splitlines()
    assert [line for line in lines if "/demo_app-1.0-py3-none-any.whl HTTP" in line and f"{client}/" in line]
    assert [line for line in lines if "/demo_lib-1.0-py3-none-any.whl HTTP" in line and f"{client}/" in line]


def test_all_that_is_served_is_whole(host: Host) -> None:
    said = host.check_output("runuser -u bandersnatch -- bandersnatch verify")
    assert said.endswith(": all there, and as the pages state")
