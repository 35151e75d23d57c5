"""Eight bits, spent evenly or on small numbers: the dynamic code against even steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.cells import Label
from deepopt_lib.book.live.controls import Slider, powers
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.marks import Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel
from deepopt_lib.book.live.words import rounded

__all__ = ["dynamic_code", "dynamic_codes", "nearest"]

FIRST = 4  # bits of the first table
PROBES = 12  # numbers of about one size, whose errors are averaged


def nearest(table: list[float], x: float) -> float:
    """Return the value of a table that is nearest to x."""
    best = table[0]
    for value in table:
        if abs(value - x) < abs(best - x):
            best = value
    return best


def dynamic_code(bits: int, size: float, tables: list[list[float]]) -> dict[str, Any]:
    """Round numbers from 1e-7 to 1 to ``2**bits`` values: of a table, and even ones."""
    table = tables[bits - FIRST]
    top = 2**bits - 1
    at = []
    uneven = []
    level = []
    for i in range(70):
        one = 0.0
        other = 0.0
        for j in range(PROBES):
            x = 10 ** ((i + j / PROBES) / 10 - 7)
            one += 100 * abs(nearest(table, x) - x) / x / PROBES
            other += 100 * abs(round(x * top) / top - x) / x / PROBES
        at.append(10 ** ((i + 0.5) / 10 - 7))
        uneven.append(one)
        level.append(other)
    kept = nearest(table, size)
    level_kept = round(size * top) / top
    return {
        "at": at,
        "uneven": uneven,
        "level": level,
        "table": table,
        "even": [i / top for i in range(top + 1)],
        "kept": kept,
        "level_kept": level_kept,
        "error": 100 * abs(kept - size) / size,
        "level_error": 100 * abs(level_kept - size) / size,
    }


def dynamic_codes(tables: Sequence[Sequence[float]]) -> HTML:
    """Show dynamic codes against even ones.

    ``tables`` are the values from 0 to 1 for 4, 5, ... bits, those of
    ``Blockwise("dynamic", bits)`` for what has no sign.
    """
    values = [[rounded(v, 8) for v in table] for table in tables]
    errors = Panel(
        Axis(1e-7, 1, "entry / largest of its block", log=True),
        Axis(0.03, 300, "mean relative error, %", log=True),
        [
            Line(look="gray", x="at", y="level", width=1.5, label="even steps"),
            Line(look="green", x="at", y="uneven", label="dynamic code"),
            Points(look="green", x="size", y="error", size=10),
            Points(look="ink", x="size", y="level_error", size=7),
        ],
        "Relative error against the size of an entry: with even steps it reaches 100 % "
        "below a thousandth, the dynamic code keeps a few percent over five decades.",
    )
    ruler = Panel(
        Axis(1e-7, 1, "values that there are", log=True),
        Axis(0, 3, "", ticks={}),
        [
            Label(look="ink", x=1e-7, y=2.35, text="dynamic code", shift=(4, 0)),
            Points(look="green", x="table", y=2.0, size=4),
            Label(look="ink", x=1e-7, y=1.35, text="even steps", shift=(4, 0)),
            Points(look="gray", x="even", y=1.0, size=4),
            Label(look="ink", x=1e-7, y=0.35, text="the entry", shift=(4, 0)),
            Points(look="ink", x="size", y=0.3, size=8),
        ],
        "The values of both codes on a logarithmic ruler: the dynamic ones reach down "
        "to a millionth, the even ones crowd near 1.",
    )
    return figure(
        dynamic_code,
        [
            Slider("bits", "Bits", [FIRST + i for i in range(len(values))], 8),
            Slider("size", "Entry / largest", powers(1e-7, 1, 71), 0.001),
        ],
        [errors, ruler],
        title="The dynamic code spends its bits on small entries, as Adam needs it",
        text="An entry of {size} times the largest, in {bits} bits: the dynamic code "
        "keeps {kept:3}, an error of {error:2} %; even steps keep {level_kept:3}, an "
        "error of {level_error:3} %.",
        caption="The code without a sign, for second moments. An error of 100 % means "
        "that the entry became zero, and Adam divides by its root.",
        given={"tables": values},
    )
