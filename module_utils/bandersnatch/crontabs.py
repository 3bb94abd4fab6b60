"""Which lines of a crontab run an old program on this mirror? Pure."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence

PATHS = ("/etc/crontab", "/etc/cron.d", "/var/spool/cron/crontabs")

_SETTING = re.compile(r"""\s*["']?[A-Za-z_]\w*["']?\s*=""")
_OURS = "tag='bandersnatch["  # in the jobs that this project's cron role writes
_COMMANDS = {"mirror", "update-stats", "verify", "sync", "delete"}


def without(text: str, directory: str, config: str) -> tuple[str, list[str]]:
    """A crontab without the jobs of the mirror `directory`, and these.

    `config` is the old config file: `bandersnatch` jobs name it with -c, or mean /etc/bandersnatch.conf.
    """
    kept: list[str] = []
    removed: list[str] = []
    for line in text.splitlines(keepends=True):
        (removed if _runs(line, directory, config) else kept).append(line)
    return "".join(kept), [line.strip() for line in removed]


def has_jobs(text: str) -> bool:
    """Whether a crontab has anything but comments and settings."""
    return any(_is_job(line) for line in text.splitlines())


def _is_job(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#") and not _SETTING.match(line)


def _runs(line: str, directory: str, config: str) -> bool:
    if not _is_job(line) or _OURS in line:
        return False
    words = [word.strip("\"'") for word in re.split(r"[\s;&|()=]+", line)]
    for at, word in enumerate(words):
        program, rest = word.rpartition("/")[2], words[at + 1 :]
        if program == "pep381run" and any(os.path.normpath(one) == directory for one in rest if one):
            return True
        if program == "bandersnatch" and _COMMANDS.intersection(rest) and _config(rest) == config:
            return True
    return False


def _config(arguments: Sequence[str]) -> str:
    for option, value in itertools.pairwise(arguments):
        if option in {"-c", "--config"}:
            return os.path.normpath(value)
    return "/etc/bandersnatch.conf"
