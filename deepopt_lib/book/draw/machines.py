"""One machine, drawn: its roofline and its memories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from IPython.display import HTML

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH, text_width
from deepopt_lib.book.draw.pen import Point
from deepopt_lib.core.checks import check_number

__all__ = ["memory", "roofline"]

KERNELS = {"update": 0.17, "sparse product": 1.0, "matrix product": 40.0}
LEVELS = (
    ("registers", 1e3, 0.3),
    ("first cache", 3e4, 1.0),
    ("last cache", 3e7, 15.0),
    ("main memory", 3e10, 90.0),
    ("other machine", 1e13, 2e4),
)


def roofline(
    bandwidth: float = 20e9,
    peak: float = 200e9,
    kernels: Mapping[str, float] = KERNELS,
    *,
    caption: str = "The roofline. Left of the ridge the memory sets the speed, right "
    "of it the arithmetic: the first thing to know of a program is on which side it "
    "is.",
) -> HTML:
    """Draw the speed that memory and arithmetic allow, and where programs stand.

    Parameters
    ----------
    bandwidth, peak : float
        Bytes and operations per second.
    kernels : dict of float
        By name: operations per byte, from 1/32 to 1024.

    Raises
    ------
    ValueError
        If ``bandwidth`` or ``peak`` is not > 0, their ridge is not within [1, 64], or
        an intensity is out of range.
    """
    check_number("bandwidth", bandwidth, 0, ends="()")
    check_number("peak", peak, 0, ends="()")
    ridge = check_number("peak / bandwidth", peak / bandwidth, 1, 64, "[]")
    for name, intensity in kernels.items():
        check_number(f"kernels[{name!r}]", intensity, 2.0**-5, 2.0**10, "[]")
    c = Canvas(
        "The roofline of a machine",
        f"A line that rises with the operations per byte up to {ridge:g}, then a flat "
        f"one at {peak / 1e9:g} billion operations a second. On it "
        + ", ".join(f"{k} at {v:g}" for k, v in kernels.items())
        + ".",
        252,
    )
    left, right, floor, roof = 10.0, WIDTH - 10, 214.0, 52.0
    slope = (floor - roof) / (math.log2(ridge) + 5)  # units of height a doubling

    def place(intensity: float) -> Point:
        x = left + (right - left) * (math.log2(intensity) + 5) / 15
        below = max(math.log2(ridge / intensity), 0.0)
        return x, roof + slope * below

    corner = place(ridge)
    area = [place(2.0**-5), corner, (right, roof), (right, floor), (left, floor)]
    c.curve(area, color="blue", tint=0.08, edge=False)
    c.curve([place(2.0**-5), corner], color="vermilion", width=2.6)
    c.curve([corner, (right, roof)], color="blue", width=2.6)
    c.curve([corner, (corner[0], floor)], dashed=True)
    c.arrow((left, floor), (right, floor), color="gray")
    c.text(right, floor + 28, "operations per byte →", at="end", color="gray")
    c.text(corner[0], floor + 12, f"{ridge:g}", name="ridge")
    c.text(left, 12, "operations per second", at="start", color="gray")
    c.text(right, roof - 14, f"arithmetic: {peak / 1e9:g} G/s", at="end", color="blue")
    words = f"memory: {bandwidth / 1e9:g} GB/s"
    c.text(left, roof + 18, words, at="start", color="vermilion")
    for name, intensity in kernels.items():
        x, y = place(intensity)
        c.spot(x, y, 5, color="ink")
        if intensity < ridge:
            c.text(x - 8, y - 12, name, at="end")
        else:
            c.text(max(x, corner[0] + 8 + text_width(name) / 2), y + 18, name)
    return c.figure(caption)


def memory(
    levels: Sequence[tuple[str, float, float]] = LEVELS,
    *,
    caption: str = "Memories, by orders of magnitude: what holds more is farther away. "
    "A number is cheap where it was used a moment ago.",
) -> HTML:
    """Draw the memories of a machine: the farther, the wider and the slower.

    Parameters
    ----------
    levels : sequence of (name, bytes, nanoseconds)
        Three to six, from the nearest on.

    Raises
    ------
    ValueError
        If there are not 3 to 6 levels, or bytes or nanoseconds do not rise.
    """
    if not 3 <= len(levels) <= 6:
        raise ValueError(f"levels must be 3 to 6, got {len(levels)}")
    for k, (name, size, wait) in enumerate(levels):
        low = levels[k - 1][1:] if k else (0.0, 0.0)
        check_number(f"bytes of {name}", size, low[0], ends="()")
        check_number(f"nanoseconds of {name}", wait, low[1], ends="()")
    c = Canvas(
        "The memories of a machine",
        "Boxes from narrow to wide: "
        + "; ".join(f"{n}, {_size(b)}, {_wait(t)}" for n, b, t in levels)
        + ".",
        30.0 + 38 * len(levels),
    )
    c.text(4, 12, "holds", at="start", color="gray")
    c.text(WIDTH - 4, 12, "takes", at="end", color="gray")
    first, last = math.log(levels[0][1]), math.log(levels[-1][1])
    for k, (name, size, wait) in enumerate(levels):
        y = 26.0 + 38 * k
        wide = 112 + 140 * (math.log(size) - first) / (last - first)
        near = 0.5 - 0.42 * k / (len(levels) - 1)
        c.box((WIDTH - wide) / 2, y, wide, 30, color="blue", tint=near)
        c.text(WIDTH / 2, y + 15, name, bold=True)
        c.text(4, y + 15, _size(size), at="start", name="bytes")
        c.text(WIDTH - 4, y + 15, _wait(wait), at="end", name="wait")
    return c.figure(caption)


def _size(value: float) -> str:
    k = min(int(math.log10(value) + 1e-9) // 3, 4)
    return f"{value / 1000**k:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[k]}"


def _wait(value: float) -> str:
    k = min(max(int(math.log10(value) + 1e-9) // 3, 0), 2)
    return f"{value / 1000**k:.3g} {('ns', 'µs', 'ms')[k]}"
