"""Adam against other rules on MNIST (Kingma and Ba 2015, sections 6.1 and 6.2).

Two of the paper's figures, which show the training cost over passes of the data:

- logistic regression with L2, batches of 128, every rate divided by ``sqrt(t)``: "Adam
  yields similar convergence as SGD with momentum and both converge faster than Adagrad"
- two hidden layers of 1,000 rectified units with dropout, batches of 128: "Adam shows
  better convergence than other methods"

The cost of an epoch is the mean loss of its batches, dropout and all, and a rule is
judged by the last one. What the paper leaves open is set here: L2 of `DECAY`, dropout
of a fifth of the inputs and half of the hidden units, momentum of 0.9, the defaults of
Adam's averages. The rates are tuned on the same cost at the same length with a seed of
its own, by factors of two; no held-out image takes part, since none is in the claim.

What differs: the second network runs for `EPOCHS` passes instead of 200; AdaDelta is
left out. AdaGrad's steps shrink by themselves: beside the paper's ``1/sqrt(t)`` on top
of that, logistic regression has AdaGrad at a constant rate as a control.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from deepopt_lib import autodiff, data, nn, optim, trials
from deepopt_lib.core import Params, Rule, Schedule
from reproductions.common import Report, Runs, score
from reproductions.fitting import Loss, climb, fit
from reproductions.wording import shown

PAPER = {
    "logistic": "Adam as fast as Nesterov, both faster than AdaGrad",
    "dropout": "Adam faster than AdaGrad, RMSprop, Nesterov and AdaDelta",
}
SEEDS = (0, 1, 2)
SIMILAR = 0.01  # nats: what the lines of the figure are wide

SIZES = {"logistic": (784, 10), "dropout": (784, 1000, 1000, 10)}
DROPOUT = {"logistic": (0.0,), "dropout": (0.2, 0.5, 0.5)}
EPOCHS = {"logistic": 45, "dropout": 5}
BATCH, DECAY = 128, 1e-4
RULES: dict[str, Rule] = {
    "Adam": optim.Adam(),
    "Nesterov": optim.Momentum(0.9, nesterov=True),
    "AdaGrad": optim.AdaGrad(),
    "AdaGrad at a constant rate": optim.AdaGrad(),
    "RMSprop": optim.RMSprop(),
}
TUNED = {  # by `tune`
    "logistic Adam": 0.08,
    "logistic Nesterov": 4.0,
    "logistic AdaGrad": 0.25,
    "logistic AdaGrad at a constant rate": 0.1,
    "dropout Adam": 1e-3,
    "dropout Nesterov": 0.05,
    "dropout AdaGrad": 0.01,
    "dropout RMSprop": 5e-4,
}
PIECES = tuple(TUNED)


def rule_of(piece: str) -> tuple[str, str, Rule]:
    """Return a piece's network, the name of its rule, and the rule with its L2."""
    net, _, name = piece.partition(" ")
    rule = RULES[name]
    if net == "logistic":
        rule = optim.chain(optim.WeightDecay(DECAY), rule)
    return net, name, rule


def rate_of(piece: str, lr: float) -> Schedule:
    """Return the learning rate as a function of the step, from 1."""
    if piece.startswith("logistic") and "constant" not in piece:
        return lambda t: lr / math.sqrt(t)
    return optim.constant(lr)


def loss_of(net: str, rng: np.random.Generator) -> Loss:
    """Return the loss of a network, with its dropout."""
    rates = DROPOUT[net]

    def loss(p: Any, x: Any, y: Any) -> Any:
        for i, rate in enumerate(rates, 1):
            x = autodiff.dropout(x, rate=rate, rng=rng) if rate else x
            x = autodiff.linear(x, p[f"layer{i}.W"], p[f"layer{i}.b"])
            x = autodiff.relu(x) if i < len(rates) else x
        return autodiff.cross_entropy(x, y)

    return loss


def trained(
    piece: str, lr: float, seed: int, split: data.Split, epochs: int, report: Report
) -> tuple[Params, list[float]]:
    """Return a network, and the training cost of each epoch.

    Under one seed all rules start alike, and see the same batches and the same dropout.
    """
    net, _, rule = rule_of(piece)
    rng = np.random.default_rng(seed)
    params = nn.init_mlp(rng, SIZES[net], dtype=np.float32)
    if net == "logistic":
        params = {k: np.zeros_like(w) for k, w in params.items()}
    method = optim.Optimizer(rule, rate_of(piece, lr))
    loss, x, y = loss_of(net, rng), split.x_train, split.y_train
    params, costs = fit(
        loss, params, method, x, y, epochs=epochs, batch=BATCH, rng=rng, report=report
    )
    return params, [round(cost, 5) for cost in costs]


def run(piece: str, seed: int, report: Report) -> dict[str, Any]:
    """Train a network by one rule; return its costs, and its score on the test set."""
    split = data.mnist(validation=0, dtype=np.float32)
    epochs = EPOCHS[rule_of(piece)[0]]
    params, costs = trained(piece, TUNED[piece], seed, split, epochs, report)
    logits = nn.mlp(params, split.x_test)
    return {"costs": costs, "test": score(logits, split.y_test)}


def tune(report: Report) -> dict[str, Any]:
    """Try rates by factors of two around `TUNED`, at full length."""
    seed = 100
    split = data.mnist(validation=0, dtype=np.float32)
    tried: dict[str, dict[str, float]] = {}
    for i, piece in enumerate(PIECES):
        epochs = EPOCHS[rule_of(piece)[0]]

        def cost(lr: float, piece: str = piece, epochs: int = epochs) -> float:
            return trained(piece, lr, seed, split, epochs, lambda _: None)[1][-1]

        tried[piece] = climb(cost, TUNED[piece])
        report((i + 1) / len(PIECES))
    return {"seed": seed, "cost of the last epoch by rate": tried}


def claims(runs: Runs) -> list[trials.Claim]:
    """Return what the two figures say, and what the costs of the last epoch say."""

    def ahead(a: str, b: str) -> trials.Difference:
        first, second = (
            [runs[f"{piece}/{seed}"]["costs"][-1] for seed in SEEDS] for piece in (a, b)
        )
        return trials.paired(second, first)

    def row(
        claim: str, paper: str, verdict: trials.Verdict, *by: trials.Difference
    ) -> trials.Claim:
        here = " and ".join(shown(d, 4) for d in by) + f" nats, n = {len(SEEDS)}"
        return trials.Claim(f"{claim} (Kingma 2015)", paper, here, verdict)

    def both(control: str) -> trials.Claim:
        by = [
            ahead(f"logistic {a}", f"logistic {control}") for a in ("Adam", "Nesterov")
        ]
        verdict = trials.combined(*(trials.gain(d, 0) for d in by))
        return row(
            f"logistic regression: Adam and Nesterov ahead of {control}",
            "figure 1",
            verdict,
            *by,
        )

    near = ahead("logistic Adam", "logistic Nesterov")
    similar = trials.combined(
        trials.no_worse(near, SIMILAR), trials.no_worse(near.scaled(-1), SIMILAR)
    )
    found = [
        row("logistic regression: Adam and Nesterov alike", "figure 1", similar, near),
        both("AdaGrad"),
        both("AdaGrad at a constant rate"),
    ]
    for control in ("AdaGrad", "RMSprop", "Nesterov"):
        d = ahead("dropout Adam", f"dropout {control}")
        found.append(
            row(
                f"two hidden layers, dropout: Adam ahead of {control}",
                "figure 2",
                trials.gain(d, 0),
                d,
            )
        )
    return found
