"""A scalar program: what a rule does to one entry, as a list of operations.

`deepopt_lib.optim.inplace.trace` makes it by running the rule itself; here it is
printed as the text of a loop. Each operation is rounded as NumPy rounds it for arrays,
in the same order, so that the loop gives the very bits of the pure rule. The one
exception is a division by a constant: it becomes a multiplication by the reciprocal,
which may change the last bit and spares the processor a slow operation.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepopt_lib.optim.inplace.scalar import Number, Scalar

__all__ = ["FUNCTIONS", "Program"]

_BINARY = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "equal": "==",
    "not_equal": "!=",
    "bitwise_and": "&",
    "bitwise_or": "|",
    "bitwise_xor": "^",
}
_CALLS = (
    *("sqrt", "absolute", "fabs", "sign", "floor", "ceil", "trunc", "rint"),
    *("isnan", "isfinite", "isinf", "exp", "expm1", "exp2", "log", "log1p", "log2"),
    *("log10", "sin", "cos", "tan", "arcsin", "arccos", "arctan"),
    *("sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
)
_CALLS_OF_TWO = (
    *("maximum", "minimum", "fmax", "fmin"),
    *("copysign", "power", "hypot", "arctan2"),
)
FUNCTIONS: dict[str, str] = {
    **{name: f"({{}} {sign} {{}})" for name, sign in _BINARY.items()},
    **{name: f"np.{name}({{}})" for name in _CALLS},
    **{name: f"np.{name}({{}}, {{}})" for name in _CALLS_OF_TWO},
    "negative": "(-{})",
    "where": "({1} if {0} else {2})",
    "invert": "(not {})",
}
"""What an operation of NumPy is called in the loop; no other is translated."""


@dataclass(frozen=True)
class Program:
    """The operations of one step, in order.

    Attributes
    ----------
    operations : tuple of (str, tuple of int)
        Number i of them is made of earlier ones. ``("input", (j,))`` is the gradient
        (j = 0), the parameter (1) or an array of the state (2, 3, ...), ``("constant",
        (j,))`` number j of ``constants``, all else a name of `FUNCTIONS`.
    constants : tuple of Scalar
        Each gives its number at step t; the loop gets it in the dtype of the arrays.
    direction : int
        Which operation is the direction u.
    states : tuple of int
        Which operations are the arrays of the new state.
    """

    operations: tuple[tuple[str, tuple[int, ...]], ...]
    constants: tuple[Scalar, ...]
    direction: int
    states: tuple[int, ...]

    @property
    def fixed(self) -> list[float]:
        """The constants; 0 for those that depend on the step."""
        return [0.0 if c.changes else c.at(0) for c in self.constants]

    @property
    def changing(self) -> list[tuple[int, Number]]:
        """Which constants depend on the step, each with its function of t."""
        return [(j, c.at) for j, c in enumerate(self.constants) if c.changes]

    @property
    def source(self) -> str:
        """The text of a module with ``loop(w, g, states, lr, c)``.

        It updates the flat arrays ``w`` and ``states`` in place; ``c`` are the
        constants in the dtype of ``w``.
        """
        names = ["g[i]", "w[i]", *(f"s{j}[i]" for j in range(len(self.states)))]
        body = []
        for i, (name, parts) in enumerate(self.operations):
            if name == "input":
                text = names[parts[0]]
            elif name == "constant":
                continue
            else:
                text = FUNCTIONS[name].format(*map(self._name, parts))
            body.append(f"x{i} = {text}")
        w = self.operations.index(("input", (1,)))
        stores = [f"s{j}[i] = {self._name(k)}" for j, k in enumerate(self.states)]
        lines = [
            "import numpy as np",
            "",
            "",
            "def loop(w, g, states, lr, c):",
            *(f"    s{j} = states[{j}]" for j in range(len(self.states))),
            *(f"    c{j} = c[{j}]" for j in range(len(self.constants))),
            "    for i in range(w.size):",
            *(f"        {line}" for line in (*body, *stores)),
            f"        w[i] = x{w} - lr * {self._name(self.direction)}",
        ]
        return "\n".join(lines) + "\n"

    def _name(self, index: int) -> str:
        name, parts = self.operations[index]
        return f"c{parts[0]}" if name == "constant" else f"x{index}"
