"""Upstream's list in the state: whole or not at all, and asked for again only where it may differ."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bandersnatch import listing
from bandersnatch.config import Config
from bandersnatch.errors import FetchError, StoppedError, UnreachableError
from bandersnatch.filters import Filters
from bandersnatch.net import Reply
from bandersnatch.state import State

MASTER = "https://index.example.org/simple/"
TERMS: dict[str, object] = {"all": True, "fingerprint": "", "now": 0, "horizon": 1}
JSON = "application/vnd.pypi.simple.v1+json"


def root(*names: str, serial: int | None = 9) -> bytes:
    meta = {"api-version": "1.4"} | ({} if serial is None else {"_last-serial": serial})
    return json.dumps(
        {"meta": meta, "projects": [{"name": name, "_last-serial": 5} for name in names]}
    ).encode()


class Upstream:
    """Answers in turn; each is a body, a status or an error. Keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.etags: list[str | None] = []

    @contextlib.contextmanager
    def stream(self, url: str, *, accept: str, etag: str | None, limit: int) -> Iterator[Any]:
        self.etags.append(etag)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status = answer if isinstance(answer, int) else 200
        body = answer if isinstance(answer, bytes) else b""
        chunks = iter([body[:20], body[20:]])
        yield Reply(status, b"", JSON, '"tag"', 11, url), chunks


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(str(tmp_path / "state"))
    yield opened
    opened.close()


def config(filters: Filters = Filters(), master: str = MASTER) -> Config:  # noqa: B008 (a named tuple)
    return Config(directory=Path("/nowhere"), master=master, filters=filters)


def refresh(state: State, upstream: Upstream, settings: Config | None = None) -> bool:
    return listing.refresh(settings or config(), state, upstream, lambda: None)  # type: ignore[arg-type]


def wanted(state: State) -> list[str]:
    return [one.name for one in state.due(TERMS, "", 100)]


def test_the_root_index_becomes_the_list(state: State) -> None:
    assert refresh(state, Upstream(root("Six", "seven")))
    assert wanted(state) == ["seven", "six"]
    assert state.due(TERMS, "", 1)[0].listed_serial == 5
    assert state.get("root serial") == "9"


def test_the_serial_of_the_header_serves_where_the_body_has_none(state: State) -> None:
    refresh(state, Upstream(root("six", serial=None)))
    assert state.get("root serial") == "11"


def test_an_unchanged_root_index_is_no_news(state: State) -> None:
    upstream = Upstream(root("six"), 304)
    assert refresh(state, upstream)
    state.put("settled", "yes")
    assert not refresh(state, upstream)
    assert upstream.etags == [None, '"tag"']
    assert state.get("settled") == "yes"


def test_a_new_root_index_unsettles(state: State) -> None:
    upstream = Upstream(root("six"), root("seven"))
    refresh(state, upstream)
    state.put("settled", "yes")
    assert refresh(state, upstream)
    assert state.get("settled") is None
    assert wanted(state) == ["seven"]


@pytest.mark.parametrize(
    "other",
    [
        config(Filters(blocked=frozenset({"six"}))),
        config(master="https://other.example.org/simple/"),
    ],
    ids=["filters", "upstream"],
)
def test_other_filters_or_another_upstream_ask_without_a_condition(state: State, other: Config) -> None:
    refresh(state, Upstream(root("six")))
    upstream = Upstream(root("six"))
    assert refresh(state, upstream, other)
    assert upstream.etags == [None]


def test_blocked_projects_are_listed_and_not_wanted(state: State) -> None:
    refresh(state, Upstream(root("six", "seven")), config(Filters(blocked=frozenset({"six"}))))
    assert wanted(state) == ["seven"]


def test_an_exact_list_needs_no_root_index(state: State) -> None:
    names = frozenset({"six", "seven", "eight"})
    settings = config(Filters(names=names, blocked=frozenset({"eight"})))
    assert refresh(state, Upstream(), settings)
    assert wanted(state) == ["seven", "six"]
    assert not refresh(state, Upstream(), settings)
    assert not state.serials_known()


def test_from_an_exact_list_to_the_root_index_and_back(state: State) -> None:
    exact = config(Filters(names=frozenset({"six"})))
    refresh(state, Upstream(), exact)
    refresh(state, Upstream(root("six", "seven")))
    assert wanted(state) == ["seven", "six"]
    assert refresh(state, Upstream(), exact)
    assert wanted(state) == ["six"]
    upstream = Upstream(root("six", "seven"))
    refresh(state, upstream)
    assert upstream.etags == [None]


def test_a_root_index_that_is_cut_short_changes_nothing_and_is_asked_for_again(state: State) -> None:
    refresh(state, Upstream(root("six")))
    whole = root("six", "seven", "eight")
    assert refresh(state, Upstream(whole[:-10], whole[:-30], whole))
    assert wanted(state) == ["eight", "seven", "six"]
    with pytest.raises(UnreachableError, match="Nothing was changed"):
        refresh(state, Upstream(*[root("nine")[:-5]] * 3))
    assert wanted(state) == ["eight", "seven", "six"]


def test_an_upstream_that_does_not_answer_is_unreachable(state: State) -> None:
    with pytest.raises(UnreachableError, match="no route"):
        refresh(state, Upstream(FetchError("no route")))


@pytest.mark.parametrize("status", [404, 410])
def test_an_upstream_without_a_root_index_is_unreachable(state: State, status: int) -> None:
    with pytest.raises(UnreachableError, match=str(status)):
        refresh(state, Upstream(status))


def test_names_that_cannot_be_are_told_in_this_run_and_the_next(state: State) -> None:
    upstream = Upstream(root("six", "../up"), 304, root("six"))
    for _ in range(2):
        refresh(state, upstream)
        assert "../up" in (state.get("root problems") or "")
    refresh(state, upstream)
    assert not state.get("root problems")


def test_a_stop_is_heeded_between_chunks_and_after_errors(state: State) -> None:
    def stop() -> None:
        raise StoppedError("stopped")

    for answer in (root("six"), FetchError("no route")):
        with pytest.raises(StoppedError):
            listing.refresh(config(), state, Upstream(answer), stop)  # type: ignore[arg-type]
    assert wanted(state) == []


def test_a_password_is_not_kept(state: State) -> None:
    exact = config(Filters(names=frozenset({"six"})), "https://user:opensesame@index.example.org/simple/")
    refresh(state, Upstream(), exact)
    assert "opensesame" not in (state.get("listed for") or "")
