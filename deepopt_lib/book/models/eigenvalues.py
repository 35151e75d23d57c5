"""One direction of momentum: two eigenvalues decide whether it creeps or rings."""

from __future__ import annotations

import math
from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.cells import Label
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.handles import Point
from deepopt_lib.book.live.marks import Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel

__all__ = ["eigenplane", "errors", "momentum_regimes"]

STEPS = 40
HEIGHT = 264  # the plot is three quarters as high as wide: a circle is one


def errors(product: float, momentum: float) -> list[float]:
    """Return the error at every step, from 1 and at rest."""
    moved, w = 0.0, 1.0
    found = [w]
    for _ in range(STEPS):
        moved = momentum * moved + product * w
        w = min(max(w - moved, -1e9), 1e9)
        found.append(w)
    return found


def eigenplane(product: float, momentum: float) -> dict[str, Any]:
    """Solve ``z*z - (1 + momentum - product) * z + momentum = 0``."""
    half = (1 + momentum - product) / 2
    inside = half * half - momentum
    root = math.sqrt(abs(inside))
    real = [half, half]
    imaginary = [-root, root]
    size = math.sqrt(momentum)
    if inside >= 0:
        real = [half - root, half + root]
        imaginary = [0.0, 0.0]
        size = abs(half) + root
    regime = "it rings"
    if inside >= 0:
        regime = "it creeps" if product < 1 else "it flips its sign at every step"
    if size >= 1:
        regime = "it diverges"
    return {
        "real": real,
        "imaginary": imaginary,
        "size": size,
        "regime": regime,
        "step": [i for i in range(STEPS + 1)],
        "error": errors(product, momentum),
        "circle_x": [math.cos(i * math.tau / 60) for i in range(61)],
        "circle_y": [math.sin(i * math.tau / 60) for i in range(61)],
        "inner_x": [size * math.cos(i * math.tau / 60) for i in range(61)],
        "inner_y": [size * math.sin(i * math.tau / 60) for i in range(61)],
        "border": [i / 20 for i in range(81)],
        "critical": [(1 - math.sqrt(i / 20)) ** 2 for i in range(81)],
        "limit": [i / 40 - 1 for i in range(81)],
        "best": (1 - math.sqrt(product)) ** 2,
    }


def momentum_regimes() -> HTML:
    """Show the map of momentum's regimes, the two eigenvalues, and the error."""
    names = {
        "creeps": (0.03, 0.015),
        "rings": (0.9, 0.6),
        "flips": (1.57, 0.012),
        "diverges": (3.05, 0.25),
    }
    regimes = Panel(
        Axis(0, 4, "step size × curvature"),
        Axis(0, 1, "momentum"),
        [
            Line(look="ink", x="border", y="critical", width=1.5),
            Line(look="ink", x="border", y="limit", width=1.5),
            *(Label(look="ink", x=x, y=y, text=k) for k, (x, y) in names.items()),
            Points(look="vermilion", x="product", y="momentum", size=11),
        ],
        "A map of momentum against step size times curvature, with three borders: it "
        "creeps at the lower left, rings in the middle, flips its sign at the lower "
        "right, and diverges beyond a line. The point is where it rings.",
        HEIGHT,
    )
    plane = Panel(
        Axis(-1.6, 1.6, "real part"),
        Axis(-1.2, 1.2, "imaginary part of the eigenvalues"),
        [
            Line(look="ink", x="circle_x", y="circle_y", width=1.5, label="limit: 1"),
            Line(look="vermilion", x="inner_x", y="inner_y", dash=":", label="size"),
            Points(look="vermilion", x="real", y="imaginary", size=10),
        ],
        "The complex plane: two conjugate eigenvalues on a circle within the unit "
        "circle.",
        HEIGHT,
    )
    error = Panel(
        Axis(0, STEPS, "step"),
        Axis(-1.5, 1.5, "error"),
        [
            Line(look="vermilion", x="step", y="error"),
            Points(look="vermilion", x="step", y="error", size=5),
        ],
        "The error over 40 steps: an oscillation that dies away.",
        HEIGHT,
    )
    return figure(
        eigenplane,
        [Point(("product", "momentum"), "Place on the map", (0.4, 0.8), (0.02, 0.01))],
        [regimes, plane, error],
        title="Momentum creeps, rings, flips or diverges, and two numbers decide which",
        text="Step size times curvature {product}, momentum {momentum}: {regime}. The "
        "larger eigenvalue has the size {size:3}, which is what a step leaves of the "
        "error; the best momentum here is {best:3}.",
        caption="With Shift an arrow key takes ten steps. Within the curve the "
        "eigenvalues are a pair, whose size is the root of the momentum at any "
        "curvature.",
    )
