"""What the pages use to show results: figures, tables, sources, and counted costs.

Needs the extra ``[book]``. A page computes arrays with the other packages, and hands
them to `plot` and `show`; `cost` counts the operations of a function as it runs, and
`kept` reads what other pages have stored. The packages inside: `draw` has the
schematics, and `live` turns one of the `models` into a figure that answers.
"""

try:
    from deepopt_lib.book import cost, kept, plot, show
    from deepopt_lib.book.animation import player
except ModuleNotFoundError as error:
    missing = str(error.name).partition(".")[0]
    raise ImportError(
        f"{missing} is needed: install deepopt_lib with its extra [book]"
    ) from error

__all__ = [
    "cost",
    "kept",
    "player",
    "plot",
    "show",
]
