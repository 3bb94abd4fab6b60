"""What is served of the whole mirror: the root index and `last-modified`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence, Set

from .config import Config
from .root import root_html, root_json
from .state import State
from .store import PAGE_HTML, PAGE_JSON, Store, storage_error

STALE, CURRENT = "stale", "current"  # what meta.root says of the root index on disk


def publish_root(config: Config, store: Store, state: State, without: Set[str], force: bool = False) -> bool:
    """Write the root index of every mirrored project but these; true where it changed.

    It is written only if it may differ (or with `force`), and streamed: it may list 700,000 projects.
    """
    names = [PAGE_JSON] if config.simple_format != "HTML" else []
    names += [PAGE_HTML] if config.simple_format != "JSON" else []
    there = all(os.path.lexists(f"{store.simple}/{name}") for name in names)
    if (
        there
        and not (without or force)
        and state.get("root") == CURRENT
        and state.get("root names") == str(names)
    ):
        return False
    text = state.get("root serial")
    serial = int(text) if text else state.highest_serial()
    changed = False
    for name in names:
        rows = ((display, number) for key, display, number in state.roots() if key not in without)
        chunks = root_json(rows, serial) if name == PAGE_JSON else root_html(rows)
        changed = store.replace(store.stage_chunks(name, chunks), f"simple/{name}") or changed
    for name in {PAGE_JSON, PAGE_HTML} - set(names):
        changed = store.discard(f"simple/{name}") or changed
    with state.transaction():
        state.put("root", STALE if without else CURRENT)  # until the state has forgotten them, too
        state.put("root names", str(names))
    return changed


def write_diff(config: Config, paths: Sequence[str], when: int) -> None:
    """Write the names of what a run brought in, a line each, to `diff-file`."""
    target = str(config.diff_file) + (f"-{when}" if config.diff_append_epoch else "")
    try:
        with open(target, "w", encoding="utf-8") as file:
            file.writelines(f"{path}\n" for path in paths)
    except OSError as error:
        raise storage_error(target, error) from error


def write_last_modified(store: Store, when: int) -> None:
    """PEP 381: "/last-modified … a text file containing the timestamp of the last synchronisation"."""
    line = time.strftime("%Y%m%dT%H:%M:%S\n", time.gmtime(when)).encode()
    store.replace(store.stage_chunks("last-modified", [line]), "last-modified")
