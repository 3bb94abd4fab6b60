"""After each run: remember it, and bring up to date what says how the mirror is doing.

Nothing here fails a run, and nothing here counts as a change: what cannot be written is warned of once. A run
holds the lock; `update-stats` may come at the same time, so the history's transaction is held while files are
written: whoever comes later knows more.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import VERSION, health, history, metrics, page, status
from .config import Config
from .errors import EXIT_FAILURE, BandersnatchError, StorageError
from .files import VOLUME, read_file, replace_file, storage_error
from .history import NAMES_KEPT, History, Past, Record, Size
from .progress import FILE_NAME as PROGRESS
from .status import Status
from .summary import Summary, one_line

log = logging.getLogger(__name__)

_HEAD = 1_000  # bytes of a page in which its generator is named


@dataclass
class Outcome:
    """What a run leaves to be remembered."""

    summary: Summary | None = None  # None: it ended early
    error: Exception | None = None  # why
    upstream_serial: int | None = None
    size: Size = field(default_factory=Size)


@contextlib.contextmanager
def remembered(config: Config, *, full_check: bool, dry: bool) -> Iterator[Outcome]:
    """A run: however it ends, it is remembered and told; not so a dry one."""
    outcome, started = Outcome(), time.time()
    try:
        yield outcome
    except Exception as error:
        outcome.error = error
        raise
    finally:
        if not dry and (outcome.summary or outcome.error):
            try:
                record = _record(outcome, started, full_check)
                _tell(config, record, outcome.size._replace(**_volume(config)))
            except Exception:
                log.exception(
                    "The run is not told of, by a bug in bandersnatch %s; please report it", VERSION
                )


def refresh(config: Config) -> None:
    """Tell anew of what is known, for there are other statistics now."""
    if os.path.lexists(f"{config.directory}/{history.FILE_NAME}"):
        _tell(config, None, Size())


def look(config: Config) -> Status:
    """How the mirror is doing now. Needs no lock, changes nothing. Raises StorageError."""
    directory = str(config.directory)
    if not os.path.isdir(directory):
        raise StorageError(f"{directory}: there is no such directory: the mirror has not been made yet")
    past = history.read(directory, runs=status.RUNS_SHOWN, days=status.DAYS_SHOWN)
    past = past._replace(size=past.size._replace(**_volume(config)))
    return status.build(
        config,
        past,
        time.time(),
        downloads=_downloads(config),
        progress=_progress(directory),
        page=_whose_page(config),
    )


def _record(outcome: Outcome, started: float, full_check: bool) -> Record:
    ended = time.time()
    summary, error = outcome.summary, outcome.error
    if summary is None:
        known = isinstance(error, BandersnatchError)
        return Record(
            started=started,
            ended=ended,
            exit_code=error.exit_code if isinstance(error, BandersnatchError) else EXIT_FAILURE,
            # What a bug says may hold anything, a password too; the log has it.
            error=one_line(str(error)) if known else f"a bug ({type(error).__name__}): see the log",
            full_check=full_check,
            upstream_serial=outcome.upstream_serial,
        )
    groups = {"added": summary.added, "updated": summary.updated, "removed": summary.removed}
    return Record(
        started=started,
        ended=ended,
        exit_code=summary.exit_code,
        full_check=full_check,
        serial=summary.serial,
        upstream_serial=outcome.upstream_serial if outcome.upstream_serial is not None else summary.serial,
        added=len(summary.added),
        updated=len(summary.updated),
        removed=len(summary.removed),
        files_added=summary.files_added,
        files_removed=summary.files_removed,
        bytes_added=summary.bytes_added,
        failed=len(summary.failures),
        names={key: names[:NAMES_KEPT] for key, names in groups.items() if names},
        failures=summary.failures[:NAMES_KEPT],
        good=status.is_good(summary.exit_code, len(summary.failures), summary.projects),
    )


def _tell(config: Config, record: Record | None, size: Size) -> None:
    """Remember the run, then write what tells of it."""
    directory, troubles = str(config.directory), _Troubles(str(config.directory))
    try:
        try:
            _remember(config, record, size, troubles)
        except history.DamagedError as error:
            log.warning("%s", one_line(f"{error} (done)"))
            history.begin_anew(directory)
            _remember(config, record, size, troubles)
    except (StorageError, OSError) as error:
        failed = record is not None and record.exit_code == StorageError.exit_code
        if not (troubles.refused("history", error) or failed):  # else the run itself says what is wrong
            log.warning("%s", one_line(f"the run is not remembered: {error}"))
        if record is not None and record.good:  # what can be told without the past
            _write(config, Past(record, record, size), record.ended, troubles)
    if record is not None and record.good:
        with troubles.warned("/healthz"):
            health.mark(directory, record.ended, config.stale_after * 3600)
    if record is None or record.exit_code != StorageError.exit_code:
        troubles.say()


def _remember(config: Config, record: Record | None, size: Size, troubles: _Troubles) -> None:
    now = record.ended if record is not None else time.time()
    book = History(str(config.directory))
    try:
        with book.transaction():
            if record is not None:
                book.add(record, size, time.strftime("%Y-%m-%d", time.gmtime(record.started)))
            past = book.past(runs=status.RUNS_SHOWN, days=status.DAYS_SHOWN)
            _write(config, past, now, troubles, book)
    finally:
        book.close()


def _write(config: Config, past: Past, now: float, troubles: _Troubles, book: History | None = None) -> None:
    """Write the files, as far as the disk permits. `book`: keeps the page's frame."""
    current = status.build(config, past, now, downloads=_downloads(config), page=_whose_page(config))
    web, part = str(config.web), f"{config.directory}/.status.part"
    if os.path.islink(web):  # not followed: the run has told
        return
    with troubles.warned("status.json"):
        text = json.dumps(status.as_dict(current), indent=1, ensure_ascii=False) + "\n"
        replace_file(f"{web}/status.json", text.encode("utf-8", "backslashreplace"), part)
    samples = metrics.render(current).encode("utf-8", "backslashreplace")
    with troubles.warned("/metrics"):
        replace_file(f"{web}/metrics", samples, part)
    if config.metrics_file:
        folder, name = os.path.split(config.metrics_file)
        with troubles.warned(str(config.metrics_file), folder):
            replace_file(str(config.metrics_file), samples, f"{folder}/.{name}.part")
    if current.page != "foreign":
        with troubles.warned("index.html"):
            replace_file(f"{web}/index.html", _page(current, book), part)


