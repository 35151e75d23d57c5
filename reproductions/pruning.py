"""Learning both weights and connections: a twelfth of the weights, and no more errors.

Han et al. (2015), sections 3 and 4.1, Tables 1 and 3, LeNet-300-100: 267 thousand
parameters are pruned to 22 thousand, 8, 9 and 26 % of the three layers, and the error
goes from 1.64 to 1.59 %. Small weights are removed, the others trained on at a tenth of
the rate, and this is repeated.

Here the layers are pruned to the paper's own densities in five rounds, the weights that
stay are trained after each. Three controls: the dense network trained on for as long;
all of the pruning at once, and then as many epochs; one threshold for all three layers,
which shows what densities come out by themselves.

What differs: AdamW with cosine schedules, 20 epochs and five times eight, in the place
of Caffe's SGD; the size of the weights decides for each layer by a share, not by a
multiple of their standard deviation; no dropout.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from deepopt_lib import compress, trials
from reproductions import lenet, rounds
from reproductions.common import Report, Runs, rights, span
from reproductions.store import WHOLE
from reproductions.wording import MARGIN, ahead, percent, shown

PAPER = {
    "error dense (percent)": 1.64,
    "error pruned (percent)": 1.59,
    "times fewer weights": 12,
    "density by layer (percent)": [8, 9, 26],
}
SEEDS = (0, 1, 2)
PIECES = ()


def run(piece: str, seed: int, report: Report) -> dict[str, Any]:
    """Train, prune in rounds, and do what it is compared with."""
    split = lenet.images()
    dense = lenet.dense(seed, split, span(report, 0, 0.12))
    cut = compress.apply_masks(dense, rounds.layer_masks(dense, 1))
    found: dict[str, Any] = {
        "dense": lenet.score(dense, split),
        "pruned, not trained": lenet.score(cut, split),
    }
    ways = {
        "pruned": rounds.in_rounds(dense, split, seed, span(report, 0.12, 0.34)),
        "at once": rounds.at_once(dense, split, seed, span(report, 0.34, 0.56)),
        "one threshold": rounds.in_rounds(
            dense, split, seed, span(report, 0.56, 0.78), together=True
        ),
    }
    for name, params in ways.items():
        left = {k: int(np.count_nonzero(params[k])) for k in lenet.MATRICES}
        found[name] = {"weights": left, "net": lenet.score(params, split)}
    long = rounds.trained(
        dense, split, seed, span(report, 0.78, 1), rounds=rounds.ROUNDS
    )
    return {**found, "dense, as long": lenet.score(long, split)}


def claims(runs: Runs) -> list[trials.Claim]:
    """Compare with the paper."""
    names = ("pruned", "at once", "one threshold")
    net = {k: rights(runs, WHOLE, (k, "net"), SEEDS) for k in names}
    others = ("dense", "dense, as long", "pruned, not trained")
    net |= {k: rights(runs, WHOLE, k, SEEDS) for k in others}
    before, long, cut, once = (
        ahead(net["pruned"], net[k]) for k in (*others, "at once")
    )
    left = [runs[f"{WHOLE}/{seed}"]["pruned"]["weights"] for seed in SEEDS]
    times = 266_200 / max(sum(n.values()) for n in left)
    shares = [_shares(runs[f"{WHOLE}/{seed}"]["one threshold"]) for seed in SEEDS]
    same = "a twelfth of the weights errs no more than "
    errs = {k: percent(net[k]) for k in net}
    rows = (
        ("times fewer weights", "12", f"{times:.1f}", trials.factor(times, 12)),
        (
            same + "all of them",
            "1.64 → 1.59 %",
            f"{errs['dense']} → {errs['pruned']}, ahead {shown(before)}",
            trials.no_worse(before, MARGIN),
        ),
        (
            same + "all of them, trained as long",
            "not compared",
            f"{errs['dense, as long']} → {errs['pruned']}, ahead {shown(long)}",
            trials.no_worse(long, MARGIN),
        ),
        (
            "in rounds is better than at once",
            "9 times instead of 5 (AlexNet)",
            f"ahead {shown(once)}",
            trials.gain(once, 0),
        ),
        (
            "training after pruning keeps the accuracy",
            "without it a drop from a third of the weights on (AlexNet)",
            f"ahead {shown(cut)}",
            trials.gain(cut, 0),
        ),
        (
            "the last layer keeps the largest share, the first the smallest",
            "8, 9, 26 %",
            ", ".join(f"{100 * n:.0f}" for n in np.mean(shares, axis=0)) + " %",
            trials.holds(*(a < b < c for a, b, c in shares)),
        ),
    )
    return [trials.Claim(*row) for row in rows]


def _shares(found: Mapping[str, Any]) -> list[float]:
    """Return which share of each layer is left."""
    sizes = [a * b for a, b in pairwise(lenet.SIZES)]
    left = (found["weights"][k] for k in lenet.MATRICES)
    return [n / size for n, size in zip(left, sizes, strict=True)]


def tune(report: Report) -> dict[str, Any]:
    """Try rates and decays of the dense network, then rates after pruning."""
    split, seeds = lenet.images(validation=5000), (100, 101)
    grid = [(lr, decay) for lr in (1e-3, 2e-3, 4e-3) for decay in (0.03, 0.1, 0.3)]
    grid += [(4e-3, 1.0), *((8e-3, decay) for decay in (0.03, 0.1, 0.3)), (16e-3, 0.1)]
    dense, errors = {}, {}
    for i, (lr, decay) in enumerate(grid):
        nets = [lenet.dense(s, split, _silent, lr=lr, decay=decay) for s in seeds]
        dense[lr, decay] = nets
        errors[lr, decay] = float(np.mean([lenet.error(net, split) for net in nets]))
        report(0.7 * (i + 1) / len(grid))
    best = dense[min(errors, key=lambda pair: errors[pair])]
    after = {}
    for lr in (3e-3, 1e-2, 3e-2):
        nets = [
            rounds.in_rounds(net, split, s, _silent, lr=lr)
            for s, net in zip(seeds, best, strict=True)
        ]
        after[f"rate {lr:g}"] = float(np.mean([lenet.error(n, split) for n in nets]))
        report(0.7 + 0.1 * len(after))
    return {
        "dense": {f"rate {lr:g}, decay {d:g}": e for (lr, d), e in errors.items()},
        "pruned": after,
    }


def _silent(fraction: float) -> None:
    """Report nothing."""
