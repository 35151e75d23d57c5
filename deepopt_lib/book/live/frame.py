"""The coordinates of a panel: axes, ticks, and from a value to a place."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass

from deepopt_lib.book.live.words import number, superscript

__all__ = ["WIDTH", "Axis", "Frame", "place"]

WIDTH = 320  # units of a panel, about the pixels that a phone has for it
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 26, 40
HALF = 0.5 + 1e-6
BIT = 1e-9  # more than processors disagree about a logarithm
FAR = 20.0  # what lies farther out than so many panels stays there


def place(x: float) -> float:
    """Return a coordinate to a tenth; ``live.js`` rounds in the same way.

    What lies in the middle goes up, and on another processor, where it lies a last bit
    lower, as well.
    """
    return math.floor(x * 10 + HALF) / 10


@dataclass(frozen=True)
class Axis:
    """From the value at the lower or left end to that at the other, with a label.

    ``ticks`` are texts by value; by default round numbers or powers of ten.

    Raises
    ------
    ValueError
        If both ends are equal, or one of a logarithmic axis is not > 0.
    """

    low: float
    high: float
    label: str = ""
    log: bool = False
    ticks: Mapping[float, str] | None = None

    def __post_init__(self) -> None:
        """Check that there is a scale."""
        if self.low == self.high or (self.log and min(self.low, self.high) <= 0):
            raise ValueError(
                f"axis {self.label!r} cannot go from {self.low!r} to {self.high!r}"
            )

    def share(self, value: float) -> float:
        """Return how far along the axis a value is: 0 at ``low``, 1 at ``high``."""
        if math.isnan(value):
            return value
        if not self.log:
            part = (value - self.low) / (self.high - self.low)
        elif value <= 0:
            return -FAR
        else:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        return min(max(part, -FAR), 1 + FAR)

    def spec(self) -> list[float | int]:
        """Return what ``live.js`` has to know."""
        return [self.low, self.high, int(self.log)]

    def marked(self) -> dict[float, str]:
        """Return the ticks: the texts by value."""
        if self.ticks is not None:
            return dict(self.ticks)
        low, high = min(self.low, self.high), max(self.low, self.high)
        if self.log:
            first = math.ceil(math.log10(low) - BIT)
            last = math.floor(math.log10(high) + BIT)
            by = (last - first) // 5 + 1
            return {10.0**k: _power(k) for k in range(first, last + 1, by)}
        raw = (high - low) / 5
        size = 10.0 ** math.floor(math.log10(raw) + BIT)
        step = next(s * size for s in (1, 2, 2.5, 5, 10) if s * size >= raw * 0.999)
        first, last = math.ceil(low / step - BIT), math.floor(high / step + BIT)
        return {k * step: number(k * step) for k in range(first, last + 1)}


@dataclass(frozen=True)
class Frame:
    """Two axes and the box that they span, in units of the panel."""

    x: Axis
    y: Axis
    height: int
    bare: bool = False

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of the plot."""
        left, bottom = (8, 8) if self.bare else (LEFT, BOTTOM)
        right = 8 if self.bare else RIGHT
        return left, TOP, WIDTH - left - right, self.height - TOP - bottom

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point is within the plot, y downward."""
        _, _, width, height = self.box
        across, up = self.x.share(x), self.y.share(y)
        if math.isnan(across) or math.isnan(up):
            return math.nan, math.nan
        return place(across * width), place((1 - up) * height)

    def svg(self) -> str:
        """Return the grid, the ticks and the labels."""
        left, top, width, height = self.box
        parts = []
        if self.y.label:
            parts.append(_text(8 if self.bare else 0, 16, "start", self.y.label))
        if self.bare:
            return "".join(parts)
        grid = []
        for value, text in self.x.marked().items():
            x = place(left + self.x.share(value) * width)
            grid.append(f"M{x:g} {top}v{height}")
            parts.append(_text(x, top + height + 16, "middle", text))
        for value, text in self.y.marked().items():
            y = place(top + (1 - self.y.share(value)) * height)
            grid.append(f"M{left} {y:g}h{width}")
            parts.append(_text(left - 6, place(y + 4), "end", text))
        parts.append(_text(left + width, top + height + 32, "end", self.x.label))
        lines = f'<path d="{"".join(grid)}" stroke-opacity="0.18"/>'
        edge = f'<path d="M{left} {top}v{height}h{width}" stroke-opacity="0.6"/>'
        return f'<g fill="none" stroke="currentColor">{lines}{edge}</g>{"".join(parts)}'


def _power(k: int) -> str:
    """Return a power of ten as a tick."""
    return number(10.0**k) if -4 < k < 5 else f"10{superscript(k)}"


def _text(x: float, y: float, anchor: str, text: str) -> str:
    words = html.escape(text, quote=False)
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{words}</text>'
