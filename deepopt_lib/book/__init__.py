"""What the pages use to show results: figures, tables, sources, and counted costs.

Needs the extra ``[book]``. A page computes arrays with the other packages, and hands
them to `plot` and `show`; `cost` counts the operations of a function as it runs.
"""

from deepopt_lib.book import cost, plot, show
from deepopt_lib.book.animation import player

__all__ = [
    "cost",
    "player",
    "plot",
    "show",
]
