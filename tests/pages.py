"""Project pages as an index would send them, for the tests of index.py and pagecheck.py."""

from __future__ import annotations

import json
from typing import Any

from bandersnatch.index import parse_page
from bandersnatch.model import File, Page

JSON = "application/vnd.pypi.simple.v1+json"
URL = "https://index.example.org/simple/foo/"
OURS = "http://127.0.0.1/simple/foo/"
SHA = "0123456789abcdef" * 4
SHA2 = "fedcba9876543210" * 4
PLACE = f"packages/ab/cd/{'e' * 60}"
LINK = f"https://files.example.org/{PLACE}/foo-1.0.zip"
HASH_PLACE = f"packages/{SHA[:2]}/{SHA[2:4]}/{SHA[4:]}"


def entry(filename: str = "foo-1.0.zip", **keys: Any) -> dict[str, Any]:
    url = f"https://files.example.org/{PLACE}/{filename}"
    return {"filename": filename, "url": url, "hashes": {"sha256": SHA}, **keys}


def body(*files: Any, **keys: Any) -> bytes:
    document = {"meta": {"api-version": "1.0"}, "name": "foo", "files": list(files), **keys}
    return json.dumps(document).encode()


def parse(content: bytes, kind: str = JSON, url: str = URL) -> Page:
    return parse_page(content, kind, url, "foo")


def only(**keys: Any) -> File:
    """The one file of a page whose entry has these keys."""
    page = parse(body(entry(**keys)))
    assert page.problems == ()
    (file,) = page.files
    return file


def problem(*files: Any) -> str:
    """The one sentence about a page with these entries."""
    (sentence,) = parse(body(*files)).problems
    return sentence
