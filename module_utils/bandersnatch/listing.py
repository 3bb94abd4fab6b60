"""Bring what upstream lists into the state: from the root index, or from the allowlist."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from . import index
from .config import Config
from .errors import ContentError, FetchError, UnreachableError
from .model import Listed
from .net import Client
from .root import RootReader
from .state import State

ROOT_LIMIT = 1 << 30  # bytes of the root index, decoded: 700,000 projects have some 40 MB
_ATTEMPTS = 3  # a body that breaks off is asked for again


def refresh(config: Config, state: State, client: Client, check: Callable[[], None]) -> bool:
    """Bring the state's list up to date; true where it may have changed.

    What could not be taken from the root index stays in the state as "root problems". `check` may raise, to
    end it early.

    Raises UnreachableError where the root index cannot be had.
    """
    fingerprint = f"{config.filters.fingerprint} {config.origin}"
    if config.filters.names is not None:
        names = sorted(filter(config.filters.allow_project, config.filters.names))
        return _from_allowlist(names, state, fingerprint)
    known = state.get("listed for") == fingerprint
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            etag = state.get("root etag") if known else None
            return _from_root(config, state, client, fingerprint, etag, check)
        except (ContentError, FetchError) as error:
            check()
            if attempt == _ATTEMPTS or isinstance(error, FetchError):  # the client has asked again already
                raise UnreachableError(
                    f"the root index of upstream cannot be read: {error}. Nothing was changed; check `master`"
                ) from error
    raise AssertionError


def _from_allowlist(names: Sequence[str], state: State, fingerprint: str) -> bool:
    if state.get("listed for") == fingerprint:
        return False
    with state.transaction():
        state.replace_listed([Listed(name, name, None) for name in names], lambda _: True)
        state.put("listed for", fingerprint)
        state.put("settled", None)
        state.put("root etag", None)
        state.put("root serial", None)
        state.put("root problems", None)
    return True


def _from_root(
    config: Config,
    state: State,
    client: Client,
    fingerprint: str,
    etag: str | None,
    check: Callable[[], None],
) -> bool:
    with client.stream(config.master, accept=index.ACCEPT_ROOT, etag=etag, limit=ROOT_LIMIT) as (
        reply,
        chunks,
    ):
        if reply.status == 304:
            if reply.serial is not None:  # in HTML only the header says it, so that it changes alone
                with state.transaction():
                    state.put("root serial", str(reply.serial))
            return False
        if reply.status != 200:
            raise FetchError(f"{reply.url} answers {reply.status}", reply.status, permanent=True)
        reader = RootReader(reply.content_type, reply.url)

        def lines() -> Iterator[Listed]:
            try:
                for chunk in chunks:
                    check()
                    yield from reader.feed(chunk)
            except FetchError as error:  # the client repeats a request, not a body that breaks off
                raise ContentError(str(error)) from error
            yield from reader.close()

        with state.transaction():
            judged = state.get("listed for") == fingerprint
            state.replace_listed(lines(), config.filters.allow_project, judged)
            state.put("listed for", fingerprint)
            state.put("settled", None)
            state.put("root etag", reply.etag)
            serial = reader.serial if reader.serial is not None else reply.serial
            state.put("root serial", None if serial is None else str(serial))
            state.put("root problems", "; ".join(reader.problems))
    return True
