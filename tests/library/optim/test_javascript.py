"""Rules printed as JavaScript: the browser's numbers are those of the pure rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from deepopt_lib import optim
from deepopt_lib.core import Array, flatten
from deepopt_lib.optim.inplace.program import FUNCTIONS
from tests.library.live import differences, run

RULES: dict[str, Any] = {
    "gradient descent": optim.GradientDescent(),
    "heavy ball": optim.Momentum(0.7),
    "Nesterov": optim.Momentum(nesterov=True),
    "EMA": optim.Momentum(ema=True),
    "AdaGrad": optim.AdaGrad(),
    "RMSprop": optim.RMSprop(),
    "Adam": optim.Adam(),
    "AMSGrad": optim.AMSGrad(),
    "Lion": optim.Lion(),
    "AdamW": optim.chain(optim.Adam(), optim.WeightDecay(0.1)),
}
STEPS = 60


@dataclass(frozen=True)
class Odd(optim.Checked):
    """A rule of one operation, or two."""

    what: str = "rint"
    k: float = -0.5

    def init(self, w: Array, /) -> Array:
        return np.zeros_like(w)

    def update(self, g: Array, s: Array, w: Array, t: int, /) -> tuple[Array, Array]:
        both: dict[str, Callable[[], Any]] = {
            "where": lambda: np.where((g > 0) & ~(w <= 0.2) | (g == w), w, self.k),
            "logical_xor": lambda: ((g > 0) ^ (w > 0)) * 1.0,
            "power": lambda: self.k**t * abs(g) ** 1.5,
            "infinite": lambda: np.isinf(1 / (g - g)) + 0.0 * w,
            "nan": lambda: np.isnan((g - g) / (g - g)) + 1.0 * np.isfinite(w),
            "copysign": lambda: np.copysign(g, w),
            "fmax": lambda: np.fmax(g, w),
            "maximum": lambda: np.maximum(g, w) - np.minimum(g, w),
            "arctan2": lambda: np.arctan2(g, w),
        }
        one: Any = getattr(np, self.what, None)
        return both[self.what]() if self.what in both else one(g), s


def pure(rule: Any, gradients: list[float]) -> list[list[float]]:
    """Return direction, parameter and state at every step."""
    w = np.array([0.3])
    s, found = rule.init(w), []
    with np.errstate(all="ignore"):
        for t, g in enumerate(gradients, 1):
            u, s = rule.update(np.array([g]), s, w, t)
            w = w - 0.05 * u
            found.append([float(a[0]) for a in (u, w, *flatten(s))])
    return found


def printed(rule: Any, gradients: list[float], *free: str) -> Any:
    """Return the same, by Node."""
    count = len(flatten(rule.init(np.zeros(1))))
    more = "".join(f", {getattr(rule, name)!r}" for name in free)
    return run(
        f"const rule = {optim.javascript(rule, *free)};\n"
        f"let w = 0.3, u, s = Array({count}).fill(0);\n"
        f"{json.dumps(gradients)}.map((g, i) => {{\n"
        f"  [u, s] = rule(g, s, w, i + 1{more});\n  w -= 0.05 * u;\n"
        "  return [u, w, ...s];\n})"
    )


def gradients() -> list[float]:
    found: list[float] = np.random.default_rng(0).normal(size=STEPS).round(2).tolist()
    return [*found, 0.5, 1.5, 2.5, -0.5, -1.5]


@pytest.mark.parametrize("name", RULES)
def test_the_numbers_are_those_of_the_rule(name: str) -> None:
    python, browser = pure(RULES[name], gradients()), printed(RULES[name], gradients())
    for i, (a, b) in enumerate(zip(python, browser, strict=True)):
        assert not differences(a, b, f"step {i + 1}")


@pytest.mark.parametrize(
    ("rule", "free"),
    [
        (optim.Momentum(0.6, nesterov=True), ("mu",)),
        (optim.Adam(b1=0.8, b2=0.95), ("b2", "b1")),
        (optim.WeightDecay(0.3), ("lam",)),
    ],
)
def test_what_is_free_is_an_argument(rule: Any, free: tuple[str, ...]) -> None:
    text = optim.javascript(rule, *free)
    assert text.startswith(f"(g, s, w, t, {', '.join(free)}) =>")
    assert repr(getattr(rule, free[0])) not in text
    python, browser = pure(rule, gradients()), printed(rule, gradients(), *free)
    for a, b in zip(python, browser, strict=True):
        assert not differences(a, b)


@pytest.mark.parametrize(
    "what",
    [
        *("rint", "floor", "ceil", "trunc", "sign", "exp", "tanh", "arcsinh", "fabs"),
        *("where", "logical_xor", "power", "infinite", "nan", "maximum", "arctan2"),
    ],
)
def test_every_operation_does_what_it_does_in_numpy(what: str) -> None:
    rule = Odd(what)
    python, browser = pure(rule, gradients()), printed(rule, gradients())
    for a, b in zip(python, browser, strict=True):
        assert not differences(a, b, what)


@pytest.mark.parametrize("what", ["copysign", "fmax"])
def test_what_javascript_has_not_is_refused_by_name(what: str) -> None:
    assert what in FUNCTIONS
    with pytest.raises(ValueError, match=rf"^Odd\.update: '{what}' is not printed"):
        optim.javascript(Odd(what))


def test_what_is_no_arithmetic_on_entries_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^Odd\.update.*cannot be a loop over entries"
    ):
        optim.javascript(Odd("sum"))


@pytest.mark.parametrize("free", ["beta", "nesterov"])
def test_only_a_number_of_the_rule_can_be_free(free: str) -> None:
    message = f"^Momentum has no number '{free}' that could be free$"
    with pytest.raises(ValueError, match=message):
        optim.javascript(optim.Momentum(), free)
