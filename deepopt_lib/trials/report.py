"""What a comparison found: means with their spread, differences with their interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from deepopt_lib.core.types import Array
from deepopt_lib.trials.grid import Setting
from deepopt_lib.trials.intervals import Difference, holm, paired

__all__ = ["Report"]


@dataclass(frozen=True)
class Report:
    """Scores of all contestants on the same test items, in the same seeds.

    ``scores[name]`` has the shape (seeds, items); `mean`, `spread` and differences are
    multiplied by ``scale``. ``border`` names what is best on the border of its grid
    although that was widened; ``failures`` counts runs with a score that was no number.
    """

    scores: Mapping[str, Array]
    failures: Mapping[str, int]
    notes: Mapping[str, Sequence[Mapping[str, float]]]
    best: Mapping[str, Setting]
    tried: Mapping[str, int]
    border: Mapping[str, Sequence[str]]
    costs: Mapping[str, float]
    budget: str
    higher: bool
    scale: float

    def __post_init__(self) -> None:
        for scores in self.scores.values():
            scores.flags.writeable = False

    def mean(self, name: str) -> float:
        """Return the mean over seeds and items."""
        return self.scale * float(self.scores[name].mean())

    def spread(self, name: str) -> float:
        """Return the standard deviation from seed to seed."""
        return self.scale * float(self.scores[name].mean(axis=1).std(ddof=1))

    def note(self, name: str, what: str) -> float:
        """Return the mean of a number over the runs that noted it."""
        return float(np.mean([n[what] for n in self.notes[name] if what in n]))

    @property
    def leader(self) -> str:
        """The name of the best mean."""
        better = max if self.higher else min
        return better(self.scores, key=self.mean)

    def ahead(self, a: str, b: str, level: float = 0.95) -> Difference:
        """Return how far ``a`` is ahead of ``b``: above 0 if it is better."""
        sign = self.scale if self.higher else -self.scale
        return paired(self.scores[a], self.scores[b], level).scaled(sign)

    def behind(self, reference: str | None = None) -> dict[str, Difference]:
        """Return how far the others are ahead of ``reference``, else of the leader.

        The p-values are Holm's, corrected for the number of pairs.
        """
        reference = self.leader if reference is None else reference
        pairs = {k: self.ahead(k, reference) for k in self.scores if k != reference}
        corrected = holm([d.p for d in pairs.values()])
        return {
            name: d._replace(p=p)
            for (name, d), p in zip(pairs.items(), corrected, strict=True)
        }

    def apart(self, reference: str | None = None, level: float = 0.05) -> list[str]:
        """Return the contestants that differ from ``reference``, by Holm's p-values."""
        return [k for k, d in self.behind(reference).items() if d.p < level]

    def table(
        self, reference: str | None = None, digits: int = 1, costs: bool = False
    ) -> tuple[list[str], list[list[str]]]:
        """Return header and rows: a line each, the difference to ``reference``.

        Best settings with "(border)" where the grid ended, the number tried, and with
        ``costs`` the budget; differences with their 95 % interval and Holm's p.
        """
        reference = self.leader if reference is None else reference
        behind = self.behind(reference)
        header = ["method", "best setting", "tried", *([self.budget] if costs else [])]
        header += ["score", f"ahead of {reference}", "p"]
        rows = []
        for name in self.scores:
            row = [name, self.setting(name), str(self.tried[name])]
            row += [f"{self.costs[name]:,.0f}"] if costs else []
            score = f"{self.mean(name):.{digits}f} ± {self.spread(name):.{digits}f}"
            failed = self.failures[name]
            row.append(f"{score} ({failed} failed)" if failed else score)
            row += _difference(behind[name], digits) if name in behind else ["", ""]
            rows.append(row)
        return header, rows

    def setting(self, name: str) -> str:
        """Return the best setting as text."""
        parts = []
        for key, value in self.best[name].items():
            shown = f"{value:.3g}" if isinstance(value, float) else str(value)
            border = " (border)" if key in self.border[name] else ""
            parts.append(f"{key} {shown}{border}")
        return ", ".join(parts)


def _difference(d: Difference, digits: int) -> list[str]:
    shown = f"{d.mean:+.{digits}f} [{d.low:.{digits}f}, {d.high:.{digits}f}]"
    return [shown.replace("-", "−"), "< 0.001" if d.p < 0.001 else f"{d.p:.3f}"]
