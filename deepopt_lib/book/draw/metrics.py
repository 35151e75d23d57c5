"""Numbers of a drawing: its width, that of its text, and how they are written."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["SIZE", "WIDTH", "listed", "path", "text_width", "written"]

WIDTH = 440.0
"""The width of every drawing, in its units, and in pixels where there is room."""

SIZE = 14.0
"""The size of all text of a drawing, in its units."""

# In em, a little wider than the letters of the usual sans serif faces.
CLASSES = {
    "ijl'.,:;|!·": 0.28,
    " ftr()[]/-": 0.36,
    "mwMW%→←∂": 0.88,
    "0123456789": 0.6,
    "ABCDEFGHKLNOPQRSTUVXYZ&": 0.7,
    "+−=×<>≤≥√Σ": 0.7,
}
EM = {letter: em for letters, em in CLASSES.items() for letter in letters}
OTHER = 0.58
BOLD = 1.07


def text_width(words: str, size: float = SIZE, *, bold: bool = False) -> float:
    """Return about how wide words are, in the units of ``size``."""
    em = sum(EM.get(letter, OTHER) for letter in words)
    return em * size * (BOLD if bold else 1.0)


def written(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{round(float(value), 1) + 0.0:g}"


def path(*parts: str | float) -> str:
    """Return the ``d`` of a path: its letters, and its coordinates, in a row."""
    words = [part if isinstance(part, str) else written(part) for part in parts]
    return " ".join(words)


def listed(values: ArrayLike) -> str:
    """Return numbers for a sentence, with commas between them."""
    return ", ".join(f"{v:g}" for v in np.ravel(values))
