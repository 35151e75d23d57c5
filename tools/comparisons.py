"""Find what the pages compare, and whether it went through `deepopt_lib.trials`.

    python -m tools.comparisons  count, page by page

A cell compares if it asserts that one computed quantity is below another, or asks
`trials` for a difference. Each such assertion either names what came out of a `trials`
object, or the cell's metadata say why it need not:

    {"comparison": "exact"}         an identity, a theorem, a count: nothing to tune
    {"comparison": "time"}          a duration, asserted where the machine is quiet
    {"comparison": "illustration"}  one run is shown, nobody is called better
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tools.notebooks import code_cells, name, notebooks

KINDS = ("exact", "time", "illustration")
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
REPORTS = {"ahead", "behind", "apart", "leader"}  # of trials.Report
JUDGES = {"gain", "no_worse", "fixed", "paired"}  # of trials
TYPED = {"reproduced", "partly", "not at this scale"}


class Cell(NamedTuple):
    """A cell that compares: its place among the code, how, and what it asserts."""

    number: int
    how: str  # "protocol", one of KINDS, or "" if nothing says so
    asserts: list[str]  # that order two quantities without the protocol


def compares(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the asserted conditions that order two quantities, neither a literal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and any(map(_orders, ast.walk(node.test))):
            yield node.test


def learn(tree: ast.AST, known: set[str]) -> bool:
    """Add the names of results of `trials` to those known; tell if there are any."""
    found = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if rests(node.value, known):
                names = [n for t in targets for n in ast.walk(t)]
                known.update(n.id for n in names if isinstance(n, ast.Name))
        found |= _asks(node)
    return found


def rests(node: ast.AST, known: set[str]) -> bool:
    """Tell whether an expression names a result, or asks for one."""
    return any(
        _asks(n) or (isinstance(n, ast.Name) and n.id in known) for n in ast.walk(node)
    )


def cells(path: Path) -> list[Cell]:
    """Return the cells of a page that compare."""
    found, known = [], set[str]()
    for i, cell in enumerate(code_cells(path)):
        tree = ast.parse("".join(cell["source"]))
        asked, conditions = learn(tree, known), list(compares(tree))
        bare = [ast.unparse(c) for c in conditions if not rests(c, known)]
        how = cell["metadata"].get("comparison", "")
        if bare or how:
            found.append(Cell(i, how, bare))
        elif asked or conditions:
            found.append(Cell(i, "protocol", []))
    return found


def typed(path: Path) -> list[str]:
    """Return the verdicts that a page types instead of computing them."""
    trees = (ast.parse("".join(c["source"])) for c in code_cells(path))
    return [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in TYPED
    ]


def count() -> dict[str, Counter[str]]:
    """Return for each page how many cells compare, and how."""
    return {
        name(p): Counter(c.how or "unmarked" for c in cells(p)) for p in notebooks()
    }


def _orders(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare):
        return False
    sides = pairwise([node.left, *node.comparators])
    return any(
        isinstance(op, ORDER) and not (_literal(a) or _literal(b))
        for op, (a, b) in zip(node.ops, sides, strict=True)
    )


def _literal(node: ast.AST) -> bool:
    """Tell a number written out, also -1, 2 / 3 and 1e-3 * 5, from what is computed."""
    return not any(
        isinstance(n, ast.Name | ast.Call | ast.Attribute | ast.Subscript)
        for n in ast.walk(node)
    )


def _asks(node: ast.AST) -> bool:
    """Tell whether a node asks `trials` for a result."""
    if isinstance(node, ast.Attribute) and node.attr in REPORTS:
        return True
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = ast.unparse(node.func.value)
        return owner.endswith("trials") and node.func.attr in {*JUDGES, "Comparison"}
    return False


def main() -> None:
    """Print the counts, and what is not marked."""
    total: Counter[str] = Counter()
    for page, found in count().items():
        total += found
        print(f"{page:52}", *(f"{k} {n}" for k, n in sorted(found.items())))
    print(f"{'all':52}", *(f"{k} {n}" for k, n in sorted(total.items())))
    for path in notebooks():
        for cell in cells(path):
            if cell.how not in ("protocol", *KINDS):
                print(f"{name(path)}, code cell {cell.number}: {cell.asserts}")
        for verdict in typed(path):
            print(f"{name(path)}: types {verdict!r}")


if __name__ == "__main__":
    main()
