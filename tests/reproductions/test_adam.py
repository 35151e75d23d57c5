"""Adam's figures: the rates, the costs, the claims, a tiny run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deepopt_lib import data, optim
from reproductions import adam

TINY = data.mnist(train=256, dtype=np.float32)


def test_rates_fall_as_in_the_paper() -> None:
    fallen = adam.rate_of("logistic Adam", 0.5)
    assert [fallen(1), fallen(4), fallen(25)] == [0.5, 0.25, 0.1]
    for piece in ("logistic AdaGrad at a constant rate", "dropout Adam"):
        assert adam.rate_of(piece, 0.5)(25) == 0.5


def test_pieces_name_a_network_and_a_rule() -> None:
    net, name, rule = adam.rule_of("logistic AdaGrad at a constant rate")
    assert (net, name) == ("logistic", "AdaGrad at a constant rate")
    assert rule == optim.chain(optim.WeightDecay(adam.DECAY), optim.AdaGrad())
    assert adam.rule_of("dropout RMSprop")[2] == optim.RMSprop()


def test_logistic_regression_by_hand() -> None:
    params, costs = adam.trained(
        "logistic Nesterov", 0.1, 0, TINY, 1, lambda fraction: None
    )
    assert len(costs) == 1
    order = np.random.default_rng(0)
    order.standard_normal((784, 10))  # what drew the network, which then starts at 0
    W, v, losses = np.zeros((784, 10)), np.zeros((784, 10)), []
    b, u = np.zeros(10), np.zeros(10)
    rows = order.permutation(256)
    for t, i in enumerate((rows[:128], rows[128:]), 1):
        x, y = TINY.x_train[i].astype(float), TINY.y_train[i]
        z = x @ W + b
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        losses.append(-np.log(p[np.arange(128), y]).mean())
        d = (p - np.eye(10)[y]) / 128
        g, h = x.T @ d + adam.DECAY * W, d.sum(axis=0) + adam.DECAY * b
        v, u = 0.9 * v + g, 0.9 * u + h
        W, b = W - 0.1 / t**0.5 * (g + 0.9 * v), b - 0.1 / t**0.5 * (h + 0.9 * u)
    np.testing.assert_allclose(params["layer1.W"], W, atol=1e-6)
    np.testing.assert_allclose(params["layer1.b"], b, atol=1e-6)
    np.testing.assert_allclose(costs[0], np.mean(losses), atol=1e-5)


@pytest.mark.parametrize("piece", ["logistic Adam", "dropout AdaGrad"])
def test_a_tiny_run_scores(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adam, "EPOCHS", {"logistic": 3, "dropout": 2})
    given = SimpleNamespace(mnist=lambda **_: TINY, Split=data.Split)
    monkeypatch.setattr(adam, "data", given)
    sizes = {"logistic": (784, 10), "dropout": (784, 20, 20, 10)}
    monkeypatch.setattr(adam, "SIZES", sizes)
    found = adam.run(piece, 0, lambda fraction: None)
    assert len(found["costs"]) == adam.EPOCHS[piece.split()[0]]
    assert found["test"]["images"] == 10000
    assert found == adam.run(piece, 0, lambda fraction: None)


def runs_with(costs: dict[str, float]) -> dict[str, Any]:
    return {
        f"{piece}/{seed}": {"costs": [1.0, costs[piece] + 1e-4 * seed * (seed == 1)]}
        for piece in adam.PIECES
        for seed in adam.SEEDS
    }


def test_claims_follow_from_the_last_costs() -> None:
    costs = dict.fromkeys(adam.PIECES, 0.3)
    costs |= {"logistic Adam": 0.25, "logistic Nesterov": 0.253, "dropout Adam": 0.1}
    verdicts = [str(c.verdict) for c in adam.claims(runs_with(costs))]
    assert verdicts == ["reproduced"] * 6
    costs |= {"logistic Nesterov": 0.35, "dropout RMSprop": 0.05}
    verdicts = [str(c.verdict) for c in adam.claims(runs_with(costs))]
    assert verdicts[0] == "partly"  # Adam is no worse, but Nesterov is
    assert verdicts[1] == "partly" and verdicts[4] == "not at this scale"
    assert verdicts[3] == verdicts[5] == "reproduced"
