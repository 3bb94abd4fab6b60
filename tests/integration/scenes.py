"""Upstreams that several tests start from."""

from __future__ import annotations

from simulator import Simulator

UNICODE = "naïve_ünïcode-1.0.tar.gz"
LOCAL = "variety-1.0+cu118-py3-none-any.whl"


def variety(upstream: Simulator) -> None:
    """One of everything that the Simple API can say."""
    upstream.add_project("Plain.Name", "1.0", "1.1")
    upstream.add_project("variety", "2.0", requires_python='>=3.8, <4 & "quoted"')
    upstream.add_file("variety", LOCAL, "1.0+cu118", gpg_sig=False, requires_python=">=3.10")
    upstream.add_file(
        "variety", "variety-0.9.tar.gz", "0.9", yanked='broken <b>build</b> & "worse" – don\'t', gpg_sig=True
    )
    upstream.add_file("variety", "variety-0.8.tar.gz", "0.8", yanked=True)
    upstream.add_file("variety", "variety-0.7.tar.gz", "0.7", size=0)
    upstream.add_file("variety", UNICODE, "1.0")
    upstream.add_file("variety", "variety-0.6 (final)%20#1?.zip", "0.6")
    upstream.add_file(
        "variety",
        "variety-3.0-py3-none-any.whl",
        "3.0",
        metadata=b"Metadata-Version: 2.1\n",
        provenance="https://index.example.org/integrity/variety/3.0/variety-3.0-py3-none-any.whl/provenance",
    )
    upstream.add_project("old-layout")
    upstream.add_file("old-layout", "old-layout-0.1.tar.gz", "0.1", layout="old")
    upstream.add_project("empty")
    upstream.add_project("archived", "1.0")
    upstream.set_status("archived", "archived", "use <variety> & be happy")
    upstream.add_project("deprecated", "1.0")
    upstream.set_status("deprecated", "deprecated")
    upstream.add_project("bad-news", "6.6.6")
    upstream.quarantine("bad-news")


def small(upstream: Simulator, count: int = 6) -> None:
    """A few ordinary projects: alpha-0, alpha-1, ..."""
    for number in range(count):
        upstream.add_project(f"alpha-{number}", "1.0", "1.1")
