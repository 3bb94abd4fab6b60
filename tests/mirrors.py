"""A mirror that looks like a real one after years, made without a sync: for looking at what is told of it."""

from __future__ import annotations

import json
import math
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from bandersnatch import announce
from bandersnatch.config import Config
from bandersnatch.history import History, Record, Size

GIB = 1 << 30
DAY = 86_400
HOSTILE = "<script>document.title='hacked'</script><img src='https://evil.example.org/x.png'>"
PROJECTS = {
    "numpy": 18_211,
    "pandas": 15_021,
    "requests": 14_877,
    "boto3": 13_990,
    "urllib3": 12_001,
    "torch": 8_123,
    "setuptools": 7_001,
    "certifi": 6_500,
    HOSTILE: 6_120,
    "a-project-with-an-extraordinarily-long-name-indeed-so-long": 4_000,
}
PYTHONS = {"3.12": 51_230, "3.11": 40_112, "3.13": 30_555, "3.10": 18_000, "3.9": 9_000, "unknown": 4_000}
INSTALLERS = {"pip": 88_012, "uv": 61_120, "poetry": 9_000, "pdm": 2_100, "browser": 800}
UPDATED = (
    "torch",
    "torchvision",
    "triton",
    "nvidia-cublas-cu12",
    "nvidia-cudnn-cu12",
    "jax",
    "keras",
    "onnx",
)


def config(base: Path, url: str = "https://pypi.example.edu/") -> Config:
    master = "https://someone:hunter2@index.example.org/simple/"
    return Config(directory=base, master=master, public_url=url, access_log_pattern="/var/log/access.log*")


def grown(base: Path, url: str = "https://pypi.example.edu/", now: float | None = None) -> Config:
    """A mirror of four thousand projects, with all that the page can show."""
    now = time.time() if now is None else now
    one = config(base, url)
    (one.web / "local-stats").mkdir(parents=True)
    summary = json.dumps(_downloads(date.fromtimestamp(now)))
    (one.web / "local-stats/summary.json").write_text(summary)
    book = History(str(base))
    with book.transaction():
        for days in range(200, 0, -1):
            _add(book, _good(now - days * DAY), _size(days))
        for record in _lately(now):
            _add(book, record, _size(0))
        for number in range(30):
            _add(book, _good(now - 3600 + 120 * number), _size(0))
    book.close()
    announce.refresh(one)
    return one


def _add(book: History, record: Record, size: Size) -> None:
    book.add(record, size, time.strftime("%Y-%m-%d", time.gmtime(record.started)))


def _good(at: float, **values: Any) -> Record:
    return Record(at, at + 41, good=True, serial=31_200_421, upstream_serial=31_200_421, **values)


def _size(days_ago: int) -> Size:
    used = int((612 - days_ago * 1.31 - 6 * math.sin(days_ago / 14)) * GIB)
    return Size(4_123 - days_ago * 4, 96_061 - days_ago * 150, used, 2_000 * GIB - used, 2_000 * GIB)


def _lately(now: float) -> list[Record]:
    silent = "the root index of upstream cannot be read: https://index.example.org/simple/: no answer in 10 s"
    names = {"added": ("polars",), "updated": UPDATED[:3], "removed": ("colourama",)}
    return [
        _good(
            now - 7 * 3600, added=1, updated=3, removed=1, files_added=38, bytes_added=GIB // 2, names=names
        ),
        *(
            Record(at, at + 10, exit_code=6, error=silent, upstream_serial=31_200_421)
            for at in (now - 5 * 3600, now - 5 * 3600 + 120, now - 5 * 3600 + 240)
        ),
        _good(
            now - 3 * 3600,
            exit_code=3,
            updated=12,
            files_added=61,
            bytes_added=GIB,
            names={"updated": UPDATED},
            failed=1,
            failures=(("tensorflow", f"its page says {HOSTILE}"),),
        ),
    ]


def _downloads(today: date) -> dict[str, Any]:
    days = {}
    for ago in range(70, -1, -1):
        day = today - timedelta(days=ago)
        count = (9_000 if day.weekday() < 5 else 3_100) + 37 * (ago * 17 % 40)
        days[day.isoformat()] = {"downloads": count if ago else count // 2, "complete": ago > 0}
    recent = {"projects": PROJECTS, "pythons": PYTHONS, "installers": INSTALLERS, "systems": {}}
    first = (today - timedelta(days=29)).isoformat()
    return {
        "schema": 1,
        "downloads": sum(day["downloads"] for day in days.values()),
        "days": days,
        "recent": {"first": first, "last": today.isoformat(), **recent},
    }
