"""The `bandersnatch` command: arguments in, an exit code out. Errors become one line here, and only here."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import VERSION
from .errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, EXIT_STALE, BandersnatchError, ConfigError
from .summary import one_line

# What a command needs is imported where it begins: `--help` and a run without change are mostly start-up.

log = logging.getLogger(__name__)

DEFAULT_CONFIG = "/etc/bandersnatch.conf"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments without the program's name; None takes those of the process.

    Returns:
        The exit code: see errors.py.
    """
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as end:  # argparse has said what there was to say
        return end.code if isinstance(end.code, int) else EXIT_FAILURE
    _log_to_stderr()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminated)
    try:
        code: int = arguments.run(arguments)
    except BandersnatchError as error:
        log.error("%s", one_line(str(error)))  # noqa: TRY400 - its reader can act: a traceback is for bugs
        return error.exit_code
    except KeyboardInterrupt:
        log.error("Interrupted; the next run takes up the rest")  # noqa: TRY400 - the same
        return EXIT_INTERRUPTED
    except Exception:
        log.exception("This is a bug in bandersnatch %s; please report it with these lines", VERSION)
        return EXIT_FAILURE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bandersnatch",
        description="Mirrors a Python package index.",
        epilog="Exit codes: 0 in sync; 1 no config file yet, or a bug; 2 wrong arguments or config; "
        "3 some projects failed; 4 refused by the deletion guard; 5 another run is under way; "
        "6 upstream does not answer; 7 the volume cannot take it; 8 the mirror is stale (status); "
        "9 something is missing or wrong (verify); 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "-c", "--config", type=Path, default=Path(DEFAULT_CONFIG), help="default: %(default)s"
    )
    parser.add_argument("--version", action="version", version=f"bandersnatch {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    mirror = commands.add_parser(
        "mirror", help="bring the mirror up to date with its upstream", allow_abbrev=False
    )
    mirror.set_defaults(run=_mirror)
    mirror.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    mirror.add_argument("--diff", action="store_true", help="name the projects that change")
    mirror.add_argument(
        "--force-check", action="store_true", help="check each page and file, whatever the state says"
    )
    mirror.add_argument(
        "--allow-removals", action="store_true", help="remove more projects than the guard allows, this once"
    )

    check = commands.add_parser(
        "check-config", help="say whether the config file is right", allow_abbrev=False
    )
    check.set_defaults(run=_check_config)

    verify = commands.add_parser(
        "verify",
        help="check each page and file that is served, without upstream",
        description="Checks that every file that a page links is there with the hash that the page states, "
        "that JSON and HTML say the same, and that the root index lists the projects that have pages. It "
        "reads the mirror alone and changes nothing: also for a copy that has no upstream.",
        epilog="Exit codes: 0 all is right; 9 something is missing or wrong; 2 wrong arguments or config; "
        "7 the mirror cannot be read.",
        allow_abbrev=False,
    )
    verify.set_defaults(run=_verify)

    stats = commands.add_parser("update-stats", help="count the downloads of whole days", allow_abbrev=False)
    stats.set_defaults(run=_update_stats)
    stats.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")

    status = commands.add_parser(
        "status",
        help="say how the mirror is doing",
        description="Says how the mirror is doing; while a run is going, too.",
        epilog="Exit codes: 0 the last good sync is young enough (`stale-after`); 8 it is not, or there was "
        "none; 2 wrong arguments or config; 7 the mirror or its history cannot be read.",
        allow_abbrev=False,
    )
    status.set_defaults(run=_status)
    status.add_argument("--json", action="store_true", help="as JSON: docs/status.md explains it")
    return parser


def _mirror(arguments: argparse.Namespace) -> int:
    path: Path = arguments.config
    if not os.path.lexists(path) and not arguments.dry_run:
        _write_default(path)
        log.error("There was no config file: %s is now a commented one; edit it, and run this again", path)
        return EXIT_FAILURE
    from .config import load
    from .progress import make_progress
    from .sync import Options, mirror

    config = load(path)
    _log_as(config.log_config, config.warnings)
    options = Options(
        dry_run=arguments.dry_run,
        force_check=arguments.force_check,
        allow_removals=arguments.allow_removals,
    )
    progress = make_progress(config, file=not arguments.dry_run)
    try:
        summary = mirror(config, options, progress)
    finally:
        progress.close()
    _say(summary.headline, *(summary.name_lines() if arguments.diff else ()))
    for line in summary.failure_lines():
        log.error("%s", line)
    return summary.exit_code


def _check_config(arguments: argparse.Namespace) -> int:
    from .config import load
    from .urls import shown

    config = load(arguments.config)
    _log_as(config.log_config, config.warnings)
    _say(f"OK: {arguments.config} mirrors {shown(config.master)} to {config.directory}")
    return EXIT_OK


def _verify(arguments: argparse.Namespace) -> int:
    from .config import load
    from .progress import make_progress
    from .verify import verify

    config = load(arguments.config)
    _log_as(config.log_config, config.warnings)
    progress = make_progress(config, file=False)
    try:
        verdict = verify(config, progress, lambda line: log.error("%s", one_line(line)))
    finally:
        progress.close()
    _say(verdict.text())
    return verdict.exit_code


def _update_stats(arguments: argparse.Namespace) -> int:
    from .config import load
    from .stats import update_stats

    config = load(arguments.config)
    _log_as(config.log_config, config.warnings)
    done = update_stats(config, dry_run=arguments.dry_run)
    _say(done.text())
    return done.exit_code


def _status(arguments: argparse.Namespace) -> int:
    from .announce import look
    from .config import load
    from .status import as_dict, text

    config = load(arguments.config)
    now = look(config)
    if arguments.json:
        import json

        _say(json.dumps(as_dict(now), indent=1))
    else:
        _say(text(now))
    return EXIT_OK if now.fresh else EXIT_STALE


def _write_default(path: Path) -> None:
    from .config_keys import default_text

    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(default_text())
                file.flush()
            except OSError:
                path.unlink()  # half a config file would pass for one
                raise
    except OSError as error:
        raise _NoConfigError(
            f"{path}: there is no config file, and none can be written: {error.strerror}"
        ) from None


class _NoConfigError(BandersnatchError):
    """There is no config file, and there cannot be a default one."""

    exit_code = EXIT_FAILURE


def _log_to_stderr() -> None:
    """One line a message, over a progress bar that may be there; cron's pipe carries it to syslog."""
    from .progress import CLEAR_LINE

    clear = CLEAR_LINE if sys.stderr and sys.stderr.isatty() else ""
    logging.basicConfig(level=logging.INFO, format=f"{clear}%(levelname)s %(message)s")


def _log_as(log_config: Path | None, warnings: Sequence[str]) -> None:
    """Take over the operator's logging config, then log what the config file is warned of."""
    if log_config:
        import logging.config  # it brings a socket server along

        try:
            logging.config.fileConfig(log_config, disable_existing_loggers=False)
        except Exception as error:  # whatever the classes that the file names may raise
            message = f"log-config {log_config} is not a logging config file that works: {error!r}"
            raise ConfigError(message) from error
    for warning in warnings:
        log.warning("%s", warning)


def _say(*lines: str) -> None:
    """Print; a reader that went away, or a full disk behind a redirection, changes nothing of the run."""
    if sys.stdout is None:
        return
    try:
        for line in lines:
            encoding = sys.stdout.encoding or "ascii"
            print(line.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except OSError:
        # What is still in the buffer must not fail at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
