"""Training by any loss, and the search for a rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from deepopt_lib import nn, optim, training, trials
from deepopt_lib.core import Params
from reproductions import fitting, wording


def half_square(p: Any, x: Any, y: Any) -> Any:
    return nn.mse(x @ p["w"], y)


def test_fit_is_the_loop_of_the_library() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 3))
    y = x @ np.array([[1.0], [2.0], [3.0]])
    start: Params = {"w": np.zeros((3, 1))}
    told: list[float] = []
    params, means = fitting.fit(
        half_square,
        start,
        optim.momentum(0.02),
        x,
        y,
        epochs=4,
        batch=10,
        rng=np.random.default_rng(1),
        report=told.append,
    )
    run = training.fit(
        half_square,
        start,
        optim.momentum(0.02),
        x,
        y,
        epochs=4,
        batch_size=10,
        rng=np.random.default_rng(1),
        in_place=True,
    )
    np.testing.assert_array_equal(params["w"], run.params["w"])
    np.testing.assert_allclose(means, np.reshape(run.loss, (4, 5)).mean(axis=1))
    assert told == [0.25, 0.5, 0.75, 1.0]
    assert not start["w"].any() and params["w"].flags.writeable


@pytest.mark.parametrize("start", [1.0, 0.25, 64.0])
def test_climb_ends_with_the_best_between_two_others(start: float) -> None:
    tried = fitting.climb(lambda lr: abs(np.log2(lr) - 2), start)
    best = min(tried, key=lambda lr: tried[lr])
    assert best == "4" and list(tried).index(best) not in (0, len(tried) - 1)
    assert len(set(tried)) == len(tried) >= 3
    assert [float(lr) for lr in tried] == sorted(float(lr) for lr in tried)


def test_climb_counts_a_divergence_as_the_worst() -> None:
    tried = fitting.climb(lambda lr: 1 / lr if lr < 3 else float("nan"), 1.0)
    assert tried == {"0.5": 2.0, "1": 1.0, "2": 0.5}


def test_a_difference_is_written_with_its_interval() -> None:
    ahead = trials.Difference(-0.1234, -0.3, 0.05, 0.2)
    assert wording.shown(ahead) == "−0.12 [−0.30, 0.05]"
    assert wording.shown(ahead.scaled(-1), 1) == "+0.1 [−0.1, 0.3]"
