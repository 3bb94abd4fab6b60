"""A host's website as a client on another host sees it."""

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urljoin

from testinfra.host import Host

JSON = "application/vnd.pypi.simple.v1+json"


class Answer(NamedTuple):
    """What a request brought."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Site:
    """The website of one host, asked from outside the host."""

    def __init__(self, address: str) -> None:
        """Take the IP address."""
        self.address = address

    def get(self, path: str, accept: str | None = None, method: str = "GET", **headers: str) -> Answer:
        """Send one request; the path goes out as it is, dots and all. `If_Match` stands for If-Match."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if accept is not None:
            sent["Accept"] = accept
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, path, headers=sent)
            reply = connection.getresponse()
            return Answer(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def page(self, project: str) -> dict[str, Any]:
        """A project's JSON page; what is not there has no files."""
        answer = self.get(f"/simple/{project}/", JSON)
        return dict(json.loads(answer.body)) if answer.status == 200 else {"files": []}

    def files(self, project: str) -> dict[str, dict[str, Any]]:
        """The entries of a project's page by file name, with `path`: the URL's path as it is asked for."""
        return {
            entry["filename"]: {**entry, "path": urljoin(f"/simple/{project}/", entry["url"])}
            for entry in self.page(project)["files"]
        }


def name_of(host: Host) -> str:
    """The host's own name, under which others on the network reach it."""
    return str(host.check_output("hostname"))
