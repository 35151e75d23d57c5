"""Few bits, drawn: a grid, a scale for each block, and a slope for a staircase."""

from __future__ import annotations

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH, text_width
from deepopt_lib.core.checks import check_array, check_int, check_number

__all__ = ["quantization_grid", "state_blocks", "straight_through"]

STATE = (0.02, -0.05, 0.03, 8.0, 0.4, -1.5, 0.3, -0.1, 0.2)


def quantization_grid(
    values: ArrayLike = (-0.86, -0.35, 0.1, 0.55, 1.35, 2.6),
    bits: int = 3,
    low: float = -1.0,
    high: float = 2.0,
    *,
    caption: str = "A grid. Every number goes to the nearest level, what lies beyond "
    "the range to its end. The zero point is the code of the number 0, which is met "
    "exactly.",
) -> HTML:
    """Draw numbers, and the levels of a grid with a zero point that they go to.

    As on the pages: ``scale = (high - low)/(2**bits - 1)``, the zero point is
    ``rint(-low/scale)``, and a code stands for ``scale*(code - zero)``.

    Raises
    ------
    ValueError
        If ``values`` are not 1 to 12 finite numbers, ``bits`` is not an int in [2, 4],
        or not ``low <= 0 < high``.
    """
    v = check_array("values", np.asarray(values, np.float64), ndim=1)
    check_int("number of values", v.size, 1, 12)
    top = 2 ** check_int("bits", bits, 2, 4) - 1
    check_number("low", low, high=0, ends="(]")
    check_number("high", high, 0, ends="()")
    scale = (high - low) / top
    zero = int(np.clip(np.rint(-low / scale), 0, top))
    codes = np.clip(np.rint(v / scale) + zero, 0, top).astype(int)
    levels = scale * (np.arange(top + 1) - zero)
    clipped = (v < levels[0] - scale / 2) | (v > levels[-1] + scale / 2)
    c = Canvas(
        "A quantization grid with a zero point",
        f"Above a line of real numbers, {v.size} of them marked; arrows lead down to "
        f"the nearest of {top + 1} levels with the codes 0 to {top}. Code {zero} is "
        f"the number 0. {int(clipped.sum())} of the numbers lie beyond the range.",
        214,
    )
    ends = [min(float(v.min()), levels[0]), max(float(v.max()), levels[-1])]
    span = ends[1] - ends[0]

    def x(value: float) -> float:
        return float(28 + (value - ends[0]) / span * (WIDTH - 56))

    line, grid = 48.0, 128.0
    c.text(4, 12, "real numbers", at="start", bold=True)
    c.text(WIDTH - 4, 12, "beyond the range", at="end", color="vermilion")
    c.arrow((4, line), (WIDTH - 4, line), color="gray")
    c.curve([(x(levels[0]), grid), (x(levels[-1]), grid)])
    for value, code, out in zip(v, codes, clipped, strict=True):
        color = "vermilion" if out else "blue"
        end = (x(levels[code]), grid - 7)
        c.arrow((x(value), line + 6), end, color=color)
        c.spot(x(value), line, color=color)
    for code, level in enumerate(levels):
        is_zero = code == zero
        color = "green" if is_zero else "gray"
        c.curve([(x(level), grid - 5), (x(level), grid + 5)], color=color, width=2.2)
        word = "ink" if not is_zero else "green"
        c.text(x(level), grid + 19, str(code), color=word, bold=is_zero, name="codes")
    c.curve([(x(0), line - 6), (x(0), line + 6)], color="green", width=2.2)
    c.text(x(0), line - 15, "0", color="green", bold=True)
    words = f"zero point {zero}"
    half = text_width(words, bold=True) / 2 + 4
    middle = min(max(x(levels[zero]), half), WIDTH - half)
    c.text(middle, grid + 41, words, color="green", bold=True)
    one = 0 if zero > top / 2 else top - 1  # an interval far from the zero point
    c.brace(x(levels[one]), x(levels[one + 1]), grid + 32, f"scale {scale:.3g}")
    c.text(4, 204, f"{bits} bits: codes 0 to {top}", at="start", color="gray")
    return c.figure(caption)


