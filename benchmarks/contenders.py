"""Who is compared: ours, bandersnatch 8.2, curl with a list of URLs. Each with ten connections."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

REPOSITORY = Path(__file__).resolve().parents[1]
DEFAULT_PEER = REPOSITORY / ".cache/bench-peer"
PEER_VERSION = "8.2.*"
CONNECTIONS = 10  # bandersnatch 8 allows no more
OURS, PEER, CURL = "ours", "bandersnatch 8.2", "curl"


class Job(NamedTuple):
    """One run of a contender."""

    upstream: Path  # the tree that nginx serves: where curl's list comes from
    url: str  # where it is served, without a slash at its end
    directory: Path  # the mirror
    files: bool  # with the files, or only the pages
    check: bool = False  # look at everything, whatever is believed to be there
    drop: str = ""  # a pattern of names that are not mirrored


class Contender(NamedTuple):
    """Somebody who makes a mirror."""

    name: str
    program: tuple[str, ...]
    version: str

    def command(self, job: Job) -> list[str]:
        """What to run for `job`; the files that it needs are written beside the mirror directory."""
        if self.name == CURL:
            urls = job.directory.with_name("curl.urls")
            with urls.open("w") as file:
                file.writelines(f'url = "{url}"\noutput = "{path}"\n' for url, path in curl_list(job))
            parallel = ("--parallel", "--parallel-max", str(CONNECTIONS), "--no-progress-meter")
            return [*self.program, *parallel, "--fail", "--create-dirs", "--config", str(urls)]
        config = job.directory.with_name(f"{job.directory.name}.conf")
        config.write_text(_config(job))
        return [*self.program, "-c", str(config), "mirror", *(["--force-check"] if job.check else [])]

    def environment(self, home: Path) -> dict[str, str]:
        """No proxies, no netrc, no settings of the person who runs the benchmark."""
        clean = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
        return clean | ({"PYTHONPATH": str(REPOSITORY / "module_utils")} if self.name == OURS else {})


def _config(job: Job) -> str:
    """One file that both understand."""
    lines = [
        "[mirror]",
        f"directory = {job.directory}",
        f"master = {job.url}",
        f"workers = {CONNECTIONS}",
        "timeout = 60",
        "json = false",
        "simple-format = ALL",
        "compare-method = hash",
        "allow-non-https = true",
        f"release-files = {str(job.files).lower()}",
    ]
    if not job.files:
        lines.append(f"root_uri = {job.url}")
    if job.drop:
        lines += ["[plugins]", "enabled = regex_project", "[filter_regex]", f"packages = {job.drop}"]
    return "\n".join(lines) + "\n"


def curl_list(job: Job) -> Iterator[tuple[str, Path]]:
    """(URL, target) of each page and, if the job is so, of each file and its metadata."""
    for page in sorted(job.upstream.glob("simple/*/index.v1_json")):
        name = page.parent.name
        yield f"{job.url}/simple/{name}/", job.directory / f"web/simple/{name}/index.v1_json"
        if not job.files:
            continue
        for file in json.loads(page.read_bytes())["files"]:
            target = f"{job.directory}/web{unquote(urlsplit(file['url']).path)}"
            yield file["url"], Path(target)
            if file["core-metadata"]:
                yield f"{file['url']}.metadata", Path(f"{target}.metadata")


def find(peer: Path) -> tuple[list[Contender], list[str]]:
    """Those that are installed, ours first, and a sentence for each that is not."""
    python = sys.version.partition(" ")[0]
    found = [Contender(OURS, (sys.executable, "-m", "bandersnatch"), f"Python {python}")]
    missing = []
    if (peer / "bin/bandersnatch").exists():
        found.append(Contender(PEER, (str(peer / "bin/bandersnatch"),), _peer_version(peer)))
    else:
        missing.append(
            f"bandersnatch {PEER_VERSION} is left out: there is none in {peer}; "
            "--make-peer PYTHON installs it (3.12 or later)"
        )
    curl = shutil.which("curl")
    if curl:
        version = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout
        found.append(Contender(CURL, (curl,), version.split()[1]))
    else:
        missing.append("curl is left out: it is not installed")
    return found, missing


def _peer_version(peer: Path) -> str:
    ask = (
        "import importlib.metadata as m, platform;"
        "print(m.version('bandersnatch'), 'on Python', platform.python_version())"
    )
    command = [str(peer / "bin/python"), "-c", ask]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def make_peer(peer: Path, python: str) -> None:
    """Install bandersnatch in a venv of its own, with pip's own index."""
    subprocess.run([python, "-m", "venv", "--clear", str(peer)], check=True)
    pip = [str(peer / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, f"bandersnatch=={PEER_VERSION}"], check=True)


def new_python() -> str | None:
    """A Python that bandersnatch 8.2 runs on, if there is one on the PATH or under pyenv."""
    for minor in (12, 13, 14):
        if (found := shutil.which(f"python3.{minor}")) and _works(found):
            return found
        for candidate in sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")):
            if _works(str(candidate)):
                return str(candidate)
    return None


def _works(python: str) -> bool:
    """pyenv leaves names on the PATH behind which there is nothing."""
    check = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))"
    return subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0
