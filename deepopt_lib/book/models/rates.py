"""Schedules of the learning rate: a warm-up, a shape, and what they add up to."""

from __future__ import annotations

import math
from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.cells import Label
from deepopt_lib.book.live.controls import Choice, Slider, powers
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.marks import Boxes, Line
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel

__all__ = ["SHAPES", "rate_at", "schedule", "schedule_builder"]

SHAPES = ("constant", "inverse root", "cosine", "linear", "stable, then decay")


def rate_at(
    shape: str, t: float, peak: float, steps: int, rise: float, tail: float
) -> float:
    """Return the rate at step t from 1 on; ``rise`` steps go up, ``tail`` go down."""
    warm = min(1, t / rise)
    if shape == "inverse root":
        return peak * min(t / rise, math.sqrt(rise / t))
    if shape == "cosine":
        return peak * warm * (1 + math.cos(math.pi * (t - 1) / steps)) / 2
    if shape == "linear":
        return peak * warm * (1 - (t - 1) / steps)
    if shape == "stable, then decay":
        return peak * warm * min(1, (steps - t + 1) / tail)
    return peak * warm


def schedule(
    shape: str, peak: float, steps: int, warmup: float, decay: float
) -> dict[str, Any]:
    """Follow a schedule; ``warmup`` and ``decay`` are percentages of the steps."""
    rise = max(1, warmup / 100 * steps)
    tail = max(1, decay / 100 * steps)
    done = []
    rates = []
    for i in range(201):
        t = 1 + i / 200 * (steps - 1)
        done.append(100 * t / steps)
        rates.append(rate_at(shape, t, peak, steps, rise, tail) / peak)
    sums = []
    total = 0.0
    for name in SHAPES:
        one = 0.0
        for t in range(1, steps + 1):
            one += rate_at(name, t, peak, steps, rise, tail)
        sums.append(one)
        if name == shape:
            total = one
    row = 0.0
    for i in range(len(SHAPES)):
        if SHAPES[i] == shape:
            row = len(SHAPES) - 1.0 - i
    return {
        "done": done,
        "rates": rates,
        "sums": [100 * one / (peak * steps) for one in sums],
        "low": [4.12, 3.12, 2.12, 1.12, 0.12],
        "high": [4.5, 3.5, 2.5, 1.5, 0.5],
        "chosen": 100 * total / (peak * steps),
        "chosen_low": row + 0.12,
        "chosen_high": row + 0.5,
        "total": total,
        "last": rate_at(shape, steps, peak, steps, rise, tail),
        "rise": rise,
    }


def schedule_builder() -> HTML:
    """Show a schedule to build, beside what each shape adds up to."""
    curve = Panel(
        Axis(0, 100, "% of the run"),
        Axis(0, 1.1, "rate / peak"),
        [Line(look="blue", x="done", y="rates", width=2.5)],
        "The rate over the run: it rises within the first steps, then falls along half "
        "a cosine to zero.",
    )
    labels = [
        Label(look="ink", x=0.0, y=4.5 - i, text=shape, shift=(4, -4))
        for i, shape in enumerate(SHAPES)
    ]
    bars = Panel(
        Axis(0, 110, "sum of the rates, % of peak × steps"),
        Axis(0, 5, "", ticks={}),
        [
            Boxes(look="gray", x0=0.0, x1="sums", y0="low", y1="high", faint=0.5),
            Boxes(look="blue", x0=0.0, x1="chosen", y0="chosen_low", y1="chosen_high"),
            *labels,
        ],
        "Five bars, the sum of the rates for each shape: the constant one has the "
        "most, cosine and linear about half of it.",
    )
    return figure(
        schedule,
        [
            Choice("shape", "Shape", {s: s for s in SHAPES}, "cosine"),
            Slider("peak", "Peak rate", powers(1e-4, 1, 25, 2), 0.01),
            Slider("steps", "Steps", [50, 100, 200, 500, 1000, 2000, 5000], 1000),
            Slider("warmup", "Warm-up", [0, 1, 2, 3, 5, 10, 15, 20, 30], 5, "%"),
            Slider("decay", "Decay at the end", [5, 10, 15, 20, 30, 40, 50], 20, "%"),
        ],
        [curve, bars],
        title="Cosine and line cover half the way of a constant rate, and end at rest",
        text="Shape: {shape}. Peak {peak}, {rise} of {steps} steps to warm up: the "
        "rates add up to {total:3}, which is {chosen:.0} % of peak times "
        "steps, and the last one is {last:2}.",
        caption="The sum of the rates bounds how far the parameters can go; the last "
        "rate says how large the noise ball is at the end. Only the last shape uses "
        "the decay at the end.",
    )
