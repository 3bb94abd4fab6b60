"""A synthetic index as static files: the same for the same numbers, as varied as a real one.

    simple/index.v1_json                   the root index, with serials
    simple/<name>/index.v1_json            project pages (PEP 691, 700, 714, 740, 792)
    packages/aa/bb/<60 hex>/<file>         files and their .metadata
    pypi/<name>/json                       the release JSON, which bandersnatch 8 reads instead of the pages

Releases a project and bytes a file are log-normal: on average some 11 files and 5 metadata files a
project, and 36 kB a file. Files are random bytes: no mirror looks into them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import random
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

FIRST_SERIAL = 20_000_000
_EPOCH = datetime(2020, 1, 1)
_MTIME = 1_600_000_000  # of the page with serial 0: ETags are the same in each run
_AT_ONCE = 250  # projects that a process makes before it takes the next ones

_WORDS = (
    *("amber", "basalt", "cobalt", "delta", "ember", "fjord", "gamma", "harbor", "indigo", "jade", "karst"),
    *("lumen", "meadow", "nimbus", "opal", "prism", "quartz", "river", "sable", "tundra", "umber", "vertex"),
    *("willow", "xenon", "yarrow", "zephyr", "anchor", "beacon", "cipher"),
)
_YANKS = (True, "wrong metadata", "naïve Größe: <broken> & “withdrawn” ✂", "sicherheitslücke, siehe 1.2.4")
_REQUIRES = (">=3.8", ">=3.9,<4", "!=3.0.*,>=2.7", ">=3.10; python < 4", None)
_PLATFORMS = (
    *("cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "cp312-cp312-manylinux_2_28_aarch64"),
    *("cp312-cp312-macosx_11_0_arm64", "cp313-cp313-win_amd64"),
)


class Shape(NamedTuple):
    """What an upstream is made of."""

    projects: int
    contents: bool  # whether the files are there, or only listed
    release_json: bool  # whether bandersnatch 8 shall be able to read it
    base: str  # "http://127.0.0.1:8080"


class _Made(NamedTuple):
    """One file: its entry in the project's page, what else the release JSON says, and its content."""

    entry: dict[str, Any]
    version: str
    contents: tuple[tuple[str, bytes], ...]  # (path, bytes)


