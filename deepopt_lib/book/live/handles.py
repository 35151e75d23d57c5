"""What the reader's hand holds within the picture: a point, a pattern of cells."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Pattern", "Point"]


@dataclass(frozen=True)
class Point:
    """Two numbers: a place in a panel, set by a click, a drag, or the arrow keys.

    ``steps`` are the grid on which it moves, along each axis.
    """

    names: tuple[str, str]
    label: str
    value: tuple[float, float]
    steps: tuple[float, float]
    panel: int = 0

    def start(self) -> dict[str, Any]:
        """Return the values of the model's arguments before anything is moved."""
        return dict(zip(self.names, self.value, strict=True))

    def spec(self) -> dict[str, Any]:
        """Return what ``live.js`` has to know; it makes the handle itself."""
        return {"kind": "point", "names": list(self.names), "label": self.label} | {
            "value": list(self.value),
            "steps": list(self.steps),
            "panel": self.panel,
        }

    def markup(self, figure: str) -> str:
        """Return a hint: the handle itself lies over the panel."""
        return _hint(f"{self.label}: click, drag, or move it with the arrow keys")


@dataclass(frozen=True)
class Pattern:
    """A list of zeros and ones: cells of a panel, each a button to turn on and off.

    Raises
    ------
    ValueError
        If ``value`` has not ``rows * columns`` entries.
    """

    name: str
    label: str
    rows: int
    columns: int
    value: Sequence[int]
    panel: int = 0

    def __post_init__(self) -> None:
        """Check that there is a cell for each entry."""
        if len(self.value) != self.rows * self.columns:
            raise ValueError(
                f"{self.name} must have {self.rows * self.columns} entries, "
                f"got {len(self.value)}"
            )

    def start(self) -> dict[str, Any]:
        """Return the values of the model's arguments before anything is moved."""
        return {self.name: list(self.value)}

    def spec(self) -> dict[str, Any]:
        """Return what ``live.js`` has to know; it makes the buttons itself."""
        return {"kind": "pattern", "name": self.name, "label": self.label} | {
            "value": list(self.value),
            "rows": self.rows,
            "columns": self.columns,
            "panel": self.panel,
        }

    def markup(self, figure: str) -> str:
        """Return a hint: the buttons themselves lie over the panel."""
        return _hint(f"{self.label}: click, or arrow keys and the space bar")


def _hint(text: str) -> str:
    return f'<p class="live-hint">{html.escape(text)}</p>'
