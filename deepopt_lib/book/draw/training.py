"""Training, drawn: a tape, an epoch of batches, and gradients that keep a secret."""

from __future__ import annotations

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH
from deepopt_lib.book.draw.pen import Point
from deepopt_lib.core.checks import check_array, check_int, check_number
from deepopt_lib.core.types import Array

__all__ = ["minibatch", "private_sgd", "tape"]

GRADIENTS = ((0.5, 0.35), (1.5, 0.9), (-0.35, 0.8), (0.55, -0.7), (1.75, -0.1))


def tape(
    x: float = 2.0,
    w: float = 3.0,
    y: float = 5.0,
    *,
    caption: str = "Forward, the tape writes down every value. Backward, each box "
    "hands on the derivative of the loss: what arrives, times the slope of its own "
    "operation.",
) -> HTML:
    """Draw the computation of ``(w*x - y)**2`` with its values and derivatives.

    Raises
    ------
    ValueError
        If x, w or y is not a finite number.
    """
    for name, value in {"x": x, "w": w, "y": y}.items():
        check_number(name, value)
    p, e = w * x, w * x - y
    loss, d = e * e, 2 * e
    c = Canvas(
        "The tape of (w x − y)²",
        f"Boxes from left to right: w = {w:g} and x = {x:g} are multiplied to {p:g}, "
        f"y = {y:g} is subtracted, the square gives the loss {loss:g}. Dashed arrows "
        f"lead back with the derivatives {d:g}, {d * x:g} for w and {d * w:g} for x.",
        228,
    )
    # the middle of the box, what it is, its value, the derivative of the loss
    nodes = {
        "w": (34.0, 70.0, "w", w, d * x),
        "x": (34.0, 170.0, "x", x, d * w),
        "p": (158.0, 120.0, "×", p, d),
        "e": (282.0, 120.0, "−", e, d),
        "loss": (406.0, 120.0, "square", loss, 1.0),
    }
    for name, (cx, cy, above, value, slope) in nodes.items():
        c.box(cx - 29, cy - 15, 58, 30, color="blue", tint=0.16)
        c.text(cx, cy, f"{value:.4g}", bold=True, name=f"value {name}")
        c.text(cx, cy - 25, above)
        c.text(cx, cy + 26, f"{slope:.4g}", color="vermilion", name=f"slope {name}")
    for start, end in [("w", "p"), ("x", "p"), ("p", "e"), ("e", "loss")]:
        (x0, y0), (x1, y1) = nodes[start][:2], nodes[end][:2]
        side = float(np.sign(y0 - y1))  # which edge of the box an arrow comes to
        left, right, y1 = x0 + 34, x1 - 34, y1 + 8 * side
        c.arrow((left, y0 - 5), (right, y1 - 5))
        c.arrow((right, y1 + 6), (left, y0 + 6), color="vermilion", dashed=True)
    c.box(282 - 29, 187, 58, 30, color="blue", tint=0.16)
    c.text(282, 202, f"{y:.4g}", bold=True, name="value y")
    c.text(246, 202, "y", at="end")
    c.arrow((282, 184), (282, 158))
    c.text(4, 14, "values: forward →", at="start", color="blue", bold=True)
    back = "← derivatives: backward"
    c.text(WIDTH - 4, 14, back, at="end", color="vermilion", bold=True)
    return c.figure(caption)