def state_blocks(
    state: ArrayLike = STATE,
    block: int = 3,
    *,
    caption: str = "An optimizer's state in eight bits. With one scale for all, a "
    "single large entry turns the small ones into zeros; with a scale for each block "
    "it costs its neighbors alone.",
) -> HTML:
    """Draw a state in blocks, its 8-bit codes with one scale and with one for each.

    A code is ``rint(127*value/scale)``, a scale the largest size that it covers.

    Raises
    ------
    ValueError
        If ``state`` does not hold 4 to 10 finite numbers other than zero, ``block``
        does not divide it into two or more, or a number is wider than its cell.
    """
    s = check_array("state", np.asarray(state, np.float64), ndim=1)
    check_int("entries of state", s.size, 4, 10)
    if not s.all():
        raise ValueError(f"state must have no zeros, got {s.tolist()}")
    check_int("block", block, 2, 5)
    if s.size % block or s.size == block:
        raise ValueError(f"block must divide {s.size} entries into more, got {block}")
    scales = np.abs(s).reshape(-1, block).max(axis=1)
    one = np.rint(127 * s / scales.max()).astype(int)
    each = np.rint(127 * s / np.repeat(scales, block)).astype(int)
    c = Canvas(
        "A state in eight bits, block by block",
        f"{s.size} numbers in {len(scales)} blocks. With one scale for all "
        f"{int((one == 0).sum())} of their codes are 0; with the scales "
        f"{', '.join(f'{v:g}' for v in scales)}, {int((each == 0).sum())} are.",
        244,
    )
    gap, h = 10.0, 28.0
    w = (WIDTH - 8 - gap * (len(scales) - 1)) / s.size
    c.text(4, 10, "state, 4 bytes each", at="start", bold=True)
    c.text(4, 76, "one scale for all", at="start", bold=True)
    c.text(WIDTH - 4, 76, f"scale {scales.max():g}", at="end")
    c.text(4, 142, "a scale for each block", at="start", bold=True)
    for b, scale in enumerate(scales):
        x, part = 4 + b * (block * w + gap), slice(b * block, (b + 1) * block)
        words = [f"{v:g}" for v in s[part]]
        big = [0.45 * float(np.sqrt(abs(v) / scales.max())) + 0.04 for v in s[part]]
        c.cells(x, 22, words, w=w, h=h, colors="blue", tints=big)
        for y, codes, name in [(88, one, "one scale"), (154, each, "each block")]:
            lost = ["vermilion" if k == 0 else "green" for k in codes[part]]
            words = [str(k) for k in codes[part]]
            c.cells(x, y, words, w=w, h=h, colors=lost, tints=0.2, name=name)
        c.brace(x, x + block * w, 188, f"scale {scale:g}")
    c.text(4, 234, "0: lost, rounded to zero", at="start", color="vermilion")
    return c.figure(caption)


def straight_through(
    bits: int = 2,
    *,
    caption: str = "The straight-through estimator. Forward, the weight is rounded to "
    "a level. Backward, the derivative is that of the dashed line: that of the "
    "staircase is zero, and nothing would ever be learned.",
) -> HTML:
    """Draw the staircase of rounding, and the two derivatives that it could have.

    Raises
    ------
    ValueError
        If ``bits`` is not an int in [1, 3].
    """
    levels = 2 ** check_int("bits", bits, 1, 3)
    c = Canvas(
        "Rounding forward, a slope of one backward",
        f"Left: a staircase with {levels} levels, and a dashed straight line through "
        "it. Right: the staircase's derivative is zero but for spikes at its jumps; "
        "the one that is used is one everywhere.",
        218,
    )
    side, y0 = 168.0, 196.0
    step = side / levels
    left, right = 14.0, WIDTH - side - 14
    c.text(left, 10, "forward: rounded", at="start", color="blue", bold=True)
    c.text(right, 10, "backward: slope", at="start", color="vermilion", bold=True)
    for x in (left, right):
        c.arrow((x, y0), (x + side + 8, y0), color="gray")
        c.arrow((x, y0), (x, 24), color="gray")
    c.text(left + side, y0 + 11, "weight", at="end", color="gray")
    c.text(right + side, y0 + 11, "weight", at="end", color="gray")
    high = y0 - side + 8
    stairs: list[tuple[float, float]] = []
    for k in range(levels):
        y = y0 - (k + 0.5) / levels * (y0 - high)
        stairs += [(left + k * step, y), (left + (k + 1) * step, y)]
        if k:
            x = right + k * step
            c.curve([(x, y0), (x, y0 - 40)], color="blue", width=2.2)
    c.curve(stairs, color="blue", width=2.4)
    c.curve([(left, y0), (left + side, high)], color="vermilion", width=2, dashed=True)
    c.curve([(right, y0), (right + side, y0)], color="blue", width=2.4)
    one = y0 - 108
    c.curve(
        [(right, one), (right + side, one)], color="vermilion", width=2, dashed=True
    )
    c.text(right - 8, one, "1", at="end")
    c.text(right - 8, y0, "0", at="end")
    c.text(right + side / 2, one - 14, "used", color="vermilion")
    c.text(right + side / 2, y0 - 54, "of the staircase", color="blue")
    return c.figure(caption)
