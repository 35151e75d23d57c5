"""The lottery ticket hypothesis: sparse networks that learn as well as the dense one.

Frankle and Carbin (2019), sections 1 and 2, Figures 3 and 4, LeNet-300-100. Train a
network, remove a fifth of the weights of each layer by magnitude (a tenth of the last
layer's), set the others back to where they started, and repeat: what is left is a
*ticket*. It is compared with the dense network, and with itself after its weights were
drawn anew.

Here as there: 55,000 images to train and 5000 to choose by, Glorot's normal start, Adam
at 1.2e-3, 60 images a step, no weight decay; the loss on the 5000 is looked at every
100 steps, and a network is scored as it was when that loss was lowest.

What differs: 10,000 steps a training instead of 50,000, three seeds instead of five,
one new draw for each seed instead of three, and new draws at three sizes only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, pairwise
from typing import Any

import numpy as np

from deepopt_lib import autodiff, compress, core, data, nn, optim, trials
from reproductions import lenet
from reproductions.common import Report, Right, Runs, rights, span
from reproductions.store import WHOLE
from reproductions.wording import MARGIN, ahead, shown

PAPER = {
    "earlier than dense at 21.1 % (percent of the steps)": 38,
    "points gained at 13.5 %": 0.3,
    "as good as dense at (percent)": 3.6,
    "faster than drawn anew at 21.1 % (factor)": 2.51,
    "points better than drawn anew at 21.1 %": 0.5,
    "steps": 50_000,
}
SEEDS = (0, 1, 2)
PIECES = ()

STEPS, EVERY, BATCH, RATE = 10_000, 100, 60, 1.2e-3
ROUNDS = 15
DROPPED = {"layer1.W": 0.2, "layer2.W": 0.2, "layer3.W": 0.1}
ANEW = (3, 7, 15)  # the rounds after which weights are drawn anew: 51, 21, 3.6 %

Masks = Mapping[str, compress.Mask]


def run(piece: str, seed: int, report: Report) -> dict[str, Any]:
    """Prune round after round; score every ticket, and some of them drawn anew."""
    split = lenet.images(validation=5000)
    start = draw(np.random.default_rng([seed, 0]))
    masks: Masks = {k: np.ones(start[k].shape, np.bool_) for k in lenet.MATRICES}
    trainings = ROUNDS + 1 + sum(r <= ROUNDS for r in ANEW)
    parts = iter(pairwise(np.linspace(0, 1, trainings + 1)))
    found: dict[str, Any] = {}
    for r in range(ROUNDS + 1):
        rng = np.random.default_rng([seed, 1, r])
        ticket, end = train(start, masks, split, rng, span(report, *next(parts)))
        found[f"round {r}"] = {"density": compress.density(masks), "ticket": ticket}
        if r in ANEW:
            again = draw(np.random.default_rng([seed, 2, r]))
            rng = np.random.default_rng([seed, 3, r])
            anew, _ = train(again, masks, split, rng, span(report, *next(parts)))
            found[f"round {r}"]["drawn anew"] = anew
        masks = prune(end, masks)
    return found


def draw(rng: np.random.Generator) -> core.Params:
    """Draw weights from N(0, 2/(n_in + n_out)), Glorot and Bengio (2010), eq. 12."""
    layers: core.Params = {}
    for i, (n_in, n_out) in enumerate(pairwise(lenet.SIZES), 1):
        gain = 2 * n_in / (n_in + n_out)
        layer = nn.draw_linear(rng, n_in, n_out, gain, np.float32)
        layers |= nn.prefixed(f"layer{i}", layer)
    return layers


def prune(params: core.Params, masks: Masks) -> dict[str, compress.Mask]:
    """Drop the smallest of the weights that are left, a share of each layer."""
    return {
        k: compress.top_share(
            compress.magnitude(params[k]) * masks[k],  # what is gone stays gone
            1 - round(masks[k].sum() * (1 - share)) / masks[k].size,
        )
        for k, share in DROPPED.items()
    }


def train(
    start: core.Params,
    masks: Masks,
    split: data.Split,
    rng: np.random.Generator,
    report: Report,
) -> tuple[dict[str, Any], core.Params]:
    """Train to the end; score the network of the lowest validation loss."""
    path = lenet.walk(
        start,
        optim.adam(RATE),
        split.x_train,
        split.y_train,
        rng,
        batch=BATCH,
        masks=masks,
    )
    lowest, best, losses = np.inf, start, []
    for t, params in _every(path, report):
        logits = nn.mlp(params, split.x_val)
        losses.append(float(autodiff.cross_entropy(logits, split.y_val)))
        if losses[-1] < lowest:
            lowest, stop = losses[-1], t
            best = {k: w.copy() for k, w in params.items()}
    result = {
        "stop": stop,
        "loss": [float(f"{loss:.4g}") for loss in losses],
        "at stop": lenet.score(best, split),
        "at end": lenet.score(params, split),
    }
    return result, {k: w.copy() for k, w in params.items()}


def _every(
    path: Iterator[core.Params], report: Report
) -> Iterator[tuple[int, core.Params]]:
    """Yield the step and the parameters every `EVERY` steps of `STEPS`."""
    for t, params in enumerate(islice(path, STEPS), 1):
        if t % EVERY == 0:
            report(t / STEPS)
            yield t, params


def claims(runs: Runs) -> list[trials.Claim]:
    """Compare with the paper, Figure 4, by the networks of the lowest loss."""
    net = {r: _stopped(runs, r, "ticket") for r in (0, 7, 9, 15)}
    anew = {r: _stopped(runs, r, "drawn anew") for r in (7, 15)}
    earlier = _fewer_steps(runs, (7, "ticket"), (0, "ticket"))
    faster = _fewer_steps(runs, (7, "ticket"), (7, "drawn anew"))
    more = {r: ahead(net[r], net[0]) for r in (7, 9, 15)}
    lead = {r: ahead(net[r], anew[r]) for r in anew}
    return [
        trials.Claim(
            "a ticket of 21 % would stop earlier than the dense network",
            "38 % fewer steps",
            f"{shown(earlier)} %",
            trials.gain(earlier, 38),
        ),
        trials.Claim(
            "a ticket of 13.5 % is more accurate than the dense network",
            "+0.3 points",
            shown(more[9]),
            trials.gain(more[9], 0.3),
        ),
        trials.Claim(
            "a ticket of 3.6 % is as accurate as the dense network",
            "the same accuracy",
            shown(more[15]),
            trials.no_worse(more[15], MARGIN),
        ),
        trials.Claim(
            "a ticket of 21 % would stop earlier than if it is drawn anew",
            "2.51 times as fast, 60 % fewer steps",
            f"{shown(faster)} %",
            trials.gain(faster, 60),
        ),
        trials.Claim(
            "a ticket of 21 % is more accurate than if it is drawn anew",
            "+0.5 points",
            shown(lead[7]),
            trials.gain(lead[7], 0.5),
        ),
        trials.Claim(
            "so is one of 3.6 %",
            "yes, Figure 4",
            shown(lead[15]),
            trials.gain(lead[15], 0),
        ),
    ]


def _stopped(runs: Runs, r: int, which: str) -> Right:
    return rights(runs, WHOLE, (f"round {r}", which, "at stop"), SEEDS)


def _fewer_steps(
    runs: Runs, a: tuple[int, str], b: tuple[int, str]
) -> trials.Difference:
    """Return how many percent of b's steps a would save."""
    whole = [runs[f"{WHOLE}/{seed}"] for seed in SEEDS]
    first, second = (
        np.array([run[f"round {r}"][which]["stop"] for run in whole])
        for r, which in (a, b)
    )
    return trials.paired(100 * (1 - first / second), np.zeros(len(first)))