def _page(current: Status, book: History | None) -> bytes:
    """The mirror's page. Its frame is kept: to make it anew takes longer than a run that changes nothing."""
    shown = page.content(current)
    key = page.key(shown)
    made = book.get("frame") if book is not None and book.get("frame key") == key else None
    if made is None:
        made = page.frame(shown)
        if book is not None:
            book.put("frame key", key)
            book.put("frame", made)
    return page.fill(made, current)


def _whose_page(config: Config) -> str:
    """Whose `index.html` is: "ours", "foreign" (an operator's, which is left alone), or there is "none"."""
    path = f"{config.web}/index.html"
    try:
        return "ours" if page.GENERATOR.encode() in read_file(path)[:_HEAD] else "foreign"
    except FileNotFoundError:
        return "none"
    except OSError:  # a symbolic link, a directory
        return "foreign"


class _Troubles:
    """What the disk does not take of what is written here: then the run goes on, with a warning.

    What the volume as a whole refuses, for it is full say, is said in one line for all of it.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._refused: dict[tuple[str, int], list[str]] = {}  # (directory, errno): what is not up to date

    @contextlib.contextmanager
    def warned(self, what: str, directory: str = "") -> Iterator[None]:
        """Let nothing out of the block; warn that `what` (in `directory`, or the mirror's) is old now."""
        try:
            yield
        except (StorageError, OSError) as error:
            if not self.refused(what, error, directory):
                log.warning("%s", one_line(f"{what} is not up to date: {error}"))
        except ModuleNotFoundError as error:  # all but the page needs the standard library only
            log.warning(
                "%s is not up to date: it needs the Python package `%s`: install python3-%s",
                *(what, error.name, error.name),
            )
        except Exception:
            log.exception(
                "%s is not up to date, by a bug in bandersnatch %s; please report it", what, VERSION
            )

    def refused(self, what: str, error: StorageError | OSError, directory: str = "") -> bool:
        """Note `what` for `say` if it is the volume that refuses it; false where it is something else."""
        cause = error if isinstance(error, OSError) else error.__cause__
        number = (cause.errno or 0) if isinstance(cause, OSError) else 0
        if isinstance(cause, sqlite3.OperationalError) and "full" in str(cause):
            number = errno.ENOSPC
        if number in VOLUME:
            self._refused.setdefault((directory or self._directory, number), []).append(what)
        return number in VOLUME

    def say(self) -> None:
        """Warn of what volumes have refused."""
        for (directory, number), names in self._refused.items():
            reason = storage_error(directory, OSError(number, os.strerror(number)))
            log.warning("%s", one_line(f"{reason} (not up to date: {', '.join(dict.fromkeys(names))})"))


def _volume(config: Config) -> dict[str, int]:
    """Space on the volume."""
    try:
        numbers = os.statvfs(config.directory)
    except OSError:
        return {}
    return {"free": numbers.f_bavail * numbers.f_frsize, "total": numbers.f_blocks * numbers.f_frsize}


def _downloads(config: Config) -> Mapping[str, Any] | None:
    """The summary that `update-stats` writes; None where there is none that makes sense."""
    if not config.access_log_pattern:
        return None
    try:
        summary = json.loads(read_file(f"{config.web}/local-stats/summary.json"))
        sane = all(isinstance(row["downloads"], int) for row in summary["days"].values())
        return summary if sane and isinstance(summary["recent"], dict) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _progress(directory: str) -> Mapping[str, Any] | None:
    """What a run that is going says of itself; None where there is none (a killed one may leave the file)."""
    try:
        run = json.loads(read_file(f"{directory}/{PROGRESS}"))
        return run if os.path.exists(f"/proc/{int(run['pid'])}") else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
