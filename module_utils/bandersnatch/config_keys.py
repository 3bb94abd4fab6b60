"""Every key of the config file, in one table: parsing, the default file and docs/config.md come from it."""

from __future__ import annotations

from typing import NamedTuple

from . import config_values as values
from .config_values import Kind


class Key(NamedTuple):
    """A key of the config file."""

    section: str
    name: str  # as bandersnatch spells it; `-` and `_` mean the same in the file
    kind: Kind
    default: str  # as it would stand in the file; "" means not set
    doc: str  # what it does, for the operator
    ignored: str = ""  # why the key does nothing here: setting it is warned of

    @property
    def field(self) -> str:
        """The key as a Python name."""
        return self.name.replace("-", "_")


SECTIONS = {
    "mirror": "What is mirrored, from where, to where, and how.",
    "statistics": "`bandersnatch update-stats`: who downloads what from this mirror.",
    "status": "How the mirror is doing: its page, `status.json`, the metrics, `/healthz`.",
    "plugins": "Which of the filters below work. The section of a filter that is not enabled does nothing.",
    "allowlist": "`allowlist_project`: only these projects. `allowlist_release`: only these versions.",
    "blocklist": "`blocklist_project`, `blocklist_release`, `exclude_platform`: all but these.",
    "filter_prerelease": "`prerelease_release`: no alpha, beta, candidate and development releases.",
    "filter_regex": "`regex_project`, `regex_release`: all but what a pattern matches (at its beginning).",
    "latest_release": "`latest_release`: only the newest releases of each project.",
}

PLAIN = ("mirror", "statistics", "status")  # sections that are no filters' business

_PROJECTS = (
    "The projects, one a line, with or without versions: `six`, `requests >= 2.31`. "
    "After ` #` comes a comment."
)

