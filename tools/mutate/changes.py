"""The small changes of a text that the tests must notice, one at a time.

Operators, comparisons and constants are swapped, conditions negated, statements and
keyword arguments dropped. Left alone is what only people or type checkers read, such as
docstrings, messages, annotations and ``__all__``; decorators; and the keywords below.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from tools.mutate.syntax import (
    GUARDS,
    SAID,
    conditions,
    inside,
    is_call,
    opposite_is_a_swap,
    other,
)

__all__ = ["Change", "changes"]

SWAPS = {
    **{"+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "*", "**": "*"},
    **{"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="},
    **{"in": "not in", "not in": "in", "is": "is not", "is not": "is"},
    **{"and": "or", "or": "and"},
}
# Longest first; a comment may stand between the operands.
OPERATOR = re.compile(
    rb"#[^\n]*|(\*\*|//|<=|>=|==|!=|not\s+in|is\s+not|[-+*/%<>]|in|is|and|or)"
)


class Change(NamedTuple):
    """One change: the bytes from ``start`` to ``end`` of a file become ``text``.

    ``owner`` is the first line of the innermost function around it, 0 outside of all.
    """

    path: str
    line: int
    start: int
    end: int
    text: str
    owner: int

    def apply(self, source: bytes) -> bytes:
        """Return the file with the change made."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def diff(self, source: bytes) -> tuple[str, str]:
        """Return the lines that change, before and after, each as one line."""
        first = source.rfind(b"\n", 0, self.start) + 1
        rest = source[self.end :].partition(b"\n")[0].decode()
        head, old = source[first : self.start], source[self.start : self.end]
        before, after = (head.decode() + x + rest for x in (old.decode(), self.text))
        return " ".join(before.split()), " ".join(after.split())


def changes(path: str, source: bytes) -> list[Change]:
    """Return every change of a file that leaves Python, and another program."""
    finder = Finder(path, source)
    found = []
    for statement in ast.parse(source).body:  # each is parsed alone, which is quicker
        start, end = finder.lines(statement)
        seen = {ast.dump(ast.parse(source[start:end]))}
        for change in finder.visit(statement, 0):
            head, tail = source[start : change.start], source[change.end : end]
            try:
                dump = ast.dump(ast.parse(head + change.text.encode() + tail))
            except SyntaxError:
                continue
            if dump not in seen:
                seen.add(dump)
                found.append(change)
    return found


class Finder:
    """Walks the syntax tree and yields what can be changed."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path, self.source = path, source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return where a node begins and ends, in bytes."""
        a: ast.expr = node  # type: ignore[assignment]
        assert a.end_lineno is not None and a.end_col_offset is not None
        return (
            self.starts[a.lineno - 1] + a.col_offset,
            self.starts[a.end_lineno - 1] + a.end_col_offset,
        )

    def lines(self, statement: ast.stmt) -> tuple[int, int]:
        """Return where the lines of a statement begin and end, its decorators too."""
        decorators = getattr(statement, "decorator_list", [])
        first = min(n.lineno for n in [statement, *decorators])
        return self.starts[first - 1], self.span(statement)[1]

    def text(self, node: ast.AST) -> str:
        """Return the text of a node."""
        start, end = self.span(node)
        return self.source[start:end].decode()

    def visit(self, node: ast.AST, owner: int) -> Iterator[Change]:
        """Yield the changes of a node and of all below it."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            decorators = getattr(node, "decorator_list", [])
            owner = min(n.lineno for n in [node, *decorators])
        for start, end, text in self.at(node):
            line = self.source.count(b"\n", 0, start) + 1
            yield Change(self.path, line, start, end, text, owner)
        for child in inside(node):
            yield from self.visit(child, owner)

    def at(self, node: ast.AST) -> Iterator[tuple[int, int, str]]:
        """Yield what to put in which place, for one node."""
        if isinstance(node, ast.BinOp):
            yield from self.swap(node.left, node.right)
        elif isinstance(node, ast.AugAssign):
            yield from self.swap(node.target, node.value)
            yield *self.span(node), "pass"
        elif isinstance(node, ast.Compare):
            for left, right in pairwise([node.left, *node.comparators]):
                yield from self.swap(left, right)
        elif isinstance(node, ast.BoolOp):
            for left, right in pairwise(node.values):
                yield from self.swap(left, right)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            yield *self.span(node), f"({self.text(node.operand)})"
        elif isinstance(node, ast.Constant):
            if (text := other(node.value)) is not None:
                yield *self.span(node), text
        elif isinstance(node, ast.Raise) or is_call(node):
            yield *self.span(node), "pass"
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg not in {None, *SAID, *GUARDS}:
                    yield self.without(keyword)
        for test in conditions(node):
            if not opposite_is_a_swap(test):
                yield *self.span(test), f"(not ({self.text(test)}))"

    def swap(self, left: ast.AST, right: ast.AST) -> Iterator[tuple[int, int, str]]:
        """Yield the operator between two operands, changed."""
        gap = self.span(left)[1], self.span(right)[0]
        for found in OPERATOR.finditer(self.source, *gap):
            if found[1]:
                name = " ".join(found[1].decode().split())
                yield found.start(), found.end(), SWAPS[name]
                return

    def without(self, keyword: ast.keyword) -> tuple[int, int, str]:
        """Return how a keyword argument goes, together with one comma."""
        start, end = self.span(keyword)
        after = re.compile(rb"\s*,\s*").match(self.source, end)
        if after:
            return start, after.end(), ""
        before = self.source[:start].rstrip()
        return len(before) - before.endswith(b","), end, ""
