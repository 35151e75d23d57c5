"""A valley, drawn, with the paths of a walker and of a ball."""

from __future__ import annotations

import itertools

import numpy as np
from IPython.display import HTML

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH
from deepopt_lib.book.draw.pen import Point
from deepopt_lib.core.checks import check_int, check_number
from deepopt_lib.core.types import Array

__all__ = ["velocity"]


def velocity(
    curvature: tuple[float, float] = (0.06, 1.0),
    lr: float = 1.7,
    mu: float = 0.5,
    steps: int = 12,
    *,
    caption: str = "The same valley, step size and number of steps. A velocity adds up "
    "what the gradients agree on, along the valley, while what they do not agree on, "
    "across it, cancels.",
) -> HTML:
    """Draw gradient descent and the heavy ball in one valley, from one start.

    Parameters
    ----------
    curvature : pair of float
        Along the valley, and across it.
    lr, mu : float
        Step size of both, and momentum of the second: ``v <- mu*v + g``, ``w <- w -
        lr*v``.
    steps : int
        At most 40.

    Raises
    ------
    ValueError
        If a curvature or ``lr`` is not > 0, ``lr`` times the larger one is not below 2,
        mu is outside [0, 1), ``steps`` is not an int in [1, 40], or the ball overshoots
        so far that it leaves the drawing.
    """
    a = check_number("curvature[0]", curvature[0], 0, ends="()")
    b = check_number("curvature[1]", curvature[1], a)
    check_number("lr", lr, 0, 2 / b, "()")
    check_number("mu", mu, 0, 1)
    check_int("steps", steps, 1, 40)
    start = np.array([-5.6, 0.95])
    paths = [_heavy_ball((a, b), start, lr, m, steps) for m in (0.0, mu)]
    far = max(float(path[:, 0].max()) for path in paths)
    if far > 0.7:
        raise ValueError(f"a path leaves the drawing: lr = {lr}, mu = {mu}")
    left = [float(np.abs(path[-1, 0] / start[0])) for path in paths]
    c = Canvas(
        "Gradient steps and a velocity in one valley",
        f"Two copies of a long valley. Above, {steps} gradient steps zigzag between "
        f"the walls, with {left[0]:.0%} of the way left. Below, as many steps with a "
        f"velocity go along it, with {left[1]:.0%} left.",
        258,
    )
    for k, (name, color) in enumerate(
        [("gradient steps", "blue"), ("with a velocity", "vermilion")]
    ):
        middle = 72.0 + 134 * k

        def place(w: Array, middle: float = middle) -> Point:
            return float(392 + 60 * w[0]), float(middle - 26 * w[1])

        for size in (0.55, 1.05, 1.55):  # contours, open where the drawing ends
            along, across = size / np.sqrt(a), size / np.sqrt(b)
            first = np.arccos(min(1.0, 46 / 60 / along))
            t = np.linspace(first, 2 * np.pi - first, 121)
            ring = np.stack([along * np.cos(t), across * np.sin(t)], axis=1)
            c.curve([place(w) for w in ring], width=0.7)
        for before, after in itertools.pairwise(paths[k]):
            c.arrow(place(before), place(after), color=color, width=1.8, head=6)
        c.spot(*place(start), color=color)
        c.spot(*place(np.zeros(2)), 3, color="ink")
        c.text(4, middle - 60, name, at="start", color=color, bold=True)
        words = f"{left[k]:.0%} of the way to go"
        c.text(WIDTH - 4, middle - 60, words, at="end", name="left")
    return c.figure(caption)


def _heavy_ball(
    curvature: tuple[float, float], start: Array, lr: float, mu: float, steps: int
) -> Array:
    """Return the path (steps + 1, 2) on ``sum(curvature * w**2)/2``."""
    path, v = [start], np.zeros(2)
    for _ in range(steps):
        v = mu * v + np.asarray(curvature) * path[-1]
        path.append(path[-1] - lr * v)
    return np.array(path)
