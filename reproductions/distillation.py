"""Distillation on MNIST (Hinton, Vinyals, Dean 2015, section 3).

A large network, 784-1200-1200-10, on images that are shifted by up to two pixels,
teaches a small one, 784-800-800-10, which sees no shifted image and has no
regularization but the teacher's answers at a temperature of 20. Then it is taught
without any image of a 3; what it lacks is above all a high enough bias for the 3.

What differs: `EPOCHS` instead of as many as it took; Adam on a cosine; no constraint on
the norms of the weights, but weight decay for the teacher, and no dropout: on shifted
images, for so few epochs, none was best. 5,000 of the 60,000 images are held out
throughout, and what is tuned is tuned on them. The paper raises the bias to what is
best on the test images. Here that is done on the held-out ones, and on the test images
only beside it, for comparison. The control that the paper lacks: the same network
without 3s, taught by the labels alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib import data, nn, trials
from deepopt_lib.core import Array, Params
from reproductions.common import Report, Runs, rights, score, span
from reproductions.fitting import Loss, climb
from reproductions.pupils import DROPOUT, logits, losses, study, teach
from reproductions.wording import shown

PAPER = {  # errors among 10,000
    "teacher": 67,
    "labels": 146,
    "distilled": 74,
    "without 3s": 206,
    "without 3s, on the 3s": 133,
    "bias raised": 109,
    "bias raised, on the 3s": 14,
}
FOUND = 98.6  # percent of the 3s, after the bias is raised
NEARLY = 0.17  # points: two standard errors of 74 errors among 10,000
SEEDS = (0, 1, 2)
PIECES: tuple[str, ...] = ()

EPOCHS = {"teacher": 20, "student": 12}
TUNED = {"teacher": 2e-3, "labels": 2e-3, "distilled": 4e-3}  # rates, by `tune`
# tried: that of Hinton et al. (2012), whom the paper names for it, and less
DROPOUTS = ((0.2, 0.5, 0.5), (0.1, 0.3, 0.3), (0.0, 0.2, 0.2), (0.0, 0.0, 0.0))
BIASES = np.arange(0, 15.001, 0.05)  # what is tried for the 3


def raised(z: Array, bias: float) -> Array:
    """Return logits (n, 10) with more bias for the 3."""
    more: Array = np.zeros(10, z.dtype)
    more[3] = bias
    return z + more


def best_bias(z: Array, y: NDArray[np.int64]) -> float:
    """Return the least that, added to the bias of the 3, makes the fewest errors."""
    wrong = [np.mean(raised(z, b).argmax(axis=1) != y) for b in BIASES]
    return round(float(BIASES[int(np.argmin(wrong))]), 2)


def scored(z: Array, y: NDArray[np.int64]) -> dict[str, Any]:
    """Return the score, and how many of the errors are on 3s."""
    threes = y == 3
    missed = int(np.count_nonzero(z[threes].argmax(axis=1) != 3))
    return {**score(z, y), "on the 3s": missed, "3s": int(threes.sum())}


def run(piece: str, seed: int, report: Report) -> dict[str, Any]:
    """Train a teacher and its four students, and score all of them."""
    split = data.mnist(dtype=np.float32)
    x, y, y_test = split.x_train, split.y_train, split.y_test
    epochs = EPOCHS["student"]
    first = span(report, 0, 0.5)
    teacher = teach(x, y, TUNED["teacher"], EPOCHS["teacher"], seed, first)
    found = {"teacher": scored(logits(teacher, split.x_test), y_test)}
    rows = {"": np.arange(len(y)), ", no 3s": np.flatnonzero(y != 3)}
    by_name = losses(y, logits(teacher, x))
    pupils = [(name, which) for which in rows for name in by_name]
    for i, (name, which) in enumerate(pupils):
        part = span(report, 0.5 + i / 8, 0.5 + (i + 1) / 8)
        lr = TUNED[name]
        student = study(by_name[name], x, rows[which], lr, epochs, seed, part)
        z = logits(student, split.x_test)
        found[name + which] = scored(z, y_test)
        if which:
            bias = best_bias(logits(student, split.x_val), split.y_val)
            for way, b in (("", bias), (" to the test's best", best_bias(z, y_test))):
                key = f"{name}{which}, bias raised{way}"
                found[key] = {**scored(raised(z, b), y_test), "bias": b}
    return found


def tune(report: Report) -> dict[str, Any]:
    """Try dropout and rate of the teacher, then the rates of both students of it."""
    seed, epochs = 100, {"teacher": 8, "student": 4}
    split = data.mnist(dtype=np.float32)
    x, y, rows = split.x_train, split.y_train, np.arange(len(split.y_train))

    def error(params: Params) -> float:
        right = nn.accuracy(logits(params, split.x_val), split.y_val)
        return round(100 * (1 - right), 2)

    def ignore(_: float) -> None:
        pass

    tried: dict[str, dict[str, float]] = {"teacher's dropout": {}}
    for i, dropout in enumerate(DROPOUTS):
        taught = teach(x, y, TUNED["teacher"], epochs["teacher"], seed, ignore, dropout)
        tried["teacher's dropout"][str(dropout)] = error(taught)
        report(0.15 * (i + 1))
        if dropout == DROPOUT:
            teacher, known = taught, error(taught)

    def of_teacher(lr: float) -> float:
        if lr == TUNED["teacher"]:
            return known
        return error(teach(x, y, lr, epochs["teacher"], seed, ignore))

    tried["teacher"] = climb(of_teacher, TUNED["teacher"])
    report(0.8)
    for name, loss in losses(y, logits(teacher, x)).items():

        def of_student(lr: float, loss: Loss = loss) -> float:
            return error(study(loss, x, rows, lr, epochs["student"], seed, ignore))

        tried[name] = climb(of_student, TUNED[name])
    report(1.0)
    return {"epochs": epochs, "seed": seed, "validation error": tried}


def claims(runs: Runs) -> list[trials.Claim]:
    """Return what section 3 says, and what these runs say."""

    def right(name: str) -> Any:
        return rights(runs, "all", name, SEEDS)

    def found(name: str) -> Array:  # percent of the 3s, by seed
        nets = [runs[f"all/{seed}"][name] for seed in SEEDS]
        return np.array([100 - 100 * net["on the 3s"] / net["3s"] for net in nets])

    def row(
        claim: str, paper: str, ahead: trials.Difference, verdict: trials.Verdict
    ) -> trials.Claim:
        here = f"{shown(ahead)} points, n = {len(SEEDS)}"
        return trials.Claim(f"{claim} (Hinton 2015)", paper, here, verdict)

    never, after = "distilled, no 3s", "distilled, no 3s, bias raised"
    taught = trials.paired(right("distilled"), right("labels")).scaled(100)
    behind = trials.paired(right("distilled"), right("teacher")).scaled(100)
    bias = trials.paired(right(after), right(never)).scaled(100)
    level = trials.paired(found(after), np.full(len(SEEDS), FOUND))
    control = trials.paired(found(after), found("labels, no 3s, bias raised"))
    return [
        row(
            "soft targets at T = 20 instead of labels alone",
            "146 → 74 errors: +0.72",
            taught,
            trials.gain(taught, 0.72),
        ),
        row(
            "the student is nearly as good as its teacher",
            "74 and 67 errors: −0.07",
            behind,
            trials.no_worse(behind, NEARLY),
        ),
        row(
            "no 3 seen: a higher bias for it helps",
            "206 → 109 errors: +0.97",
            bias,
            trials.gain(bias, 0.97),
        ),
        row(
            "no 3 seen: 98.6 % of them found then",
            "98.6 % of 1,010",
            level,
            trials.no_worse(level, 2),
        ),
        row(
            "no 3 seen: labels alone do not find them",
            "no control",
            control,
            trials.gain(control, 0),
        ),
    ]