def minibatch(
    n: int = 12,
    batch: int = 3,
    seed: int = 0,
    *,
    caption: str = "An epoch: every sample once, in a new order, one step for each "
    "batch. Without the shuffle a batch would see one class only.",
) -> HTML:
    """Draw a data set, sorted by class, its shuffle, and the batches of an epoch.

    Raises
    ------
    ValueError
        If ``n`` is not an int in [4, 14], ``batch`` does not divide it or leaves a
        single batch, or ``seed`` is not an int >= 0.
    """
    n, batch = check_int("n", n, 4, 14), check_int("batch", batch, 1, 7)
    check_int("seed", seed, 0)
    if n % batch or n == batch:
        raise ValueError(f"batch must divide n = {n} into two or more, got {batch}")
    order = np.random.default_rng(seed).permutation(n)
    colors = ["blue", "green", "pink"]
    kinds = [colors[3 * i // n] for i in range(n)]
    c = Canvas(
        "One epoch of minibatches",
        f"{n} samples of three classes in order; lines lead to the same samples "
        f"shuffled, in {n // batch} batches of {batch}; each batch makes one step.",
        222,
    )
    w, batches = 26.0, n // batch
    gap = min(14.0, (WIDTH - 4 - n * w) / (batches - 1))
    wide = n * w + (batches - 1) * gap
    start, left = (WIDTH - n * w) / 2, (WIDTH - wide) / 2
    c.text(start, 12, "data set, sorted by class", at="start")
    c.cells(start, 26, [str(i) for i in range(n)], w=w, colors=kinds, tints=0.3)
    for place, sample in enumerate(order):
        x = left + place * w + place // batch * gap + w / 2
        top = (start + (sample + 0.5) * w, 55.0)
        c.curve([top, (x, 107.0)], color=kinds[sample], width=1)
    for b in range(batches):
        x = left + b * (batch * w + gap)
        mine = order[b * batch : (b + 1) * batch].tolist()
        words, classes = [str(i) for i in mine], [kinds[i] for i in mine]
        c.cells(x, 110, words, w=w, colors=classes, tints=0.3, name=f"batch {b}")
        middle = x + batch * w / 2
        c.arrow((middle, 141), (middle, 164))
        few = batch * w >= 44
        c.text(middle, 175, f"step {b + 1}" if few else f"{b + 1}")
    c.brace(left, left + wide, 189, "one epoch")
    return c.figure(caption)


def private_sgd(
    gradients: ArrayLike = GRADIENTS,
    clip: float = 1.0,
    noise: float = 0.7,
    seed: int = 6,
    *,
    caption: str = "Private SGD. No sample's gradient reaches beyond the circle, so "
    "that noise of the circle's size hides whether a sample was there at all.",
) -> HTML:
    """Draw gradients of samples, clipped to a circle, summed, and hidden in noise.

    Parameters
    ----------
    gradients : array (samples, 2)
        One gradient a sample.
    clip : float
        The largest norm that stays.
    noise : float
        The noise's standard deviation, in units of ``clip``.
    seed : int
        Of the noise.

    Raises
    ------
    ValueError
        If ``gradients`` are not 2 to 8 finite pairs, ``clip`` or ``noise`` is not > 0,
        or ``seed`` is not an int >= 0.
    """
    g = check_array("gradients", np.asarray(gradients, np.float64), ndim=2)
    if g.shape[1] != 2 or not 2 <= len(g) <= 8:
        raise ValueError(f"gradients must be (2 to 8, 2), got {g.shape}")
    check_number("clip", clip, 0, ends="()")
    check_number("noise", noise, 0, ends="()")
    check_int("seed", seed, 0)
    clipped = g * clip / np.maximum(np.sqrt((g * g).sum(axis=1)), clip)[:, None]
    total = clipped.sum(axis=0)
    draws = np.random.default_rng(seed).normal(0, noise * clip, (40, 2))
    cloud = np.vstack([total + draws, total[None], np.zeros((1, 2))])
    ball = np.array([[-clip, -clip], [clip, clip]])
    shown = [np.vstack([g, ball]), np.vstack([g, ball]), cloud]
    scales = [130 / float(np.ptp(v, axis=0).max()) for v in shown]
    tall = max(s * float(np.ptp(v[:, 1])) for s, v in zip(scales, shown, strict=True))
    c = Canvas(
        "Private gradients",
        f"Left: {len(g)} arrows, the gradients of samples, some of them beyond a "
        "circle. Middle: the same, cut at the circle. Right: their sum, with a cloud "
        "of noise around its tip; one point of the cloud is what is released.",
        36 + tall,
    )
    titles = ("each gradient", "clipped", "sum + noise")
    for k, (middle, name) in enumerate(zip((70.0, 220.0, 370.0), titles, strict=True)):
        scale, center = scales[k], (shown[k].min(axis=0) + shown[k].max(axis=0)) / 2

        def place(
            v: Array, x: float = middle, s: float = scale, o: Array = center
        ) -> Point:
            across, up = s * (v - o)
            return float(x + across), float(28 + tall / 2 - up)

        c.text(middle, 10, name, bold=True)
        origin = place(np.zeros(2))
        if k < 2:
            c.spot(*origin, scale * clip, color="gray", tint=0.08)
            for v in (g, clipped)[k]:
                c.arrow(origin, place(v), color=("gray", "blue")[k], width=1.8)
            continue
        for v in draws:
            c.spot(*place(total + v), 1.6, color="gray", tint=0.5)
        c.arrow(origin, place(total), color="blue", width=2.2)
        c.arrow(place(total), place(total + draws[0]), color="vermilion", width=2.2)
    return c.figure(caption)
