"""What the runs of `private_sgd` say of the paper's claims."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from deepopt_lib import trials
from reproductions import private_budget as budget
from reproductions.common import Runs, rights
from reproductions.wording import MARGIN, ahead, shown

__all__ = ["CONTROL", "verdicts"]

CONTROL = "not private"
HALF = 0.5  # a point: what the whole percents of the paper leave open


def verdicts(
    runs: Runs, paper: Mapping[str, float], seeds: Sequence[int], pieces: Sequence[str]
) -> list[trials.Claim]:
    """Judge the accuracies, the accounts, and the gap to the training images."""
    private = [piece for piece in pieces if piece != CONTROL]
    return [
        *(_accuracy(runs, paper, seeds, piece) for piece in pieces),
        _accountant(paper),
        *(_overfitting(runs, seeds, piece) for piece in private),
        _tighter(runs, seeds, private[0]),
    ]


def _accuracy(
    runs: Runs, paper: Mapping[str, float], seeds: Sequence[int], piece: str
) -> trials.Claim:
    right = rights(runs, piece, "net", seeds)
    theirs = paper[f"right, {piece} (percent)"]
    lead = trials.paired(right, np.full(right.shape, theirs / 100)).scaled(100)
    here = f"{100 * right.mean():.2f} %"
    if piece != CONTROL:
        here += f" after {runs[f'{piece}/{seeds[0]}']['steps']:,} steps"
    return trials.Claim(
        f"{piece}: {theirs:g} % of the test images are right",
        f"{theirs:g} %",
        f"{here}, ahead {shown(lead)}",
        trials.no_worse(lead, MARGIN if piece == CONTROL else HALF),
    )


def _accountant(paper: Mapping[str, float]) -> trials.Claim:
    theirs = [paper[f"epsilon of {epochs} epochs, noise 4"] for epochs in (100, 400)]
    ours = [round(budget.moments(4, math.inf, steps), 2) for steps in (10_000, 40_000)]
    return trials.Claim(
        "the moments accountant on 100 and on 400 epochs with noise 4",
        " and ".join(f"{value:.2f}" for value in theirs),
        " and ".join(f"{value:.2f}" for value in ours),
        trials.holds(*(a == b for a, b in zip(ours, theirs, strict=True))),
    )


def _overfitting(runs: Runs, seeds: Sequence[int], piece: str) -> trials.Claim:
    less = trials.paired(_gaps(runs, seeds, CONTROL), _gaps(runs, seeds, piece))
    return trials.Claim(
        f"{piece}: less overfitting than without privacy",
        "small difference of training and test accuracy",
        f"a gap smaller by {shown(less)} points",
        trials.gain(less, 0),
    )


def _gaps(runs: Runs, seeds: Sequence[int], piece: str) -> list[float]:
    """Return, by seed, how many points more the network errs on the test images."""
    results = [runs[f"{piece}/{seed}"] for seed in seeds]
    return [run["net"]["error"] - run["train error"] for run in results]


def _tighter(runs: Runs, seeds: Sequence[int], piece: str) -> trials.Claim:
    tight = rights(runs, piece, "net", seeds)
    more = ahead(tight, rights(runs, piece, ("by moments", "net"), seeds))
    first = runs[f"{piece}/{seeds[0]}"]
    steps = f"{first['steps by moments']:,} → {first['steps']:,} steps"
    return trials.Claim(
        f"{piece}: a tight account of the same budget trains a better network",
        "-",
        f"{steps}, ahead {shown(more)}",
        trials.gain(more, 0),
    )
