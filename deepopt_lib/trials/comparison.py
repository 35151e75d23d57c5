"""A fair comparison: everyone is tuned alike, and scored alike on fresh seeds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepopt_lib.core.checks import check_int
from deepopt_lib.core.types import Array
from deepopt_lib.trials.contestant import Contestant, Items, right
from deepopt_lib.trials.fingerprint import digest
from deepopt_lib.trials.grid import Setting, settings
from deepopt_lib.trials.report import Report
from deepopt_lib.trials.run import Job, Runner
from deepopt_lib.trials.store import Result, Store, folder

__all__ = ["Comparison"]

WIDER = 6  # times that a grid may grow before its border is reported as such
APART = 0.02  # relative difference of two budgets that are still called equal


@dataclass(frozen=True)
class Comparison:
    """Contestants, what they are scored on, and the rules of the game.

    Each contestant is tuned on the validation items with the seeds ``tuning``; the best
    setting, which must not lie on the border of its grid, is trained again with each of
    ``seeds`` and scored on the test items. Nothing chosen has seen what is reported.

    Parameters
    ----------
    name : str
        Of the file that keeps the results: letters, digits, hyphens.
    contestants : dict
        `Contestant` by name.
    items : Items, optional
        Validation and test items. Without them a run returns its score, one number, in
        place of a function that predicts.
    budget : str
        The unit of `Trained.cost`: "steps", "samples", "FLOPs", "bytes". Costs that
        differ by more than 2 % are refused.
    unequal : str
        Why costs differ, if that is the point; then the table shows them.
    tuning, seeds : tuple of int
        Seeds to tune with and to report, no seed in both.
    score : callable
        ``score(predicted, y)``, a number or boolean for each item.
    higher : bool
        Whether more is better.
    worst : float, optional
        The score that stands in for one that is not finite; 0 if higher is better.
    scale : float
        Factor of all that is reported; 100 makes percent of shares.

    Raises
    ------
    ValueError
        If there are fewer than two contestants or seeds, a seed in both lists, no
        ``worst`` where lower is better, or a name of the file that is none.
    """

    name: str
    contestants: Mapping[str, Contestant]
    items: Items | None = None
    budget: str = "steps"
    unequal: str = ""
    tuning: tuple[int, ...] = (100, 101)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    score: Callable[[Array, Array], Array] = right
    higher: bool = True
    worst: float | None = None
    scale: float = 100.0

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z0-9-]+", self.name):
            raise ValueError(f"name must be of a-z, 0-9 and hyphens, got {self.name!r}")
        if len(self.contestants) < 2:
            names = list(self.contestants)
            raise ValueError(f"it takes two contestants, got {names}")
        for name, given in (("tuning", self.tuning), ("seeds", self.seeds)):
            for seed in given:
                check_int(f"one of {name}", seed, 0)
            if len(set(given)) < len(given):
                raise ValueError(f"{name} must differ, got {given}")
        if len(self.seeds) < 2:
            raise ValueError(f"one seed shows no spread: seeds = {self.seeds}")
        if both := set(self.tuning) & set(self.seeds):
            raise ValueError(f"seeds {sorted(both)} are for tuning and for the report")
        if not self.tuning and any(c.grid for c in self.contestants.values()):
            raise ValueError("tuning must name a seed: there is a grid")
        if not self.higher and self.worst is None:
            raise ValueError("worst must be given where lower is better")

    def run(self, place: Path | None = None, jobs: int = 2) -> Report:
        """Tune, train, score; return the `Report`.

        Results are kept in ``place``, by default ``chapters/trials`` if the working
        directory lies in ``chapters``, and taken from there if nothing has changed.
        Then one of the reported runs, another one each day, is trained again and
        compared. ``jobs`` processes share what is to be computed.

        Raises
        ------
        ValueError
            If budgets differ, or a contestant's predictions do not fit the items.
        RuntimeError
            If a kept result is not what the code computes now.
        """
        store = Store(place or folder(), self.name)
        with Runner(store, self._result, jobs) as runner:
            best: dict[str, Setting] = {}
            tried, border, rows = {}, {}, {}
            for name, contestant in self.contestants.items():
                tuned = self._tuned(runner, name, contestant)
                best[name], tried[name], border[name] = tuned
                key = self._common(contestant, test=True)
                rows[name] = [Job(name, best[name], s, True, key) for s in self.seeds]
            runner.compute([job for row in rows.values() for job in row], check=True)
        results = {k: [store[j.key] for j in row] for k, row in rows.items()}
        store.save()
        costs = {k: float(np.mean([r.cost for r in row])) for k, row in results.items()}
        self._check_budget(costs)
        worst = 0.0 if self.worst is None else self.worst
        finite = {k: [r.finite(worst) for r in row] for k, row in results.items()}
        return Report(
            scores={k: np.array([one for one, _ in v]) for k, v in finite.items()},
            failures={k: sum(failed for _, failed in v) for k, v in finite.items()},
            notes={k: [r.notes for r in row] for k, row in results.items()},
            best=best,
            tried=tried,
            border=border,
            costs=costs,
            budget=self.budget,
            higher=self.higher,
            scale=self.scale,
        )

    def _tuned(
        self, runner: Runner, name: str, contestant: Contestant
    ) -> tuple[Setting, int, list[str]]:
        """Return the best setting, how many were tried, and what is on a border."""
        if contestant.grid is None:
            return {}, 1, []
        grid, key = dict(contestant.grid), self._common(contestant, test=False)
        for _ in range(WIDER + 1):
            tried = settings(grid)
            rows = [[Job(name, x, s, False, key) for s in self.tuning] for x in tried]
            runner.compute([job for row in rows for job in row])
            means = [
                float(np.mean([runner.store[j.key].rank(self.higher) for j in row]))
                for row in rows
            ]
            best = tried[int(np.argmax(means))]
            wider = {k: axis.widened(best[k]) for k, axis in grid.items()}
            beyond = {k: axis for k, axis in wider.items() if axis is not None}
            if not beyond:
                break
            grid.update(beyond)
        return best, len(tried), sorted(beyond)

    def _common(self, contestant: Contestant, *, test: bool) -> str:
        """Return what all runs of a contestant have in common, data included."""
        return digest(contestant.run, self._items(test), self.score, test)

    def _items(self, test: bool) -> tuple[Array, Array] | None:
        if self.items is None:
            return None
        i = self.items
        return (i.x_test, i.y_test) if test else (i.x_val, i.y_val)

    def _result(self, job: Job) -> Result:
        """Train and score; called in another process, perhaps."""
        trained = self.contestants[job.name].run(job.seed, **job.setting)
        items = self._items(job.test)
        if items is None:
            scores = np.atleast_1d(np.asarray(trained.predict, float))
            return Result(scores, trained.cost, trained.notes)
        if not callable(trained.predict):
            raise ValueError(f"{job.name!r} must return a function that predicts")
        scores = np.asarray(self.score(trained.predict(items[0]), items[1]))
        if scores.shape != (len(items[1]),):
            raise ValueError(
                f"{job.name!r} is scored on other items: scores of shape "
                f"{scores.shape} for {len(items[1])} items"
            )
        return Result(scores, trained.cost, trained.notes)

    def _check_budget(self, costs: Mapping[str, float]) -> None:
        low, high = min(costs, key=costs.__getitem__), max(costs, key=costs.__getitem__)
        if costs[high] - costs[low] > APART * costs[high] and not self.unequal:
            raise ValueError(
                f"budgets differ: {low!r} has {costs[low]:g} {self.budget}, {high!r} "
                f"{costs[high]:g}; say in unequal why, if that is the point"
            )
