"""What a run has done so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from .apply import Work
from .progress import Progress
from .summary import Summary, one_line


@dataclass
class Tally:
    """Counts what is committed (or, in a dry run, planned) and what failed."""

    progress: Progress
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    files_added: int = 0
    files_removed: int = 0
    bytes_added: int = 0
    root_changed: bool = False

    def fail(self, name: str, reason: str) -> None:
        """Note that a project is not in order."""
        reason = one_line(reason)
        self.failures[name] = f"{self.failures[name]}; {reason}" if name in self.failures else reason
        self.progress.failed(name, reason)

    def count(self, work: Work, planned: bool = False) -> None:
        """Add a project that was committed, or in a dry run would be."""
        for reason in work.reasons:
            self.fail(work.name, reason)
        if work.broken:
            return
        if not work.due.known:
            self.added.append(work.name)
        elif work.changes or (planned and work.decision.fetch):
            self.updated.append(work.name)
        self.files_added += len(work.parts)
        self.bytes_added += work.placed
        self.files_removed += len(work.decision.drop) - len(work.moved)

    def plan(self, work: Work) -> None:
        """Add a project as a dry run sees it."""
        self.count(work, planned=True)
        if not work.broken:
            self.files_added += len(work.decision.fetch)
            self.files_removed -= len(work.decision.moved)
            self.bytes_added += sum(blob.size for blob in work.decision.fetch if blob.size > 0)

    def summary(
        self, *, serial: int | None, projects: int, dry_run: bool, interrupted: bool, seconds: float
    ) -> Summary:
        """The result of the run."""
        return Summary(
            added=tuple(sorted(self.added)),
            updated=tuple(sorted(self.updated)),
            removed=tuple(sorted(self.removed)),
            files_added=self.files_added,
            files_removed=self.files_removed,
            bytes_added=self.bytes_added,
            failures=tuple(sorted(self.failures.items())),
            serial=serial,
            projects=projects,
            dry_run=dry_run,
            root_changed=self.root_changed,
            interrupted=interrupted,
            seconds=seconds,
        )
