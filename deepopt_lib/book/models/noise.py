"""The noise ball: where SGD with a constant rate stops, by formula and by dice."""

from __future__ import annotations

import math
from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.controls import Slider, powers
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.marks import Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel

__all__ = ["ball", "noise_ball", "sgd_noise"]

SHOWN = 250  # steps that are drawn
STEPS = 8000  # steps that are averaged over, after those
PRIME = 2147483647  # Lehmer's generator: whole numbers, alike in every language


def ball(rate: float, batch: float) -> float:
    """Return the mean square at rest, at curvature 1 and a sample's variance of 1."""
    return rate / (batch * (2 - rate))


def noise_ball(rate: float, batch: float, seed: int) -> dict[str, Any]:
    """Run SGD on ``w*w/2`` from 2, each gradient with noise of variance 1/batch."""
    state = seed * 7919 % PRIME
    spread = 1 / math.sqrt(batch)
    w = 2.0
    path = [w]
    squares = 0.0
    for t in range(1, SHOWN + STEPS + 1):
        state = 16807 * state % PRIME
        size = math.sqrt(-2 * math.log(state / PRIME))
        state = 16807 * state % PRIME
        noise = spread * size * math.cos(math.tau * state / PRIME)
        w = w - rate * (w + noise)
        if t <= SHOWN:
            path.append(w)
        else:
            squares += w * w
    radius = math.sqrt(ball(rate, batch))
    rates = [0.01 * 10 ** (i / 20) for i in range(47)]
    return {
        "step": [i for i in range(SHOWN + 1)],
        "path": path,
        "ends": [0.0, SHOWN],
        "above": [radius, radius],
        "below": [-radius, -radius],
        "ball": ball(rate, batch),
        "measured": squares / STEPS,
        "rates": rates,
        "balls": [ball(r, batch) for r in rates],
        "single": [ball(r, 1.0) for r in rates],
        "ratio": rate / batch,
    }


def sgd_noise() -> HTML:
    """Show a run of SGD in its noise ball, and the ball against rate and batch."""
    run = Panel(
        Axis(0, SHOWN, "step"),
        Axis(-2.4, 2.4, "parameter"),
        [
            Line(look="SGD", x="step", y="path", width=1.5, dash="-", label="a run"),
            Line(look="gray", x="ends", y="above", dash="--", label="√ of the formula"),
            Line(look="gray", x="ends", y="below", dash="--"),
        ],
        "A run of SGD falls from 2 toward 0 and then stays noisy, mostly within two "
        "dashed lines.",
    )
    law = Panel(
        Axis(0.01, 2, "rate", log=True),
        Axis(1e-5, 10, "mean square at rest", log=True),
        [
            Line(look="gray", x="rates", y="single", width=1, label="batch 1"),
            Line(look="gray", x="rates", y="balls", dash="--", label="this batch"),
            Points(look="blue", x="rate", y="measured", size=10, label="measured"),
        ],
        "The mean square at rest against the rate, both logarithmic: straight lines "
        "that bend upward near 2, and the measured point on the line of its batch.",
    )
    return figure(
        noise_ball,
        [
            Slider("rate", "Rate", powers(0.01, 1.8, 40), 0.16),
            Slider("batch", "Batch size", [2**k for k in range(9)], 4),
            Slider("seed", "Dice", list(range(1, 21)), 7),
        ],
        [run, law],
        title="Where SGD stops depends on the rate over the batch size",
        text="Rate {rate}, batch size {batch}, a ratio of {ratio:3}: by the formula "
        "the mean square at rest is {ball:3}, and 8,000 simulated steps give "
        "{measured:3}.",
        caption="The curvature is 1, and the gradient of one sample has variance 1. "
        "Double both the rate and the batch: the ball stays, as long as the rate is "
        "far below 2.",
    )
