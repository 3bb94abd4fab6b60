"""What a run did, as a value: for people, for Ansible, and as the exit code."""

from __future__ import annotations

from typing import Any, NamedTuple

from .errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_SOME_FAILED

MAX_FAILURES_SHOWN = 1_000  # a syslog full of the same outage helps nobody


def one_line(text: str) -> str:
    """`text` with whatever could break or forge a log line escaped: control characters, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def human_bytes(count: float) -> str:
    """`count` bytes in the largest binary unit that leaves at least 1: `512 B`, `1.5 KiB`, `2.0 TiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} PiB"


def human_time(seconds: float) -> str:
    """`seconds` in at most two units: `0.3 s`, `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")


def count_of(number: int, noun: str) -> str:
    """`1 file`, `1,234 files`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class Summary(NamedTuple):
    """What a run changed, or in a dry run would change."""

    added: tuple[str, ...] = ()  # project names, normalised
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    files_added: int = 0
    files_removed: int = 0
    bytes_added: int = 0
    failures: tuple[tuple[str, str], ...] = ()  # (project, why), the reason on one line
    serial: int | None = None  # upstream's, as of which the mirror is complete but for the failures
    projects: int = 0  # how many the mirror holds now
    dry_run: bool = False
    root_changed: bool = False
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def changed(self) -> bool:
        """Whether the run changed anything that is served."""
        parts = (self.added, self.updated, self.removed, self.files_added, self.files_removed)
        return self.root_changed or any(parts)

    @property
    def exit_code(self) -> int:
        """130 where the run was interrupted, 3 where projects failed, else 0."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_SOME_FAILED if self.failures else EXIT_OK

    def text(self, names: bool = False) -> str:
        """The summary for people: one line where nothing changed or failed.

        Args:
            names: also list each project that was added (+), updated (~) or removed (-).
        """
        lines = [self.headline, *(self.name_lines() if names else ()), *self.failure_lines()]
        return "\n".join(lines)

    @property
    def headline(self) -> str:
        """What changed, on one line."""
        where = f"{count_of(self.projects, 'project')}"
        if self.serial is not None:
            where += f", serial {self.serial}"
        where += f", {human_time(self.seconds)}"
        if self.interrupted:
            start = "Interrupted; the next run takes up the rest"
        elif self.dry_run:
            start = "Dry run, nothing was written"
        elif self.failures:
            start = "Synced in part"
        else:
            start = "In sync with upstream"
        return f"{start}: {self._changes()} ({where})."

    def _changes(self) -> str:
        would = "would be " if self.dry_run else ""
        if not self.changed:
            return "nothing would change" if self.dry_run else "nothing changed"
        parts = [
            count_of(len(group), "project") + f" {would}{verb}"
            for group, verb in ((self.added, "added"), (self.updated, "updated"), (self.removed, "removed"))
            if group
        ]
        if self.files_added:
            parts.append(
                f"{count_of(self.files_added, 'file')} {would}added ({human_bytes(self.bytes_added)})"
            )
        if self.files_removed:
            parts.append(f"{count_of(self.files_removed, 'file')} {would}removed")
        return ", ".join(parts or [f"root index {would}rewritten"])

    def name_lines(self) -> list[str]:
        """A line for each project that was added (+), updated (~) or removed (-)."""
        groups = (("+", self.added), ("~", self.updated), ("-", self.removed))
        return [f"  {sign} {one_line(name)}" for sign, names in groups for name in names]

    def failure_lines(self) -> list[str]:
        """A line for each project that failed, after one that counts them."""
        if not self.failures:
            return []
        shown = self.failures[:MAX_FAILURES_SHOWN]
        lines = [f"{count_of(len(self.failures), 'project')} failed; the next run tries again:"]
        lines += [f"  {one_line(name)}: {one_line(reason)}" for name, reason in shown]
        if len(self.failures) > len(shown):
            lines.append(f"  ... and {len(self.failures) - len(shown):,} more")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON and Ansible have it: lists, and `changed` and `exit_code` beside the fields."""
        return {
            **self._asdict(),
            "added": list(self.added),
            "updated": list(self.updated),
            "removed": list(self.removed),
            "failures": [{"name": name, "reason": reason} for name, reason in self.failures],
            "changed": self.changed,
            "exit_code": self.exit_code,
        }
