"""Figures that answer the hand: a tested model, printed for the reader's browser.

`figure` takes a function of restricted Python, controls, and panels of marks. It draws
the default picture, and adds the same function as JavaScript for ``_static/live.js``.
"""

from deepopt_lib.book.live.cells import Cells, Label
from deepopt_lib.book.live.controls import Choice, Slider, even, powers
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.handles import Pattern, Pick, Point
from deepopt_lib.book.live.markers import Markers
from deepopt_lib.book.live.marks import Boxes, Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel
from deepopt_lib.book.live.printer import printed
from deepopt_lib.book.live.update import Update

__all__ = [
    "Axis",
    "Boxes",
    "Cells",
    "Choice",
    "Label",
    "Line",
    "Markers",
    "Panel",
    "Pattern",
    "Pick",
    "Point",
    "Points",
    "Slider",
    "Update",
    "even",
    "figure",
    "powers",
    "printed",
]
