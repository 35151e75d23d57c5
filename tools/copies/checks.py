"""The asserts of a solution: as a check of their own, or in a frame to fill in."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from tools.copies.names import of_code

FILL_IN = ast.Expr(ast.Constant(...))
BLOCKS = ("body", "orelse", "finalbody")


@dataclass(frozen=True)
class Check:
    """What a student gets of a solution.

    ``frame`` has loops whose asserts need what is computed beside them, with that left
    out; ``asserts`` are the others; ``names`` are what the answer has to be called.
    """

    frame: str
    asserts: str
    names: tuple[str, ...]


def of_solution(cells: Iterable[str]) -> Check:
    """Take the asserts out of the cells of a solution."""
    source = "\n".join(cells)
    frames, asserts = [], []
    for statement in ast.parse(source).body:
        if only_asserts(statement):
            asserts.append(ast.get_source_segment(source, statement) or "")
        elif has_assert(statement):
            frames.append(ast.unparse(blanked(statement)))
    frame, check = "\n".join(frames), "\n".join(asserts)
    given = of_code(source)
    asked = of_code(check).needs | of_code(frame).needs
    own = of_code(frame).binds
    return Check(frame, check, tuple(sorted(asked & (given.binds - own))))


def has_assert(node: ast.AST) -> bool:
    """Say whether there is an assert in a statement that is run with the cell."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return False
    return any(isinstance(inner, ast.Assert) for inner in ast.walk(node))


def only_asserts(node: ast.stmt) -> bool:
    """Say whether a statement is an assert, or a block of nothing else."""
    if isinstance(node, ast.Assert):
        return True
    inner = [s for block in BLOCKS for s in getattr(node, block, [])]
    return bool(inner) and has_assert(node) and all(map(only_asserts, inner))


def blanked(node: ast.stmt) -> ast.stmt:
    """Return a block with its asserts, and dots in place of what comes between."""
    if isinstance(node, ast.Assert):
        return node
    for block in BLOCKS:
        kept: list[ast.stmt] = []
        for statement in getattr(node, block, []):
            if has_assert(statement):
                kept.append(blanked(statement))
            elif not kept or kept[-1] is not FILL_IN:
                kept.append(FILL_IN)
        while kept and kept[-1] is FILL_IN:  # what follows the last assert is free
            kept.pop()
        if kept:
            setattr(node, block, kept)
    return node
