"""A rule as a function of JavaScript: the same program, printed for a browser.

`deepopt_lib.optim.inplace.trace` runs the rule once, as for the compiled loop. What is
printed here computes in double precision and in the same order, so that a figure in
the reader's hand moves by the very equation that the tests check.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np

from deepopt_lib.core.types import Rule
from deepopt_lib.optim.inplace.program import Program
from deepopt_lib.optim.inplace.scalar import Scalar
from deepopt_lib.optim.inplace.trace import trace

__all__ = ["javascript"]

_SIGNS = {
    **{"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"},
    **{"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="},
    **{"equal": "===", "not_equal": "!==", "bitwise_xor": "!=="},
    **{"bitwise_and": "&&", "bitwise_or": "||"},
}
_SAME = (
    *("sqrt", "sign", "floor", "ceil", "trunc", "exp", "expm1", "log", "log1p"),
    *("log2", "log10", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
)
_NAMES = {"absolute": "abs", "fabs": "abs", "maximum": "max", "minimum": "min"} | {
    f"arc{name}": f"a{name}"
    for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "tan2")
}
OPERATIONS: dict[str, str] = {
    **{name: f"({{0}} {sign} {{1}})" for name, sign in _SIGNS.items()},
    **{name: f"Math.{name}({{0}})" for name in _SAME},
    **{name: f"Math.{other}({{0}})" for name, other in _NAMES.items()},
    **{name: f"Math.{_NAMES[name]}({{0}}, {{1}})" for name in ("maximum", "minimum")},
    "arctan2": "Math.atan2({0}, {1})",
    "negative": "(-{0})",
    "positive": "{0}",
    "where": "({0} ? {1} : {2})",
    "invert": "(!{0})",
    "isnan": "Number.isNaN({0})",
    "isfinite": "Number.isFinite({0})",
    "isinf": "(Math.abs({0}) === Infinity)",
    # Math.round takes a half upward, NumPy to the even neighbor.
    "rint": "((r) => (r - {0} === 0.5 && r % 2 !== 0 ? r - 1 : r))(Math.round({0}))",
    "inverse": "(1 / {0})",
}
"""What JavaScript rounds as NumPy does; no other operation is printed."""

_PYTHON = {  # the operators of Python, by their names in the module `operator`
    **{"sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power"},
    **{"neg": "negative", "pos": "positive", "abs": "absolute"},
}


def javascript(rule: Rule, *free: str) -> str:
    """Return an elementwise rule's update as an arrow function of JavaScript.

    It is called ``(g, s, w, t)`` like ``rule.update``, for one entry, with the arrays
    of the state as a list ``s``, and returns ``[u, s]``. Each hyper-parameter named in
    ``free`` is one more argument, so that a slider can move it. ::

        javascript(Momentum(), "mu")  # (g, s, w, t, mu) => { ... }

    Raises
    ------
    ValueError
        If the rule has no such hyper-parameter, is no arithmetic on entries, or does
        what JavaScript does not do exactly; then the message names it.
    """
    name = type(rule).__name__
    symbolic = copy.copy(rule)
    for parameter in free:
        value = getattr(rule, parameter, None)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} has no number {parameter!r} that could be free")
        object.__setattr__(symbolic, parameter, _parameter(parameter, float(value)))
    program = trace(symbolic, np.float64)
    lines = [f"({', '.join(('g', 's', 'w', 't', *free))}) => {{"]
    lines += [f"  const {line};" for line in _lines(name, program)]
    states = ", ".join(_name(program, k) for k in program.states)
    lines += [f"  return [{_name(program, program.direction)}, [{states}]];", "}"]
    return "\n".join(lines)


def _parameter(name: str, value: float) -> Scalar:
    return Scalar(("parameter", name), lambda t: value)


def _lines(rule: str, program: Program) -> list[str]:
    """Return the definitions: constants, which may depend on the step, then entries."""
    lines = [f"c{j} = {_number(rule, c.key)}" for j, c in enumerate(program.constants)]
    for i, (name, parts) in enumerate(program.operations):
        if name == "input":
            j = parts[0]
            lines.append(f"x{i} = {('g', 'w')[j] if j < 2 else f's[{j - 2}]'}")
        elif name != "constant":
            names = [_name(program, k) for k in parts]
            lines.append(f"x{i} = {_operation(rule, name, *names)}")
    return lines


def _name(program: Program, index: int) -> str:
    name, parts = program.operations[index]
    return f"c{parts[0]}" if name == "constant" else f"x{index}"


def _operation(rule: str, name: str, *parts: str) -> str:
    if name not in OPERATIONS:
        raise ValueError(
            f"{rule}.update: {name!r} is not printed, JavaScript has no exact twin"
        )
    return OPERATIONS[name].format(*parts)


def _number(rule: str, key: Any) -> str:
    """Print a number made of the step, of parameters and of other numbers."""
    if key == "t":
        return "t"
    name, *parts = key
    if name == "parameter":
        return str(parts[0])
    if name == "number":
        value = float(re.sub(r"^np\.\w+\((.*)\)$", r"\1", parts[1]).replace("'", ""))
        text = repr(value).replace("inf", "Infinity").replace("nan", "NaN")
        return f"({text})" if text.startswith("-") else text
    return _operation(rule, _PYTHON.get(name, name), *(_number(rule, p) for p in parts))
