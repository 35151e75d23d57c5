"""Private training: the accounts by hand, the noisy projection, tiny runs, claims."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deepopt_lib import data, nn, privacy, trials
from reproductions import private_budget as budget
from reproductions import private_sgd
from reproductions.common import score

TINY = data.mnist(train=600, dtype=np.float32)
SHORT = {budget.moments: 4, budget.renyi: 7}  # steps


def test_the_moments_accountant_of_the_paper() -> None:
    """Figure 2: 1.26 after 100 epochs."""
    assert budget.moments(4, math.inf, 10_000) == pytest.approx(1.26, abs=0.005)
    one = [k / 2 + math.log(1e5) / k for k in range(1, 33)]  # RDP (k + 1)/2 at noise 1
    assert budget.moments(1e9, 1.0, 1) == pytest.approx(min(one) + 0.5, abs=1e-6)


@pytest.mark.parametrize("steps", [1, 120, 10_000])
def test_the_tight_account_without_a_projection_is_the_library_s(steps: int) -> None:
    by_library = privacy.epsilon(budget.RATE, 2.0, steps, budget.DELTA)
    assert budget.renyi(2.0, math.inf, steps) == pytest.approx(by_library, rel=1e-12)


def test_a_projection_costs_what_a_full_step_costs() -> None:
    by_library = privacy.epsilon(1, 4.0, 1, budget.DELTA)
    assert budget.renyi(1e6, 4.0, 1) == pytest.approx(by_library, rel=1e-4)
    assert budget.renyi(2.0, 4.0, 100) > budget.renyi(2.0, 1e6, 100)


@pytest.mark.parametrize("account", [budget.moments, budget.renyi])
@pytest.mark.parametrize("piece", private_sgd.BUDGETS)
def test_a_step_more_would_be_too_much(account: budget.Account, piece: str) -> None:
    given = private_sgd.BUDGETS[piece]
    steps = budget.within(account, given.epsilon, given.noise, given.projection)
    assert account(given.noise, given.projection, steps) <= given.epsilon
    assert account(given.noise, given.projection, steps + 1) > given.epsilon


def test_no_step_is_left_where_the_projection_spends_all() -> None:
    assert budget.within(budget.renyi, 0.5, 2.0, 0.5) == 0
    with pytest.raises(ValueError, match="target must be > 0, got 0"):
        budget.within(budget.renyi, 0, 2.0, 4.0)


def test_rates_fall_within_ten_epochs() -> None:
    assert private_sgd.rate(1) == 0.1
    assert private_sgd.rate(501) == pytest.approx(0.076)
    assert private_sgd.rate(1001) == private_sgd.rate(9999) == pytest.approx(0.052)


def test_the_projection_is_orthonormal_and_finds_what_is_there() -> None:
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.standard_normal((784, 60)))[0]
    x = (rng.standard_normal((500, 60)) @ plane.T).astype(np.float32)
    x[0] = 0  # an image without ink
    basis = private_sgd.projection(x, 0.0, rng)
    assert basis.shape == (784, 60) and basis.dtype == np.float32
    np.testing.assert_allclose(basis.T @ basis, np.eye(60), atol=1e-5)
    np.testing.assert_allclose(basis @ (basis.T @ x.T), x.T, atol=1e-4)


def test_noise_moves_the_projection_and_no_image_counts_more_than_1() -> None:
    x = TINY.x_train
    exact = private_sgd.projection(x, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(
        np.abs(private_sgd.projection(9 * x, 0.0, np.random.default_rng(0))),
        np.abs(exact),
        atol=1e-2,
    )

    def kept(noise: float) -> float:
        basis = private_sgd.projection(x, noise, np.random.default_rng(0))
        return float(((x @ basis) ** 2).sum() / (x**2).sum())

    assert kept(0.0) > kept(4.0) > kept(16.0)


def test_steps_are_those_of_dp_sgd() -> None:
    """The first two by hand, with the draws in the same order."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1200, 60)).astype(np.float32)
    y = rng.integers(0, 10, 1200)
    nets = private_sgd.private(
        x, y, 2.0, {1, 2}, np.random.default_rng(5), lambda fraction: None
    )
    hand = np.random.default_rng(5)
    params = nn.init_mlp(hand, (60, 1000, 10), dtype=np.float32)
    for t in (1, 2):
        i = np.flatnonzero(hand.random(1200) < 0.5)
        total = privacy.mlp_clipped_sum(params, x[i], y[i], 4.0)
        for k, g in total.items():
            noise = 8.0 * hand.standard_normal(g.shape)
            step = private_sgd.rate(t) * (g + noise) / 600
            params = params | {k: (params[k] - step).astype(np.float32)}
        for k, w in params.items():
            np.testing.assert_allclose(nets[t][k], w, atol=1e-5)


@pytest.mark.parametrize("piece", private_sgd.PIECES)
def test_a_tiny_run_scores(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_sgd, "data", SimpleNamespace(mnist=lambda **_: TINY))
    monkeypatch.setattr(private_sgd, "EPOCHS", 2)
    monkeypatch.setattr(private_sgd, "LOT", 60)
    quick = SimpleNamespace(**{**vars(budget), "within": lambda a, *_: SHORT[a]})
    monkeypatch.setattr(private_sgd, "budget", quick)
    bar: list[float] = []
    found = private_sgd.run(piece, 0, bar.append)
    assert found["net"]["images"] == 10_000
    assert bar == sorted(bar) and bar[-1] == 1
    if piece in private_sgd.BUDGETS:
        assert (found["steps"], found["steps by moments"]) == (7, 4)
        assert found["epsilon"] < found["epsilon by moments"]
        within = found["epsilon without the projection"]
        assert found["tight epsilon without the projection"] < within
        assert within < found["epsilon"] <= private_sgd.BUDGETS[piece].epsilon
        assert found["by moments"]["net"] != found["net"]


def results(accuracy: dict[str, float]) -> dict[str, Any]:
    """Runs whose networks have so much right, on the training images 1 % more."""
    runs: dict[str, Any] = {}
    labels = np.zeros(10_000, np.int64)
    for piece, share in accuracy.items():
        for seed in private_sgd.SEEDS:
            order = np.random.default_rng(seed).permutation(10_000)
            logits = np.zeros((10_000, 2))
            logits[order[int(share * 10_000) :], 1] = 1
            net = score(logits, labels)
            gap = 1.5 if piece == private_sgd.CONTROL else 0.1
            run = {"net": net, "train error": net["error"] - gap + seed / 100}
            steps = {"steps": 8000, "steps by moments": 3000}
            runs[f"{piece}/{seed}"] = {**run, **steps, "by moments": {"net": net}}
    return runs


def test_claims() -> None:
    good = {"epsilon 0.5": 0.905, "epsilon 2": 0.95, "epsilon 8": 0.971}
    found = private_sgd.claims(results({**good, "not private": 0.9835}))
    assert len(found) == len(private_sgd.PIECES) + 1 + len(good) + 1
    verdicts = {row.claim.partition(":")[0]: row.verdict for row in found[:4]}
    assert verdicts["epsilon 0.5"] == trials.Verdict.REPRODUCED
    assert verdicts["not private"] != trials.Verdict.NOT_HERE
    assert all(row.verdict == trials.Verdict.REPRODUCED for row in found[5:8])
    assert found[8].verdict == trials.Verdict.NOT_HERE  # one network, given twice
    worse = private_sgd.claims(
        results({**good, "epsilon 8": 0.95, "not private": 0.9835})
    )
    assert [r.verdict for r in worse if r.claim.startswith("epsilon 8: 97")] == [
        trials.Verdict.NOT_HERE
    ]
