"""The config file, read and checked. `config_keys.py` says what can stand in it."""

from __future__ import annotations

import configparser
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .config_keys import KEYS, SECTIONS, Key
from .config_values import LINES, Size
from .errors import ConfigError
from .filter_config import REFUSED, RENAMED, read_filters
from .filters import Filters
from .summary import one_line
from .urls import parse, shown

Warn = Callable[[str], None]

_KEYS = {(key.section, key.field): key for key in KEYS}


class Config(NamedTuple):
    """What the config file says, checked; the defaults are those of `config_keys.py`."""

    directory: Path  # absolute; need not exist
    master: str  # base URL of the upstream's project pages, with a slash at its end; may hold a password
    workers: int = 3  # connections at the same time
    timeout: float = 10.0  # seconds that upstream may be silent
    global_timeout: float = 1800.0  # seconds that one transfer may last
    hash_index: bool = False
    stop_on_error: bool = False
    delete_packages: bool = True
    json: bool = False
    release_files: bool = True
    core_metadata: bool = True
    allow_non_https: bool = False
    root_uri: str | None = None  # base URL with a slash at its end; None: relative links
    proxy: str | None = None  # http:// URL; may hold a password
    min_free: int = 0  # bytes; see floor()
    min_free_percent: float = 0.0  # of the volume; see floor()
    max_removals: int = 50
    max_removals_percent: float = 1.0
    recheck_days: float = 7.0
    contact: str = ""  # printable ASCII
    compare_method: str = "hash"  # or "stat"
    simple_format: str = "ALL"  # or "HTML", "JSON"
    download_mirror: str | None = None  # base URL with a slash at its end
    download_mirror_no_fallback: bool = False
    diff_file: Path | None = None
    diff_append_epoch: bool = False
    log_config: Path | None = None
    access_log_pattern: str | None = None  # glob, absolute
    fold_user_agents: bool = False
    public_url: str = ""  # where clients reach the mirror, with a slash at its end; load() always sets it
    stale_after: float = 24.0  # hours
    metrics_file: Path | None = None
    filters: Filters = Filters()
    warnings: tuple[str, ...] = ()  # a sentence for each thing in the file that has no effect or is risky

    @property
    def web(self) -> Path:
        """What is served."""
        return self.directory / "web"

    @property
    def origin(self) -> str:
        """The upstream, without its password: what is compared, and may be kept."""
        return shown(self.master)

    @property
    def page_fingerprint(self) -> str:
        """Changes whenever the same upstream page may be written otherwise: then all pages are read again."""
        parts = (
            self.filters.page_fingerprint,
            self.hash_index,
            self.json,
            self.release_files,
            self.core_metadata,
            self.root_uri,
            self.simple_format,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def floor(self, volume: int) -> int:
        """The bytes that must stay free on a volume of `volume` bytes."""
        return max(self.min_free, int(volume * self.min_free_percent / 100))


def load(path: Path | str) -> Config:
    """Read and check a config file.

    Raises:
        ConfigError: it cannot be read, or says what cannot be: file, key and remedy, on one line.
    """
    try:
        return _load(Path(path))
    except ConfigError as error:
        raise ConfigError(f"{one_line(str(path))}: {error}") from None


def _load(path: Path) -> Config:
    warnings: list[str] = []
    sections = _values(_parse(_text(path)), warnings.append)
    mirror = sections.get("mirror", {})
    directory = mirror.get("directory")
    if directory is None:
        raise ConfigError("[mirror] directory is not set: name the mirror directory, such as /srv/pypi")
    if directory == Path("/"):
        raise ConfigError("[mirror] directory is /: name a directory of its own, such as /srv/pypi")
    master = mirror.get("master") or _default_master()
    size: Size = mirror.get("min_free") or Size(0, 0.0)
    status = sections.get("status", {})
    wanted = {**mirror, **sections.get("statistics", {}), **status}
    fields = {name: value for name, value in wanted.items() if name in Config._fields}
    config = Config(
        **{
            **fields,
            "master": master,
            "min_free": size.bytes,
            "min_free_percent": size.percent,
            "contact": mirror.get("contact") or f"root@{_host_name()}",
            "public_url": status.get("public_url") or f"http://{_host_name()}/",
            "filters": read_filters(sections, warnings.append),
        }
    )
    _check_together(config, path, warnings.append)
    return config._replace(warnings=tuple(warnings))


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            "does not exist; `bandersnatch mirror` with this -c writes a commented one"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}; name a file that this user can read") from None
    if raw.startswith(b"\xef\xbb\xbf"):
        raise ConfigError("begins with a byte order mark: save it as UTF-8 without one")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"line {line} is not UTF-8: save the file in that encoding") from None


