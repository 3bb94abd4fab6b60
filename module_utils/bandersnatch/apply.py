"""Commit a batch of projects: the one place where what is served changes.

The order is what keeps the mirror right at every instant: files to the device, files to their places, pages,
dropped files, state. What a crash interrupts is repeated by the next run, without fetching it again; what it
left of a project that is gone by then stands in the state's list of what was begun.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

from . import index
from .config import Config
from .errors import ContentError
from .files import storage_error
from .model import Page
from .plan import Decision, next_check
from .state import Due, Project, Row, State
from .store import Store
from .summary import one_line
from .worker import PageAnswer, read_page, render

_AT_ONCE = 200  # projects in a transaction


@dataclass(slots=True)
class Work:
    """One project on its way: what its page said, what came of its files."""

    due: Due
    answer: PageAnswer
    decision: Decision
    waiting: int = 0  # files that are not answered yet
    parts: list[tuple[str, str]] = field(default_factory=list)  # (part, path): complete, to be placed
    moved: list[tuple[str, str]] = field(default_factory=list)  # (path until now, new path)
    rows: list[Row] = field(default_factory=list)  # files that are right
    suspect: list[Row] = field(default_factory=list)  # files whose check failed: to be checked again
    replaced: set[str] = field(default_factory=set)  # paths in `parts` where another content is served
    missing: list[str] = field(default_factory=list)  # paths that the page must not link
    lost: list[str] = field(default_factory=list)  # those of them at which nothing lies
    reasons: list[str] = field(default_factory=list)  # why this project is not in order
    broken: bool = False  # a file may come later: the old page stays
    staged: bool = False
    placed: int = 0  # bytes in `parts`
    tidied: bool = False  # what the settings no longer want is gone

    @property
    def name(self) -> str:
        """The normalised project name."""
        return self.due.name

    @property
    def changes(self) -> bool:
        """Whether committing this changes what is served."""
        return (
            self.staged
            or self.tidied
            or bool(self.parts or self.moved or self.decision.drop or self.answer.json)
        )


def _begun(work: Work) -> Iterator[str]:
    """The paths under web/ at which committing this makes something new."""
    for _, path in (*work.parts, *work.moved):
        yield path
    if work.staged and not work.due.known and not work.broken:
        yield f"simple/{work.name}"


class Committer:
    """Puts finished projects in place."""

    def __init__(self, config: Config, store: Store, state: State, fingerprint: str, now: int) -> None:
        self._config = config
        self._store = store
        self._state = state
        self._fingerprint = fingerprint
        self._now = now
        self.period = round(config.recheck_days * 86400)
        self.placed: list[str] = []  # paths of what came in, if `diff-file` asks for them

    def commit(self, works: Sequence[Work]) -> None:
        """Bring these projects in place, all their files being complete. Raises StorageError."""
        store = self._store
        whole = [work for work in works if not work.broken]
        for work in whole:
            if work.missing:
                self._restage(work)
        swapped = [work for work in whole if work.staged and work.replaced]
        for work in swapped:
            self._stage_interim(work)
        begun = [(path, work.name) for work in works for path in _begun(work)]
        if begun:
            with self._state.transaction():
                self._state.begin(begun)
        if any(work.staged or work.parts or work.moved or work.answer.json for work in works):
            store.flush()
        for work in works:  # a broken project's complete files, too: the next run finds them there
            # A page that stays as it is states the new content already.
            self._place(work, work.replaced if work.staged or work.broken else frozenset(), False)
            for path, new in work.moved:
                store.link(path, new)
        for work in swapped:
            store.publish(work.name, interim=True)
            self._place(work, work.replaced, True)
        for work in whole:
            self._publish(work)
        self._remember(whole, [work for work in works if work.broken])

    def _place(self, work: Work, replaced: Set[str], these: bool) -> None:
        """Put the complete files in place: those in `replaced`, or all others."""
        for part, path in work.parts:
            if (path in replaced) is these:
                self._store.place(part, path)

    def _publish(self, work: Work) -> None:
        """The page, with all its files in place; then what it no longer links."""
        store = self._store
        if work.staged:
            store.publish(work.name)
            store.leave_other_layout(work.name)
        if work.answer.json:
            store.place_json(work.name)
        elif not self._config.json:
            work.tidied = store.remove_json(work.name)
        if self._config.delete_packages:
            for path in work.decision.drop:
                store.remove_file(path)
        if self._config.diff_file:
            self.placed += [f"{store.web}/{path}" for _, path in (*work.parts, *work.moved)]
            self.placed += [store.page(work.name)] if work.staged else []

    def _remember(self, works: Sequence[Work], broken: Sequence[Work]) -> None:
        state = self._state
        with state.transaction():
            state.put_files((work.name, row) for work in broken if work.due.known for row in work.suspect)
            state.drop_files(path for work in works for path in (*work.decision.drop, *work.lost))
            state.put_files((work.name, row) for work in works for row in work.rows)
            state.put_projects(self._project(work) for work in works)
            state.mended(work.name for work in works if not work.reasons)
            state.failed(
                [
                    (work.name, one_line("; ".join(work.reasons)), self._now)
                    for work in (*works, *broken)
                    if work.reasons
                ]
            )
            state.ended(path for work in works for path in _begun(work))
            if works:  # a killed run may have published these pages before it could say so
                state.put("root", "stale")
            if not self._config.delete_packages and any(work.decision.drop for work in works):
                state.put("sweep", "due")  # when delete-packages is true again

    def _project(self, work: Work) -> Project:
        due, answer = work.due, work.answer
        return Project(
            due.name,
            due.display,
            answer.serial,
            due.listed_serial,
            None if work.missing or work.reasons else answer.etag,  # what is left out is asked for again
            next_check(due.name, self._now, self.period),
            self._fingerprint,
        )

    def _restage(self, work: Work) -> None:
        """Leave the missing files out of the new page."""
        where = f"{self._store.staged}/{work.name}" if work.staged else self._store.page(work.name)
        page = index.without(self._read(where, work.name), frozenset(work.missing))
        pages = render(self._config, page)
        if work.due.known and self._store.is_served(work.name, pages):
            work.staged = False
        else:
            self._store.stage(work.name, pages)
            work.staged = True

    def _stage_interim(self, work: Work) -> None:
        """The new page without the files whose content upstream replaced: served while they are swapped."""
        page = self._read(f"{self._store.staged}/{work.name}", work.name)
        page = index.without(page, frozenset(work.replaced))
        self._store.stage(work.name, render(self._config, page), interim=True)

    def restyle(self, names: Sequence[str], dry: bool) -> list[str]:
        """Write kept pages that upstream has no more as the settings want them; gives those that change."""
        changed: list[str] = []
        for start in range(0, len(names), _AT_ONCE):
            read = [
                (name, pages) for name in names[start : start + _AT_ONCE] if (pages := self._styled(name))
            ]
            other = [(name, pages) for name, pages in read if not self._store.is_served(name, pages)]
            changed += [name for name, _ in other]
            if dry:
                continue
            for name, pages in other:
                self._store.stage(name, pages)
            if other:
                self._store.flush()
            for name, _ in other:
                self._store.publish(name)
                self._store.leave_other_layout(name)
            with self._state.transaction():
                self._state.restyled([name for name, _ in read], self._fingerprint)
        return changed

    def _styled(self, name: str) -> dict[str, bytes] | None:
        """The page that is there in the form that the settings want; None where its links forbid that."""
        where = self._store.found_page(name)
        if where is None:
            return None
        try:
            page = read_page(where, name)
        except (OSError, ContentError):
            return None
        here = [self._store.size_of(file.path) >= 0 for file in page.files]
        links_files = self._config.release_files
        if not (all(here) if links_files else not any(here)):
            return None  # made when release-files was otherwise: new links would lead nowhere
        return render(self._config, page)

    def _read(self, directory: str, name: str) -> Page:
        """A page that a worker has just rendered or compared."""
        try:
            return read_page(directory, name)
        except OSError as error:
            raise storage_error(directory, error) from error

    def remove(self, names: Sequence[str]) -> int:
        """Take projects off: page, then files, then state. Gives the number of files."""
        count = 0
        for start in range(0, len(names), _AT_ONCE):
            batch = names[start : start + _AT_ONCE]
            with self._state.transaction():
                self._state.doom(batch)
            for name in batch:
                paths = list(self._state.files_of(name))
                self._store.remove_page(name)
                self._store.leave_other_layout(name)
                for path in paths:
                    self._store.remove_file(path)
                count += len(paths)
            with self._state.transaction():
                for name in batch:
                    self._state.drop_project(name)
        return count
