"""Move in: take over the mirror directory, config and cron jobs of pep381client or bandersnatch (1.x to 8.x).

Nothing is deleted: what this engine has no use for goes to `<directory>/before-migration/`. Data under web/
stays where it is; the next run finds no state, adopts it, and downloads only what is missing or wrong. The
file that the old program is known by is moved last, so that an interrupted migration is taken up again.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from . import config, crontabs, lock
from .errors import ConfigError, LockedError, StorageError
from .names import is_project_name, normalize, shown
from .port import Ported, port, variables
from .store import Store
from .summary import count_of

ASIDE = "before-migration"

# The order matters: `generation` and `status` tell what the directory is.
_STATUS = ("todo", "mirrored-files", "files", "state", "generation", "status")
_DEAD = ("web/serversig", "web/serverkey", "web/stats")  # PEP 381's signatures, and counts that nobody makes
_JSON = ("web/json", "web/pypi")
_SQLITE = b"SQLite format 3\0"
_HEAD = 1 << 16  # bytes of a status file that are looked at; it is never parsed


class Options(NamedTuple):
    """What is moved in, and to where."""

    directory: str  # the mirror directory, absolute; stays where it is
    config: str  # the config file to write
    old_config: str  # the old one, which need not exist; may be the same
    master: str = ""  # the index to mirror where the old config names none that can be used
    owner: str = ""  # the user that the mirror is handed to; "" leaves the owners alone
    crontabs: tuple[str, ...] = crontabs.PATHS  # files, and directories of such


class Crontab(NamedTuple):
    """A crontab that runs the old program."""

    path: str
    rest: str | None  # what stays of it; None where nothing is left to run: then the file goes
    removed: list[str]


class Plan(NamedTuple):
    """What moving in means for one mirror; empty where there is nothing left to do."""

    program: str = ""  # "bandersnatch" or "pep381client"; "" where the mirror is ours already
    ported: Ported | None = None
    config_differs: bool = False
    crontabs: tuple[Crontab, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()  # page directories under the mirror directory: (from, to)
    aside: tuple[str, ...] = ()  # paths under the mirror directory that go to ASIDE, in this order
    hand_over: bool = False

    def steps(self, options: Options) -> list[str]:
        """What is done, for people."""
        lines = [f"{one.path}: taken out: {shown(line)}" for one in self.crontabs for line in one.removed]
        pages = [name for name in self.aside if name.startswith("web/simple/")]
        if self.renamed:
            lines.append(f"{count_of(len(self.renamed), 'page')} put under the normalised name")
        if pages:
            lines.append(f"{count_of(len(pages), 'second page')} of a project put into {ASIDE}/")
        lines += [f"{name} goes to {ASIDE}/" for name in self.aside if name not in pages]
        if self.hand_over:
            lines.append(f"{options.directory} is handed to {options.owner}")
        if self.config_differs:
            lines.append(f"{options.config} is written")
        return lines

    def as_dict(self, options: Options) -> dict[str, Any]:
        """The plan for Ansible."""
        found, secrets = variables(self.ported.values) if self.ported else ({}, [])
        return {
            "changed": bool(self.program),
            "program": self.program,
            "steps": self.steps(options),
            "dropped": list(self.ported.dropped) if self.ported else [],
            "variables": found,
            "secret_variables": secrets,
        }


def migrate(options: Options, dry_run: bool) -> Plan:
    """Move in, or with `dry_run` say what that would mean.

    Raises ConfigError where the directory is of neither program or the config cannot be carried over,
    LockedError where the old program is at work: nothing was changed then; StorageError.
    """
    directory, old_config = os.path.normpath(options.directory), os.path.normpath(options.old_config)
    options = options._replace(directory=directory, old_config=old_config)
    program = _program(directory)
    if not program:
        return Plan()
    owner = _owner(options.owner, dry_run)
    try:
        with _alone(directory, program, dry_run):
            plan = _plan(options, program, owner, dry_run)
            if not dry_run:
                _carry_out(plan, options, owner)
    except OSError as error:
        raise StorageError(
            f"{error.filename or directory}: {error.strerror}. Migrate as root; the next time goes on here"
        ) from error
    return plan


# What is there


def _program(directory: str) -> str:
    """Whose mirror this is, "" for ours. Raises ConfigError for what is none of these."""
    status, generation, files = (_head(f"{directory}/{name}") for name in ("status", "generation", "files"))
    if os.path.isdir(f"{directory}/web"):
        if b"pep381client" in status or (files.startswith(_SQLITE) and not status.strip().isdigit()):
            return "pep381client"
        if status.strip().isdigit() or generation.strip().isdigit():
            return "bandersnatch"
        if os.path.isdir(f"{directory}/{ASIDE}") or _head(f"{directory}/state").startswith(_SQLITE):
            return ""
    raise ConfigError(
        f"{directory} is neither a mirror of pep381client nor one of bandersnatch: there is no `status` or "
        "`generation` of theirs beside web/. Name the directory that the old config or cron job names. "
        "Nothing was changed"
    )


def _head(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        return file.read(_HEAD) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


@contextlib.contextmanager
def _alone(directory: str, program: str, dry_run: bool) -> Iterator[None]:
    """While neither the old program nor this engine is at work."""
    path = f"{directory}/.lock"
    for pid in filter(str.isdigit, os.listdir("/proc")):  # pep381client takes no lock
        words = [os.fsdecode(word) for word in _head(f"/proc/{pid}/cmdline").split(b"\0")]
        if any(word.endswith("pep381run") for word in words[:3]) and directory in map(
            os.path.normpath, words
        ):
            raise LockedError(
                f"pep381run is at work in {directory} (process {pid}): end it, then migrate again"
            )
    if dry_run and not os.path.exists(path):
        yield
        return
    try:
        with lock.hold(path, "" if dry_run else "migration"):
            yield
    except LockedError:
        message = f"{program} is at work: it holds {path}. Wait for it to end, or end it. Nothing was changed"
        raise LockedError(message) from None


# What is to be done


def _plan(options: Options, program: str, owner: pwd.struct_passwd | None, dry_run: bool) -> Plan:
    directory = options.directory
    for name in (ASIDE, "web", "web/simple", "web/packages"):
        if os.path.islink(f"{directory}/{name}"):
            raise StorageError(
                f"{directory}/{name} is a symbolic link, which is not followed: bind-mount its target instead"
            )
    old = _text(options.old_config)
    ported = port(old, directory, options.master)
    if not dry_run or importlib.util.find_spec("packaging"):  # a host that has not been provisioned yet
        _check(ported.text)
    renamed, strays = _pages(Store(Path(directory)))
    names = _DEAD + (() if ported.json else _JSON) + _STATUS
    return Plan(
        program,
        ported,
        ported.text != _text(options.config),
        tuple(_crontabs(options)),
        tuple(renamed.items()),
        (*strays, *(name for name in names if os.path.lexists(f"{directory}/{name}"))),
        any(True for _ in _foreign(directory, owner)) if owner else bool(options.owner),
    )


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8: save it in that encoding. Nothing was changed") from None


def _check(text: str) -> None:
    """Raise ConfigError where the engine would not take the new config."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        try:
            config.load(file.name)
        except ConfigError as error:
            why = str(error).removeprefix(f"{file.name}: ")
            raise ConfigError(f"the old config cannot be carried over: {why}. Nothing was changed") from None


