"""A batch that is cut off before any of its steps: what is served is right, and the next run completes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bandersnatch import plan, takeover
from bandersnatch.apply import Committer, Work
from bandersnatch.config import Config
from bandersnatch.index import blobs
from bandersnatch.model import Blob, File, Page
from bandersnatch.publish import publish_root
from bandersnatch.state import Due, Row, State
from bandersnatch.store import Store
from bandersnatch.worker import PageAnswer, render
from invariant import Served, holds

Files = dict[str, bytes]  # path under web/ -> content


class Killed(BaseException):
    """The process ends here."""


def place(name: str, folder: str = "aa") -> str:
    return f"packages/{folder}/bb/{'c' * 60}/{name}"


OLD_WAY = "packages/source/s/six/six-0.9.tar.gz"
BEFORE: dict[str, Files] = {
    "six": {place("six-1.0.tar.gz"): b"one", OLD_WAY: b"old", place("six-2.0.tar.gz"): b"two"},
    "gone": {place("gone-1.0.tar.gz"): b"gone"},
    "same": {place("same-1.0.tar.gz"): b"same"},
}
AFTER: dict[str, Files] = {
    "six": {
        place("six-1.0.tar.gz"): b"one, replaced at its path",
        place("six-0.9.tar.gz", "dd"): b"old",  # moved
        place("six-3.0.tar.gz"): b"three",
    },
    "new": {place("new-1.0.tar.gz"): b"new", place("new-2.0.tar.gz"): b"newer"},
    "same": BEFORE["same"],
}


class Mirror:
    """A mirror directory, and runs without a network: the content of a file is what its page says."""

    def __init__(self, base: Path, serial: int = 1) -> None:
        directory = base / "mirror"
        self.config = Config(directory=directory, master="https://index.example.org/simple/")
        self.web = directory / "web"
        self.steps = 0
        self.last = -1  # the step before which the process is killed
        self.store = Store(directory)
        self.store.create()
        self.store.prepare()
        self.state = State(str(directory / "state"))
        self.committer = Committer(self.config, self.store, self.state, "f", 1000)
        self.serial = serial
        for name in ("flush", "place", "link", "publish", "remove_file", "remove_page", "replace"):
            setattr(self.store, name, self._counted(getattr(self.store, name)))
        self.state.transaction = self._counted(self.state.transaction)  # type: ignore[method-assign]

    def _counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if self.steps == self.last:
                raise Killed
            self.steps += 1
            return step(*arguments, **named)

        return counted

    def page(self, name: str, files: Files) -> Page:
        found = []
        for path, data in files.items():
            digest = hashlib.sha256(data).hexdigest()
            url = f"https://files.example.org/{path}"
            found.append(
                File(path.rsplit("/", 1)[1], url, path, {"sha256": digest}, f"sha256:{digest}", len(data))
            )
        return Page(name, tuple(found), serial=self.serial, versions=())

    def work(self, name: str, files: Files, broken: bool, missing: tuple[str, ...]) -> Work:
        """What a wave makes of a page."""
        page, known = self.page(name, files), self.state.has_project(name)
        rows = self.state.files_of(name) if known else {}
        links = blobs(page, True)
        decision = plan.decide(links, rows, self.store.size_of, lambda path: False, False)
        pages = render(self.config, page)
        answer = PageAnswer(name, "new", serial=self.serial, blobs=tuple(links))
        work = Work(Due(name, name, self.serial, known, None), answer, decision, rows=list(decision.keep))
        if not (known and self.store.is_served(name, pages)):
            self.store.stage(name, pages)
            work.staged = True
        for blob in (*decision.check, *decision.fetch):
            self._bring(work, blob, files[blob.path], missing)
        if broken:
            work.broken, work.reasons = True, ["no answer"]
        return work

    def _bring(self, work: Work, blob: Blob, data: bytes, missing: tuple[str, ...]) -> None:
        path = blob.path
        if path in missing:
            work.missing.append(path)
            work.reasons.append("404")
            return
        work.rows.append(Row(path, blob.digest, len(data), True))
        here = work.decision.moved.get(path, path)
        there = self.web / here
        if blob in work.decision.check and there.is_file() and there.read_bytes() == data:
            if here != path:
                work.moved.append((here, path))
            return
        part = Path(self.store.part(blob.digest, path))
        part.write_bytes(data)
        work.parts.append((str(part), path))
        if self.store.size_of(path) >= 0:
            work.replaced.add(path)

    def run(
        self, upstream: dict[str, Files], *, broken: tuple[str, ...] = (), missing: tuple[str, ...] = ()
    ) -> None:
        """All of a run that changes what is served."""
        works = [self.work(name, files, name in broken, missing) for name, files in upstream.items()]
        self.committer.commit(works)
        gone = [name for name, _, _ in self.state.roots() if name not in upstream]
        publish_root(self.config, self.store, self.state, frozenset(gone))
        self.committer.remove(gone)
        takeover.clear_begun(self.store, self.state, broken)

    def served(self) -> dict[str, Files]:
        """What a client gets, all of it checked."""
        served = Served(self.config.directory)
        holds(served, finished=False)
        return {
            name: {
                path: (self.web / path).read_bytes()
                for path in (served.path_of(file["url"]) for file in served.page(name)["files"])
            }
            for name in served.page_dirs()
        }


@contextmanager
def mirror(base: Path, serial: int = 1) -> Iterator[Mirror]:
    made = Mirror(base, serial)
    try:
        yield made
    finally:
        made.state.close()


def prepared(base: Path) -> None:
    with mirror(base) as first:
        first.run(BEFORE)
        assert first.served() == BEFORE


def steps_of(base: Path, **options: Any) -> int:
    """How many steps a run from BEFORE to AFTER has."""
    base.mkdir()
    prepared(base)
    with mirror(base, 2) as whole:
        whole.run(AFTER, **options)
        return whole.steps


@pytest.mark.parametrize(
    "options",
    [{}, {"broken": ("six",)}, {"broken": ("new",)}, {"missing": (place("six-3.0.tar.gz"),)}],
    ids=["all well", "an old one broken", "a new one broken", "a file missing"],
)
def test_killed_before_any_step(tmp_path: Path, options: dict[str, Any]) -> None:
    steps = steps_of(tmp_path / "whole", **options)
    assert steps > 10
    for last in range(steps):
        base = tmp_path / f"killed-{last}"
        base.mkdir()
        prepared(base)
        with mirror(base, 2) as cut:
            cut.last = last
            with pytest.raises(Killed):
                cut.run(AFTER, **options)
            cut.served()
        with mirror(base, 2) as again:
            again.run(AFTER)
            assert again.served() == AFTER
            assert sorted(again.store.files()) == sorted(path for files in AFTER.values() for path in files)
            holds(Served(again.config.directory), finished=False)
            assert again.state.begun() == []


def test_killed_before_any_step_and_upstream_back_as_it_was(tmp_path: Path) -> None:
    steps = steps_of(tmp_path / "whole")
    for last in range(steps):
        base = tmp_path / f"killed-{last}"
        base.mkdir()
        prepared(base)
        with mirror(base, 2) as cut:
            cut.last = last
            with pytest.raises(Killed):
                cut.run(AFTER)
        with mirror(base, 3) as again:
            again.run(BEFORE)
            assert again.served() == BEFORE
            assert sorted(again.store.files()) == sorted(path for files in BEFORE.values() for path in files)


def test_a_missing_file_is_left_out_of_the_page(tmp_path: Path) -> None:
    prepared(tmp_path)
    missing = place("new-2.0.tar.gz")
    with mirror(tmp_path, 2) as run:
        run.run(AFTER, missing=(missing,))
        assert run.served()["new"] == {place("new-1.0.tar.gz"): b"new"}
        assert run.state.anything_due({"now": 0, "horizon": 2**40})


def test_a_broken_project_keeps_its_page_and_its_complete_new_files(tmp_path: Path) -> None:
    prepared(tmp_path)
    with mirror(tmp_path, 2) as run:
        run.run(AFTER, broken=("six",))
        assert run.served()["six"] == BEFORE["six"]
        assert run.store.size_of(place("six-3.0.tar.gz")) == len(b"three")
        assert run.state.anything_due({"now": 0, "horizon": 2**40})
