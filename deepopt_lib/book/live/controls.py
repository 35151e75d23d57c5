"""What the reader's hand holds below the picture: sliders and choices."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepopt_lib.book.live.words import number, rounded
from deepopt_lib.core.checks import check_int, check_number

__all__ = ["Choice", "Slider", "even", "powers"]


def even(low: float, high: float, n: int, digits: int = 3) -> list[float]:
    """Return ``n`` evenly spaced values for a slider, each with few digits.

    Raises
    ------
    ValueError
        If ``low`` is not below ``high``, or there are fewer than two values.
    """
    check_number("high", high, low, ends="()")
    check_int("n", n, 2)
    step = (high - low) / (n - 1)
    return [rounded(low + i * step, digits) for i in range(n)]


def powers(low: float, high: float, n: int, digits: int = 2) -> list[float]:
    """Return ``n`` values for a slider that grow by one factor, each with few digits.

    Raises
    ------
    ValueError
        If not 0 < low < high, or there are fewer than two values.
    """
    check_number("low", low, 0, ends="()")
    check_number("high", high, low, ends="()")
    check_int("n", n, 2)
    step = math.log(high / low) / (n - 1)
    return [rounded(low * math.exp(i * step), digits) for i in range(n)]


@dataclass(frozen=True)
class Slider:
    """A number: one of ``values``, so that what is shown is what is computed with.

    Raises
    ------
    ValueError
        If ``value`` is none of the values, or there are fewer than two.
    """

    name: str
    label: str
    values: Sequence[float]
    value: float
    unit: str = ""

    def __post_init__(self) -> None:
        """Check that the slider can stand where it starts."""
        check_int(f"values of {self.name}", len(self.values), 2)
        if self.value not in self.values:
            near = min(self.values, key=lambda v: abs(v - self.value))
            raise ValueError(
                f"{self.name} must start at one of its values, got {self.value!r}; "
                f"the nearest is {near!r}"
            )

    def start(self) -> dict[str, Any]:
        """Return the values of the model's arguments before anything is moved."""
        return {self.name: self.value}

    def spec(self) -> dict[str, Any]:
        """Return what ``live.js`` has to know."""
        values = list(self.values)
        return {"kind": "slider", "name": self.name, "values": values} | (
            {"unit": self.unit} if self.unit else {}
        )

    def markup(self, figure: str) -> str:
        """Return the label with the slider and its value; ``figure`` is its name."""
        place = list(self.values).index(self.value)
        says = html.escape(f"{number(self.value)} {self.unit}".strip())
        return (
            f'<label class="live-slider"><span>{html.escape(self.label)} '
            f"<output>{says}</output></span>"
            f'<input type="range" data-name="{self.name}" min="0" '
            f'max="{len(self.values) - 1}" value="{place}" step="1" '
            f'aria-valuetext="{says}" autocomplete="off"/></label>'
        )


@dataclass(frozen=True)
class Choice:
    """A text: one of ``values``, with what the reader sees of each.

    Raises
    ------
    ValueError
        If ``value`` is none of them.
    """

    name: str
    label: str
    values: Mapping[str, str] = field(default_factory=dict)
    value: str = ""

    def __post_init__(self) -> None:
        """Check that the first choice is one."""
        if self.value not in self.values:
            raise ValueError(
                f"{self.name} must be one of {list(self.values)}, got {self.value!r}"
            )

    def start(self) -> dict[str, Any]:
        """Return the values of the model's arguments before anything is moved."""
        return {self.name: self.value}

    def spec(self) -> dict[str, Any]:
        """Return what ``live.js`` has to know."""
        return {"kind": "choice", "name": self.name}

    def markup(self, figure: str) -> str:
        """Return the radio buttons in one group."""
        buttons = []
        for value, label in self.values.items():
            checked = ' checked="checked"' if value == self.value else ""
            buttons.append(
                f'<label><input type="radio" name="{figure}-{self.name}" '
                f'value="{html.escape(value)}" autocomplete="off"{checked}/> '
                f"{html.escape(label)}</label>"
            )
        return (
            f'<fieldset data-name="{self.name}"><legend>{html.escape(self.label)}'
            f"</legend>{''.join(buttons)}</fieldset>"
        )
