"""Rebuild the state from the served pages, and clear away what no page links.

Used where the state is missing: deleted on purpose, lost, or never there because another program made the
mirror.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Iterator

from .errors import ContentError
from .index import blobs
from .names import is_project_name, normalize
from .state import Project, Row, State
from .store import Store
from .worker import read_page

_BATCH = 500


def adopt(store: Store, state: State, note: Callable[[str], None], check: Callable[[], None]) -> None:
    """Enter every project and file that served pages name, unverified: the run then checks each of them.

    `note` takes what the operator should know; `check` may raise, to end it early.
    """
    with state.transaction():
        state.forget_all()
        projects: list[Project] = []
        files: list[tuple[str, Row]] = []
        for directory, found in store.page_directories():
            check()
            name = normalize(found)
            if not is_project_name(name):
                continue
            try:
                page = read_page(directory, name)
            except (OSError, ContentError) as error:
                note(f"{directory}: not a page that can be taken over, it is made anew: {error}")
                page = None
            projects.append(Project(name, name, None, None, None, 0, ""))
            # A page may link to files of another site, if release-files was off.
            files += [
                (name, Row(blob.path, blob.digest, -1, False))
                for blob in (blobs(page, metadata=True) if page else ())
                if store.size_of(blob.path) >= 0
            ]
            if len(projects) >= _BATCH:
                state.put_projects(projects)
                state.put_files(files)
                projects, files = [], []
        state.put_projects(projects)
        state.put_files(files)
        state.put_files(_old_layout(store, state, check))
        state.put("adopted", "yes")
        state.put("settled", None)
        state.put("root", "stale")
        state.put("sweep", None if store.is_empty() else "due")


def _old_layout(store: Store, state: State, check: Callable[[], None]) -> Iterator[tuple[str, Row]]:
    """Files at the paths of former times, which pages may name with weak hashes only: found by directory."""
    for project, path in store.old_layout():
        check()
        name = normalize(project)
        if store.size_of(path) >= 0 and state.has_project(name) and not state.has_file(path):
            yield name, Row(path, "", -1, False)


def clear_begun(store: Store, state: State, failing: Collection[str]) -> int:
    """Remove what a killed run had put in place and nobody wants by now; the number of files.

    Only after a run that got through: then the state knows what is still wanted, but for the projects that
    are `failing`; what was brought for those stays for the next run.
    """
    count = 0
    begun = [path for path, project in state.begun() if project not in failing]
    for path in begun:
        above, _, name = path.rpartition("/")
        if above == "simple":
            if not state.has_project(name):
                store.remove_page(name)
        elif not state.has_file(path) and store.size_of(path) >= 0:
            store.remove_file(path)
            count += 1
    if begun:
        with state.transaction():
            state.ended(begun)
    return count


def sweep(store: Store, state: State, check: Callable[[], None]) -> int:
    """Remove files and page directories that belong to no project; the number of files.

    Only where the state knows every page that is served (`State.all_read`). `check` may raise, to end it
    early.
    """
    count = 0
    with state.reading():
        waiting = dict(state.begun())  # complete files of projects that are not
        for directory, found in store.page_directories():
            check()
            known = state.has_project(found)
            # Where hash-index was switched, a page waits at its old place for its project's next good read.
            if not (known and (directory == store.page(found) or not os.path.lexists(store.page(found)))):
                store.remove_stray(directory)
        files = store.files()
        while some := list(itertools.islice(files, _BATCH)):
            check()
            owned = state.owners(some)
            for path in some:
                if path not in owned and path not in waiting:
                    store.remove_file(path)
                    count += 1
    return count
