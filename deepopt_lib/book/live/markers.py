"""Marks with the shapes that methods have in the other figures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deepopt_lib.book import plot
from deepopt_lib.book.live.frame import Frame, place
from deepopt_lib.book.live.marks import Colored, Key, columns

__all__ = ["Markers"]

CORNERS = {"s": (4, 45), "D": (4, 0), "v": (3, 90), "^": (3, 270), "*": (10, 270)}
"""Corners of a shape, and the angle of the first, clockwise from the right."""

SPARE = {"s": 1.25, "D": 1.25, "v": 1.3, "^": 1.3, "*": 1.4}
"""How much farther out corners are than a circle that looks as large."""


@dataclass(frozen=True)
class Markers(Colored):
    """Points with a shape of Matplotlib, by default that of the method.

    ``size`` is the diameter of a circle that looks as large, in pixels of a phone;
    ``hollow`` leaves the outline only, to surround another mark.

    Raises
    ------
    ValueError
        If there is no such look, or the shape is not known.
    """

    x: Key = ()
    y: Key = ()
    shape: str = ""
    size: float = 7
    faint: float = 1
    hollow: bool = False

    def __post_init__(self) -> None:
        """Check that the shape is one."""
        super().__post_init__()
        if self._shape not in {"o", ".", *CORNERS}:
            raise ValueError(
                f"shape must be one of o . {' '.join(CORNERS)}, got {self._shape!r}"
            )

    def spec(self) -> list[Any]:
        """Return what ``live.js`` has to know."""
        return ["points", self.x, self.y, self.outline]

    def svg(self, frame: Frame, values: Mapping[str, Any]) -> str:
        """Return the element: one path, the same outline at every place."""
        pairs = zip(*columns(values, self.x, self.y), strict=True)
        places = [frame.at(*pair) for pair in pairs]
        parts = [f"M{x:g} {y:g}{self.outline}" for x, y in places if not math.isnan(x)]
        return f'<path data-mark=""{self._look} d="{"".join(parts)}"/>'

    def sample(self) -> str:
        """Return what stands beside the label."""
        small = replace(self, size=min(self.size, 8))
        return f'<path{self._look} d="M13 5{small.outline}"/>'

    @property
    def outline(self) -> str:
        """The path around a place, from there."""
        r = self.size / 2
        if self._shape not in CORNERS:
            half = f"a{r:g} {r:g} 0 1 0"
            return f"m{-r:g} 0{half} {2 * r:g} 0{half} {-2 * r:g} 0z"
        n, first = CORNERS[self._shape]
        r *= SPARE[self._shape]
        corners = [(0.0, 0.0)]
        for k in range(n):
            angle = math.radians(first + 360 * k / n)
            out = r * (0.45 if n == 10 and k % 2 else 1)
            corners.append((place(out * math.cos(angle)), place(out * math.sin(angle))))
        steps = [
            f"{place(b[0] - a[0]):g} {place(b[1] - a[1]):g}"
            for a, b in itertools.pairwise(corners)
        ]
        return f"m{steps[0]}l{' '.join(steps[1:])}z"

    @property
    def _shape(self) -> str:
        known = plot.LOOKS[self.look].marker if self.look in plot.LOOKS else "o"
        return self.shape or known

    @property
    def _look(self) -> str:
        if self.hollow:
            return f'{self.paint} fill="none" stroke="currentColor" stroke-width="1.5"'
        faint = f' fill-opacity="{self.faint:g}"' if self.faint < 1 else ""
        return f'{self.paint} fill="currentColor"{faint}'
