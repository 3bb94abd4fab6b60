"""Every touch of the mirror tree: safe places, atomic changes.

Whatever enters `web/` is made complete elsewhere on the same file system and renamed. Symbolic links in the
tree are never followed: a directory that turns out to be one is an error.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import syscalls
from .errors import StorageError
from .files import as_storage_error, directories, is_same, opener, read_chunks, read_file, write

PAGE_JSON = "index.v1_json"
PAGE_HTML = "index.html"
PACKED = ".gz"  # what the root index is called compressed, after its name
_HASHED = re.compile(r"[0-9a-f]{2}")  # packages/aa/bb/<60 hex>/
_WORTH_KEEPING = 8 << 20  # bytes of a part: a link that is slow or breaks often must not begin anew each time
_SHARED_DEPTH = 3  # packages/aa/bb is shared by many files, so worth remembering; deeper ones are not


class Store:
    """The mirror directory of one run. Every method raises StorageError where the volume says no."""

    def __init__(self, directory: Path, hash_index: bool = False) -> None:
        self.directory = str(directory)
        self.web = f"{directory}/web"
        self.simple = f"{directory}/web/simple"
        self.packages = f"{directory}/web/packages"
        self.staged = f"{directory}/tmp/pages"
        self.parts = f"{directory}/tmp/files"
        # No project's name begins with a dot, and one of 255 bytes leaves no room for a suffix.
        self._interim = f"{self.staged}/.interim"
        self._json = f"{self.staged}/.json"
        self._removed = f"{self.staged}/.removed"
        self._hash_index = hash_index
        self._known: set[str] = set()

    # The frame

    def create(self) -> None:
        """Make the mirror directory itself. Its parent must exist: a typo shall not make a tree."""
        with as_storage_error(self.directory), contextlib.suppress(FileExistsError):
            os.mkdir(self.directory, 0o755)
        if os.path.lexists(self.directory) and not os.path.isdir(self.directory):
            raise StorageError(
                f"{self.directory} is not a directory (a file, or a link that leads nowhere): "
                "move it away, or mend `directory` in the config file"
            )

    def prepare(self) -> None:
        """Make the directories that are missing, and drop pages that a killed run had staged."""
        with as_storage_error(self.directory):
            for path in (self.web, self.simple, self.packages, f"{self.directory}/tmp", self.parts):
                self._make(path)
            if os.path.lexists(self.staged):
                _delete(self.staged)
            for path in (self.staged, self._interim, self._json):
                os.mkdir(path, 0o755)

    def finish(self, failed: bool) -> None:
        """Leave no temporary files behind; of a run that failed only the long parts of files."""
        with as_storage_error(self.directory):
            if failed and os.path.isdir(self.parts):
                _delete(self.staged)
                for name in os.listdir(self.parts):
                    path = f"{self.parts}/{name}"
                    if os.lstat(path).st_size < _WORTH_KEEPING:
                        _delete(path)
                if os.listdir(self.parts):
                    return
            _delete(f"{self.directory}/tmp")

    def free(self) -> int:
        """Bytes that an unprivileged user may still write on the volume."""
        with as_storage_error(self.directory):
            numbers = os.statvfs(self.directory)
            return numbers.f_bavail * numbers.f_frsize

    def total(self) -> int:
        """Bytes of the whole volume."""
        with as_storage_error(self.directory):
            numbers = os.statvfs(self.directory)
            return numbers.f_blocks * numbers.f_frsize

    def flush(self) -> None:
        """Bring every file that was written to the device: before a page may link it."""
        with as_storage_error(self.directory):
            syscalls.syncfs(self.directory)

    def is_empty(self) -> bool:
        """Whether no page and no file is there, nor what may hold one."""
        with as_storage_error(self.web):
            return not any(os.path.isdir(path) and os.listdir(path) for path in (self.simple, self.packages))

    def has_pages(self) -> bool:
        """Whether there is a page, or what may hold one. Quick, whatever the mirror's size."""
        with as_storage_error(self.simple):
            try:
                with os.scandir(self.simple) as entries:
                    return any(entry.is_dir(follow_symlinks=False) for entry in entries)
            except FileNotFoundError:  # before a dry run
                return False

    # Files

    def part(self, digest: str, path: str) -> str:
        """Where a file is gathered: always the same place, so that a later run finds and completes it."""
        key = hashlib.blake2b(f"{digest} {path}".encode(), digest_size=20).hexdigest()
        return f"{self.parts}/{key}.part"

    def size_of(self, path: str) -> int:
        """Bytes of the regular file `path` (under web/), or -1 where there is none."""
        try:
            found = os.lstat(f"{self.web}/{path}")
        except OSError:
            return -1
        return found.st_size if stat.S_ISREG(found.st_mode) else -1

    def place(self, part: str, path: str) -> None:
        """Move a complete file to its place under web/."""
        target = f"{self.web}/{path}"
        with as_storage_error(target):
            self._make_parents(path)
            self._over(part, target)

    def link(self, path: str, new: str) -> None:
        """Give a file under web/ a second path, under which it stays when the first one goes."""
        target = f"{self.web}/{new}"
        with as_storage_error(target), contextlib.suppress(FileExistsError):
            self._make_parents(new)
            os.link(f"{self.web}/{path}", target, follow_symlinks=False)

    def remove_file(self, path: str) -> None:
        """Unlink a file under web/, and the directories that it leaves empty."""
        with as_storage_error(path):
            try:
                os.unlink(f"{self.web}/{path}")
            except (FileNotFoundError, NotADirectoryError):
                return
            except IsADirectoryError:
                self._take_away(f"{self.web}/{path}")
            parent = os.path.dirname(path)
            while parent.count("/") >= 1:
                try:
                    os.rmdir(f"{self.web}/{parent}")
                except OSError:
                    break
                self._known.discard(f"{self.web}/{parent}")
                parent = os.path.dirname(parent)

    def files(self) -> Iterator[str]:
        """Every path below web/packages that is not a directory, relative to web/."""
        waiting = [os.path.basename(self.packages)]
        while waiting:
            below = waiting.pop()
            with contextlib.suppress(OSError), os.scandir(f"{self.web}/{below}") as entries:
                for entry in entries:
                    if not entry.is_dir():
                        yield f"{below}/{entry.name}"
                    elif not entry.is_symlink():
                        waiting.append(f"{below}/{entry.name}")

    def old_layout(self) -> Iterator[tuple[str, str]]:
        """(project, path) of the files in packages/<Python version>/<letter>/<project>/."""
        with as_storage_error(self.packages):
            for python in directories(self.packages):
                if _HASHED.fullmatch(os.path.basename(python)):
                    continue
                for letter in directories(python):
                    for project in directories(letter):
                        below = os.path.relpath(project, self.web)
                        yield from (
                            (os.path.basename(project), f"{below}/{name}") for name in os.listdir(project)
                        )

    # Pages

    def page(self, name: str) -> str:
        """The directory of a project's page."""
        return f"{self.simple}/{name[0]}/{name}" if self._hash_index else f"{self.simple}/{name}"

    def stage(self, name: str, pages: dict[str, bytes], interim: bool = False) -> None:
        """Write a project's page where no one reads it yet. `pages`: file name -> content."""
        where = self._aside(name, interim)
        with as_storage_error(where):
            try:
                os.mkdir(where, 0o755)
            except FileExistsError:
                _delete(where)
                os.mkdir(where, 0o755)
            for file_name, content in pages.items():
                write(f"{where}/{file_name}", content)

    def is_served(self, name: str, pages: dict[str, bytes]) -> bool:
        """Whether a project's page directory holds exactly these files."""
        where = self.page(name)
        try:
            return (
                not os.path.islink(where)
                and sorted(os.listdir(where)) == sorted(pages)
                and all(read_file(f"{where}/{file_name}") == content for file_name, content in pages.items())
            )
        except OSError:
            return False

    def publish(self, name: str, interim: bool = False) -> None:
        """Put the staged page of a project in the place of the one that is served, all of it at once."""
        staged, target = self._aside(name, interim), self.page(name)
        with as_storage_error(target):
            if self._hash_index:
                self._make(os.path.dirname(target))
            elif len(name) == 1 and _pages_in(target):  # of hash-index, which was on before
                _replace_files(staged, target)
                return
            try:
                syscalls.exchange(staged, target)
            except FileNotFoundError:
                os.rename(staged, target)
                return
            except OSError as error:
                if error.errno not in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
                    raise
                _replace_files(staged, target)  # a file system without RENAME_EXCHANGE: file after file
                return
            _delete(staged)

    def _aside(self, name: str, interim: bool) -> str:
        return f"{self._interim if interim else self.staged}/{name}"

    def remove_page(self, name: str) -> None:
        """Take a project's page away in one step, with the directory and what older clients left there."""
        self.remove_stray(self.page(name))
        self.remove_json(name)

    def leave_other_layout(self, name: str) -> None:
        """Take a project's page away from where the other setting of hash-index has it."""
        self.remove_stray(self._other_page(name))

    def _other_page(self, name: str) -> str:
        return f"{self.simple}/{name}" if self._hash_index else f"{self.simple}/{name[0]}/{name}"

    def found_page(self, name: str) -> str | None:
        """The directory where a project's page is now, in either layout of hash-index."""
        places = (self.page(name), self._other_page(name))
        return next((place for place in places if not os.path.islink(place) and _has_page(place)), None)

    def page_directories(self) -> Iterator[tuple[str, str]]:
        """(directory, its name) for each project page on disk, in either layout of hash-index."""
        if not os.path.isdir(self.simple):
            return
        with as_storage_error(self.simple), os.scandir(self.simple) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    continue
                if len(entry.name) == 1:  # it may hold pages, be one, or after a change of hash-index both
                    yield from _pages_in(entry.path)
                if len(entry.name) > 1 or _has_page(entry.path):
                    yield entry.path, entry.name

    def remove_stray(self, directory: str) -> None:
        """Take away a page directory, in one step unless it holds those of other projects, too."""
        above, name = os.path.split(directory)
        if len(name) == 1 and above == self.simple and _pages_in(directory):
            for page in (PAGE_JSON, PAGE_HTML):
                self.discard(os.path.relpath(f"{directory}/{page}", self.web))
        elif self._take_away(directory) and above != self.simple:
            with contextlib.suppress(OSError):  # others are there still
                os.rmdir(above)

    def _take_away(self, directory: str) -> bool:
        with as_storage_error(directory):
            try:
                os.rename(directory, self._removed)
            except (FileNotFoundError, NotADirectoryError):
                return False
            _delete(self._removed)
            return True

    def _over(self, staged: str, target: str) -> None:
        """Rename over whatever lies there. A directory at the place of a file is nobody's."""
        try:
            os.rename(staged, target)
        except IsADirectoryError:
            self._take_away(target)
            os.rename(staged, target)

    # Single files of web/

    def place_json(self, name: str) -> None:
        """Move a staged release JSON (`json = true`) to web/pypi/<name>/json."""
        target = f"{self.web}/pypi/{name}/json"
        with as_storage_error(target):
            self._make(f"{self.web}/pypi")
            self._make(os.path.dirname(target))
            self._over(f"{self._json}/{name}", target)

    def stage_json(self, name: str, content: bytes) -> bool:
        """Write a project's release JSON where no one reads it yet; false where it is served already."""
        with contextlib.suppress(OSError):
            if read_file(f"{self.web}/pypi/{name}/json") == content:
                return False
        with as_storage_error(name):
            write(f"{self._json}/{name}", content)
        return True

    def remove_json(self, name: str) -> bool:
        """Take a project's release JSON away. True where there was one."""
        if not self._take_away(f"{self.web}/pypi/{name}"):
            return False
        with contextlib.suppress(OSError):  # others are there still
            os.rmdir(f"{self.web}/pypi")
        return True

    def stage_chunks(self, name: str, chunks: Iterable[bytes]) -> str:
        """Write a long file (the root index) where no one reads it yet; gives its path."""
        where = f"{self.staged}/{name}"
        with as_storage_error(where), open(where, "wb", opener=opener) as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return where

    def chunks(self, staged: str) -> Iterator[bytes]:
        """A long staged file again."""
        with as_storage_error(staged):
            yield from read_chunks(staged)

    def replace(self, staged: str, path: str) -> bool:
        """Move a staged file over `path` (under web/) if it differs. True where it did."""
        target = f"{self.web}/{path}"
        with as_storage_error(target):
            if is_same(staged, target):
                os.unlink(staged)
                return False
            self._over(staged, target)
            return True

    def discard(self, path: str) -> bool:
        """Unlink a file under web/ if it is there. True where it was."""
        with as_storage_error(path):
            try:
                os.unlink(f"{self.web}/{path}")
            except FileNotFoundError:
                return False
        return True

    # Directories

    def _make_parents(self, path: str) -> None:
        parts = path.split("/")[:-1]
        where = self.web
        for depth, part in enumerate(parts, 1):
            where = f"{where}/{part}"
            if where not in self._known:
                self._make(where, remember=depth <= _SHARED_DEPTH)

    def _make(self, path: str, remember: bool = True) -> None:
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise StorageError(
                    f"{path} is not a directory of the mirror (a symbolic link or a file): move it away"
                ) from None
        if remember:
            self._known.add(path)


