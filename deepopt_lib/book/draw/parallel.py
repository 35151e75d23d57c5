"""Many machines, drawn: a ring, a shared state, and a pipeline."""

from __future__ import annotations

import numpy as np
from IPython.display import HTML
from numpy.typing import NDArray

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH
from deepopt_lib.core.checks import check_int, check_number

__all__ = ["pipeline", "ring", "zero"]

COLORS = ("blue", "vermilion", "green", "pink")


def ring(
    ranks: int = 4,
    *,
    caption: str = "Ring all-reduce. A cell says how many ranks' numbers its chunk "
    "holds. First the sums grow along the ring, then the finished ones travel on; "
    "nobody ever sends more than a chunk at a time.",
) -> HTML:
    """Draw what each rank's chunks hold before, halfway, and after a ring all-reduce.

    Raises
    ------
    ValueError
        If ``ranks`` is not an int in [3, 4].
    """
    n = check_int("ranks", ranks, 3, 4)
    states = _ring(n)
    share = 2 * (n - 1) / n
    c = Canvas(
        f"A ring all-reduce on {n} ranks",
        f"Three tables of {n} ranks times {n} chunks. At the start every chunk holds "
        f"one rank's numbers, and arrows lead from each rank to the next. After "
        f"{n - 1} rounds every rank has one chunk with all {n}; after {2 * n - 2} it "
        "has all.",
        72.0 + 34 * n,
    )
    w, gap, left, top = 28.0, 18.0, 58.0, 46.0
    names = ("start", f"{n - 1} rounds", f"{2 * n - 2} rounds")
    for r in range(n):
        c.text(left - 8, top + (r + 0.5) * (w + 6) - 3, f"rank {r}", at="end")
    for k, name in enumerate(names):
        x = left + k * (n * w + gap)
        held = states[(0, n - 1, 2 * n - 2)[k]]
        c.text(x + n * w / 2, 12, name, bold=True)
        for r in range(n):
            y = top + r * (w + 6)
            full = [0.1 + 0.42 * (v - 1) / (n - 1) for v in held[r]]
            done = ["green" if v == n else "blue" for v in held[r]]
            c.cells(x, y, [str(v) for v in held[r]], w=w, h=w, colors=done,
                    tints=full, name=f"state {k}")  # fmt: skip
            if k == 0 and r < n - 1:
                middle = x + (r + 0.78) * w
                c.arrow((middle, y + w - 5), (middle, y + w + 13), color="vermilion",
                        width=2)  # fmt: skip
    last = left + (n - 0.22) * w
    end = top + (n - 1) * (w + 6) + w
    c.curve([(last, end - 5), (last, end + 8)], color="vermilion", width=2)
    c.arrow((last, top - 16), (last, top + 5), color="vermilion", width=2)
    words = f"a rank sends {share:g} times its array"
    c.text(WIDTH - 4, end + 16, words, at="end", color="gray", name="share")
    return c.figure(caption)


def _ring(n: int) -> list[NDArray[np.int64]]:
    """Return how many ranks' numbers each rank's chunks hold, round by round."""
    held = np.ones((n, n), np.int64)  # (rank, chunk)
    states = [held.copy()]
    for k in range(2 * n - 2):
        adds = k < n - 1
        before = held.copy()
        for rank in range(n):
            chunk = (rank - k) % n if adds else (rank - (k - n + 1) + 1) % n
            to = (rank + 1) % n
            held[to, chunk] = before[rank, chunk] + (before[to, chunk] if adds else 0)
        states.append(held.copy())
    return states


