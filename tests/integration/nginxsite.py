"""The role's site, rendered by Ansible as the role would, and served by a real nginx."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from harness import PATIENCE, ROOT

ROLE = ROOT / "roles/bandersnatch_nginx"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Site:
    """A running nginx."""

    def __init__(self, base: Path, port: int, tls_port: int) -> None:
        self.base, self.web, self.port, self.tls_port = base, base / "web", port, tls_port

    def get(
        self, path: str, accept: str | None = None, method: str = "GET", tls: bool = False, **headers: str
    ) -> Answer:
        """One request; the path goes out as it is. `If_Match` stands for If-Match."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        if tls:
            trusting = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection("127.0.0.1", self.tls_port, timeout=20, context=trusting)
        try:
            connection.request(method, path, headers=sent if accept is None else {**sent, "Accept": accept})
            reply = connection.getresponse()
            return Answer(reply.status, reply.headers, reply.read())
        finally:
            connection.close()


def play(base: Path, tasks: list[dict[str, Any]], check: bool = False) -> dict[str, Any]:
    """Run tasks on this machine; the results of the play as Ansible's JSON callback has them."""
    book = base / "play.json"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    command = [str(ANSIBLE), "--inventory", "localhost,", "--connection", "local", str(book)]
    if check:
        command += ["--check", "--diff"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def render(
    base: Path, version: str = "", inet6: bool = False, mounted: str = "rw", **variables: object
) -> str:
    """The site as the role's template task writes it, with these variables of the role (less their prefix).

    `version` is what nginx says of itself, by default the one that is here; `mounted` are the options of the
    mirror's mount.
    """
    facts = {
        "ansible_managed": "a test",
        "__bandersnatch_nginx_inet6": {"rc": 0 if inet6 else 1},
        "__bandersnatch_nginx_mounted": {"stdout": mounted},
        "__bandersnatch_nginx_version": {"stderr": version or nginx_version()},
        "__bandersnatch_nginx_certificate_file": {"stat": {"checksum": "of a test"}},
    }
    given = {f"bandersnatch_nginx_{name}": value for name, value in variables.items()}
    tasks = [
        {"ansible.builtin.include_vars": str(ROLE / "defaults/main.yml")},
        {"ansible.builtin.include_vars": str(ROLE / "vars/main.yml")},
        {"ansible.builtin.set_fact": {**facts, **given}},
        {
            "ansible.builtin.template": {
                "src": str(ROLE / "templates/site.conf.j2"),
                "dest": str(base / "site.conf"),
                "mode": "0644",
            }
        },
    ]
    play(base, tasks)
    return (base / "site.conf").read_text()


def nginx_version() -> str:
    return subprocess.run([str(NGINX), "-v"], capture_output=True, text=True, check=True).stderr


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextlib.contextmanager
def serve(base: Path, extra: str = "", **variables: object) -> Iterator[Site]:
    """Run nginx in the foreground, as nobody but us, with the site that these variables make, until the end.

    `extra` is more for the same nginx: other sites.
    """
    port, tls_port = free_ports(2)
    given = {"directory": str(base), "log_folder": str(base), "listen_addresses": ["127.0.0.1"]}
    render(base, **given, port=port, tls_port=tls_port, **variables)
    # nobody else may read a test's directory
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{kind}_temp_path {base}/tmp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (base / "nginx.conf").write_text(
        f"{user} daemon off; pid {base}/pid; error_log {base}/error.log; events {{}}\n"
        f"http {{ include /etc/nginx/mime.types; default_type application/octet-stream; gzip on;\n"
        f"{temporary} include {base}/site.conf; {extra} }}\n"
    )
    command = [str(NGINX), "-p", str(base), "-c", str(base / "nginx.conf"), "-e", str(base / "error.log")]
    with (base / "stderr").open("w") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    try:
        wait_for(lambda: process.poll() is not None or answers(port))
        assert process.poll() is None, (base / "stderr").read_text()
        yield Site(base, port, tls_port)
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool]) -> None:
    """Return when it holds."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come about in 30 seconds"
        time.sleep(0.02)
