"""What the reader's hand holds within the picture: a point, a pattern, a mark."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepopt_lib.core.checks import check_int

__all__ = ["Pattern", "Pick", "Point"]


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


@dataclass(frozen=True)
class Pick:
    """One of several marks, by its number: clicked, or gone through by a slider.

    ``among`` are the places of the marks, ``says`` their names and what is told of
    each: lists that are given to the model, by their names.

    Raises
    ------
    ValueError
        If there are fewer than two marks, ``value`` is none of them, or the lists are
        of different lengths.
    """

    name: str
    label: str
    among: Mapping[str, Sequence[float]]
    says: Mapping[str, Sequence[str]]
    value: int = 0
    panel: int = 0

    def __post_init__(self) -> None:
        """Check that the mark is one."""
        lengths = {k: len(v) for k, v in {**self.among, **self.says}.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"{self.name} needs lists of one length, got {lengths}")
        check_int(f"marks of {self.name}", self._count, 2)
        check_int(self.name, self.value, 0, self._count - 1)

    @property
    def _count(self) -> int:
        return len(next(iter(self.among.values())))

    def start(self) -> dict[str, Any]:
        """Return the values of the model's arguments before anything is moved."""
        return {self.name: self.value}

    def spec(self) -> dict[str, Any]:
        """Return what ``live.js`` has to know; the lists are among what is given."""
        return {"kind": "pick", "name": self.name, "value": self.value} | {
            "among": list(self.among),
            "says": list(self.says),
            "panel": self.panel,
        }

    def markup(self, figure: str) -> str:
        """Return a slider that goes through the marks, and says what each is."""
        words = [html.escape(texts[self.value]) for texts in self.says.values()]
        return (
            f'<label class="live-slider live-pick"><span>{html.escape(self.label)} '
            f"<output>{words[0]}</output></span>"
            f'<input type="range" data-name="{self.name}" min="0" '
            f'max="{self._count - 1}" value="{self.value}" step="1" '
            f'aria-valuetext="{", ".join(words)}" autocomplete="off"/></label>'
        )


def _hint(text: str) -> str:
    return f'<p class="live-hint">{html.escape(text)}</p>'
