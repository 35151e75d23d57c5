"""Private training on MNIST (Abadi et al. 2016, section 5.2 and figure 3).

60 principal components, found with noise; 1,000 rectified units; lots of 600; gradients
clipped at a norm of 4. The rate falls from 0.1 to 0.052 within ten epochs, and stays.
Three levels of noise, each until its budget is spent: 90, 95 and 97 % of the test
images are right at epsilon 0.5, 2 and 8, for delta = 1e-5; without privacy 98.3 %.

The projection is that of the paper's published code: images of norm 1, the sum of their
outer products with Gaussian noise of 16, 7 or 4 (no image moves the sum by more than
1), its symmetric part, the first eigenvectors. It is paid for: one more look, at all
images, in both accounts. The images themselves are projected as they are.

Two accounts give each run a number of steps: the paper's, whole moments up to 32, and
that of `deepopt_lib.privacy`. The run goes on to the second; the network is scored at
the first, too.

What differs: all parameters' gradient is clipped together, as in the paper's Algorithm
1, which costs what the noise says; its experiments clip each layer's at 4. Lots are
Poisson samples, as its accountant assumes; its code shuffles. The network without
privacy has its own rate, tuned on validation images by factors of two.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib import autodiff, data, nn, optim, privacy, trials
from deepopt_lib.core import Array, Params, matmul
from reproductions import private_budget as budget
from reproductions.common import Report, Runs, score, span
from reproductions.fitting import climb, fit
from reproductions.private_claims import verdicts

__all__ = ["PAPER", "PIECES", "SEEDS", "claims", "run", "tune"]

PAPER = {
    "right, epsilon 0.5 (percent)": 90,
    "right, epsilon 2 (percent)": 95,
    "right, epsilon 8 (percent)": 97,
    "right, not private (percent)": 98.3,
    "epsilon of 100 epochs, noise 4": 1.26,
    "epsilon of 400 epochs, noise 4": 2.55,
}
SEEDS = (0, 1, 2)


class Budget(NamedTuple):
    """What may be spent, and the noise of a step and of the projection."""

    epsilon: float
    noise: float
    projection: float


BUDGETS = {
    "epsilon 0.5": Budget(0.5, 8, 16),
    "epsilon 2": Budget(2, 4, 7),
    "epsilon 8": Budget(8, 2, 4),
}
CONTROL = "not private"
PIECES = (CONTROL, *BUDGETS)

SIZES = (60, 1000, 10)
LOT, CLIP = 600, 4.0
START, END, FALL = 0.1, 0.052, 1000  # rates, and the steps between them
EPOCHS, TUNED = 100, 0.8  # of the control; its rate was chosen by `tune`


def rate(t: int) -> float:
    """Return the learning rate of step ``t``, from 1."""
    return START + (END - START) * min((t - 1) / FALL, 1.0)


def projection(x: Array, noise: float, rng: np.random.Generator) -> Array:
    """Return the first principal directions, (pixels, 60), with noise or without.

    Abadi et al. (2016), section 4. x (images, pixels); of an image without ink no
    direction is known, and it counts as zero.
    """
    norms = np.sqrt((x * x).sum(axis=1, keepdims=True))
    unit = x / np.maximum(norms, np.finfo(x.dtype).tiny)
    total = matmul(unit.T, unit).astype(np.float64)
    noisy = total + noise * rng.standard_normal(total.shape)
    _, vectors = np.linalg.eigh((noisy + noisy.T) / 2)
    first: Array = vectors[:, : -SIZES[0] - 1 : -1].astype(x.dtype)
    return first


def private(
    x: Array,
    y: NDArray[np.int64],
    noise: float,
    stops: set[int],
    rng: np.random.Generator,
    report: Report,
) -> dict[int, Params]:
    """Train by DP-SGD; return the network after each number of steps in ``stops``."""
    params = nn.init_mlp(rng, SIZES, dtype=x.dtype)
    at = optim.InPlace(optim.Optimizer(optim.GradientDescent(), rate), params)
    q, kept = LOT / len(x), {}
    for t in range(1, max(stops) + 1):
        i = privacy.poisson(len(x), q, rng)
        total = privacy.mlp_clipped_sum(at.params, x[i], y[i], CLIP)
        at.step(privacy.privatize(total, CLIP, noise, LOT, rng))
        if t in stops:
            kept[t] = {k: w.copy() for k, w in at.params.items()}
        report(t / max(stops))
    return kept


def ordinary(
    x: Array,
    y: NDArray[np.int64],
    lr: float,
    epochs: int,
    rng: np.random.Generator,
    report: Report,
) -> Params:
    """Train the same network by SGD without noise and clipping."""

    def loss(params: Any, x: Any, y: Any) -> Any:
        return autodiff.cross_entropy(nn.mlp(params, x), y)

    params = nn.init_mlp(rng, SIZES, dtype=x.dtype)
    params, _ = fit(
        loss,
        params,
        optim.sgd(lr),
        x,
        y,
        epochs=epochs,
        batch=LOT,
        rng=rng,
        report=report,
    )
    return params


def run(piece: str, seed: int, report: Report) -> dict[str, Any]:
    """Project, train within a budget or without one, and score."""
    split = data.mnist(validation=0, dtype=np.float32)
    rng = np.random.default_rng(seed)
    given = BUDGETS.get(piece)
    basis = projection(split.x_train, given.projection if given else 0.0, rng)
    x, x_test = matmul(split.x_train, basis), matmul(split.x_test, basis)
    y = split.y_train

    def judged(params: Params) -> dict[str, Any]:
        wrong = 100 * (1 - nn.accuracy(nn.mlp(params, x), y))
        return {
            "train error": round(wrong, 3),
            "net": score(nn.mlp(params, x_test), split.y_test),
        }

    if given is None:
        params = ordinary(x, y, TUNED, EPOCHS, rng, span(report, 0.02, 1))
        return {"epochs": EPOCHS, **judged(params)}
    noises = (given.noise, given.projection)
    theirs, steps = (
        budget.within(account, given.epsilon, *noises)
        for account in (budget.moments, budget.renyi)
    )
    nets = private(x, y, given.noise, {theirs, steps}, rng, span(report, 0.02, 1))
    whole = (budget.RATE, given.noise, steps, budget.DELTA)
    return {
        "steps": steps,
        "steps by moments": theirs,
        "epsilon": budget.renyi(*noises, steps),
        "epsilon by moments": budget.moments(*noises, steps),
        "epsilon without the projection": privacy.epsilon(*whole),
        "tight epsilon without the projection": privacy.tight_epsilon(*whole),
        **judged(nets[steps]),
        "by moments": judged(nets[theirs]),
    }


def tune(report: Report) -> dict[str, Any]:
    """Try rates of the network without privacy, at full length."""
    seed, split = 100, data.mnist(dtype=np.float32)
    basis = projection(split.x_train, 0.0, np.random.default_rng(seed))
    x, x_val = matmul(split.x_train, basis), matmul(split.x_val, basis)

    def error(lr: float) -> float:
        rng = np.random.default_rng(seed)
        params = ordinary(x, split.y_train, lr, EPOCHS, rng, lambda fraction: None)
        return 100 * (1 - nn.accuracy(nn.mlp(params, x_val), split.y_val))

    found = climb(error, TUNED)
    report(1)
    return {"seed": seed, "validation error by rate": found}


def claims(runs: Runs) -> list[trials.Claim]:
    """Compare with the paper."""
    return verdicts(runs, PAPER, SEEDS, PIECES)
