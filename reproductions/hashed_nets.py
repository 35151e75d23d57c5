"""HashedNets: few values for many weights (Chen et al. 2015), on MNIST.

Of the paper's tables, the columns of three layers: 784-1000-10, compressed to 1/8 and
to 1/64. In a hashed network the weights of a layer, its biases among them, share so
many values by a hash of their position; what is stored is the values. The controls have
as many numbers: a dense network with fewer hidden units (NN in the paper), and at 1/8
a first layer of low rank. At 1/64 the output layer and the biases alone are nearly the
whole budget, and no rank is left.

As in the authors' code: momentum 0.9, the rate and dropout of the inputs and of the
hidden units tuned for each network, on 5,000 held-out images. What differs: `EPOCHS` on
a cosine instead of up to 1,000 and the best of them, batches of 100 instead of 50, a
grid instead of Bayesian optimization. The paper's low rank is another one: one factor
is fixed (Denil et al. 2013), here both are learned.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib import autodiff, data, nn, optim, trials
from deepopt_lib.core import Params
from reproductions.common import Report, Runs, rights, score
from reproductions.fitting import fit
from reproductions.hashed_layers import Hashes, logits, network
from reproductions.wording import shown

PAPER = {
    "hashed 1/8": 1.45,
    "small 1/8": 1.69,
    "low rank 1/8": 1.89,
    "hashed 1/64": 2.79,
    "small 1/64": 6.28,
}
SEEDS = (0, 1, 2)
PIECES = (
    "hashed 1/8",
    "hashed 1/64",
    "dense",
    "low rank 1/8",
    "small 1/8",
    "small 1/64",
)

EPOCHS, BATCH = 15, 100
TUNED = {  # rate and dropout, by `tune`
    "hashed 1/8": (0.2, 0.0),
    "hashed 1/64": (0.05, 0.0),
    "dense": (0.2, 0.0),
    "low rank 1/8": (0.05, 0.0),
    "small 1/8": (0.2, 0.0),
    "small 1/64": (0.1, 0.0),
}
MIDDLES = {  # of the rates that `tune` tries
    "hashed 1/8": 0.1,
    "hashed 1/64": 0.05,
    "dense": 0.1,
    "low rank 1/8": 0.05,
    "small 1/8": 0.2,
    "small 1/64": 0.1,
}


def trained(
    piece: str,
    setting: tuple[float, float],
    seed: int,
    split: data.Split,
    epochs: int,
    report: Report,
) -> tuple[Params, list[Hashes | None]]:
    """Return a trained network of a piece and its hashes."""
    lr, dropout = setting
    rng = np.random.default_rng(seed)
    params, hashes = network(piece, rng)

    def loss(p: Any, x: Any, y: Any) -> Any:
        return autodiff.cross_entropy(logits(p, x, hashes, dropout, rng), y)

    steps = epochs * -(-len(split.x_train) // BATCH)
    method = optim.Optimizer(optim.Momentum(0.9), optim.cosine(lr, steps))
    x, y = split.x_train, split.y_train
    params, _ = fit(
        loss, params, method, x, y, epochs=epochs, batch=BATCH, rng=rng, report=report
    )
    return params, hashes


def run(piece: str, seed: int, report: Report) -> dict[str, Any]:
    """Train a network on all 60,000 images, and score it once on the 10,000."""
    split = data.mnist(validation=0, dtype=np.float32)
    params, hashes = trained(piece, TUNED[piece], seed, split, EPOCHS, report)
    return {
        "numbers": sum(w.size for w in params.values()),
        "test": score(logits(params, split.x_test, hashes), split.y_test),
    }


def tune(report: Report) -> dict[str, Any]:
    """Try five rates each, by factors of two, with and without dropout."""
    epochs, seed = 6, 100
    split = data.mnist(dtype=np.float32)
    tried: dict[str, dict[str, float]] = {piece: {} for piece in PIECES}
    todo = [
        (piece, dropout, middle * factor)
        for piece, middle in MIDDLES.items()
        for dropout in (0.0, 0.25)
        for factor in (0.25, 0.5, 1, 2, 4)
    ]
    for i, (piece, dropout, lr) in enumerate(todo):
        made = trained(piece, (lr, dropout), seed, split, epochs, lambda _: None)
        z = logits(made[0], split.x_val, made[1])
        error = round(100 * (1 - nn.accuracy(z, split.y_val)), 2)
        tried[piece][f"rate {lr:g}, dropout {dropout:g}"] = error
        report((i + 1) / len(todo))
    return {"epochs": epochs, "seed": seed, "validation error": tried}


def claims(runs: Runs) -> list[trials.Claim]:
    """Return what the paper's tables say of hashing, and what these runs say."""
    found = []
    for part, control, words in (
        ("1/8", "small", "fewer hidden units"),
        ("1/8", "low rank", "a first layer of low rank"),
        ("1/64", "small", "fewer hidden units"),
    ):
        a, b = f"hashed {part}", f"{control} {part}"
        ahead = trials.paired(
            rights(runs, a, "test", SEEDS), rights(runs, b, "test", SEEDS)
        ).scaled(100)
        gain = PAPER[b] - PAPER[a]
        here = f"{shown(ahead)} points, n = {len(SEEDS)}"
        claim = f"{part} of the numbers: hashing errs less than {words} (Chen 2015)"
        paper = f"{PAPER[b]:.2f} → {PAPER[a]:.2f} %: {gain:+.2f} points"
        found.append(trials.Claim(claim, paper, here, trials.gain(ahead, gain)))
    return found
