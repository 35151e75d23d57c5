"""Shows a change to the tests, the likeliest to notice first."""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tools.mutate.changes import Change
from tools.mutate.child import Task, Test
from tools.mutate.runner import Steps

__all__ = ["Judge", "Lines", "Result"]

SLOWER = 4  # than unchanged, and some seconds more, is a test that hangs
Lines = tuple[str, str, str]  # file, line before, line after


@dataclass
class Result:
    """What became of a change."""

    change: Change
    lines: Lines
    judged: bool = False
    noticed: bool = False
    hung: bool = False

    @property
    def path(self) -> str:
        """The file that is changed."""
        return self.change.path


@dataclass
class Judge:
    """Knows the tests, and shows them a change until one notices."""

    tests: dict[str, Test]
    folder: str  # of the tests, with one for each package
    patience: float
    noticed_by: dict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )

    def task(self, names: Iterable[str]) -> Task:
        """Return the task of running these tests, in this order."""
        limits = {n: SLOWER * self.tests[n].seconds + self.patience for n in names}
        files = dict.fromkeys(self.tests[n].file for n in limits)
        return Task(list(files), limits)

    def passing(self, file: str = "") -> list[str]:
        """Return the tests that pass unchanged."""
        return [n for n, t in self.tests.items() if t.passed and file in ("", t.file)]

    def trace(self, file: str) -> Steps:
        """Learn what the tests of a file do."""
        outcome = yield Task([file])
        if outcome.code in (0, 1):
            self.tests |= outcome.slot.results()
        else:
            self.tests[file] = Test(file, passed=False)

    def control(self, file: str) -> Steps:
        """Leave out what fails without a change when it runs as it will with one."""
        while names := self.passing(file):
            outcome = yield self.task(names)
            if not outcome.noticed:
                return
            for name in [outcome.by] if outcome.by else names:
                self.tests[name].passed = False

    def stages(self, change: Change) -> list[list[str]]:
        """Return tests to show a change to, the likeliest to notice first.

        A test that does not enter a function cannot notice a change in it, unless it
        sees what the function has left behind: in a cache, or as compiled text.
        """
        home = f"{self.folder}/{Path(change.path).parts[1]}/"
        if not any(t.file.startswith(home) for t in self.tests.values()):
            home = self.folder
        call = f"{change.path}:{change.owner}"
        passing = {name: self.tests[name] for name in self.passing()}
        enter = [n for n, t in passing.items() if call in t.calls]
        at_home = [n for n, t in passing.items() if t.file.startswith(home)]
        near = [n for n, t in passing.items() if change.path in t.modules]
        if not change.owner:
            others = {*at_home, *near}
        else:
            others = {*at_home}.intersection(near if enter else at_home)
        likely = [n for n in at_home if call in passing[n].calls]
        seen = self.noticed_by[change.path]

        def rank(name: str) -> tuple[int, float]:
            return -seen[name], passing[name].seconds

        first = passing[min(likely, key=rank)].file if likely else ""
        soon = [n for n in likely if passing[n].file == first]  # one file to collect
        found: list[list[str]] = []
        for names in (soon, likely, enter, others):
            found.append(sorted(set(names).difference(*found), key=rank))
        return [names for names in found if names]

    def files(self, changes: Iterable[Change]) -> list[str]:
        """Return the files whose tests may be shown a change, the longest first."""
        different = {(c.path, c.owner): c for c in changes}.values()
        stages = (names for c in different for names in self.stages(c))
        names = {name for stage in stages for name in stage}
        seconds = defaultdict[str, float](float)
        for name in sorted(names):
            seconds[self.tests[name].file] += self.tests[name].seconds
        return sorted(seconds, key=lambda file: -seconds[file])

    def judge(self, result: Result) -> Steps:
        """Show a change to the tests."""
        for names in self.stages(result.change):
            outcome = yield self.task(names)
            if outcome.noticed:
                result.noticed, result.hung = True, outcome.code == -signal.SIGALRM
                self.noticed_by[result.path][outcome.by] += 1
                break
        result.judged = True
