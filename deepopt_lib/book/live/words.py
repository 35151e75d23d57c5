"""Numbers as a reader wants them, written alike by Python and by ``live.js``.

A template holds ``{name}`` for a text or a number with up to six digits, ``{name:3}``
for three digits that count, and ``{name:.2}`` for two decimals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["fill", "names", "number", "rounded", "superscript"]

FIELD = re.compile(r"\{(\w+)(?::(\.?\d+))?\}")
HIGH = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# A tie such as 0.125 is rounded to even here and upward there; there are none now.
NUDGE = 1 + 1e-12


def rounded(x: float, digits: int = 3) -> float:
    """Return a number with so many digits that count, what a slider stands at."""
    return float(f"{x:.{digits - 1}e}")


def number(x: float, form: str = "6") -> str:
    """Return a number as text: ``"3"`` is three digits, ``".2"`` two decimals."""
    if not math.isfinite(x):
        return "–" if math.isnan(x) else "∞" if x > 0 else "−∞"
    sign, size = "−" if x < 0 else "", abs(x) * NUDGE
    if form.startswith("."):
        return sign + f"{size:,.{form[1:]}f}"
    count = int(form) - 1
    head, _, tail = f"{size:.{count}e}".partition("e")
    power = int(tail)
    if size and not -5 < power < 6:
        return f"{sign}{_trimmed(head)} × 10{superscript(power)}"
    kept = float(f"{size:.{count}e}")
    return sign + _trimmed(f"{kept:,.{max(count - power, 0)}f}")


def superscript(k: int) -> str:
    """Return a whole number as an exponent."""
    return str(k).translate(HIGH)


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Return a template with values in the place of their names."""

    def one(field: re.Match[str]) -> str:
        value = values[field[1]]
        return value if isinstance(value, str) else number(value, field[2] or "6")

    return FIELD.sub(one, template)


def names(template: str) -> set[str]:
    """Return the names of the values that a template asks for."""
    return {field[1] for field in FIELD.finditer(template)}


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
