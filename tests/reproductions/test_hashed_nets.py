"""HashedNets: budgets by hand, one network in two forms, a tiny run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deepopt_lib import data, nn
from deepopt_lib.core import Params
from reproductions import hashed_layers, hashed_nets
from reproductions.common import score

TINY = data.mnist(train=300, dtype=np.float32)


def test_budgets_by_hand() -> None:
    assert hashed_layers.budget(1, (784, 1000, 10)) == [785 * 1000, 1001 * 10]
    assert hashed_layers.budget(8) == [98125, 1251]
    assert hashed_layers.budget(64) == [12265, 156]
    # 785 h + 10 h + 10: 124 hidden units have 98,590 numbers, 125 have 99,385
    assert hashed_layers.hidden_units(99376) == 125
    assert hashed_layers.hidden_units(12421) == 16
    # 784 r + 1000 r + 1000 + 10010: 49 has 98,426 numbers, 50 has 100,210
    assert hashed_layers.rank(99376) == 49
    assert hashed_layers.rank(12421) == 0


@pytest.mark.parametrize("piece", hashed_nets.PIECES)
def test_no_network_has_more_numbers_than_its_budget(piece: str) -> None:
    params, _ = hashed_layers.network(piece, np.random.default_rng(0))
    numbers = sum(w.size for w in params.values())
    counted = {
        "dense": 795010,
        "hashed 1/8": 99376,
        "hashed 1/64": 12421,
        "low rank 1/8": 98426,
        "small 1/8": 99385,
        "small 1/64": 12730,
    }
    assert numbers == counted[piece]
    assert all(w.dtype == np.float32 for w in params.values())


def test_a_hashed_network_is_a_dense_one_with_shared_weights() -> None:
    rng = np.random.default_rng(0)
    sizes = (6, 5, 3)
    params, hashes = hashed_layers.network("hashed 1/4", rng, sizes)
    dense: Params = {}
    for i, own in enumerate(hashes, 1):
        assert own is not None
        V = params[f"layer{i}.values"][own.places] * own.signs
        assert V.shape == (sizes[i - 1] + 1, sizes[i])
        assert len(np.unique(np.abs(V))) <= V.size // 4
        dense |= {f"layer{i}.W": V[:-1], f"layer{i}.b": V[-1]}
    x = rng.standard_normal((4, 6)).astype(np.float32)
    z = hashed_layers.logits(params, x, hashes)
    np.testing.assert_allclose(z, nn.mlp(dense, x), rtol=1e-5)


def test_low_rank_is_a_network_of_a_product() -> None:
    rng = np.random.default_rng(0)
    params, hashes = hashed_layers.network("low rank 1/8", rng, (60, 80, 3))
    W = params["layer1.U"] @ params["layer1.V"]
    assert np.linalg.matrix_rank(W) == params["layer1.U"].shape[1] > 0
    dense = {k: w for k, w in params.items() if k[-1] not in "UV"} | {"layer1.W": W}
    x = rng.standard_normal((4, 60)).astype(np.float32)
    z = hashed_layers.logits(params, x, hashes)
    np.testing.assert_allclose(z, nn.mlp(dense, x), rtol=1e-3, atol=1e-5)


def test_dropout_is_for_training_only() -> None:
    rng = np.random.default_rng(0)
    params, hashes = hashed_layers.network("small 1/4", rng, (20, 40, 3))
    x = rng.standard_normal((4, 20)).astype(np.float32)
    z = hashed_layers.logits(params, x, hashes)
    np.testing.assert_array_equal(z, hashed_layers.logits(params, x, hashes, 0.5))
    assert (z != hashed_layers.logits(params, x, hashes, 0.5, rng)).any()


@pytest.mark.parametrize("piece", ["hashed 1/64", "low rank 1/8", "small 1/64"])
def test_a_tiny_run_learns(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashed_nets, "EPOCHS", 2)
    given = SimpleNamespace(mnist=lambda **_: TINY, Split=data.Split)
    monkeypatch.setattr(hashed_nets, "data", given)
    told: list[float] = []
    found = hashed_nets.run(piece, 0, told.append)
    assert found["test"]["images"] == 10000 and found["test"]["error"] < 88
    assert told == [0.5, 1.0]
    assert found == hashed_nets.run(piece, 0, told.append)


def test_claims_follow_from_the_runs() -> None:
    labels = np.zeros(10000, np.int64)

    def net(error: float) -> dict[str, Any]:  # percent, evenly spread
        wrong = np.arange(10000) < round(100 * error)
        return {"test": score(np.stack([~wrong, wrong], axis=1).astype(float), labels)}

    runs = {
        f"{piece}/{seed}": net(hashed_nets.PAPER.get(piece, 1.5) + 0.01 * seed)
        for piece in hashed_nets.PIECES
        for seed in hashed_nets.SEEDS
    }
    claims = hashed_nets.claims(runs)
    assert [str(c.verdict) for c in claims] == ["reproduced"] * 3
    assert claims[2].paper == "6.28 → 2.79 %: +3.49 points"
    assert claims[2].here.startswith("+3.49 [") and claims[2].here.endswith("n = 3")
    runs |= {f"small 1/8/{seed}": net(1.2) for seed in hashed_nets.SEEDS}
    assert str(hashed_nets.claims(runs)[0].verdict) == "not at this scale"
