"""Writes the loop: a rule's own ``update``, read as text, becomes scalar code.

Every sub-expression made of hyper-parameters, ``t`` and literals is taken out of the
loop. It is computed once a step in float64 and then rounded to the arrays' dtype, just
as NumPy rounds a Python float beside an array. So ``1 - b2`` keeps its precision, no
literal promotes float32 to float64, and the loop gives the very bits of the pure rule.
The exception is a division by such a constant: it becomes a multiplication by the
reciprocal. That may change the last bit, and spares the processor a slow operation.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any, TypeGuard

import numpy as np

from deepopt_lib.core.types import Rule
from deepopt_lib.optim.compose import Chain

__all__ = ["links", "loop_source"]

INFIX = (
    *(ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call),
    *(ast.operator, ast.unaryop, ast.cmpop, ast.expr_context),
)


def loop_source(rule: Rule) -> str:
    """Return a module's text with ``constants(rules, t)`` and the loop of ``rule``.

    ``loop(w, g, states, lr, c)`` updates the flat arrays ``w`` and ``states`` in place;
    ``rules`` is `links(rule)` and ``c`` holds the constants in the dtype of ``w``.

    Raises
    ------
    ValueError
        If an ``update`` uses what cannot become scalar code. The message names the
        rule and the line, and says that the unfused path works.
    """
    body: list[str] = []
    states: list[str] = []
    constants: list[str] = []
    u = "g[i]"
    for index, link in enumerate(links(rule)):
        scalar = _Scalar(link, index, constants)
        lines, u = scalar.rewrite(u)
        body += lines
        states += scalar.states.values()
    head = [f"{name} = states[{j}]" for j, name in enumerate(states)]
    head += [f"c{j} = c[{j}]" for j in range(len(constants))]
    lines = [
        "import numpy as np",
        "",
        "",
        "def constants(rules, t):",
        "    return (",
        *(f"        {text}," for text in constants),
        "    )",
        "",
        "",
        "def loop(w, g, states, lr, c):",
        *(f"    {line}" for line in head),
        "    for i in range(w.size):",
        *(f"        {line}" for line in body),
        f"        w[i] = w[i] - lr * {u}",
    ]
    return "\n".join(lines) + "\n"


def links(rule: Rule) -> tuple[Rule, ...]:
    """Return the rules of nested chains in the order in which they run."""
    if isinstance(rule, Chain):
        return tuple(inner for link in rule.rules for inner in links(link))
    return (rule,)


class _Scalar(ast.NodeTransformer):
    """Rewrites one rule's ``update`` for the element ``i``; its names get a prefix."""

    def __init__(self, rule: Rule, index: int, constants: list[str]) -> None:
        self.rule, self.index, self.constants = rule, index, constants
        lines, self.first_line = inspect.getsourcelines(type(rule).update)
        function = ast.parse(textwrap.dedent("".join(lines))).body[0]
        assert isinstance(function, ast.FunctionDef)
        arguments = [*function.args.posonlyargs, *function.args.args]
        self.self, self.g, self.s, self.w, self.t = (a.arg for a in arguments)
        self.body = [n for n in function.body if not _is_docstring(n)]
        state = rule.init(np.zeros(1))
        fields = getattr(state, "_fields", () if state is None else ("",))
        self.states = {f: self._prefixed(f"state_{f}".rstrip("_")) for f in fields}
        self.names = {self.w: "w[i]"}  # what a name of the update is called in the loop
        if "" in self.states:
            self.names[self.s] = f"{self.states['']}[i]"

    def _prefixed(self, name: str) -> str:
        return f"r{self.index}_{name}"

    def rewrite(self, g: str) -> tuple[list[str], str]:
        """Return the lines for the incoming direction ``g``, and the outgoing one."""
        lines = [f"{self._prefixed(self.g)} = {g}"]
        self.names[self.g] = self._prefixed(self.g)
        *assignments, last = self.body
        for node in assignments:
            if not (
                isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            ):
                raise self._refused(node)
            value, name = self._text(node.value), node.targets[0].id
            self.names[name] = self._prefixed(name)
            lines.append(f"{self.names[name]} = {value}")
        if not (isinstance(last, ast.Return) and isinstance(last.value, ast.Tuple)):
            raise self._refused(last)
        direction, state = last.value.elts
        u = self._prefixed("u")
        lines.append(f"{u} = {self._text(direction)}")
        parts = (
            state.args
            if isinstance(state, ast.Call) and "" not in self.states
            else [state]
        )
        if self.states and len(parts) != len(self.states):
            raise self._refused(state)
        new = [self._text(part) for part in parts] if self.states else []
        old = [f"{name}[i]" for name in self.states.values()]
        if old:  # all are computed before the first is stored
            lines.append(f"{', '.join(old)} = {', '.join(new)}")
        return lines, u

    def _text(self, node: ast.expr) -> str:
        return ast.unparse(self.visit(node))

    def visit(self, node: ast.AST) -> Any:
        """Replace constants, names and state fields; refuse whatever else there is."""
        if isinstance(node, ast.IfExp) and self._is_own(node.test):
            flag = getattr(self.rule, node.test.attr)  # type: ignore[attr-defined]
            return self.visit(node.body if flag else node.orelse)
        if self._is_constant(node):
            return ast.Name(self._constant(node))
        if _is_division(node) and self._is_constant(node.right):
            inverse = ast.BinOp(ast.Constant(1), ast.Div(), node.right)
            return self.visit(ast.BinOp(node.left, ast.Mult(), inverse))
        if isinstance(node, ast.Name) and node.id in self.names:
            return ast.Name(self.names[node.id])
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == self.s and node.attr in self.states:
                return ast.Name(f"{self.states[node.attr]}[i]")
            if node.value.id == "np" and _is_elementwise(getattr(np, node.attr, None)):
                return node
        if isinstance(node, INFIX):
            return self.generic_visit(node)
        raise self._refused(node)

    def _is_own(self, node: ast.AST) -> bool:
        """Say whether this is ``self.name``."""
        own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        return own and node.value.id == self.self  # type: ignore[attr-defined]

    def _is_constant(self, node: ast.AST) -> bool:
        """Say whether this is made of hyper-parameters, ``t`` and literals alone."""
        if isinstance(node, ast.BinOp):
            return self._is_constant(node.left) and self._is_constant(node.right)
        if isinstance(node, ast.UnaryOp):
            return self._is_constant(node.operand)
        if isinstance(node, ast.Constant):
            return isinstance(node.value, int | float)
        return self._is_own(node) or (isinstance(node, ast.Name) and node.id == self.t)

    def _constant(self, node: ast.AST) -> str:
        for name in ast.walk(node):
            if isinstance(name, ast.Name):
                name.id = "t" if name.id == self.t else f"rules[{self.index}]"
        text = ast.unparse(node)
        if text not in self.constants:
            self.constants.append(text)
        return f"c{self.constants.index(text)}"

    def _refused(self, node: ast.AST) -> ValueError:
        line = self.first_line + getattr(node, "lineno", 1) - 1
        return ValueError(
            f"{type(self.rule).__name__}.update, line {line}: {ast.unparse(node)!r} "
            "cannot be fused; the unfused path works"
        )


def _is_elementwise(item: Any) -> bool:
    """Say whether a name of NumPy's means the same for a number as for an array."""
    return isinstance(item, np.ufunc | float) or item is np.where


def _is_division(node: ast.AST) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
