"""What a panel draws of a model's results: lines, points and boxes.

A mark names the results that it shows. Python draws it into the default picture, and
``live.js`` moves the same element from the same names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepopt_lib.book import plot
from deepopt_lib.book.live.frame import Frame

__all__ = ["Boxes", "Colored", "Key", "Line", "Points", "columns"]

Key = str | float | tuple[float, ...]
"""The name of a result, a number or a list of them; or the numbers themselves."""

COLORS = {
    "blue": plot.BLUE,
    "vermilion": plot.VERMILION,
    "green": plot.GREEN,
    "pink": plot.PINK,
    "gray": plot.GRAY,
}
DASHES = {"-": "", "--": "7 4", ":": "2 3", "-.": "8 4 2 4"}


def columns(values: Mapping[str, Any], *keys: Key) -> list[list[float]]:
    """Return the numbers of several keys as lists of one length.

    Raises
    ------
    KeyError
        If there is no such result.
    """
    found = [values[key] if isinstance(key, str) else key for key in keys]
    lists = [list(v) if isinstance(v, list | tuple) else [v] for v in found]
    most = max(map(len, lists))
    return [v * most if len(v) == 1 else v for v in lists]


@dataclass(frozen=True)
class Colored:
    """A mark with a color: one of `COLORS`, or a method of `plot.LOOKS`; and a label.

    The label, if any, stands beside a sample in the key below the panel.

    Raises
    ------
    ValueError
        If there is no such look.
    """

    look: str = "blue"
    label: str = ""

    def __post_init__(self) -> None:
        """Check that the look is one."""
        if self.look not in {"ink", *COLORS, *plot.LOOKS}:
            raise ValueError(f"look must be a color or a method, got {self.look!r}")

    @property
    def paint(self) -> str:
        """The attributes that color it, in every mode."""
        if self.look == "ink":
            return ""
        color = plot.LOOKS[self.look].color if self.look in plot.LOOKS else ""
        color = color or COLORS[self.look]
        name = next(name for name, c in COLORS.items() if c == color)
        return f' class="live-{name}" color="{color}"'

    @property
    def dashes(self) -> str:
        """The attribute that dashes it as the method is, if it is one."""
        if self.look not in plot.LOOKS:
            return ""
        dash = DASHES[plot.LOOKS[self.look].dash]
        return f' stroke-dasharray="{dash}"' if dash else ""


@dataclass(frozen=True)
class Line(Colored):
    """A line through points; NaN interrupts it. With ``steps``, level between them."""

    x: Key = ()
    y: Key = ()
    width: float = 2
    faint: float = 1
    dash: str = ""
    steps: bool = False

    def spec(self) -> list[Any]:
        """Return what ``live.js`` has to know."""
        return ["steps" if self.steps else "line", self.x, self.y]

    def svg(self, frame: Frame, values: Mapping[str, Any]) -> str:
        """Return the element."""
        parts, pen = [], "M"
        for x, y in zip(*columns(values, self.x, self.y), strict=True):
            across, down = frame.at(x, y)
            if math.isnan(across):
                pen = "M"
                continue
            flat = self.steps and pen == "L"
            parts.append(
                f"H{across:g}V{down:g}" if flat else f"{pen}{across:g} {down:g}"
            )
            pen = "L"
        return f'<path data-mark=""{self._look} d="{"".join(parts)}"/>'

    def sample(self) -> str:
        """Return what stands beside the label."""
        return f'<path{self._look} d="M1 5H25"/>'

    @property
    def _look(self) -> str:
        dash = f' stroke-dasharray="{DASHES[self.dash]}"' if self.dash else self.dashes
        faint = f' stroke-opacity="{self.faint:g}"' if self.faint < 1 else ""
        return (
            f'{self.paint} fill="none" stroke="currentColor" stroke-linejoin="round" '
            f'stroke-width="{self.width:g}"{dash}{faint}'
        )


@dataclass(frozen=True)
class Points(Colored):
    """Dots of one size, in pixels of a phone."""

    x: Key = ()
    y: Key = ()
    size: float = 8

    def spec(self) -> list[Any]:
        """Return what ``live.js`` has to know."""
        return ["points", self.x, self.y]

    def svg(self, frame: Frame, values: Mapping[str, Any]) -> str:
        """Return the element: lines without length, whose round ends are the dots."""
        pairs = zip(*columns(values, self.x, self.y), strict=True)
        places = [frame.at(*pair) for pair in pairs]
        dots = [f"M{x:g} {y:g}h0" for x, y in places if not math.isnan(x)]
        return f'<path data-mark=""{self._look} d="{"".join(dots)}"/>'

    def sample(self) -> str:
        """Return what stands beside the label."""
        return f'<path{self._look} d="M13 5h0"/>'

    @property
    def _look(self) -> str:
        return (
            f'{self.paint} fill="none" stroke="currentColor" stroke-linecap="round" '
            f'stroke-width="{self.size:g}"'
        )


@dataclass(frozen=True)
class Boxes(Colored):
    """Rectangles between two values on each axis: bars, stacks, regions."""

    x0: Key = ()
    x1: Key = ()
    y0: Key = ()
    y1: Key = ()
    faint: float = 0.7
    edge: bool = False

    def spec(self) -> list[Any]:
        """Return what ``live.js`` has to know."""
        return ["boxes", self.x0, self.y0, self.x1, self.y1]

    def svg(self, frame: Frame, values: Mapping[str, Any]) -> str:
        """Return the element."""
        parts = []
        for a, b, c, d in zip(
            *columns(values, self.x0, self.y0, self.x1, self.y1), strict=True
        ):
            (left, low), (right, high) = frame.at(a, b), frame.at(c, d)
            if not math.isnan(left + right):
                parts.append(f"M{left:g} {low:g}H{right:g}V{high:g}H{left:g}Z")
        return f'<path data-mark=""{self._look} d="{"".join(parts)}"/>'

    def sample(self) -> str:
        """Return what stands beside the label."""
        return f'<path{self._look} d="M6 0H20V10H6Z"/>'

    @property
    def _look(self) -> str:
        edge = ' stroke="currentColor" stroke-width="1.5"' if self.edge else ""
        return f'{self.paint} fill="currentColor" fill-opacity="{self.faint:g}"{edge}'
