"""What is measured. Each phase gives one row for each contender; they take turns, round after round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import upstream
from bench import Bench, Cost, Upstream, mirrors
from contenders import OURS, Contender

LATENCY = 0.030  # seconds a request
_KEPT = 100_000  # every such project of the long root index is mirrored, the others are dropped
_DROP = r"(?!.*[1-9]0{5}$)"


class Sizes(NamedTuple):
    """How much is measured."""

    pages: int  # projects, without files
    files: int  # projects, with files
    latency: int  # projects, with files
    growth: tuple[int, ...]  # projects, without files
    root: int  # projects in the root index, nearly all of which a filter drops


SMALL = Sizes(pages=2_000, files=300, latency=100, growth=(500, 1_500, 4_500), root=700_000)
FULL = Sizes(pages=20_000, files=1_000, latency=1_000, growth=(1_000, 10_000, 100_000), root=700_000)


class Row(NamedTuple):
    """One line of the table."""

    phase: str
    contender: str
    costs: tuple[Cost, ...]
    projects: int = 0  # of a growth line


class Phases:
    """The phases in an order in which each upstream is made once."""

    def __init__(self, bench: Bench, sizes: Sizes) -> None:
        self._bench, self._sizes = bench, sizes
        self._first: dict[str, Cost] = {}  # what the first run of each took: to find its half

    def all(self) -> dict[str, Callable[[], list[Row]]]:
        """By name, in order; `incremental` changes the upstream that those before it use."""
        return {
            "metadata": self.metadata,
            "full": self.full,
            "latency": self.latency,
            "nothing": self.nothing,
            "check": self.check,
            "resume": self.resume,
            "incremental": self.incremental,
            "growth": self.growth,
            "memory": self.memory,
        }

    def metadata(self) -> list[Row]:
        """A new mirror without files."""
        count = self._sizes.pages
        return self._anew(f"pages only, {count:,} projects", self._bench.upstream(count, contents=False))

    def full(self) -> list[Row]:
        """A new mirror with its files."""
        source = self._with_files()
        return self._anew(f"full, {source.shape.projects:,} projects, {_files(source)}", source)

    def latency(self) -> list[Row]:
        """The same, far from upstream."""
        source = self._bench.upstream(self._sizes.latency, contents=True)
        phase = (
            f"full, {LATENCY * 1000:.0f} ms a request, {source.shape.projects:,} projects, {_files(source)}"
        )
        return self._anew(phase, source, LATENCY)

    def _anew(
        self, phase: str, source: Upstream, latency: float = 0, who: Sequence[Contender] | None = None
    ) -> list[Row]:
        bench = self._bench

        def run(one: Contender) -> Cost:
            directory = bench.mirror(one, "new")
            cost = bench.run(one, bench.job(source, directory), source.serial, latency)
            bench.drop(directory)
            return cost

        return self._turns(phase, bench.contenders if who is None else who, run)

    def nothing(self) -> list[Row]:
        """A run when nothing has changed."""
        source, bench = self._with_files(), self._bench
        self._baseline()

        def run(who: Contender) -> Cost:
            job = bench.job(source, self._done(who))
            return bench.run(who, job, source.serial)

        return self._turns("nothing changed", mirrors(bench.contenders), run)

    def check(self) -> list[Row]:
        """Every page asked for again, every file hashed again."""
        source, bench = self._with_files(), self._bench
        self._baseline()

        def run(who: Contender) -> Cost:
            job = bench.job(source, self._done(who), check=True)
            return bench.run(who, job, source.serial)

        return self._turns("everything hashed again", mirrors(bench.contenders), run)

    def resume(self) -> list[Row]:
        """The run after one that was killed when it had made half of its requests."""
        source, bench = self._with_files(), self._bench
        self._baseline()

        def run(who: Contender) -> Cost:
            directory = bench.mirror(who, "killed")
            job = bench.job(source, directory)
            bench.run_until(who, job, source.serial, self._first[who.name].requests // 2)
            cost = bench.run(who, job, source.serial)
            bench.drop(directory)
            return cost

        return self._turns("resumed after kill -9 at half way", mirrors(bench.contenders), run)

    def incremental(self) -> list[Row]:
        """A tenth of the projects has a new release."""
        source, bench = self._with_files(), self._bench
        self._baseline()
        count = max(1, source.shape.projects // 10)
        serial = upstream.change(source.root, source.shape, range(0, count * 10, 10))

        def run(who: Contender) -> Cost:
            directory = bench.mirror(who, "changed")
            bench.copy(self._done(who), directory)
            cost = bench.run(who, bench.job(source, directory), serial)
            bench.drop(directory)
            return cost

        phase = f"{count:,} of {source.shape.projects:,} projects changed"
        return self._turns(phase, mirrors(bench.contenders), run)

    def growth(self) -> list[Row]:
        """How ours grows with the number of projects."""
        bench = self._bench
        rows: list[Row] = []
        ours = [one for one in bench.contenders if one.name == OURS]
        for count in self._sizes.growth:
            source = bench.upstream(count, contents=False, copy="-growth")
            made = self._anew(f"pages only, {count:,} projects", source, who=ours)
            rows += [row._replace(projects=count) for row in made]
        return rows

    def memory(self) -> list[Row]:
        """A root index of many projects, of which a filter keeps a few; then no change, then one."""
        count, bench = self._sizes.root, self._bench
        every = min(_KEPT, count)
        source = bench.upstream(count, contents=False, every=every, copy="-root")
        kept = {upstream.normalized(upstream.display(n)) for n in range(every, count, every)}
        serial = source.serial

        def first(who: Contender) -> Cost:
            return run(who, bench.mirror(who, "root"))

        def again(who: Contender) -> Cost:
            return run(who, bench.place(who, "root"))

        def changed(who: Contender) -> Cost:
            directory = bench.mirror(who, "root-changed")
            bench.copy(bench.place(who, "root"), directory)
            return run(who, directory)

        def run(who: Contender, directory: Path) -> Cost:
            return bench.run(who, bench.job(source, directory, drop=_DROP), serial, names=kept)

        who, phase = mirrors(bench.contenders), f"root index of {count:,} projects"
        rows = self._turns(phase, who, first)
        rows += self._turns(f"{phase}, nothing changed", who, again)
        serial = upstream.change(source.root, source.shape, range(every, every + 1))
        return rows + self._turns(f"{phase}, one changed", who, changed)

    # Parts of them

    def _done(self, who: Contender) -> Path:
        return self._bench.place(who, "done")

    def _turns(self, phase: str, who: Sequence[Contender], run: Callable[[Contender], Cost]) -> list[Row]:
        costs: dict[str, list[Cost]] = {one.name: [] for one in who}
        for turn in range(self._bench.repeat):
            for one in who:
                cost = run(one)
                costs[one.name].append(cost)
                self._bench.say(
                    f"{phase}, {turn + 1}: {one.name} {cost.wall:.2f} s, CPU {cost.cpu:.2f} s, "
                    f"{cost.memory / 1e6:.0f} MB, {cost.requests:,} requests"
                )
        return [Row(phase, name, tuple(one)) for name, one in costs.items()]

    def _with_files(self) -> Upstream:
        return self._bench.upstream(self._sizes.files, contents=True)

    def _baseline(self) -> None:
        """A finished mirror for each, which phases start from or leave as it is."""
        source, bench = self._with_files(), self._bench
        for who in mirrors(bench.contenders):
            if who.name not in self._first:
                bench.say(f"making a mirror for {who.name} to start from")
                job = bench.job(source, bench.mirror(who, "done"))
                self._first[who.name] = bench.run(who, job, source.serial)


def _files(source: Upstream) -> str:
    sizes = [file.stat().st_size for file in source.root.glob("packages/*/*/*/*")]
    return f"{len(sizes):,} files, {sum(sizes) / 1e6:,.0f} MB"
