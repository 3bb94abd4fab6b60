"""A wave: some thousand projects, read, weighed, brought in place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from . import plan
from .apply import Committer, Work
from .config import Config
from .errors import StorageError, UnreachableError
from .pool import Pool
from .progress import Progress
from .state import Due, Row, State
from .store import Store
from .summary import human_bytes
from .tally import Tally
from .worker import Answer, FileAnswer, FileTask, PageAnswer, PageTask, Task

_BATCH_FILES = 2_000
_BATCH_PROJECTS = 2_000
_BATCH_SECONDS = 10.0
_SILENT = 25  # projects in a row without an answer after which upstream counts as gone


class Parts(NamedTuple):
    """What a run works with."""

    config: Config
    store: Store
    state: State
    committer: Committer
    progress: Progress
    tally: Tally


class Waves:
    """Carries out one wave after the other for a run."""

    def __init__(
        self,
        parts: Parts,
        *,
        make_pool: Callable[[], Pool],
        stopped: Callable[[], bool],
        force: bool,
        dry: bool,
    ) -> None:
        self._config, self._store, self._state, self._committer, self._progress, self._tally = parts
        self._make_pool, self._stopped = make_pool, stopped
        self._force, self._dry = force, dry
        self._pool: Pool | None = None
        self._silent: set[str] = set()  # projects since the last answer whose requests had none
        self.asked = self.answered = False
        self.kept: list[str] = []  # what upstream no longer serves, and delete-packages = false keeps

    def close(self) -> None:
        """End the worker processes."""
        if self._pool:
            self._pool.close()

    def ended(self) -> bool:
        """Whether nothing more shall be begun: interrupted, or a failure and stop-on-error."""
        return self._stopped() or (self._config.stop_on_error and bool(self._tally.failures))

    def carry_out(self, due: list[Due], allow: Callable[[list[str]], None]) -> list[str]:
        """Bring these projects up to date; gives those that upstream no longer serves.

        `allow` raises GuardError if the projects that it is given must not lose everything.
        """
        works, gone = self._read(due)
        if not self._config.delete_packages:
            self.kept += gone
            gone = []
        allow(gone + [work.name for work in works if work.decision.drop and not work.answer.blobs])
        if self._dry:
            for work in works:
                self._tally.plan(work)
        elif works and not self.ended():
            self._check_space(works)
            self._bring(works)
        names = {one.name for one in due}
        now = int(time.time())
        with self._state.transaction():
            self._state.failed(
                [(name, why, now) for name, why in self._tally.failures.items() if name in names]
            )
        return gone

    # Pages

    def _read(self, due: list[Due]) -> tuple[list[Work], list[str]]:
        by_name = {one.name: one for one in due}
        works: list[Work] = []
        gone: list[str] = []
        same: list[Due] = []
        claims: set[str] = set()
        tasks = (
            PageTask(one.name, None if self._force else one.etag, one.listed_serial, one.known) for one in due
        )
        with self._state.reading():
            for answer in self._pooled(tasks):
                assert isinstance(answer, PageAnswer)
                one = by_name[answer.name]
                if answer.outcome == "same":
                    same.append(one)
                elif answer.outcome == "new" and not answer.quarantined:
                    works.append(self._weigh(one, answer, claims))
                elif answer.outcome in {"new", "gone"}:
                    self._not_served(one, answer.quarantined, gone)
                else:
                    self._tally.fail(one.name, answer.reason)
                if answer.outcome in {"same", "gone"} or one.name in self._tally.failures:
                    self._progress.advance(projects=1)
                if self.ended():
                    break
        self._confirm(same)
        return works, gone

    def _confirm(self, same: list[Due]) -> None:
        now, period = int(time.time()), self._committer.period
        with self._state.transaction():
            self._state.confirm(
                (one.listed_serial, plan.next_check(one.name, now, period), one.name) for one in same
            )
            self._state.mended(one.name for one in same)

    def _not_served(self, one: Due, quarantined: bool, gone: list[str]) -> None:
        listed = self._config.filters.names is None
        if quarantined or not listed:
            if one.known:
                gone.append(one.name)
            elif not quarantined:
                self._progress.note(f"{one.name}: upstream has no such project; check the allowlist")
        else:
            self._tally.fail(one.name, "upstream lists it, but has no page of it (404)")

    def _weigh(self, one: Due, answer: PageAnswer, claims: set[str]) -> Work:
        """Compare the page with what is on disk. `claims`: new paths of this wave, which have an owner."""
        rows = self._state.files_of(one.name) if one.known else {}
        owners = self._state.owners([blob.path for blob in answer.blobs if blob.path not in rows])

        def taken(path: str) -> bool:
            return path in claims or owners.get(path, one.name) != one.name

        decision = plan.decide(answer.blobs, rows, self._store.size_of, taken, self._force)
        claims.update(blob.path for blob in decision.fetch)
        claims.update(blob.path for blob in decision.check)
        work = Work(one, answer, decision, staged=answer.staged, rows=list(decision.keep))
        work.reasons += answer.problems
        work.reasons += [f"{path} belongs to another project, left out" for path in decision.clash]
        work.missing += decision.clash
        work.waiting = len(decision.fetch) + len(decision.check)
        return work

    def _check_space(self, works: Iterable[Work]) -> None:
        needed = plan.bytes_to_fetch(work.decision for work in works)
        if not needed:
            return
        free = self._store.free()
        floor = self._config.floor(self._store.total())
        if free - needed < floor:
            missing = human_bytes(needed + floor - free)
            raise StorageError(
                f"{self._store.directory}: {missing} are missing: the run would fetch {human_bytes(needed)}, "
                f"{human_bytes(free)} are free, min-free keeps {human_bytes(floor)}. Nothing was fetched: "
                "grow the volume or narrow the filters"
            )

    # Files

    def _bring(self, works: list[Work]) -> None:
        by_name = {work.name: work for work in works}
        self._progress.start(
            "fetching files",
            projects=len(works),
            files=sum(work.waiting for work in works),
            bytes=plan.bytes_to_fetch(work.decision for work in works),
        )
        with _Batches(self._committer, self._tally, self._progress) as batches:
            for work in works:
                if not work.waiting:
                    batches.add(work)
            for answer in self._pooled(_file_tasks(works), idle=batches.tick):
                assert isinstance(answer, FileAnswer)
                work = by_name[answer.name]
                self._take(work, answer)
                self._progress.advance(files=1, bytes=answer.fetched)
                if not work.waiting:
                    batches.add(work)
                if self._config.stop_on_error and work.reasons:
                    if work.waiting:  # it will not be committed, so nobody else tells
                        for reason in work.reasons:
                            self._tally.fail(work.name, reason)
                    break
                if self.ended():
                    break

    def _take(self, work: Work, answer: FileAnswer) -> None:
        """Enter what came of a file."""
        work.waiting -= 1
        path = answer.path
        if answer.outcome in {"kept", "moved", "fetched"}:
            work.rows.append(Row(path, answer.digest, answer.size, True))
            if answer.outcome == "moved":
                work.moved.append((work.decision.moved[path], path))
            elif answer.outcome == "fetched":
                work.parts.append((answer.part, path))
                work.placed += answer.size
                if path in work.decision.occupied:
                    work.replaced.add(path)
            return
        work.reasons.append(f"{path.rpartition('/')[2]}: {answer.reason}")
        if answer.outcome == "bad":
            work.missing.append(path)
            if path in work.decision.occupied:
                work.decision.drop.append(path)  # its content is wrong
            else:
                work.lost.append(path)
        else:
            work.broken = True
            if path in work.decision.occupied:
                work.suspect.append(Row(path, "", -1, False))

    def _pooled(self, tasks: Iterable[Task], idle: Callable[[], None] = lambda: None) -> Iterator[Answer]:
        """The answers of the workers. Raises where the volume fails, or upstream has gone silent."""
        if self._pool is None:
            self._pool = self._make_pool()
        for answer in self._pool.run(tasks):
            if answer is not None:
                self.asked = True
                if answer.outcome == "storage":
                    raise StorageError(answer.reason)
                if answer.outcome == "unreachable":
                    self._silent.add(answer.name)
                elif answer.outcome not in {"kept", "moved"}:
                    self._silent.clear()
                    self.answered = True
                yield answer
                if len(self._silent) >= _SILENT:
                    raise UnreachableError(
                        f"upstream stopped answering: {answer.reason}. What is complete is in place"
                    )
            elif self._stopped():
                return
            self._progress.advance()
            idle()


def _file_tasks(works: Iterable[Work]) -> Iterator[FileTask]:
    for work in works:
        for blob in work.decision.check:
            place, same = work.decision.moved.get(blob.path, ""), blob.path in work.decision.same
            yield FileTask(work.name, blob, check=True, place=place, same=same)
        for blob in work.decision.fetch:
            yield FileTask(work.name, blob, check=False)


class _Batches:
    """Finished projects, committed some at a time in a thread of its own, while the next ones are fetched."""

    def __init__(self, committer: Committer, tally: Tally, progress: Progress) -> None:
        self._committer, self._tally, self._progress = committer, tally, progress
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._under_way: tuple[Future[None], list[Work]] | None = None
        self._works: list[Work] = []
        self._files = 0
        self._since = time.monotonic()

    def __enter__(self) -> _Batches:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if not isinstance(error, StorageError):
                self._commit()  # what is complete, also when upstream went silent
            self._wait()
        finally:
            self._thread.shutdown()

    def add(self, work: Work) -> None:
        """Take a project that waits for no more files."""
        self._works.append(work)
        self._files += len(work.parts)
        self.tick()

    def tick(self) -> None:
        """Commit when enough has gathered, or enough time has passed."""
        full = self._files >= _BATCH_FILES or len(self._works) >= _BATCH_PROJECTS
        if self._works and (full or time.monotonic() - self._since >= _BATCH_SECONDS):
            self._commit()

    def _commit(self) -> None:
        self._wait()
        if self._works:
            works, self._works, self._files = self._works, [], 0
            self._since = time.monotonic()
            self._under_way = (self._thread.submit(self._committer.commit, works), works)

    def _wait(self) -> None:
        if self._under_way:
            future, works = self._under_way
            self._under_way = None
            future.result()
            for work in works:
                self._tally.count(work)
            self._progress.advance(projects=len(works))
