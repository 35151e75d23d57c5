"""An even grid of few bits: rounding error against clipping error."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.controls import Slider, even
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.marks import Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel
from deepopt_lib.book.live.words import rounded

__all__ = ["even_grid", "mean_squares", "quantization_grid"]

WEIGHTS = 300  # quantiles of a normal distribution, which stand for a layer


def mean_squares(
    weights: list[float], bits: int, low: float, high: float
) -> tuple[float, float]:
    """Return the mean squares of rounding, within the grid, and of clipping."""
    top = 2**bits - 1
    step = (high - low) / top
    zero = min(max(round(-low / step), 0), top)
    rounding = 0.0
    clipping = 0.0
    for w in weights:
        code = round(w / step) + zero
        kept = min(max(code, 0), top)
        error = w - step * (kept - zero)
        if kept == code:
            rounding += error * error
        else:
            clipping += error * error
    return rounding / len(weights), clipping / len(weights)


def even_grid(
    bits: int, low: float, high: float, weights: list[float]
) -> dict[str, Any]:
    """Quantize weights to ``2**bits`` even values, 0 among them."""
    top = 2**bits - 1
    step = (high - low) / top
    zero = min(max(round(-low / step), 0), top)
    grid_x = []
    grid_y = []
    for code in range(top + 1):
        value = step * (code - zero)
        grid_x.append(value)
        grid_y.append(-0.01)
        grid_x.append(value)
        grid_y.append(0.4 * math.exp(-value * value / 2) + 0.02)
        grid_x.append(math.nan)
        grid_y.append(0.0)
    rounding, clipping = mean_squares(weights, bits, low, high)
    reaches = [0.5 + i / 8 for i in range(37)]
    by_rounding = []
    by_clipping = []
    by_both = []
    best = math.inf
    best_reach = 0.0
    for reach in reaches:
        a, b = mean_squares(weights, bits, -reach, reach)
        by_rounding.append(a)
        by_clipping.append(max(b, 1e-12))
        by_both.append(a + b)
        if a + b < best:
            best = a + b
            best_reach = reach
    return {
        "grid_x": grid_x,
        "grid_y": grid_y,
        "bell_x": [i / 10 - 5 for i in range(101)],
        "bell_y": [0.4 * math.exp(-((i / 10 - 5) ** 2) / 2) for i in range(101)],
        "reaches": reaches,
        "by_rounding": by_rounding,
        "by_clipping": by_clipping,
        "by_both": by_both,
        "reach": (high - low) / 2,
        "total": rounding + clipping,
        "rounding": rounding,
        "clipping": clipping,
        "zero": zero,
        "step": step,
        "levels": top + 1,
        "best_reach": best_reach,
    }


def quantization_grid() -> HTML:
    """Show an even grid under a bell of weights, and its two errors."""
    bell = Panel(
        Axis(-5, 5, "weight (standard deviations)"),
        Axis(0, 0.46, "density and grid"),
        [
            Line(look="gray", x="bell_x", y="bell_y"),
            Line(look="quantized", x="grid_x", y="grid_y", width=1),
        ],
        "A bell of weights over evenly spaced lines, the values that four bits can "
        "take, from minus three to three standard deviations.",
    )
    errors = Panel(
        Axis(0.5, 5, "half of the range"),
        Axis(1e-6, 1, "mean square error", log=True),
        [
            Line(
                look="blue", x="reaches", y="by_rounding", dash="--", label="rounding"
            ),
            Line(look="pink", x="reaches", y="by_clipping", dash=":", label="clipping"),
            Line(look="gray", x="reaches", y="by_both", label="both, range centered"),
            Points(look="vermilion", x="reach", y="total", size=10, label="this grid"),
        ],
        "Mean square errors against the range: clipping falls with it, rounding grows, "
        "and their sum is least in between.",
    )
    quantiles = [NormalDist().inv_cdf((i + 0.5) / WEIGHTS) for i in range(WEIGHTS)]
    return figure(
        even_grid,
        [
            Slider("bits", "Bits", list(range(2, 9)), 4),
            Slider("low", "Lower end", even(-5, 0, 51), -3.0),
            Slider("high", "Upper end", even(0.1, 5, 50), 3.0),
        ],
        [bell, errors],
        title="The best range cuts the tails off: fewer bits, a narrower one",
        text="{bits} bits from {low} to {high}: {levels} values {step:3} apart, with "
        "0 at code {zero}. Rounding costs {rounding:2}, clipping {clipping:2}; of the "
        "centered ranges the best ends at {best_reach:3}.",
        caption="Errors are mean squares, in units of the weights' variance. Zero is "
        "always one of the values, so that the grid may be shifted by half a step.",
        given={"weights": [rounded(w, 5) for w in quantiles]},
    )
