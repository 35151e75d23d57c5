"""Expressions of restricted Python as JavaScript: a match over the syntax tree.

What would mean something else over there is refused: a list in a sum, the truth of a
number, an index that may be negative without being marked as such.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable
from typing import Any

from deepopt_lib.book.live.syntax import (
    BINARY,
    CALLS,
    COMPARE,
    CONSTANTS,
    MATH,
    RefusedError,
    kind,
)

__all__ = ["Expressions"]


class Expressions:
    """Prints expressions; ``kinds`` says what each local name stands for."""

    def __init__(self, outer: Callable[[str], str | None]) -> None:
        self.outer = outer  # from the name of a global to its text, None if refused
        self.kinds: dict[str, str] = {}
        self.helpers: set[str] = set()

    def refuse(self, node: ast.AST, why: str) -> RefusedError:
        """Return the error that names the line."""
        return RefusedError(f"line {getattr(node, 'lineno', 0)}: {why}")

    def kind(self, node: ast.expr) -> str:
        """Return what an expression stands for, see `syntax.kind`."""
        return kind(node, self.kinds)

    def number(self, node: ast.expr) -> str:
        """Print what takes part in arithmetic or in a comparison."""
        if self.kind(node) == "list":
            raise self.refuse(node, "a list where a number belongs")
        return self.text(node)

    def truth(self, node: ast.expr) -> str:
        """Print a condition: a number has no truth here."""
        if self.kind(node) != "truth":
            what = ast.unparse(node)
            raise self.refuse(node, f"{what!r} is no comparison, so it decides nothing")
        return self.text(node)

    def text(self, node: ast.expr) -> str:
        """Return the text of an expression in JavaScript."""
        match node:
            case ast.Constant():
                return self._constant(node)
            case ast.Name():
                return self._name(node)
            case ast.Attribute(value=ast.Name(id="math"), attr=name):
                if name in CONSTANTS:
                    return repr(CONSTANTS[name])
                if name in ("inf", "nan"):
                    return {"inf": "Infinity", "nan": "NaN"}[name]
            case ast.BinOp():
                return self._binary(node)
            case ast.UnaryOp(op=ast.USub()):
                return f"(-{self.number(node.operand)})"
            case ast.UnaryOp(op=ast.Not()):
                return f"(!{self.truth(node.operand)})"
            case ast.BoolOp():
                sign = " && " if isinstance(node.op, ast.And) else " || "
                return f"({sign.join(map(self.truth, node.values))})"
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp():
                parts = self.truth(node.test), self.text(node.body)
                return f"({parts[0]} ? {parts[1]} : {self.text(node.orelse)})"
            case ast.List() | ast.Tuple():
                return f"[{self._several(node.elts)}]"
            case ast.ListComp(generators=[one]) if not one.ifs:
                return self._comprehension(node.elt, one)
            case ast.Subscript():
                return self._item(node)
            case ast.Call(keywords=[]):
                return self._call(node)
        raise self.refuse(node, f"{ast.unparse(node)!r} is not restricted Python")

    def _several(self, nodes: Iterable[ast.expr]) -> str:
        return ", ".join(map(self.text, nodes))

    def _constant(self, node: ast.Constant) -> str:
        value: Any = node.value
        if isinstance(value, bool | str):
            return json.dumps(value, ensure_ascii=False)
        if isinstance(value, float) or (isinstance(value, int) and value <= 2**53):
            return repr(value)
        raise self.refuse(node, f"{value!r} is no number of JavaScript")

    def _name(self, node: ast.Name) -> str:
        if node.id in self.kinds:
            return node.id
        text = self.outer(node.id)
        if text is None:
            raise self.refuse(node, f"{node.id!r} is no number and no function of ours")
        return text

    def _binary(self, node: ast.BinOp) -> str:
        match node:
            case ast.BinOp(left=ast.List(elts=[one]), op=ast.Mult()):
                return f"Array({self.number(node.right)}).fill({self.text(one)})"
            case ast.BinOp(op=ast.Mod() | ast.FloorDiv() as op):
                helper = "$mod" if isinstance(op, ast.Mod) else "$div"
                self.helpers |= {"$mod", helper}
                return f"{helper}({self.number(node.left)}, {self.number(node.right)})"
        sign = BINARY.get(type(node.op))
        if sign is None:
            raise self.refuse(node, f"{ast.unparse(node)!r} is not restricted Python")
        return f"({self.number(node.left)} {sign} {self.number(node.right)})"

    def _compare(self, node: ast.Compare) -> str:
        values = [self.number(v) for v in (node.left, *node.comparators)]
        parts = []
        for i, op in enumerate(node.ops):
            if type(op) not in COMPARE:
                what = ast.unparse(node)
                raise self.refuse(node, f"{what!r} is not restricted Python")
            parts.append(f"{values[i]} {COMPARE[type(op)]} {values[i + 1]}")
        return f"({' && '.join(parts)})"

    def _item(self, node: ast.Subscript) -> str:
        if isinstance(node.slice, ast.Slice):
            raise self.refuse(node, "a slice; write a loop")
        where = f"{self.text(node.value)}"
        match node.slice:
            case ast.Constant() | ast.Name():
                return f"{where}[{self.number(node.slice)}]"
        return f"{where}.at({self.number(node.slice)})"  # it may be negative

    def _comprehension(self, value: ast.expr, one: ast.comprehension) -> str:
        if not isinstance(one.target, ast.Name):
            raise self.refuse(value, "one name for each entry of a list")
        name, values = one.target.id, self.each(one.iter)
        before = self.kinds.get(name)
        self.kinds[name] = "any"
        text = f"{values}.map(({name}) => {self.text(value)})"
        if before is None:
            del self.kinds[name]
        else:
            self.kinds[name] = before
        return text

    def each(self, node: ast.expr) -> str:
        """Print what is gone through: a range, or a list."""
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[stop], keywords=[]):
                self.helpers.add("$range")
                return f"$range(0, {self.number(stop)})"
            case ast.Call(func=ast.Name(id="range"), args=[start, stop], keywords=[]):
                self.helpers.add("$range")
                return f"$range({self.number(start)}, {self.number(stop)})"
        return self.text(node)

    def _call(self, node: ast.Call) -> str:
        numbers = node.args
        match node.func:
            case ast.Attribute(value=ast.Name(id="math"), attr=name) if name in MATH:
                return f"{MATH[name]}({', '.join(map(self.number, numbers))})"
            case ast.Name(id="len"):
                return f"{self._several(numbers)}.length"
            case ast.Name(id="min" | "max" as name) if len(numbers) > 1:
                return f"Math.{name}({', '.join(map(self.number, numbers))})"
            case ast.Name(id=name) if name in CALLS and len(numbers) == 1:
                if name == "round":
                    self.helpers.add("$rint")
                return f"{CALLS[name]}({self.number(numbers[0])})"
            case ast.Name(id=name) if name in self.kinds or self.outer(name):
                return f"{self._name(node.func)}({self._several(numbers)})"
        raise self.refuse(node, f"{ast.unparse(node.func)!r} has no twin in JavaScript")
