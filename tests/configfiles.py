"""Config files with filters, for the tests of what they mean."""

from __future__ import annotations

from pathlib import Path

from bandersnatch.config import Config, load
from bandersnatch.filters import Filters


def config(conf: Path, text: str) -> Config:
    conf.write_text(f"[mirror]\ndirectory = /srv/pypi\nmaster = https://index.example.org\n{text}", "utf-8")
    return load(conf)


def filters(conf: Path, *enabled: str, **sections: dict[str, str]) -> Filters:
    """The filters of a file in which nothing is warned of."""
    lines = ["[plugins]", "enabled =", *(f"  {name}" for name in enabled)]
    for section, keys in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}".replace("\n", "\n  ") for key, value in keys.items())]
    read = config(conf, "\n".join(lines))
    assert read.warnings == ()
    return read.filters
