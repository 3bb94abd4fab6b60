"""stats_store.py: counts and positions, together or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from bandersnatch.accesslog import Tally
from bandersnatch.logsource import Found, Stream, digest
from bandersnatch.stats_store import Day, StatsStore

DAY = date(2026, 11, 23)
NUMBER = DAY.toordinal()
SIX = b"GET /packages/aa/bb/cc/six-1.0.tar.gz HTTP/1.1"
IDNA = b"GET /packages/aa/bb/cc/idna-3.7-py3-none-any.whl HTTP/1.1"
PIP = b"pip/24.0 CPython/3.11.2 Linux/6.1"
FOUND = Found("/logs/access.log", "1:2", 100, 5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StatsStore]:
    one = StatsStore(f"{tmp_path}/stats.sqlite")
    yield one
    one.close()


def add(
    store: StatsStore,
    *pairs: tuple[bytes, bytes],
    day: int = NUMBER,
    parts: tuple[tuple[bytes, bytes, bytes], ...] = (),
    stream: Stream | None = None,
    position: int = 10,
) -> tuple[Stream, int]:
    tally = Tally(store.words)
    if pairs:
        tally.whole[day] = Counter(store.words.pair(*pair) for pair in pairs)
    if parts:
        tally.parts[day] = {(address, store.words.pair(*pair)) for address, *pair in parts}
    return store.add(tally, FOUND, stream, position, b"head", done=True)


def counts(store: StatsStore) -> dict[str, int]:
    return {
        f"{release.filename} {text}": count
        for release, agents in store.fetched(DAY)
        for text, _, count in agents
    }


def test_counts_add_up_over_pieces(store: StatsStore) -> None:
    stream, added = add(store, (SIX, PIP), (SIX, PIP), (IDNA, b"curl/8"))
    assert added == 3
    stream, added = add(store, (SIX, PIP), (SIX.replace(b"/1.1", b"/2.0"), PIP), stream=stream, position=20)
    assert (added, stream.offset) == (2, 20)
    assert counts(store) == {f"six-1.0.tar.gz {PIP.decode()}": 4, "idna-3.7-py3-none-any.whl curl/8": 1}
    assert store.days() == [Day(DAY, 5, stale=True, ours=False)]
    assert store.sums("project", DAY, DAY, 9) == [("six", 4), ("idna", 1)]
    assert store.sums("python", DAY, DAY, 9) == [("3.11", 4), ("unknown", 1)]
    assert store.sums("installer", DAY, DAY, 1) == [("pip", 4)]
    assert store.sums("system", DAY + timedelta(1), DAY + timedelta(9), 9) == []


def test_what_names_no_project_is_not_counted(store: StatsStore) -> None:
    _, added = add(
        store, (b"GET /packages/aa/bb/cc/six-1.0.tar.gz.asc HTTP/1.1", PIP), (b"GET /packages/ x", PIP)
    )
    assert added == 0
    assert store.days() == []


def test_a_client_that_fetches_in_parts_counts_once_a_day(store: StatsStore) -> None:
    one, two = (b"192.0.2.1", SIX, PIP), (b"192.0.2.2", SIX, PIP)
    assert add(store, parts=(one, two))[1] == 2
    assert add(store, parts=(one,))[1] == 0
    assert add(store, parts=((b"192.0.2.1", IDNA, PIP),))[1] == 1
    assert add(store, parts=(one,), day=NUMBER + 1)[1] == 1


def test_no_address_reaches_the_disk_and_digests_go_after_a_month(store: StatsStore, tmp_path: Path) -> None:
    add(store, parts=((b"192.0.2.123", SIX, PIP),))
    assert b"192.0.2.123" not in (tmp_path / "stats.sqlite").read_bytes()
    store.forget_parts(DAY + timedelta(30))
    assert add(store, parts=((b"192.0.2.123", SIX, PIP),))[1] == 0
    store.forget_parts(DAY + timedelta(31))
    assert add(store, parts=((b"192.0.2.123", SIX, PIP),))[1] == 1


def test_folded_agents_are_not_kept_raw(tmp_path: Path) -> None:
    store = StatsStore(f"{tmp_path}/stats.sqlite", fold_agents=True)
    add(store, (SIX, PIP), (SIX, b"pip/23.1 CPython/3.9.1 Linux/5.10"))
    assert [text for _, agents in store.fetched(DAY) for text, _, _ in agents] == ["pip", "pip"]
    assert store.sums("python", DAY, DAY, 9) == [("3.11", 1), ("3.9", 1)]
    store.close()
    assert b"pip/" not in (tmp_path / "stats.sqlite").read_bytes()


def test_files_are_remembered_by_device_and_inode_and_logs_by_their_head(store: StatsStore) -> None:
    assert not store.is_unchanged(FOUND)
    assert store.stream_of("1:2") is None
    stream, _ = add(store, (SIX, PIP))
    assert stream == (1, 10, 4, digest(b"head"), "/logs/access.log")
    assert store.is_unchanged(FOUND)
    assert not store.is_unchanged(FOUND._replace(size=101))
    assert not store.is_unchanged(FOUND._replace(mtime_ns=6))
    assert store.stream_of("1:2") == stream
    assert store.streams_like(b"head and more") == [stream]
    assert store.streams_like(b"hea") == []
    assert store.streams_like(b"HEAD and more") == []
    longer, _ = store.add(Tally(store.words), FOUND, None, 13, b"head and more", done=False)
    assert store.streams_like(b"head and more, and more") == [longer, stream]
    assert not store.is_unchanged(FOUND), "it was not read to its end"


def test_a_new_count_makes_a_written_day_stale(store: StatsStore) -> None:
    add(store, (SIX, PIP))
    store.mark(DAY, stale=False, ours=True)
    assert store.days() == [Day(DAY, 1, stale=False, ours=True)]
    add(store, (SIX, PIP))
    assert store.days() == [Day(DAY, 2, stale=True, ours=True)]


def test_a_piece_that_fails_leaves_nothing(store: StatsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store, "_add_day", fail)
        with pytest.raises(KeyboardInterrupt):
            add(store, (SIX, PIP))
    assert (store.days(), store.stream_of("1:2")) == ([], None)
    add(store, (SIX, PIP))
    assert counts(store) == {f"six-1.0.tar.gz {PIP.decode()}": 1}


@pytest.mark.parametrize("exists", [True, False])
def test_a_dry_run_leaves_no_trace(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "stats.sqlite"
    if exists:
        first = StatsStore(str(path))
        add(first, (SIX, PIP))
        first.close()
    before = [(entry.name, entry.read_bytes()) for entry in sorted(tmp_path.iterdir())]
    dry = StatsStore(str(path), dry=True)
    add(dry, (SIX, PIP))
    assert sum(counts(dry).values()) == 1 + exists
    dry.close()
    assert [(entry.name, entry.read_bytes()) for entry in sorted(tmp_path.iterdir())] == before


def test_caches_that_are_full_are_emptied_and_counts_stay_right(
    store: StatsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bandersnatch.stats_store._MOST_WORDS", 1)
    for _ in range(2):
        add(store, (SIX, PIP), (IDNA, b"curl/8"), (SIX, b"curl/8"), (IDNA, PIP))
    assert sorted(counts(store).values()) == [2, 2, 2, 2]