def display(number: int) -> str:
    """The name of a project as it is spelt in the root index."""
    one, two = _WORDS[number % len(_WORDS)], _WORDS[number // 7 % len(_WORDS)]
    if number % 10 == 0:
        return f"{one.capitalize()}.{two}_{number}"
    return f"{one}_{two}-{number}" if number % 10 == 1 else f"{one}-{two}-{number}"


def normalized(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def build(root: Path, shape: Shape) -> int:
    """Make the upstream at `root`; gives its serial."""
    _write_projects(root, shape, range(shape.projects), changed=False)
    return _write_root(root, shape.projects, frozenset())


def change(root: Path, shape: Shape, numbers: range) -> int:
    """Give these projects one more release; gives the new serial."""
    _write_projects(root, shape, numbers, changed=True)
    return _write_root(root, shape.projects, frozenset(numbers))


def build_root(root: Path, shape: Shape, every: int) -> int:
    """Make an upstream that has a page only of every `every`th project; gives its serial."""
    _write_projects(root, shape, range(0, shape.projects, every), changed=False)
    return _write_root(root, shape.projects, frozenset())


def _write_projects(root: Path, shape: Shape, numbers: range, *, changed: bool) -> None:
    parts = [numbers[start : start + _AT_ONCE] for start in range(0, len(numbers), _AT_ONCE)]
    write = functools.partial(_write_some, str(root), shape, changed)
    with ProcessPoolExecutor() as processes:
        for _ in processes.map(write, parts):
            pass


def _write_some(root: str, shape: Shape, changed: bool, numbers: Iterable[int]) -> None:
    for number in numbers:
        made = [file for release in _releases(number, changed) for file in _files(number, release, shape)]
        name, serial = normalized(display(number)), _serial(number, changed)
        page = f"{root}/simple/{name}/index.v1_json"
        _write(page, _page(number, made, changed))
        os.utime(page, (_MTIME + serial, _MTIME + serial))
        if shape.release_json:
            _write(f"{root}/pypi/{name}/json", _release_json(number, made, changed))
        for file in made:
            for path, content in file.contents:
                _write(f"{root}/{path}", content)


def _write(path: str, content: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def _write_root(root: Path, projects: int, changed: frozenset[int]) -> int:
    serial = max(_serial(max(changed), True) if changed else 0, _serial(projects - 1, False))

    def lines() -> Iterator[str]:
        yield f'{{"meta":{{"_last-serial":{serial},"api-version":"1.4"}},"projects":['
        comma = ""
        for number in sorted(range(projects), key=lambda number: normalized(display(number))):
            yield f'{comma}{{"_last-serial":{_serial(number, number in changed)},"name":"{display(number)}"}}'
            comma = ","
        yield "]}"

    target = root / "simple/index.v1_json"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w") as file:
        file.writelines(lines())
    os.utime(target, (_MTIME + serial, _MTIME + serial))
    return serial


def _serial(number: int, changed: bool) -> int:
    return FIRST_SERIAL + number + (2_000_000 if changed else 0)


# One project


def _releases(number: int, changed: bool) -> range:
    count = random.Random(number).lognormvariate(math.log(3), 1)
    return range(min(400, max(1, round(count))) + (1 if changed else 0))


def _version(number: int, release: int) -> str:
    local = "+cu118" if number % 50 == 3 else ""  # a plus has to be encoded in URLs
    return f"{release // 20}.{release // 4 % 5}.{release % 4}{'rc1' if release % 9 == 7 else ''}{local}"


def _files(number: int, release: int, shape: Shape) -> list[_Made]:
    """The files of one release."""
    pick = random.Random(f"{number}/{release}")
    version = _version(number, release)
    stem = f"{normalized(display(number)).replace('-', '_')}-{version}"
    if pick.random() < 0.15:
        names = [f"{stem}-{platform}.whl" for platform in _PLATFORMS] + [f"{stem}.tar.gz"]
    else:
        wheel, sdist = pick.random() < 0.9, pick.random() < 0.8
        names = [f"{stem}-py3-none-any.whl"] if wheel or not sdist else []
        names += [f"{stem}.tar.gz"] if sdist else []
    moment = _EPOCH + timedelta(days=release * 17, seconds=number % 86_400, microseconds=1 + number % 999_999)
    common = {
        "requires-python": _REQUIRES[number % len(_REQUIRES)],
        "upload-time": moment.isoformat() + "Z",
        "yanked": pick.choice(_YANKS) if pick.random() < 0.04 else False,
    }
    return [_file(pick, name, version, common, shape) for name in names]


def _file(pick: random.Random, name: str, version: str, common: dict[str, Any], shape: Shape) -> _Made:
    size = min(8_000_000, 200 + round(pick.lognormvariate(math.log(10_000), 1.6)))
    key = hashlib.blake2b(name.encode(), digest_size=32).hexdigest()
    path = f"packages/{key[:2]}/{key[2:4]}/{key[4:]}/{name}"
    # Where the files are not there, any digest will do.
    content = pick.randbytes(size) if shape.contents else name.encode()
    contents = [(path, content)] if shape.contents else []
    entry: dict[str, Any] = {"core-metadata": False, "data-dist-info-metadata": False}
    if name.endswith(".whl") and pick.random() < 0.85:
        text = _core_metadata(pick, name, version).encode()
        contents += [(f"{path}.metadata", text)] if shape.contents else []
        stated = {"sha256": hashlib.sha256(text).hexdigest()}
        entry = {"core-metadata": stated, "data-dist-info-metadata": stated}
    entry |= {"filename": name, "hashes": {"sha256": hashlib.sha256(content).hexdigest()}}
    entry |= {"provenance": None, "size": size, "url": f"{shape.base}/{quote(path)}"} | common
    if pick.random() < 0.1:
        entry["provenance"] = f"https://index.example.org/integrity/{name}/provenance"
    return _Made(entry, version, tuple(contents))


def _core_metadata(pick: random.Random, name: str, version: str) -> str:
    project = name.partition("-")[0]
    head = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\nAuthor: Zoë Ångström\n\n"
    return head + _prose(pick, 1_000)


def _prose(pick: random.Random, median: int) -> str:
    count = round(pick.lognormvariate(math.log(median / 7), 0.7))
    return " ".join(pick.choices((*_WORDS, "naïve", "–", "Größe"), k=count))


def _page(number: int, made: list[_Made], changed: bool) -> bytes:
    page: dict[str, Any] = {
        "files": [file.entry for file in made],
        "meta": {"_last-serial": _serial(number, changed), "api-version": "1.4"},
        "name": normalized(display(number)),
        "versions": list(dict.fromkeys(file.version for file in made)),
    }
    if number % 50 == 17:
        page["project-status"] = {"status": "archived"}
    if number % 100 == 33:
        page["project-status"] = {"status": "deprecated", "reason": "Ersetzt durch „amber“ ☂"}
    return json.dumps(page).encode()


def _release_json(number: int, made: list[_Made], changed: bool) -> bytes:
    """The bigger JSON: per file the keys that the index sends, and the long description of one release."""
    pick = random.Random(f"{number} description")
    releases: dict[str, list[dict[str, Any]]] = {}
    for file in made:
        releases.setdefault(file.version, []).append(_release_file(file))
    last = made[-1]
    info: dict[str, Any] = dict.fromkeys(("bugtrack_url", "docs_url", "download_url", "license", "platform"))
    info |= {
        "author": "Zoë Ångström",
        "author_email": "zoe@example.org",
        "classifiers": [f"Programming Language :: Python :: 3.{minor}" for minor in range(8, 14)],
        "description": _prose(pick, 3_000),
        "description_content_type": "text/markdown",
        "name": display(number),
        "requires_dist": [f"{word}-{word} (>=1.0)" for word in pick.sample(_WORDS, 4)],
        "requires_python": last.entry["requires-python"],
        "summary": _prose(pick, 60),
        "version": last.version,
        "yanked": False,
    }
    document = {
        "info": info,
        "last_serial": _serial(number, changed),
        "releases": releases,
        "urls": releases[last.version],
        "vulnerabilities": [],
    }
    return json.dumps(document).encode()


def _release_file(file: _Made) -> dict[str, Any]:
    entry = file.entry
    wheel, yanked = entry["filename"].endswith(".whl"), entry["yanked"]
    other = hashlib.md5(entry["filename"].encode(), usedforsecurity=False).hexdigest()  # nobody checks these
    return {
        "comment_text": None,
        "core-metadata": entry["core-metadata"],
        "digests": {"blake2b_256": other * 2, "md5": other, "sha256": entry["hashes"]["sha256"]},
        "downloads": -1,
        "filename": entry["filename"],
        "has_sig": False,
        "md5_digest": other,
        "packagetype": "bdist_wheel" if wheel else "sdist",
        "python_version": "py3" if wheel else "source",
        "requires_python": entry["requires-python"],
        "size": entry["size"],
        "upload_time": entry["upload-time"][:19],
        "upload_time_iso_8601": entry["upload-time"],
        "url": entry["url"],
        "yanked": bool(yanked),
        "yanked_reason": yanked if isinstance(yanked, str) else None,
    }