class _Parser(configparser.RawConfigParser):
    """No interpolation (passwords hold `%`), and `-` and `_` are the same in keys."""

    def __init__(self) -> None:
        # "" can head no section: [DEFAULT], whose keys would be in all sections, is an unknown one here.
        super().__init__(delimiters=("=",), default_section="")

    def optionxform(self, optionstr: str) -> str:
        return optionstr.lower().replace("-", "_")


def _parse(text: str) -> _Parser:
    parser = _Parser()
    try:
        parser.read_string(text)
    except configparser.DuplicateOptionError as error:
        key = _KEYS.get((error.section, error.option))
        name = key.name if key else one_line(error.option)
        raise ConfigError(
            f"line {error.lineno}: [{error.section}] {name} stands there twice: keep one"
        ) from None
    except configparser.DuplicateSectionError as error:
        message = (
            f"line {error.lineno}: [{one_line(error.section)}] stands there twice: put its keys together"
        )
        raise ConfigError(message) from None
    except configparser.MissingSectionHeaderError as error:
        raise ConfigError(
            f"line {error.lineno} stands before the first section: begin with [mirror]"
        ) from None
    except configparser.ParsingError as error:
        lines = ", ".join(str(line) for line, _ in error.errors[:5])
        raise ConfigError(f"line {lines}: neither `[section]` nor `key = value`") from None
    return parser


def _values(parser: _Parser, warn: Warn) -> dict[str, dict[str, Any]]:
    """What the file sets, by section and field, read by each key's kind."""
    sections: dict[str, dict[str, Any]] = {}
    for section in parser.sections():
        values = sections[section] = {}
        if section not in SECTIONS:
            warn(_unknown_section(section))
            continue
        for field, text in parser.items(section):
            key = _KEYS.get((section, field))
            if key is None:
                close = _close(field, section)
                warn(f"[{section}] {one_line(field)} is not a key of ours and has no effect{close}")
            elif text or key.kind is LINES:  # an empty list is a list; other keys are as good as not there
                directory = parser.get("mirror", "directory", fallback="")
                values[field] = _read(key, text.replace("{{mirror_directory}}", directory))
                if key.ignored:
                    warn(f"[{section}] {key.name} has no effect: {key.ignored}")
    return sections


def _read(key: Key, text: str) -> Any:
    try:
        return key.kind.read(text)
    except ValueError as error:
        shown = "" if key.kind.secret else f" = {one_line(text[:80])}"
        raise ConfigError(f"[{key.section}] {key.name}{shown} {error}") from None


def _unknown_section(section: str) -> str:
    if section in RENAMED:  # to pass over it would mirror what it was to keep out
        raise ConfigError(f"[{section}] is called [{RENAMED[section]}] now: rename it")
    if section in REFUSED:
        return f"[{section}] has no effect: {REFUSED[section]}"
    return f"[{one_line(section)}] is not a section of ours and has no effect{_close(section)}"


def _close(word: str, section: str | None = None) -> str:
    import difflib  # only for a message

    names = list(SECTIONS) if section is None else [key.field for key in KEYS if key.section == section]
    close = difflib.get_close_matches(word.lower(), names, 1)
    if not close:
        return ""
    return f"; did you mean {f'[{close[0]}]' if section is None else _KEYS[section, close[0]].name}?"


def _default_master() -> str:
    from .upstream import default_index  # only where the file names no master

    return default_index()


def _host_name() -> str:
    """This host's name with its domain where /etc/hosts has it; without asking the DNS, which may hang."""
    name = os.uname().nodename
    if "." not in name:
        try:
            hosts = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            hosts = ""
        for line in hosts.splitlines():
            names = line.partition("#")[0].split()[1:]
            if name in names[1:] and "." in names[0]:
                return names[0] if names[0].isascii() else name
    return name


def _check_together(config: Config, path: Path, warn: Warn) -> None:
    """What no key says alone."""
    for name, url in (("master", config.master), ("download-mirror", config.download_mirror)):
        if not url or config.allow_non_https:
            continue
        origin = parse(url).origin
        if origin.scheme == "http" and not origin.loopback:
            raise ConfigError(
                f"[mirror] {name} is plain http, which whoever is on the way can change: "
                "use https, or set allow-non-https = true"
            )
    if config.log_config and not os.access(config.log_config, os.R_OK):
        raise ConfigError(
            f"[mirror] log-config = {config.log_config}: there is no such file that we can read"
        )
    if config.download_mirror_no_fallback and not config.download_mirror:
        warn("[mirror] download-mirror-no-fallback has no effect without download-mirror")
    if config.diff_append_epoch and not config.diff_file:
        warn("[mirror] diff-append-epoch has no effect without diff-file")
    secrets = (config.master, config.proxy, config.download_mirror)
    if any(parse(url).login for url in secrets if url) and path.stat().st_mode & 0o004:
        warn(f"the file holds a password and everybody can read it: chmod o-r {path}")