def zero(
    parameters: float = 4.0,
    gradients: float = 4.0,
    state: float = 8.0,
    ranks: int = 4,
    *,
    caption: str = "ZeRO. Copies of a network are full of copies. Each stage cuts one "
    "more of them up, so that a rank keeps its own part and asks the others for the "
    "rest.",
) -> HTML:
    """Draw who keeps what: parameters, gradients and state on every rank, by stage.

    Parameters
    ----------
    parameters, gradients, state : float
        Bytes for each parameter of the network; the default is Adam in float32.
    ranks : int
        2 to 4.

    Raises
    ------
    ValueError
        If a number of bytes is not > 0, or ``ranks`` is not an int in [2, 4].
    """
    parts = {"parameters": parameters, "gradients": gradients, "state": state}
    for name, value in parts.items():
        check_number(name, value, 0, ends="()")
    n = check_int("ranks", ranks, 2, 4)
    rows = ("copies", "ZeRO-1", "ZeRO-2", "ZeRO-3")
    cost = [
        sum(v / n if cut else v for v, cut in zip(parts.values(), cuts, strict=True))
        for cuts in [(0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1)]
    ]
    c = Canvas(
        "Who keeps what with ZeRO",
        f"Four rows, {n} ranks each, with bars for parameters, gradients and state. "
        "With copies all bars are full; the stages 1, 2 and 3 leave a rank its part of "
        "the state, then of the gradients, then of the parameters: "
        + ", ".join(f"{v:g}" for v in cost)
        + " bytes a parameter.",
        258,
    )
    left, wide, gap, thick = 68.0, 290.0 / n - 12, 12.0, 11.0
    for r in range(n):
        c.text(left + r * (wide + gap) + wide / 2, 12, f"rank {r}", color="gray")
    c.text(WIDTH - 4, 12, "a rank", at="end", color="gray")
    for row, name in enumerate(rows):
        y = 28.0 + row * 52
        c.text(4, y + 1.5 * thick + 2, name, at="start", bold=True)
        words = f"{cost[row]:.3g} B"
        c.text(WIDTH - 4, y + 1.5 * thick + 2, words, at="end", bold=True, name="cost")
        for r in range(n):
            x = left + r * (wide + gap)
            for p, color in enumerate(("blue", "vermilion", "green")):
                up, whole = y + p * (thick + 2), row < 3 - p
                c.box(x, up, wide, thick, color="gray", tint=0.06, edge=False, round=1)
                part = wide if whole else wide / n
                c.box(x + (0 if whole else r * part), up, part, thick, color=color,
                      tint=0.6, round=1)  # fmt: skip
    at = 4.0
    for name, color in zip(parts, ("blue", "vermilion", "green"), strict=True):
        c.box(at, 242, 12, 12, color=color, tint=0.6, round=1)
        c.text(at + 18, 248, name, at="start", color=color)
        at += 34 + 8.2 * len(name)
    c.text(WIDTH - 4, 248, "bytes a parameter", at="end", color="gray")
    return c.figure(caption)


def pipeline(
    stages: int = 4,
    parts: int = 4,
    *,
    caption: str = "A pipeline. Each stage holds some layers; the batch goes through "
    "in parts. At both ends stages wait for one another: the bubble, which more parts "
    "make smaller.",
) -> HTML:
    """Draw what each stage does when: forward, backward, or nothing (GPipe).

    Raises
    ------
    ValueError
        If ``stages`` is not an int in [2, 4], or ``parts`` none in [1, 5].
    """
    p, m = check_int("stages", stages, 2, 4), check_int("parts", parts, 1, 5)
    slots = 2 * (m + p - 1)
    idle = (p - 1) / (m + p - 1)
    c = Canvas(
        f"A pipeline of {p} stages",
        f"A chart with {p} rows, the stages, and {slots} columns, the time. Parts 1 to "
        f"{m} go forward from stage to stage, then backward; {idle:.0%} of the slots "
        "are empty.",
        52.0 + 34 * p,
    )
    left, h = 62.0, 28.0
    w = (WIDTH - 4 - left) / slots
    c.text(left, 12, "forward", at="start", color="blue", bold=True)
    c.text(WIDTH - 4, 12, "backward", at="end", color="vermilion", bold=True)
    c.text(left + (WIDTH - 4 - left) / 2, 12, f"bubble: {idle:.0%}", name="bubble")
    for s in range(p):
        y = 26.0 + s * 34
        c.text(left - 8, y + h / 2, f"stage {s + 1}", at="end")
        for t in range(slots):
            k, b = t - s, t - (m + p - 1) - (p - 1 - s)
            x = left + t * w
            if 0 <= k < m:
                c.cells(x, y, [str(k + 1)], w=w, h=h, colors="blue", tints=0.3,
                        name="forward")  # fmt: skip
            elif 0 <= b < m:
                c.cells(x, y, [str(m - b)], w=w, h=h, colors="vermilion", tints=0.3,
                        name="backward")  # fmt: skip
            else:
                c.box(x + 2, y + 2, w - 4, h - 4, color="gray", dashed=True, round=1)
    y = 26.0 + p * 34 + 8
    c.text(left, y + 6, "time", at="start", color="gray")
    c.arrow((left + 38, y + 6), (WIDTH - 4, y + 6), color="gray")
    return c.figure(caption)
