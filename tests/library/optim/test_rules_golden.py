"""Rules and schedules against trajectories of PyTorch (tests/golden)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepopt_lib.core import Array, Schedule
from deepopt_lib.optim import (
    AdaGrad,
    Adam,
    AMSGrad,
    GradientDescent,
    Momentum,
    Optimizer,
    Orthogonalize,
    RMSprop,
    WeightDecay,
    adagrad,
    adam,
    adamw,
    chain,
    constant,
    cosine,
    join_schedules,
    momentum,
    muon,
    one_cycle,
    rmsprop,
    sgd,
    step_decay,
    warmup,
)

FILE = Path(__file__).parents[2] / "golden" / "torch_optim.json"
GOLDEN: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def muon_rule(mu: float) -> Any:
    return chain(Momentum(mu, nesterov=True, ema=True), Orthogonalize())


# By the names in the file; where a run has two equivalents, both are compared.
OURS: dict[str, list[Optimizer]] = {
    "sgd": [sgd(0.05), Optimizer(GradientDescent(), 0.05)],
    "sgd_weight_decay": [Optimizer(chain(WeightDecay(0.1), GradientDescent()), 0.05)],
    "momentum": [momentum(0.02, 0.9), momentum(0.02), Optimizer(Momentum(), 0.02)],
    "nesterov": [Optimizer(Momentum(0.8, nesterov=True), 0.02)],
    "nesterov_weight_decay": [
        Optimizer(chain(WeightDecay(0.05), Momentum(0.9, nesterov=True)), 0.02)
    ],
    "ema": [Optimizer(Momentum(0.7, ema=True), 0.03 / 0.3)],
    "adagrad": [adagrad(0.1), Optimizer(AdaGrad(), constant(0.1))],
    "adagrad_eps": [Optimizer(AdaGrad(eps=0.25), 0.1)],
    "rmsprop": [rmsprop(0.02), Optimizer(RMSprop(), 0.02)],
    "rmsprop_eps": [Optimizer(RMSprop(b2=0.8, eps=0.25), 0.02)],
    "adam": [adam(0.05), Optimizer(Adam(), 0.05)],
    "adam_eps": [Optimizer(Adam(0.7, 0.95, 0.25), 0.05)],
    "adam_l2": [Optimizer(chain(WeightDecay(0.1), Adam()), 0.05)],
    "amsgrad": [Optimizer(AMSGrad(), 0.05)],
    "amsgrad_eps": [Optimizer(AMSGrad(0.7, 0.8, 0.25), 0.05)],
    "adamw": [adamw(0.05, 0.1), Optimizer(chain(Adam(), WeightDecay(0.1)), 0.05)],
    "adamw_defaults": [adamw(0.001)],
    "muon_tall": [muon(0.02), Optimizer(muon_rule(0.95), 0.02)],
    "muon_wide": [Optimizer(chain(muon_rule(0.8), WeightDecay(0.1)), 0.02)],
}

SCHEDULES: dict[str, list[Schedule]] = {
    "cosine": [cosine(0.4, 20)],
    "cosine_final": [cosine(0.4, 25, 0.02)],
    "step": [step_decay(0.3, 7, 0.5)],
    "step_default": [step_decay(1.0, 10)],
    "one_cycle": [one_cycle(0.5, 30)],
    "one_cycle_arguments": [one_cycle(0.2, 23, 0.45, 10.0, 50.0)],
    # Both rise by a tenth of the rate a step.
    "linear": [
        warmup(constant(0.3), 10),
        join_schedules([warmup(constant(0.3), 10)], []),
    ],
}


def start(i: int) -> float:
    return ((29 * i + 7) % 64 - 32) / 16


def noise(t: int, i: int) -> float:
    return ((37 * t + 101 * i + 17 * t * i) % 211 - 105) / 64


def noises(t: int, shape: tuple[int, ...]) -> Array:
    flat = [noise(t, i) for i in range(int(np.prod(shape)))]
    return np.array(flat).reshape(shape)


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [pytest.param(k, o, id=f"{k}-{i}") for k in OURS for i, o in enumerate(OURS[k])],
)
def test_same_trajectory_as_torch(name: str, optimizer: Optimizer) -> None:
    run = GOLDEN["optimizers"][name]
    params = {}
    # PyTorch's matrices are (n_out, n_in), which only Muon's factor can tell.
    turned = np.transpose if run["class"] == "Muon" else np.asarray
    for key, shape in run["shapes"].items():
        flat = [start(i) for i in range(int(np.prod(shape)))]
        params[key] = turned(np.array(flat).reshape(shape))
    state = optimizer.init(params)
    kept: dict[str, list[Array]] = {k: [] for k in params}
    for t in range(1, GOLDEN["steps"] + 1):
        if run["class"] == "Muon":
            scale = GOLDEN["muon_scale"]
            grads = {k: noises(t, w.T.shape).T * scale for k, w in params.items()}
        else:
            grads = {k: noises(t, w.shape) + w / 4 for k, w in params.items()}
        params, state = optimizer.step(grads, state, params)
        if t in GOLDEN["kept"]:
            for key, w in params.items():
                kept[key].append(turned(w).ravel())
    for key, expected in run["params"].items():
        np.testing.assert_allclose(kept[key], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_same_rates_as_torch(name: str) -> None:
    expected = GOLDEN["schedules"][name]["rates"]
    for schedule in SCHEDULES[name]:
        rates = [schedule(t) for t in range(1, len(expected) + 1)]
        np.testing.assert_allclose(rates, expected, rtol=1e-12, atol=1e-15)


def test_every_golden_run_is_compared() -> None:
    assert GOLDEN["optimizers"].keys() == OURS.keys()
    assert GOLDEN["schedules"].keys() == SCHEDULES.keys()
    classes = {run["class"] for run in GOLDEN["optimizers"].values()}
    assert classes == {"SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "Muon"}


def test_golden_runs_move_every_parameter() -> None:
    """A golden file of constants would let anything pass."""
    for run in GOLDEN["optimizers"].values():
        for trajectory in run["params"].values():
            assert np.ptp(np.array(trajectory), axis=0).min() > 1e-3
