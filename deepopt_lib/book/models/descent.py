"""Descent on a valley, and the two eigenvalues that decide about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.cells import Label
from deepopt_lib.book.live.controls import Choice, Slider, even
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.handles import Point
from deepopt_lib.book.live.marks import Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel
from deepopt_lib.book.live.update import Step, Update

__all__ = [
    "METHODS",
    "contours",
    "loss_along",
    "momentum_valley",
    "path",
    "shrinks",
    "valley",
]

STEPS = 150
FAR = 1e9  # where a run that diverges stops
KAPPAS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500)
METHODS = ("gradient descent", "heavy ball", "Nesterov")


def path(
    method: str,
    curvature: float,
    w: float,
    rate: float,
    momentum: float,
    gradient_descent: Step,
    heavy_ball: Step,
    nesterov: Step,
) -> list[float]:
    """Return one coordinate at every step: the gradient is ``curvature * w``."""
    state = [0.0]
    places = [w]
    for t in range(1, STEPS + 1):
        g = curvature * w
        if method == "heavy ball":
            u, state = heavy_ball(g, state, w, t, momentum)
        elif method == "Nesterov":
            u, state = nesterov(g, state, w, t, momentum)
        else:
            u, state = gradient_descent(g, [], w, t)
        w = min(max(w - rate * u, -FAR), FAR)
        places.append(w)
    return places


def loss_along(flat: list[float], steep: list[float], kappa: float) -> list[float]:
    """Return the loss at every step, kept above zero for its logarithm."""
    losses = []
    for i in range(len(flat)):
        loss = (flat[i] * flat[i] / kappa + steep[i] * steep[i]) / 2
        losses.append(max(loss, 1e-30))
    return losses


def shrinks(method: str, x: float, momentum: float) -> float:
    """Return what a step leaves of the error; x is rate times curvature."""
    trace, product = 1 - x, 0.0
    if method == "heavy ball":
        trace, product = 1 + momentum - x, momentum
    if method == "Nesterov":
        trace, product = (1 - x) * (1 + momentum), (1 - x) * momentum
    inside = trace * trace / 4 - product
    if inside < 0:
        return math.sqrt(product)
    return abs(trace) / 2 + math.sqrt(inside)


def contours(kappa: float) -> tuple[list[float], list[float]]:
    """Return ellipses of one loss each, with NaN between them."""
    x = []
    y = []
    half = 0.6
    while half < 4 + 2 * math.sqrt(kappa):
        for i in range(49):
            x.append(half * math.cos(i * math.tau / 48))
            y.append(half / math.sqrt(kappa) * math.sin(i * math.tau / 48))
        x.append(math.nan)
        y.append(math.nan)
        half = half * 1.6
    return x, y


def valley(
    method: str,
    rate: float,
    momentum: float,
    kappa: float,
    x: float,
    y: float,
    gradient_descent: Step,
    heavy_ball: Step,
    nesterov: Step,
) -> dict[str, Any]:
    """Descend on ``(x*x/kappa + y*y) / 2``: curvatures ``1/kappa`` and 1."""
    xs = []
    ys = []
    losses = []
    for name in METHODS:
        a = path(
            name, 1 / kappa, x, rate, momentum, gradient_descent, heavy_ball, nesterov
        )
        b = path(name, 1.0, y, rate, momentum, gradient_descent, heavy_ball, nesterov)
        losses.append(loss_along(a, b, kappa))
        xs.append(a if name == method else [])
        ys.append(b if name == method else [])
    left = max(shrinks(method, rate / kappa, momentum), shrinks(method, rate, momentum))
    needed = math.inf
    if left < 1:
        needed = math.ceil(math.log(1e-6) / math.log(max(left, 1e-9)))
    contour_x, contour_y = contours(kappa)
    return {
        "plain_x": xs[0],
        "plain_y": ys[0],
        "heavy_x": xs[1],
        "heavy_y": ys[1],
        "ahead_x": xs[2],
        "ahead_y": ys[2],
        "contour_x": contour_x,
        "contour_y": contour_y,
        "step": [i for i in range(STEPS + 1)],
        "plain": losses[0],
        "heavy": losses[1],
        "ahead": losses[2],
        "left": left,
        "needed": needed,
        "outlook": "it converges" if left < 1 else "it diverges",
    }


def momentum_valley(rules: Mapping[str, Update]) -> HTML:
    """Show a valley to descend: step size, momentum, condition number, start.

    ``rules`` are the updates of `METHODS`, the last two with their momentum free.
    """
    names = ("gradient_descent", "heavy_ball", "nesterov")
    keys = dict(zip(METHODS, ("plain", "heavy", "ahead"), strict=True))
    plane = Panel(
        Axis(-4, 4, "flat direction"),
        Axis(-2, 2, "steep direction"),
        [
            Line(look="ink", x="contour_x", y="contour_y", width=1, faint=0.35),
            *(Line(look=m, x=f"{k}_x", y=f"{k}_y") for m, k in keys.items()),
            *(Points(look=m, x=f"{k}_x", y=f"{k}_y", size=4) for m, k in keys.items()),
            Points(look="ink", x=0.0, y=0.0, size=7),
            Label(look="ink", x=0.0, y=0.0, text="minimum", shift=(6, -6)),
            Points(look="ink", x="x", y="y", size=10),
        ],
        "Contour lines of a long valley. From the start at the left, the path of the "
        "heavy ball swings across the valley and along it to the minimum.",
    )
    curves = Panel(
        Axis(0, STEPS, "step"),
        Axis(1e-14, 1e3, "loss", log=True),
        [
            Line(look=method, x="step", y=key, label=method)
            for method, key in keys.items()
        ],
        "The loss of three methods over 150 steps, on a logarithmic axis: the heavy "
        "ball and Nesterov's form fall much faster than gradient descent.",
    )
    return figure(
        valley,
        [
            Choice("method", "Path of", {m: m for m in METHODS}, "heavy ball"),
            Slider("rate", "Step size", even(0.05, 4, 80), 1.0),
            Slider("momentum", "Momentum", even(0, 0.99, 100), 0.8),
            Slider("kappa", "Condition number", KAPPAS, 50),
            Point(("x", "y"), "Start", (-3.4, 1.5), (0.1, 0.1)),
        ],
        [plane, curves],
        title="In a valley the remembered gradients pay; in a bowl they do not",
        text="Step size {rate}, momentum {momentum}, condition number {kappa}: in the "
        "long run {method} leaves {left:3} of the error at each step ({outlook}), and "
        "a millionth after {needed} steps.",
        caption="The steep direction has curvature 1, the flat one 1 over the "
        "condition number. Gradient descent does not use the momentum.",
        given={name: rules[m] for name, m in zip(names, METHODS, strict=True)},
    )