def page_forms(simple_format: str) -> list[str]:
    """The files of a page, and of the root index, by the setting: JSON, HTML or both."""
    names = [PAGE_JSON] if simple_format != "HTML" else []
    return [*names, PAGE_HTML] if simple_format != "JSON" else names


def _delete(path: str) -> None:
    """Remove a directory of the engine's own. The usual two pages go without a walk."""
    if os.path.islink(path):  # what was taken away from web/ may be one
        os.unlink(path)
        return
    for name in (PAGE_JSON, PAGE_HTML):
        with contextlib.suppress(OSError):
            os.unlink(f"{path}/{name}")
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(path)
    except OSError:
        shutil.rmtree(path)


def _replace_files(staged: str, target: str) -> None:
    names = os.listdir(staged)
    for name in names:
        os.rename(f"{staged}/{name}", f"{target}/{name}")
    for name in {PAGE_JSON, PAGE_HTML}.difference(names):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{target}/{name}")
    os.rmdir(staged)


def _pages_in(letter: str) -> list[tuple[str, str]]:
    """(directory, its name) of the pages in a directory of hash-index: their names begin with its letter.

    What else there is belongs to a page with that name: bandersnatch had a directory `versions` there.
    """
    initial = os.path.basename(letter).lower()
    found = ((path, os.path.basename(path)) for path in directories(letter))
    return [(path, name) for path, name in found if name[0].lower() == initial]


def _has_page(directory: str) -> bool:
    return any(os.path.lexists(f"{directory}/{name}") for name in (PAGE_JSON, PAGE_HTML))
