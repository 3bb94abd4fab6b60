"""A run: what upstream has, what we have, the difference, and the steps that close it, in order."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from . import VERSION, announce, interrupt, listing, lock, plan, takeover
from .apply import Committer
from .config import Config
from .errors import BandersnatchError, StorageError, UnreachableError
from .history import Size
from .net import Client, NetSettings
from .pool import Pool
from .progress import Progress
from .publish import CURRENT, publish_root, write_diff, write_last_modified
from .state import State
from .store import Store
from .summary import Summary
from .tally import Tally
from .wave import Parts, Waves

WAVE = (
    20_000  # projects whose files are known at one time: bounds the memory, the disk and the loss of a kill
)
_ATTEMPTS = 4


class Options(NamedTuple):
    """What a single run may be asked for."""

    dry_run: bool = False
    force_check: bool = False
    allow_removals: bool = False


def mirror(config: Config, options: Options, progress: Progress) -> Summary:
    """Bring the mirror up to date with its upstream.

    Raises GuardError, LockedError, UnreachableError, StorageError; then nothing that was served is lost. A
    project that fails is in the summary.
    """
    os.umask(0o022)  # nginx reads what we write
    store, tally = Store(config.directory, config.hash_index), Tally(progress)
    if not options.dry_run:
        store.create()
    with (
        _locked(config, options.dry_run) as held,
        interrupt.noticed() as stop,
        announce.remembered(config, full_check=options.force_check, dry=options.dry_run) as outcome,
        _prepared(store, options, stop, tally),
    ):
        run = _Run(config, options, progress, tally, store, held, stop)
        try:
            outcome.summary = run.run()
        finally:
            run.leave(outcome)
            run.close()
        return outcome.summary


@contextlib.contextmanager
def _locked(config: Config, dry: bool) -> Iterator[int | None]:
    """Hold the run's lock; a dry run of a mirror that is not there yet needs none."""
    path = f"{config.directory}/.lock"
    if dry and not os.path.lexists(path):
        yield None
        return
    with lock.hold(path, "" if dry else "bandersnatch mirror") as held:
        yield held


@contextlib.contextmanager
def _prepared(store: Store, options: Options, stop: interrupt.Stop, tally: Tally) -> Iterator[None]:
    """The directories; afterwards no temporary files, but an interrupted run leaves its parts to the next."""
    if options.dry_run:
        yield
        return
    store.prepare()
    silent = False
    try:
        yield
    except UnreachableError:
        silent = True
        raise
    finally:
        if not stop.is_set():
            store.finish(failed=silent or bool(tally.failures))


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


