"""nginx on loopback, with its own config and directory, as the upstream of a single run."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

HOST = "127.0.0.1"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
# Debian's libnginx-mod-http-echo. (Delaying packets would be nearer to a real network, but takes a kernel
# with netem, which many machines for tests lack.)
ECHO = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")

# One process: the contenders need the other processor. No gzip: it would cost nginx more than it saves anyone
# here. bandersnatch 8 wants a serial in each answer; the highest one is never less than what it asks for.
_CONFIG = """
daemon off;
worker_processes 1;
user {user};
pid {scratch}/nginx.pid;
{load}
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    types {{
        application/vnd.pypi.simple.v1+json v1_json;
        application/octet-stream whl gz metadata;
    }}
    default_type application/json;
    etag on;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    log_format traffic "$status $bytes_sent $uri";
    access_log {scratch}/access.log traffic;
    server {{
        listen {host}:{port};
        root {root};
        add_header X-PyPI-Last-Serial {serial};
        location / {{
            {delay}
        }}
        location @file {{
            try_files $uri $uri/index.v1_json =404;
        }}
    }}
}}
"""


class Traffic(NamedTuple):
    """What went over the wire, from nginx's own log."""

    requests: int
    bytes: int  # sent by the server, headers included
    refused: int  # answers of 400 and above


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Site:
    """A running nginx. Each run of a contender gets a new one: cold connections, a log of its own."""

    def __init__(self, scratch: Path, port: int, root: Path, serial: int, latency: float = 0) -> None:
        """`latency`: seconds that it waits before it answers a request."""
        self._scratch, self._port = scratch, port
        self._log = scratch / "access.log"
        sleep = f"echo_sleep {latency:.3f}; echo_exec @file;"
        text = _CONFIG.format(
            scratch=scratch,
            host=HOST,
            port=port,
            root=root,
            serial=serial,
            user=pwd.getpwuid(os.geteuid()).pw_name,
            load=f"load_module {ECHO};" if latency else "",
            delay=sleep if latency else "try_files $uri $uri/index.v1_json =404;",
        )
        (scratch / "nginx.conf").write_text(text)

    def __enter__(self) -> Site:
        if NGINX is None:
            raise SystemExit("nginx is not installed: apt-get install nginx-light")
        self._log.unlink(missing_ok=True)
        errors = self._scratch / "nginx.log"
        command = [NGINX, "-e", str(errors), "-c", str(self._scratch / "nginx.conf")]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex((HOST, self._port)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise SystemExit(f"nginx does not start: {errors.read_text() if errors.exists() else ''}")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def asked(self) -> int:
        """Requests that were answered so far."""
        return self._log.read_bytes().count(b"\n") if self._log.exists() else 0

    def traffic(self) -> Traffic:
        """What went over the wire so far."""
        requests = sent = refused = 0
        with self._log.open() as lines:
            for line in lines:
                status, size, _ = line.split(" ", 2)
                requests += 1
                sent += int(size)
                refused += status >= "400"
        return Traffic(requests, sent, refused)
