"""Marks that say something: a grid of cells, and texts that move."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepopt_lib.book.live.frame import Frame, place
from deepopt_lib.book.live.marks import Colored, Key, columns
from deepopt_lib.book.live.words import fill, number

__all__ = ["Cells", "Label"]


@dataclass(frozen=True)
class Cells(Colored):
    """A grid of cells, filled by ``values`` from 0 to 1, row by row; with texts.

    A cell is one unit of each axis wide and high, the first one at (``left``, ``top``).
    NaN leaves a cell out. Under a text, ``most`` keeps the fill light enough; ``grid``
    is the opacity of the lines between the cells.
    """

    values: str = ""
    rows: int = 1
    columns: int = 1
    texts: str = ""
    left: float = 0
    top: float = 0
    most: float = 1.0
    grid: float = 0.35

    def spec(self) -> list[Any]:
        """Return what ``live.js`` has to know."""
        return ["cells", self.values, self.texts, self.most]

    def svg(self, frame: Frame, values: Mapping[str, Any]) -> str:
        """Return the element: a square for each cell, and a text if there are any."""
        (shades,) = columns(values, self.values)
        words = values[self.texts] if self.texts else []
        squares, texts = [], []
        for i in range(self.rows * self.columns):
            row, column = divmod(i, self.columns)
            x0, y0 = frame.at(self.left + column, self.top + row)
            x1, y1 = frame.at(self.left + column + 1, self.top + row + 1)
            shade = shades[i] if i < len(shades) else math.nan
            opacity = -1.0 if math.isnan(shade) else _opacity(shade * self.most)
            hidden = ' visibility="hidden"' if opacity < 0 else ""
            squares.append(
                f'<rect x="{x0 + 0.5:g}" y="{y0 + 0.5:g}" width="{x1 - x0 - 1:g}" '
                f'height="{y1 - y0 - 1:g}" fill-opacity="{max(opacity, 0):g}"{hidden}/>'
            )
            if self.texts:
                word = words[i] if i < len(words) else ""
                word = word if isinstance(word, str) else number(word)
                texts.append(
                    f'<text x="{place((x0 + x1) / 2):g}" '
                    f'y="{place((y0 + y1) / 2 + 4):g}" text-anchor="middle">'
                    f"{html.escape(word, quote=False)}</text>"
                )
        grid = f'<g{self.paint} fill="currentColor" stroke="currentColor"'
        grid += f' stroke-opacity="{self.grid:g}">{"".join(squares)}</g>'
        return f'<g data-mark="">{grid}{"".join(texts)}</g>'

    def sample(self) -> str:
        """Return what stands beside the label."""
        return f'<path{self.paint} fill="currentColor" d="M6 0H20V10H6Z"/>'


def _opacity(share: float) -> float:
    return math.floor(share * 1000 + 0.5) / 1000


@dataclass(frozen=True)
class Label(Colored):
    """A text at a place: a template as the sentence below the figure.

    ``halo`` keeps the lines that pass behind it away from the letters.
    """

    x: Key = 0.0
    y: Key = 0.0
    text: str = ""
    anchor: str = "start"
    shift: tuple[float, float] = (0, 0)
    halo: bool = False

    def spec(self) -> list[Any]:
        """Return what ``live.js`` has to know."""
        return ["label", self.x, self.y, self.text]

    def svg(self, frame: Frame, values: Mapping[str, Any]) -> str:
        """Return the element."""
        [x], [y] = columns(values, self.x, self.y)
        across, down = frame.at(x, y)
        hidden = ' visibility="hidden"' if math.isnan(across) else ""
        halo = ' class="live-halo"' if self.halo else ""
        x, y = (0.0, 0.0) if hidden else (across, down)
        return (
            f'<text data-mark=""{halo} x="{x:g}" y="{y:g}" dx="{self.shift[0]:g}" '
            f'dy="{self.shift[1]:g}" text-anchor="{self.anchor}"{hidden}>'
            f"{html.escape(fill(self.text, values), quote=False)}</text>"
        )

    def sample(self) -> str:
        """Return nothing: a text needs no key."""
        return ""
