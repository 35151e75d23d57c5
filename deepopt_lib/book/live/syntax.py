"""What restricted Python has, and what each of it is called in JavaScript."""

from __future__ import annotations

import ast
import math

__all__ = [
    "BINARY",
    "CALLS",
    "COMPARE",
    "CONSTANTS",
    "HELPERS",
    "MATH",
    "RESERVED",
    "RefusedError",
    "kind",
]

HELPERS = {
    "$mod": "const $mod = (a, b) => {\n  const r = a % b;\n"
    "  return r !== 0 && (r < 0) !== (b < 0) ? r + b : r;\n};",
    "$div": "const $div = (a, b) => Math.floor((a - $mod(a, b)) / b + 0.5);",
    "$rint": "const $rint = (x) => {\n  const r = Math.round(x);\n"
    "  return r - x === 0.5 && r % 2 !== 0 ? r - 1 : r;\n};",
    "$range": "const $range = (a, b) => "
    "Array.from({ length: Math.max(b - a, 0) }, (_, i) => a + i);",
}
"""What JavaScript lacks: Python's remainder, whole quotient, rounding, and range."""

BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
COMPARE = {
    **{ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="},
    **{ast.Eq: "===", ast.NotEq: "!=="},
}
MATH = {
    **{name: f"Math.{name}" for name in ("sqrt", "exp", "log", "log2", "log10")},
    **{name: f"Math.{name}" for name in ("floor", "ceil", "trunc", "log1p", "expm1")},
    **{name: f"Math.{name}" for name in ("sin", "cos", "tan", "tanh", "atan2")},
    **{"fabs": "Math.abs", "isnan": "Number.isNaN", "isfinite": "Number.isFinite"},
}
CONSTANTS = {"pi": math.pi, "tau": math.tau, "e": math.e}
CALLS = {"abs": "Math.abs", "int": "Math.trunc", "round": "$rint", "float": "+"}
RESERVED = {
    *("arguments", "case", "catch", "const", "debugger", "default", "delete", "do"),
    *("enum", "eval", "export", "extends", "function", "instanceof", "interface"),
    *("let", "new", "null", "package", "private", "protected", "public", "static"),
    *("super", "switch", "this", "throw", "typeof", "undefined", "var", "void"),
    *("Array", "Infinity", "Math", "NaN", "Number"),
}


class RefusedError(ValueError):
    """What restricted Python does not have, with its line."""


def kind(node: ast.expr, names: dict[str, str]) -> str:
    """Return number, truth, text, list, or any: what cannot be told.

    ``names`` says it of each local name.
    """
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return "truth"
        case ast.Call(func=ast.Attribute(attr="isnan" | "isfinite")):
            return "truth"
        case ast.Constant(value=bool()):
            return "truth"
        case ast.Constant(value=str()):
            return "text"
        case ast.List() | ast.ListComp():
            return "list"
        case ast.BinOp(left=ast.List(), op=ast.Mult()):
            return "list"
        case ast.Constant() | ast.BinOp() | ast.UnaryOp():
            return "number"
        case ast.Call(func=ast.Name(id=name)) if name in CALLS or name == "len":
            return "number"
        case ast.IfExp():
            return kind(node.body, names)
        case ast.Name():
            return names.get(node.id, "any")
    return "any"
