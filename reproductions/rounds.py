"""Pruning of LeNet-300-100 in rounds, each followed by training.

Han et al. (2015), section 3.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deepopt_lib import compress, core, data
from reproductions import lenet
from reproductions.common import Report, span

__all__ = ["DENSITY", "ROUNDS", "at_once", "in_rounds", "layer_masks", "trained"]

DENSITY = {"layer1.W": 0.08, "layer2.W": 0.09, "layer3.W": 0.26}
TOGETHER = 0.0818  # what these are of all weights
ROUNDS = 5
EPOCHS, RATE, DECAY = 8, 1e-2, 0.1  # of training after each; the rate: `pruning.tune`

Masks = Mapping[str, compress.Mask]


def layer_masks(params: core.Params, part: float) -> Masks:
    """Prune each layer; at ``part`` = 1 to its density, before on the way to it."""
    return {
        k: compress.top_share(compress.magnitude(params[k]), 1 - density**part)
        for k, density in DENSITY.items()
    }


def in_rounds(
    params: core.Params,
    split: data.Split,
    seed: int,
    report: Report,
    *,
    together: bool = False,
    lr: float = RATE,
) -> core.Params:
    """Prune and train in turns; each round removes the same share of what is left."""
    for r in range(ROUNDS):
        part = (r + 1) / ROUNDS
        if together:
            masks: Masks = compress.global_masks(
                params, 1 - TOGETHER**part, lenet.MATRICES
            )
        else:
            masks = layer_masks(params, part)
        stage = span(report, r / ROUNDS, part)
        params = trained(params, split, seed + 1000 * r, stage, masks=masks, lr=lr)
    return params


def at_once(
    params: core.Params, split: data.Split, seed: int, report: Report
) -> core.Params:
    """Prune in one step, and train for as many epochs as all rounds have."""
    masks = layer_masks(params, 1)
    return trained(params, split, seed, report, masks=masks, rounds=ROUNDS)


def trained(
    params: core.Params,
    split: data.Split,
    seed: int,
    report: Report,
    *,
    masks: Masks | None = None,
    rounds: int = 1,
    lr: float = RATE,
) -> core.Params:
    """Train what is left for some rounds' epochs, each with a schedule of its own."""
    rng = np.random.default_rng([seed, 2])
    for r in range(rounds):
        params = lenet.fit(
            params,
            split,
            rng,
            epochs=EPOCHS,
            lr=lr,
            decay=DECAY,
            masks=masks,
            report=span(report, r / rounds, (r + 1) / rounds),
        )
    return params
