"""What is served of the whole mirror: the root index and `last-modified`."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence, Set

from .config import Config
from .errors import StorageError
from .root import root_html, root_json
from .state import State
from .store import PACKED, PAGE_HTML, PAGE_JSON, Store, page_forms

STALE, CURRENT = "stale", "current"  # what meta.root says of the root index on disk


def publish_root(config: Config, store: Store, state: State, without: Set[str], force: bool = False) -> bool:
    """Write the root index of every mirrored project but these; true where it changed.

    It is written only if it may differ (or with `force`), and streamed: it may list 700,000 projects. Beside
    each form lies the same compressed, for web servers to send as it is (nginx: gzip_static). If the serial
    of upstream moved on by projects that are none of ours, the new one is stated, which is no change.
    """
    names = page_forms(config.simple_format)
    there = all(os.path.lexists(f"{store.simple}/{name}{end}") for name in names for end in ("", PACKED))
    same = (
        there
        and not (without or force)
        and state.get("root") == CURRENT
        and state.get("root names") == str(names)
    )
    serial = _serial(state, without)
    if same and state.get("root states") == str(serial):
        return False
    changed = False
    for name in names:
        rows = ((display, number) for key, display, number in state.roots() if key not in without)
        chunks = root_json(rows, serial) if name == PAGE_JSON else root_html(rows)
        plain = store.stage_chunks(name, chunks)
        packed = store.stage_chunks(name + PACKED, pack(store.chunks(plain)))
        # one right after the other; where a run is killed between them, the state calls the root index stale
        changed = store.replace(plain, f"simple/{name}") or changed
        changed = store.replace(packed, f"simple/{name}{PACKED}") or changed
    for name in {PAGE_JSON, PAGE_HTML} - set(names):
        for end in (PACKED, ""):
            changed = store.discard(f"simple/{name}{end}") or changed
    with state.transaction():
        state.put("root", STALE if without else CURRENT)  # until the state has forgotten them, too
        state.put("root names", str(names))
        state.put("root states", str(serial))
    return changed and not same


def _serial(state: State, without: Set[str]) -> int | None:
    """The serial that the mirror stands for when these projects are gone."""
    if not without or state.root_serial() is not None:
        return state.serial()
    kept = (serial for key, _, serial in state.roots() if key not in without and serial is not None)
    return max(kept, default=None)


def pack(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Gzip, in the same bytes whenever it is made: without a time or a name.

    Level 4: the two forms for 700,000 projects, 69 MB, take 1.3 s and become 13.5 MB. Level 1 takes 0.7 s for
    15.5 MB, level 6 2.0 s for 13.3 MB, level 9 13 s for 13.0 MB.
    """
    packer = zlib.compressobj(4, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def write_diff(config: Config, paths: Sequence[str], when: int) -> None:
    """Write the names of what a run brought in, a line each, to `diff-file`."""
    target = str(config.diff_file) + (f"-{when}" if config.diff_append_epoch else "")
    try:
        with open(target, "w", encoding="utf-8") as file:
            file.writelines(f"{path}\n" for path in paths)
    except OSError as error:
        raise StorageError(
            f"[mirror] diff-file = {target} cannot be written ({error.strerror}): give it a directory that "
            "is there and that this user may write to. All else of the run is in place"
        ) from error


def write_last_modified(store: Store, when: int) -> None:
    """PEP 381: "/last-modified … a text file containing the timestamp of the last synchronisation"."""
    line = time.strftime("%Y%m%dT%H:%M:%S\n", time.gmtime(when)).encode()
    store.replace(store.stage_chunks("last-modified", [line]), "last-modified")
