"""How a mirror may be doing: values that several tests start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bandersnatch import status
from bandersnatch.config import Config
from bandersnatch.history import Past, Record, Size

HOUR = 3600
NOW = 1_795_827_600.0  # 2026-11-28T01:00:00Z
CONFIG = Config(
    directory=Path("/srv/pypi"),
    master="https://user:secret@index.example.org/simple/",
    public_url="https://pypi.example.net/",
    access_log_pattern="/var/log/x*",
)
GOOD = Record(NOW - 120, NOW - 90, serial=100, upstream_serial=100, good=True)
SIZE = Size(projects=7, files=368, bytes=89_000_000, free=10 << 30, total=20 << 30)


def made(past: Past, **values: Any) -> status.Status:
    return status.build(CONFIG, past, NOW, **values)


def after(*records: Record, **values: Any) -> Past:
    """The history after these runs, of which all are rows."""
    good = [record for record in records if record.good]
    return Past(records[-1], good[-1] if good else None, SIZE, tuple(reversed(records)), **values)


def days(*sizes: tuple[str, int]) -> tuple[tuple[str, Size], ...]:
    return tuple((day, Size(bytes=count)) for day, count in sizes)
