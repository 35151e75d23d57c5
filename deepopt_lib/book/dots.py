"""Where the numbers of a column lie on its scale, read from what the cells show.

What is drawn says no more than what is printed: the place of a dot follows from the
digits beside it, on every processor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Dot", "check_column", "places", "read", "unit"]

NUMBER = r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?"
FIRST = re.compile(rf"[<>~ ]*({NUMBER})")
BAR = re.compile(rf"\[({NUMBER}), ({NUMBER})\]")
SPREAD = re.compile(rf"± ?({NUMBER})")
RANGE = re.compile(rf"[<>~ ]*({NUMBER}) to ({NUMBER})")
NEAR_ZERO = 0.5  # a scale whose least number is below this share starts at zero


class Dot(NamedTuple):
    """A number and the ends of its bar; without a bar both are the number."""

    at: float
    low: float
    high: float


def read(cell: str) -> Dot | None:
    """Return what a cell says, or nothing if it does not start with a number.

    Understood are "97.3", "1,024 B", "97.3 ± 0.2", "+0.4 [0.1, 0.7]" and "2 to 3 ms",
    whose dot is in the middle.
    """
    text = cell.strip("*_ ").replace("−", "-")
    first = FIRST.match(text)
    if first is None:
        return None
    at = _float(first[1])
    if bar := BAR.search(text):
        return Dot(at, _float(bar[1]), _float(bar[2]))
    if spread := SPREAD.search(text):
        return Dot(at, at - _float(spread[1]), at + _float(spread[1]))
    if between := RANGE.match(text):
        low, high = _float(between[1]), _float(between[2])
        return Dot((low + high) / 2, low, high)
    return Dot(at, at, at)


def unit(cell: str) -> str:
    """Return what a cell says besides numbers, signs and brackets: "MB", "%", "×"."""
    text = re.sub(NUMBER, "", cell.replace("−", "-"))
    return re.sub(r"[\s*_<>~±,\[\]]|\bto\b|\(.*\)", "", text)


def check_column(name: str, cells: Sequence[str], log: bool) -> None:
    """Refuse a column that cannot be on one scale.

    Raises
    ------
    ValueError
        If no cell starts with a number, if units differ, or if with ``log`` a number or
        an end of a bar is not above zero.
    """
    found = {cell: dot for cell in cells if (dot := read(cell)) is not None}
    if not found:
        raise ValueError(f"column {name!r} has no number: {list(cells)}")
    if len(units := sorted({unit(cell) for cell in found})) > 1:
        raise ValueError(f"column {name!r} has several units: {units}")
    for cell, dot in found.items():
        if log and dot.low <= 0:
            raise ValueError(f"column {name!r}: {cell!r} has no place by magnitude")


def places(cells: Sequence[str], log: bool = False) -> tuple[list[Dot | None], float]:
    """Return the place of each cell between 0 and 1, and that of zero (-1: nowhere).

    The scale reaches from the least number or end of a bar to the largest; it starts
    (or ends) at zero where that is near, and in the middle are all that are equal.
    """
    dots = [read(cell) for cell in cells]
    values = [value for dot in dots if dot for value in dot]
    low, high = min(values), max(values)
    if log:
        low, high = math.log(low), math.log(high)
    elif 0 < low < NEAR_ZERO * high:
        low = 0.0
    elif 0 > high > NEAR_ZERO * low:
        high = 0.0

    def place(value: float) -> float:
        value = math.log(value) if log else value
        return round((value - low) / (high - low), 3) if high > low else 0.5

    zero = -1.0 if log or not low <= 0 <= high or low == high else place(0.0)
    return [dot and Dot(*map(place, dot)) for dot in dots], zero


def _float(text: str) -> float:
    return float(text.replace(",", ""))
