"""What a smaller network keeps, drawn: a surgeon, and a teacher."""

from __future__ import annotations

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH
from deepopt_lib.core.checks import check_array, check_int, check_number
from deepopt_lib.core.types import Array

__all__ = ["brain_surgeon", "distillation"]

HESSIAN = (
    (2.0, 1.5, 0.2, 0.0),
    (1.5, 1.6, 0.3, 0.2),
    (0.2, 0.3, 1.0, 0.3),
    (0.0, 0.2, 0.3, 1.4),
)


def brain_surgeon(
    weights: ArrayLike = (0.9, -0.6, 0.5, 0.8),
    hessian: ArrayLike = HESSIAN,
    *,
    caption: str = "The optimal brain surgeon. Not the smallest weight goes but the "
    "one that the others can make up for; they move, and the loss rises less.",
) -> HTML:
    """Draw weights before and after the one that costs least is removed.

    Hassibi and Stork (1993): q is the smallest ``w[q]**2/inv(H)[q, q]``, and the others
    move by ``-w[q]/inv(H)[q, q] * inv(H)[:, q]``.

    Raises
    ------
    ValueError
        If there are not 3 to 5 finite weights other than zero, or ``hessian`` is not a
        symmetric positive definite matrix of their size.
    """
    w = check_array("weights", np.asarray(weights, np.float64), ndim=1)
    check_int("number of weights", w.size, 3, 5)
    H = check_array("hessian", np.asarray(hessian, np.float64), ndim=2)
    if H.shape != (w.size, w.size) or not np.array_equal(H, H.T):
        raise ValueError(f"hessian must be symmetric, {w.size} × {w.size}")
    if not w.all() or np.linalg.eigvalsh(H).min() <= 0:
        raise ValueError("hessian must be positive definite, and no weight zero")
    after, q, rises = _surgery(w, H)
    c = Canvas(
        "The optimal brain surgeon",
        f"Bars for {w.size} weights. Weight {q + 1} is removed; arrows show how the "
        f"others move, to "
        f"{', '.join(f'{v:.2f}' for k, v in enumerate(after) if k != q)}. The loss "
        f"rises by {rises[1]:.2f} instead of {rises[0]:.2f}.",
        236,
    )
    biggest = float(max(np.abs(w).max(), np.abs(after).max()))
    unit, zero, wide = 68 / biggest, 112.0, 34.0
    c.curve([(8, zero), (WIDTH - 8, zero)], width=1)
    for k in range(w.size):
        x = 8 + (WIDTH - 16) * (k + 0.5) / w.size
        up = 1 if w[k] > 0 else -1
        tip, new = zero - unit * w[k], zero - unit * after[k]
        gone = k == q
        c.box(x - wide, min(tip, zero), wide, abs(tip - zero),
              color="vermilion" if gone else "gray", tint=0.12, dashed=gone,
              round=0)  # fmt: skip
        if gone:
            c.text(x - wide / 2, tip - 13 * up, "removed", color="vermilion")
            continue
        c.box(x + 6, min(new, zero), wide, abs(new - zero), color="blue", tint=0.4,
              round=0)  # fmt: skip
        c.text(x - wide / 2, tip - 13 * up, f"{w[k]:.2f}", color="gray")
        up = 1 if after[k] > 0 else -1
        words = f"{after[k]:.2f}"
        c.text(x + 6 + wide / 2, new - 13 * up, words, color="blue", name="after")
    c.text(8, 226, f"others stay: +{rises[0]:.2f}", at="start", color="gray")
    words = f"others move: +{rises[1]:.2f}"
    c.text(WIDTH - 8, 226, words, at="end", color="blue", bold=True)
    c.text(8, 205, "rise of the loss", at="start", bold=True)
    return c.figure(caption)


def _surgery(w: Array, H: Array) -> tuple[Array, int, tuple[float, float]]:
    """Return the weights after, which one went, and what that costs: stay, move."""
    inverse = np.linalg.inv(H)
    q = int(np.argmin(w**2 / np.diag(inverse)))
    after = w - w[q] / inverse[q, q] * inverse[:, q]
    after[q] = 0.0
    stay = 0.5 * w[q] ** 2 * H[q, q]
    return after, q, (float(stay), float(0.5 * w[q] ** 2 / inverse[q, q]))


def distillation(
    logits: ArrayLike = (7.0, 4.5, 3.0, 0.0),
    classes: tuple[str, ...] = ("7", "9", "1", "0"),
    temperature: float = 4.0,
    *,
    caption: str = "Distillation. A label names one class. The teacher's soft answer "
    "also says which other classes come near, and a temperature makes that audible.",
) -> HTML:
    """Draw a label and the teacher's answers, sharp and soft, that a student learns.

    Raises
    ------
    ValueError
        If there are not 3 to 5 finite logits, as many classes, or ``temperature`` is
        not a number > 1.
    """
    z = check_array("logits", np.asarray(logits, np.float64), ndim=1)
    check_int("number of logits", z.size, 3, 5)
    if len(classes) != z.size:
        raise ValueError(f"classes must be {z.size} names, got {classes!r}")
    check_number("temperature", temperature, 1, ends="()")
    label = np.eye(z.size)[z.argmax()]
    sharp, soft = (_softmax(z / t) for t in (1.0, temperature))
    c = Canvas(
        "Distillation",
        f"Three bar charts over the classes {', '.join(classes)}. The label has one "
        f"bar; the teacher at temperature 1 gives {sharp.max():.0%} to it, at "
        f"temperature {temperature:g} {soft.max():.0%}. Label and soft answer lead to "
        "the student.",
        250,
    )
    wide, gap = 120.0, 36.0
    panels = [
        ("label", label, "gray"),
        ("teacher, T = 1", sharp, "blue"),
        (f"teacher, T = {temperature:g}", soft, "green"),
    ]
    for k, (name, p, color) in enumerate(panels):
        x, base, bar = 4 + k * (wide + gap), 132.0, wide / z.size
        c.text(x + wide / 2, 10, name, bold=True, color=color)
        c.curve([(x, base), (x + wide, base)])
        for j, share in enumerate(p):
            tall, middle = 86 * float(share), x + (j + 0.5) * bar
            c.box(middle - bar / 2 + 4, base - tall, bar - 8, tall, color=color,
                  tint=0.45, round=0)  # fmt: skip
            c.text(middle, base + 13, classes[j], color="gray")
            if k and j < 2:
                words = f"{share:.0%}"
                c.text(middle, base - tall - 11, words, name=f"T {k}")
    c.box(160, 200, 120, 36, color="green", tint=0.2)
    c.text(220, 218, "student", bold=True)
    c.arrow((64, 156), (154, 212), color="gray")
    c.arrow((376, 156), (286, 212), color="green")
    c.text(62, 200, "hard target", color="gray")
    c.text(378, 200, "soft target", color="green")
    return c.figure(caption)


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max())
    p: Array = e / e.sum()
    return p
