"""A misbehaving network: each fault strikes one project of a run, and harms nobody else.

One run takes all faults at once, which is how they come in life, and keeps the suite short: retries wait.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import faults
import pytest
from faults import Fault
from harness import Mirror, Run
from loopback import Server, certificate, reply, server_context
from scenes import small
from simulator import JSON_TYPE, Simulator

Maker = Callable[..., Fault]

# What may strike a page or a file, for ever or a few times.
FAULTS: dict[str, Maker] = {
    "429 with Retry-After": lambda p, n=None: faults.busy(p, 429, n),
    "503 with Retry-After": lambda p, n=None: faults.busy(p, 503, n),
    "503 until a date": lambda p, n=None: faults.busy(p, 503, n, "Wed, 21 Oct 2015 07:28:00 GMT"),
    "503 with nonsense": lambda p, n=None: faults.busy(p, 503, n, "soon"),
    "500": lambda p, n=None: faults.answer(p, 500, n, b"oops"),
    "502": lambda p, n=None: faults.answer(p, 502, n),
    "reset": faults.reset,
    "reset midway": faults.reset_midway,
    "hang": faults.hang,
    "truncated": faults.truncated,
    "truncated chunks": faults.truncated_chunks,
}
# What no retry cures: strikes for ever only.
INCURABLE: dict[str, Maker] = {
    "slow drip": faults.drip,
    "truncated silently": faults.truncated_silently,
    "short length": faults.short_length,
    "wrong bytes": faults.wrong_bytes,
    "error page": faults.error_page,
    "403": lambda p, n=None: faults.answer(p, 403, n),
    "404": lambda p, n=None: faults.answer(p, 404, n),
    "410": lambda p, n=None: faults.answer(p, 410, n),
    "204": lambda p, n=None: faults.answer(p, 204, n),
    "304 unasked": lambda p, n=None: faults.answer(p, 304, n),
    "206 unasked": lambda p, n=None: faults.answer(p, 206, n, b"part", Content_Range="bytes 5-8/9"),
    "redirect loop": faults.redirect_loop,
    "redirect to file": lambda p, n=None: faults.redirect(p, "file:///etc/passwd", n),
    "redirect to ftp": lambda p, n=None: faults.redirect(p, "ftp://127.0.0.1/x", n),
    "redirect without host": lambda p, n=None: faults.redirect(p, "http://", n),
    "redirect to nothing": lambda p, n=None: faults.redirect(p, "", n),
    "redirect to plain http elsewhere": lambda p, n=None: faults.redirect(p, "http://index.example.org/", n),
    "gzip bomb": faults.gzip_bomb,
    "503 for a day": lambda p, n=None: faults.busy(p, 503, n, "86400"),
    "many headers": lambda p, n=None: Fault(p, _many_headers, n, 200),
    "endless header": lambda p, n=None: Fault(p, _endless_header, n, 200),
    "not HTTP": lambda p, n=None: Fault(p, _not_http, n),
}


def _many_headers(handler: faults.Handler, reply: faults.Reply) -> None:
    handler.send(faults.Reply(200, reply.headers | {f"X-{n}": "y" * 99 for n in range(5000)}, reply.body))


def _endless_header(handler: faults.Handler, reply: faults.Reply) -> None:
    handler.send(faults.Reply(200, reply.headers | {"X-Long": "y" * (1 << 20)}, reply.body))


def _not_http(handler: faults.Handler, _: faults.Reply) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    handler.close_connection = True


def slug(fault: str) -> str:
    return fault.lower().replace(" ", "-")


def page_path(fault: str) -> str:
    return f"/simple/page-{slug(fault)}/"


def file_path(fault: str) -> str:
    return rf"/packages/.*/file_{slug(fault).replace('-', '_')}-1.0.tar.gz"


class Struck(NamedTuple):
    upstream: Simulator
    mirror: Mirror
    run: Run


def strike(
    upstream: Simulator, mirror: Mirror, makers: dict[str, Maker], count: int | None, at: str = "page file"
) -> None:
    """A project for each fault on its page, another for each on one of its files."""
    small(upstream, 3)
    for fault, maker in makers.items():
        if "page" in at:
            upstream.add_project(f"page-{slug(fault)}", "1.0")
            upstream.fault(maker(page_path(fault), count))
        if "file" in at:
            upstream.add_project(f"file-{slug(fault)}", "1.0", size=20_000)
            upstream.fault(maker(file_path(fault), count))
    mirror.configure(timeout=1, global_timeout=8, workers=16)


def struck(factory: pytest.TempPathFactory, at: str) -> Iterator[Struck]:
    """A run in which every fault stays."""
    with Simulator() as upstream:
        mirror = Mirror(factory.mktemp("faults"), upstream)
        strike(upstream, mirror, FAULTS | INCURABLE, None, at)
        yield Struck(upstream, mirror, mirror.sync(expect=3))


@pytest.fixture(scope="module")
def bad_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """Every fault strikes a page."""
    yield from struck(tmp_path_factory, "page")


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """Every fault strikes a file."""
    yield from struck(tmp_path_factory, "file")


def test_passing_faults_are_retried_within_the_run(upstream: Simulator, mirror: Mirror) -> None:
    strike(upstream, mirror, FAULTS, 1)
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.parametrize("fault", FAULTS | INCURABLE)
def test_a_fault_of_a_page_fails_its_project_alone(bad_pages: Struck, fault: str) -> None:
    name = f"page-{slug(fault)}"
    assert name not in bad_pages.mirror.served.page_dirs()
    assert name in bad_pages.run.stderr
    asked = [r for r in bad_pages.run.requests if r.path == page_path(fault)]
    assert 1 <= len(asked) <= 25


@pytest.mark.parametrize("fault", FAULTS | INCURABLE)
def test_a_fault_of_a_file_never_puts_it_on_a_page(bad_files: Struck, fault: str) -> None:
    name = f"file-{slug(fault)}"
    served = bad_files.mirror.served
    files = [f["filename"] for f in served.page(name)["files"]] if name in served.page_dirs() else []
    assert f"{name.replace('-', '_')}-1.0.tar.gz" not in files
    assert name in bad_files.run.stderr
    asked = [r for r in bad_files.run.requests if re.fullmatch(file_path(fault), r.path)]
    assert 1 <= len(asked) <= 25


@pytest.mark.parametrize("at", ["bad_pages", "bad_files"])
def test_the_others_are_whole_and_the_invariant_holds(at: str, request: pytest.FixtureRequest) -> None:
    found: Struck = request.getfixturevalue(at)
    found.mirror.assert_holds(finished=False)
    pages = found.mirror.served.page_dirs()
    assert {"alpha-0", "alpha-1", "alpha-2"} <= set(pages)
    assert len(found.mirror.served.page("alpha-0")["files"]) == 4
    assert set(found.mirror.served.root() or {}) == set(pages)
    for path in found.mirror.directory.rglob("*"):  # where a redirect to file:// leads
        assert not path.is_file() or b"root:x:0:0" not in path.read_bytes()


@pytest.mark.parametrize("at", ["bad_pages", "bad_files"])
def test_each_failure_is_one_line_without_control_characters(at: str, request: pytest.FixtureRequest) -> None:
    found: Struck = request.getfixturevalue(at)
    assert not [c for c in found.run.stderr if ord(c) < 32 and c not in "\n\t\r"]
    lines = found.run.stderr.splitlines()
    assert len(lines) <= len(FAULTS | INCURABLE) + 5
    for line in lines:
        assert len(line) < 600


def test_after_the_faults_the_next_run_reaches_equality(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Simulator() as upstream:
        mirror = Mirror(tmp_path_factory.mktemp("heal"), upstream)
        quick = {
            name: maker for name, maker in INCURABLE.items() if name not in ("slow drip", "503 for a day")
        }
        strike(upstream, mirror, quick, None)
        mirror.sync(expect=3)
        mirror.assert_holds(finished=False)
        upstream.heal()
        mirror.sync()
        mirror.assert_equal()


ROOT_FAULTS = [
    "500",
    "hang",
    "truncated",
    "truncated silently",
    "slow drip",
    "error page",
    "404",
    "redirect to file",
    "gzip bomb",
    "wrong bytes",
]


@pytest.mark.parametrize("fault", ROOT_FAULTS)
def test_a_fault_of_the_root_index_changes_nothing(upstream: Simulator, mirror: Mirror, fault: str) -> None:
    small(upstream, 3)
    mirror.configure(timeout=1, global_timeout=2)
    mirror.sync()
    upstream.add_release("alpha-0", "2.0")
    upstream.fault((FAULTS | INCURABLE)[fault]("/simple/"))
    done = mirror.sync(expect=6)
    assert len(done.stderr.strip().splitlines()) <= 5
    assert 1 <= len(done.asked("/simple/")) <= 4
    mirror.assert_holds(finished=False)
    assert len(mirror.served.page_dirs()) == 3
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_that_does_not_verify_is_said(tmp_path: Path) -> None:
    context = server_context(certificate(tmp_path, "127.0.0.1"))
    with Server(lambda request: reply(b"{}", Content_Type=JSON_TYPE), context) as server:
        done = Mirror(tmp_path, server.url, timeout=5).sync(expect=6)
        assert "certificate" in done.stderr
        assert server.requests == []


def test_a_page_that_fails_alone_is_no_silent_upstream(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 4)
    mirror.sync()
    upstream.add_release("alpha-1", "2.0")
    upstream.delete_project("alpha-2")
    upstream.fault(faults.answer("/simple/alpha-1/", 500))
    for _ in range(2):  # the second run asks for nothing else
        done = mirror.sync(expect=3)
        assert "alpha-1" in done.stderr
        assert set(mirror.served.page_dirs()) == {"alpha-0", "alpha-1", "alpha-3"}
        mirror.assert_holds()
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_a_big_file_is_resumed_where_it_broke(upstream: Simulator, mirror: Mirror) -> None:
    upstream.add_project("big")
    upstream.add_file("big", "big-1.0.tar.gz", "1.0", size=3_000_000)
    upstream.fault(faults.reset_midway("/packages/.*", 1))
    done = mirror.sync()
    resumed = [r for r in done.asked("/packages/") if "range" in r.headers]
    assert [r.status for r in resumed] == [206]
    mirror.assert_equal()


def test_a_server_without_ranges_is_asked_for_the_whole_again(upstream: Simulator, mirror: Mirror) -> None:
    upstream.style.ranges = False
    upstream.add_project("big")
    upstream.add_file("big", "big-1.0.tar.gz", "1.0", size=3_000_000)
    upstream.fault(faults.reset_midway("/packages/.*", 1))
    mirror.sync()
    mirror.assert_equal()


def test_wrong_bytes_once_are_fetched_again(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    upstream.fault(faults.wrong_bytes("/packages/.*/alpha_0-1.0.tar.gz", 1))
    mirror.sync(expect=None)
    mirror.assert_holds(finished=False)
    mirror.sync()
    mirror.assert_equal()


def test_a_missing_file_is_left_out_and_the_rest_is_published(upstream: Simulator, mirror: Mirror) -> None:
    small(upstream, 2)
    upstream.fault(faults.answer("/packages/.*/alpha_0-1.0.tar.gz", 404))
    done = mirror.sync(expect=3)
    assert "alpha_0-1.0.tar.gz" in done.stderr
    names = {file["filename"] for file in mirror.served.page("alpha-0")["files"]}
    assert names == {"alpha_0-1.0-py3-none-any.whl", "alpha_0-1.1-py3-none-any.whl", "alpha_0-1.1.tar.gz"}
    mirror.assert_holds()
    mirror.sync(expect=3)  # it is asked for again, and said again
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()


def test_a_lost_file_that_upstream_lacks_is_not_in_the_state_either(
    upstream: Simulator, mirror: Mirror
) -> None:
    small(upstream, 2)
    mirror.sync()
    next((mirror.web / "packages").rglob("alpha_0-1.0.tar.gz")).unlink()
    upstream.fault(faults.answer("/packages/.*/alpha_0-1.0.tar.gz", 404))
    mirror.sync("--force-check", expect=3)
    mirror.assert_holds()
    upstream.heal()
    mirror.sync()
    mirror.assert_equal()
