"""Rebuild the state from the served pages, and clear away what no page links.

Used where the state is missing: deleted on purpose, lost, or never there because another program made the
mirror.
"""

from __future__ import annotations

from collections.abc import Callable

from .errors import ContentError
from .names import is_project_name, normalize
from .state import Project, Row, State
from .store import Store
from .worker import read_page

_BATCH = 500


def adopt(store: Store, state: State, note: Callable[[str], None]) -> None:
    """Enter every project and file that served pages name, unverified: the run then checks each of them."""
    with state.transaction():
        state.forget_all()
        projects: list[Project] = []
        files: list[tuple[str, Row]] = []
        for directory, found in store.page_directories():
            name = normalize(found)
            if not is_project_name(name):
                continue
            try:
                page = read_page(directory, name)
            except (OSError, ContentError) as error:
                note(f"{directory}: not a page that can be taken over, it is made anew: {error}")
                page = None
            projects.append(Project(name, name, None, None, None, 0, ""))
            for file in page.files if page else ():
                files.append((name, Row(file.path, file.digest, -1, False)))
                if file.core_metadata:
                    files.append((name, Row(f"{file.path}.metadata", "", -1, False)))
            if len(projects) >= _BATCH:
                state.put_projects(projects)
                state.put_files(files)
                projects, files = [], []
        state.put_projects(projects)
        state.put_files(files)
        state.put("adopted", "yes")
        state.put("root", "stale")
        state.put("sweep", "due")


def sweep(store: Store, state: State) -> int:
    """Remove files and page directories that belong to no project; the number of files.

    Only after a run without failures: then the state knows every page that is served.
    """
    count = 0
    for directory, found in list(store.page_directories()):
        if directory != store.page(found) or not state.has_project(found):
            store.remove_stray(directory)
    for path in list(store.files()):
        if not state.has_file(path):
            store.remove_file(path)
            count += 1
    return count
