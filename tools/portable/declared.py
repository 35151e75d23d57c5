"""The rules for numbers that move from processor to processor, checked by a test.

A cell prints the same on every variant of `variants`, or its spread is known and its
metadata declare a tolerance: at least the spread, at most twice the spread. The words
are always the same, and no cell fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from tools.notebooks import CHAPTERS, code_cells, is_exempt
from tools.printed import numbers, texts, value
from tools.tolerance import tolerance

MOST = 2  # times the spread that a tolerance may be
UNITS = 9  # of the last printed digit: who moves by more prints a digit too many


def spread(runs: Mapping[str, Mapping[str, Any]], cell: int) -> Decimal:
    """Return by how much a number of a cell moved in any variant."""
    rows = (run.get(str(cell), {}) for run in runs.values())
    return max((Decimal(row.get("spread", 0)) for row in rows), default=Decimal())


def tolerances(path: Path) -> dict[int, float]:
    """Return the declared tolerances of a notebook, by the number of the code cell."""
    declared = {i: tolerance(c["metadata"]) for i, c in enumerate(code_cells(path))}
    return {i: atol for i, atol in declared.items() if atol is not None}


def problems(path: Path, record: Mapping[str, Any], root: Path = CHAPTERS) -> list[str]:
    """Return what is wrong with the numbers of a notebook, one sentence each."""
    key = path.relative_to(root).as_posix()
    runs = record["notebooks"].get(key, {})
    tried = [name for name, told in record["variants"].items() if not told["skipped"]]
    if not tried:
        return ["no variant was run: make portable"]
    found = [
        f"not run under {name}: make portable NB={path}"
        for name in tried
        if name not in runs and not record["variants"][name]["folder"]
    ]
    declared = tolerances(path)
    for i, cell in enumerate(code_cells(path)):
        found += _cell(i, cell, runs, declared.get(i))
    return found


def _cell(
    i: int,
    cell: Mapping[str, Any],
    runs: Mapping[str, Mapping[str, Any]],
    atol: float | None,
) -> list[str]:
    where, found = f"code cell {i}", []
    rows = {name: run[str(i)] for name, run in runs.items() if str(i) in run}
    for name, row in rows.items():
        if "failed" in row:
            found.append(f"{where} fails under {name}: {row['failed']}")
        if "words" in row:
            found.append(f"{where} says something else under {name}: {row['words']}")
    stored = {n for _, text in texts(cell["outputs"]) for n in numbers(text)}
    pairs = [pair for row in rows.values() for pair in row.get("moved", ())]
    if any(old not in stored for old, _ in pairs):
        found.append(
            f"{where} has changed since its spread was measured: make portable"
        )
    if wide := [pair for pair in pairs if _units(*pair) > UNITS]:
        found.append(f"{where} prints a digit too many: {wide[0]}")
    moved = spread(runs, i)
    if atol is None:
        if moved:
            found.append(f"{where} moved by {moved} under {', '.join(rows)}")
    elif is_exempt(cell):
        found.append(f"{where} declares a tolerance and is not compared")
    elif not moved:
        found.append(f"{where} declares a tolerance, and no variant moved a number")
    elif not moved <= Decimal(str(atol)) <= MOST * moved:
        found.append(f"{where} declares {atol}, its spread is {moved}")
    return found


def _units(old: str, new: str) -> Decimal:
    """Return a distance in units of the last digit that is printed."""
    number = value(old)
    exponent = number.as_tuple().exponent
    return abs(value(new) - number) / Decimal(1).scaleb(int(exponent))