KEYS = (
    Key(
        "mirror",
        "directory",
        values.path(),
        "",
        "The mirror directory. `web/` in it is served; the rest is ours.",
    ),
    Key(
        "mirror",
        "master",
        values.url(values.simple_url),
        "",
        "The index to mirror: its `/simple/` URL, or the one above. Not set: what pip uses here.",
    ),
    Key("mirror", "timeout", values.number(0.1, 3600, "seconds"), "10", "How long upstream may be silent."),
    Key(
        "mirror",
        "global-timeout",
        values.number(1, 604800, "seconds"),
        "1800",
        "The longest that one transfer may last; a bigger file is taken up where it stopped.",
    ),
    Key("mirror", "workers", values.whole(1, 64), "3", "Connections at the same time."),
    Key(
        "mirror",
        "hash-index",
        values.yes_no(),
        "false",
        "Project pages in one more directory by first letter (`simple/s/six/`), for file systems that "
        "cannot hold many entries. Clients need rewrite rules in the web server then.",
    ),
    Key("mirror", "stop-on-error", values.yes_no(), "false", "End the run at the first project that fails."),
    Key(
        "mirror",
        "delete-packages",
        values.yes_no(),
        "true",
        "Delete what upstream removed. With `false` such projects stay, and files that no page links.",
    ),
    Key(
        "mirror",
        "log-config",
        values.path(),
        "",
        "A Python logging config file (fileConfig format) to use instead.",
    ),
    Key(
        "mirror",
        "json",
        values.yes_no(),
        "false",
        "Also mirror `/pypi/<project>/json`. Costs a second, much bigger request for each changed project.",
    ),
    Key(
        "mirror",
        "release-files",
        values.yes_no(),
        "true",
        "Mirror the files. With `false` only the pages, which link to `root_uri`, else to upstream's files.",
    ),
    Key(
        "mirror",
        "core-metadata",
        values.yes_no(),
        "true",
        "Mirror the `.metadata` file of each wheel (PEP 658), with which installers resolve faster.",
    ),
    Key(
        "mirror",
        "root_uri",
        values.url(values.base_url),
        "",
        "Where pages link the files to, such as `https://files.example.org/`. Not set: relative links.",
    ),
    Key("mirror", "simple-format", values.choice("ALL", "HTML", "JSON"), "ALL", "Which pages are written."),
    Key(
        "mirror",
        "compare-method",
        values.choice("hash", "stat"),
        "hash",
        "How a file on disk is compared when everything is checked: read and hashed, or by its size only.",
    ),
    Key(
        "mirror",
        "digest_name",
        values.only("sha256", "pages carry the hashes that upstream states, and weaker ones can be forged"),
        "sha256",
        "The hash in the pages' links.",
    ),
    Key(
        "mirror",
        "download-mirror",
        values.url(values.base_url),
        "",
        "Another mirror that files are taken from first.",
    ),
    Key(
        "mirror",
        "download-mirror-no-fallback",
        values.yes_no(),
        "false",
        "Do not ask upstream for files that `download-mirror` does not have.",
    ),
    Key(
        "mirror",
        "proxy",
        values.url(values.proxy_url),
        "",
        "The HTTP proxy to use. Not set: the environment's. A password in it is seen by whoever can read the "
        "config file, which should have mode 0640.",
    ),
    Key(
        "mirror",
        "allow-non-https",
        values.yes_no(),
        "false",
        "Allow plain http to other machines: then whoever is on the way can change what is mirrored.",
    ),
    Key(
        "mirror",
        "diff-file",
        values.path(),
        "",
        "Write the paths of new files there after a run. `{{mirror_directory}}` stands for the directory.",
    ),
    Key(
        "mirror",
        "diff-append-epoch",
        values.yes_no(),
        "false",
        "Add the time of the run to the name of `diff-file`.",
    ),
    Key(
        "mirror",
        "keep_index_versions",
        values.only("0", "an old page would link files that are gone; use snapshots of the volume"),
        "0",
        "Old versions of pages to keep.",
    ),
    Key(
        "mirror",
        "storage-backend",
        values.only("filesystem", "the mirror directory is the only place that pages and files can be in"),
        "filesystem",
        "Where the mirror lies.",
    ),
    Key(
        "mirror",
        "cleanup",
        values.yes_no(),
        "false",
        "Nothing.",
        ignored="pages under names that are not normalised are never written, so there are none to clean up",
    ),
    Key(
        "mirror",
        "verifiers",
        values.whole(1, 64),
        "3",
        "Nothing.",
        ignored="a full check uses as many processes as `workers` asks for",
    ),
    Key(
        "mirror",
        "min-free",
        values.size(),
        "0",
        "What a run must leave free on the volume; one that would not does not start.",
    ),
    Key(
        "mirror",
        "max-removals",
        values.whole(0, 10**9),
        "50",
        "A run that would remove more projects than this and than `max-removals-percent` removes nothing.",
    ),
    Key(
        "mirror",
        "max-removals-percent",
        values.number(0, 100, "per cent"),
        "1",
        "See `max-removals`; of the projects that are mirrored.",
    ),
    Key(
        "mirror",
        "recheck-days",
        values.number(0.01, 3650, "days"),
        "7",
        "Each project is read again after so many days: changes without a new serial are found so.",
    ),
    Key(
        "mirror",
        "contact",
        values.plain(r"[ -~]*", "must be plain ASCII: it is sent in the User-Agent header"),
        "",
        "An address for upstream's administrators, sent in the User-Agent. Not set: root at this host.",
    ),
    Key(
        "statistics",
        "access-log-pattern",
        values.plain(r"/[^\x00-\x1f\x7f]*", "is not an absolute path"),
        "",
        "The web server's access logs, as a pattern: `/var/log/nginx/bandersnatch.access.log*`.",
    ),
    Key(
        "statistics",
        "fold-user-agents",
        values.yes_no(),
        "false",
        "Write the installer's name instead of the raw User-Agent into the daily files; keep no raw ones.",
    ),
    Key(
        "status",
        "public-url",
        values.public_url(),
        "",
        "Where clients reach the mirror, such as `https://pypi.example.org/`: what its page tells them. "
        "Not set: http and this host's name.",
    ),
    Key(
        "status",
        "stale-after",
        values.number(0.01, 8760, "hours"),
        "24",
        "How old the last good sync may be until `/healthz`, `bandersnatch status` and the page say stale.",
    ),
    Key(
        "status",
        "metrics-file",
        values.path(),
        "",
        "Also write the metrics there after each run: a `.prom` file in the directory that node_exporter's "
        "textfile collector reads, in which the mirror's user may write.",
    ),
    Key("plugins", "enabled", values.LINES, "", "The filters that work: their names, one a line, or `all`."),
    Key("allowlist", "packages", values.LINES, "", _PROJECTS),
    Key("blocklist", "packages", values.LINES, "", _PROJECTS),
    Key(
        "blocklist",
        "platforms",
        values.LINES,
        "",
        "Files to leave out: `windows`, `macos`, `freebsd`, `linux`, a platform tag such as `win32`, or a "
        "Python version such as `py2.7`. A file that suits something else too stays, and so does source.",
    ),
    Key(
        "filter_prerelease",
        "packages",
        values.LINES,
        "",
        "Only of these projects, one a line. Not set: of all.",
    ),
    Key("filter_regex", "packages", values.LINES, "", "Patterns for normalised project names, one a line."),
    Key("filter_regex", "releases", values.LINES, "", "Patterns for versions, one a line."),
    Key(
        "latest_release",
        "keep",
        values.whole(1, 10**6),
        "",
        "How many. The newest final release is always one of them. Releases without files do not count.",
    ),
    Key("latest_release", "sort_by", values.choice("version", "time"), "version", "What newest means."),
)


def default_text() -> str:
    """The commented config file that `bandersnatch mirror` writes where there is none."""
    out = [
        "# The mirror's config file. Each key stands with its default; a line with ';' does nothing.",
        "# `bandersnatch check-config` says whether it is right.",
        "#",
        "# As it is, everything is mirrored that the index has. For some projects only:",
        "#   enabled = allowlist_project       under [plugins], and",
        "#   packages =                        under [allowlist], then a line for each, indented.",
    ]
    for section, about in SECTIONS.items():
        out += ["", f"# {about}", f"[{section}]"]
        for key in KEYS:
            if key.section != section or key.ignored:
                continue
            out += ["", *_wrapped(key.doc)]
            if key.name == "directory":
                out.append("directory = /srv/pypi")
            else:
                out.append(f"; {key.name} = {key.default}".rstrip())
    return "\n".join(out) + "\n"


def _wrapped(text: str) -> list[str]:
    import textwrap  # only where a file is written

    return textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="# ")
