"""What of a syntax tree a run depends on, and what people and type checkers read."""

from __future__ import annotations

import ast
from collections.abc import Iterator

__all__ = [
    "GUARDS",
    "SAID",
    "conditions",
    "inside",
    "is_call",
    "opposite_is_a_swap",
    "other",
]

OPPOSITES = ast.Eq | ast.NotEq | ast.Is | ast.IsNot | ast.In | ast.NotIn
SAID = {"description", "epilog", "help", "metavar", "prog"}  # read by people
GUARDS = {"strict"}  # of zip: false only where another check has failed


def other(value: object) -> str | None:
    """Return what a constant becomes, if it is a number or a truth value."""
    if isinstance(value, bool):
        return str(not value)
    if isinstance(value, int):
        return str(value + 1)
    if isinstance(value, float):
        return repr(2 * value or 1.0)
    return None


def is_call(node: ast.AST) -> bool:
    """Say whether a statement is a call and nothing else."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def conditions(node: ast.AST) -> list[ast.expr]:
    """Return what a node asks before it goes on."""
    if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
        return [] if for_others(node.test) else [node.test]
    return node.ifs if isinstance(node, ast.comprehension) else []


def opposite_is_a_swap(test: ast.expr) -> bool:
    """Say whether another change negates a condition already."""
    if isinstance(test, ast.UnaryOp):
        return isinstance(test.op, ast.Not)
    return (
        isinstance(test, ast.Compare)
        and len(test.ops) == 1
        and isinstance(test.ops[0], OPPOSITES)
    )


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the children that a run depends on."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.pattern):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        yield from node.args.defaults
        yield from filter(None, node.args.kw_defaults)
        yield from node.body if isinstance(node.body, list) else [node.body]
    elif isinstance(node, ast.ClassDef):
        yield from node.body
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if "__all__" not in map(ast.unparse, targets):
            yield from targets
            yield from filter(None, [node.value])
    elif isinstance(node, ast.If) and for_others(node.test):
        yield from node.orelse
    elif isinstance(node, ast.Call):
        yield node.func
        shape = ast.unparse(node.func).endswith(".reshape")  # -2 means what -1 does
        yield from (a for a in node.args if not (shape and ast.unparse(a) == "-1"))
        yield from (k.value for k in node.keywords if k.arg not in SAID | GUARDS)
    elif isinstance(node, ast.Assert):
        yield node.test
    else:
        yield from ast.iter_child_nodes(node)


def for_others(test: ast.expr) -> bool:
    """Say whether only a type checker, or only a command, enters this branch."""
    return "TYPE_CHECKING" in ast.unparse(test) or "__name__" in ast.unparse(test)