def _pages(store: Store) -> tuple[dict[str, str], list[str]]:
    """Page directories whose names are not normalised: {from: to}; and those with a normalised twin."""
    renamed: dict[str, str] = {}
    taken: set[str] = set()
    strays = []
    for path, found in sorted(store.page_directories()):
        name = normalize(found)
        if name == found or not is_project_name(found):
            continue
        letter = "" if os.path.dirname(path) == store.simple else f"{name[0]}/"  # hash-index
        old, new = os.path.relpath(path, store.directory), f"web/simple/{letter}{name}"
        if new in taken or os.path.lexists(f"{store.directory}/{new}"):
            strays.append(old)
        else:
            renamed[old] = new
            taken.add(new)
    return renamed, strays


def _crontabs(options: Options) -> Iterator[Crontab]:
    for path in options.crontabs:
        names = sorted(os.listdir(path)) if os.path.isdir(path) else []
        for file in [f"{path}/{name}" for name in names] or [path]:
            if os.path.islink(file) or not os.path.isfile(file):
                continue
            text = os.fsdecode(Path(file).read_bytes())
            rest, removed = crontabs.without(text, options.directory, options.old_config)
            if removed:
                yield Crontab(file, rest if file == path or crontabs.has_jobs(rest) else None, removed)


def _owner(name: str, dry_run: bool) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name) if name else None
    except KeyError:
        if dry_run:
            return None  # a host in check mode, which has no such user yet
        raise ConfigError(f"there is no user {shown(name)}: make it first. Nothing was changed") from None