class _Run:
    def __init__(
        self,
        config: Config,
        options: Options,
        progress: Progress,
        tally: Tally,
        store: Store,
        held: int | None,
        stop: interrupt.Stop,
    ) -> None:
        self._config, self._options, self._progress = config, options, progress
        self._store, self._stop = store, stop
        self._state = State(f"{config.directory}/state", dry=options.dry_run)
        self._fingerprint = _short(f"{VERSION} {config.page_fingerprint} {config.origin}")
        self._settled = (
            f"{self._fingerprint} {config.delete_packages}"  # what the state says if nothing is due
        )
        self._now = int(time.time())
        self._settings = NetSettings(
            timeout=config.timeout,
            deadline=config.global_timeout,
            user_agent=f"bandersnatch/{VERSION} (PyPI mirror; contact {config.contact})",
            proxy=config.proxy,
            allow_http=config.allow_non_https,
            attempts=_ATTEMPTS,
            logins=tuple(url for url in (config.master, config.download_mirror) if url),
        )
        self._tally = tally
        self._committer = Committer(config, store, self._state, self._fingerprint, self._now)
        self._waves = Waves(
            Parts(config, store, self._state, self._committer, progress, self._tally),
            make_pool=lambda: Pool(config, store, self._settings, held=held, dry=options.dry_run),
            stopped=stop.is_set,
            force=options.force_check,
            dry=options.dry_run,
        )

    def close(self) -> None:
        self._waves.close()
        self._state.close()

    def leave(self, outcome: announce.Outcome) -> None:
        """Leave what is to be remembered of a run that may have ended early."""
        state = self._state
        with contextlib.suppress(StorageError):
            outcome.upstream_serial = state.root_serial()
            files, size = state.count_files()
            outcome.size = Size(state.count_projects(), files, size)

    def run(self) -> Summary:
        state, config, started = self._state, self._config, time.monotonic()
        # Where all pages are gone, with web/ say, no root index may be made of what the state still knows.
        lost = not self._store.has_pages() and state.count_projects() > 0
        if lost or state.get("adopted") is None:
            takeover.adopt(self._store, state, self._progress.note, self._stop.check)
        client = Client(self._settings, sleep=self._stop.wait)
        try:
            news = listing.refresh(config, state, client, self._stop.check)
        finally:
            client.close()
        if problems := state.get("root problems"):
            self._tally.fail("root index", problems)
        force = self._options.force_check
        horizon = self._now + self._committer.period + 86400
        terms = {"all": force, "fingerprint": self._fingerprint, "now": self._now, "horizon": horizon}
        if force or news or state.get("settled") != self._settled or state.anything_due(terms):
            self._converge(terms)
        elif not self._options.dry_run:
            self._tally.root_changed = publish_root(config, self._store, state, frozenset())
        if not (self._options.dry_run or self._tally.failures or self._stop.is_set()):
            write_last_modified(self._store, self._now)
        if config.diff_file and not self._options.dry_run:
            write_diff(config, self._committer.placed, self._now)
        return self._tally.summary(
            serial=state.serial(),
            projects=state.count_projects(),
            dry_run=self._options.dry_run,
            interrupted=self._stop.is_set(),
            seconds=time.monotonic() - started,
        )

    def _converge(self, terms: dict[str, object]) -> None:
        state = self._state
        mirrored = state.count_projects()
        removals = state.gone() if self._config.delete_packages else []
        lost = list(removals)  # and those that keep no file

        def allow(more: list[str]) -> None:
            lost.extend(more)
            if not self._options.allow_removals:
                config = self._config
                begun = bool(before) and not self._options.dry_run
                plan.guard(lost, mirrored, config.max_removals, config.max_removals_percent, begun)

        before = after = ""  # the last project of the wave before, and of this one
        allow([])
        self._progress.start("reading pages", projects=state.count_due(terms))
        try:
            while not self._waves.ended() and (due := state.due(terms, after, WAVE)):
                before, after = after, due[-1].name
                removals += self._waves.carry_out(due, allow)
        except BandersnatchError as error:
            if not (self._options.dry_run or isinstance(error, StorageError)):
                publish_root(self._config, self._store, state, frozenset())  # what is in place shall be found
            raise
        # A root index has answered by now: then a page without an answer is its project's failure.
        listed = self._config.filters.names is None
        silent = self._waves.asked and not (listed or self._waves.answered)
        if self._tally.failures and silent and not self._stop.is_set():
            name, reason = next(iter(self._tally.failures.items()))
            raise UnreachableError(f"upstream does not answer: {name}: {reason}. Nothing was changed")
        if self._stop.is_set():
            removals.clear()
        self._tally.removed = sorted(set(removals))
        if not (self._config.delete_packages or self._waves.ended()):
            kept = sorted({*self._waves.kept, *state.kept(self._fingerprint)})
            self._tally.updated += self._committer.restyle(kept, self._options.dry_run)
        if self._options.dry_run:
            self._tally.files_removed += sum(len(state.files_of(name)) for name in self._tally.removed)
        else:
            self._finish()

    def _finish(self) -> None:
        """What comes after the last wave: the root index, then removals, then what is left over."""
        config, state, store, tally = self._config, self._state, self._store, self._tally
        force = self._options.force_check
        tally.root_changed = publish_root(config, store, state, frozenset(tally.removed), force)
        if tally.removed:
            self._progress.start("removing", projects=len(tally.removed))
            tally.files_removed += self._committer.remove(tally.removed)
            with state.transaction():
                state.put("root", CURRENT)
        if self._waves.ended():
            return
        if force:
            state.recount()
        with state.transaction():
            state.forget_unlisted_failures()
        if config.delete_packages:
            tally.files_removed += takeover.clear_begun(store, state, tally.failures)
            if (force or state.get("sweep")) and state.all_read():
                tally.files_removed += takeover.sweep(store, state, self._stop.check)
                with state.transaction():
                    state.put("sweep", None)
        settled = not tally.failures and state.serials_known()
        with state.transaction():
            state.put("settled", self._settled if settled else None)