def _foreign(directory: str, owner: pwd.struct_passwd) -> Iterator[tuple[int, str]]:
    """(directory's descriptor, name) of all that is not this user's, but for what was set aside."""
    for top, folders, names, descriptor in os.fwalk(directory):
        if top == directory:
            folders[:] = [name for name in folders if name != ASIDE]
        for name in (".", *folders, *names):
            found = os.lstat(name, dir_fd=descriptor)
            if (found.st_uid, found.st_gid) != (owner.pw_uid, owner.pw_gid):
                yield descriptor, name


# Doing it


def _carry_out(plan: Plan, options: Options, owner: pwd.struct_passwd | None) -> None:
    _take_out(plan.crontabs, options.directory)  # first of all: pep381client takes no lock
    for old, new in plan.renamed:
        os.makedirs(os.path.dirname(f"{options.directory}/{new}"), exist_ok=True)
        os.rename(f"{options.directory}/{old}", f"{options.directory}/{new}")
    _set_aside((name for name in plan.aside if name not in _STATUS), options.directory)
    if owner:
        for descriptor, name in _foreign(options.directory, owner):
            os.chown(name, owner.pw_uid, owner.pw_gid, dir_fd=descriptor, follow_symlinks=False)
    if plan.config_differs and plan.ported:
        for path in {options.config, options.old_config}:
            _copy(path, options.directory)
        _write(options.config, plan.ported.text.encode(), None, owner.pw_gid if owner else -1)
    _set_aside((name for name in plan.aside if name in _STATUS), options.directory)


def _take_out(tables: Iterable[Crontab], directory: str) -> None:
    for one in tables:
        _copy(one.path, directory)
        if one.rest is not None:
            _write(one.path, os.fsencode(one.rest), os.stat(one.path))
        else:
            os.unlink(one.path)


def _set_aside(names: Iterable[str], directory: str) -> None:
    for name in names:
        os.rename(f"{directory}/{name}", _free(f"{directory}/{ASIDE}/{name}"))


def _copy(path: str, directory: str) -> None:
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        target = _free(f"{directory}/{ASIDE}{os.path.abspath(path)}")
        _write(target, file.read(), os.fstat(file.fileno()))


def _free(path: str) -> str:
    """A name that is not taken, in a directory that is there."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tries = (f"{path}.{number}" if number else path for number in itertools.count())
    return next(one for one in tries if not os.path.lexists(one))


def _write(path: str, content: bytes, like: os.stat_result | None, group: int = -1) -> None:
    """Put a file in place, all of it at once; cron takes no file whose name has a dot for a crontab."""
    handle, new = tempfile.mkstemp(prefix=".migrate.", dir=os.path.dirname(path))
    with open(handle, "wb") as file:
        file.write(content)
        if like:
            os.fchown(handle, like.st_uid, like.st_gid)
        elif group >= 0:
            os.fchown(handle, -1, group)
        os.fchmod(handle, stat.S_IMODE(like.st_mode) if like else 0o640)
        file.flush()
        os.fsync(handle)
    os.rename(new, path)
