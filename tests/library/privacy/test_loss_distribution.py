"""Both accountants against Google's (tests/golden), and the tight one against truth."""

import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from deepopt_lib.core import Array
from deepopt_lib.privacy import epsilon, loss_distribution, tight_epsilon
from tests.library.privacy.test_accountant import exact

FILE = Path(__file__).parents[2] / "golden" / "dp_accounting.json"
GOLDEN: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
CASES = [dict(zip(GOLDEN["columns"], case, strict=True)) for case in GOLDEN["cases"]]
every_case = pytest.mark.parametrize(
    "case", CASES, ids=["-".join(f"{x:g}" for x in c[:4]) for c in GOLDEN["cases"]]
)


def arguments(case: dict[str, Any]) -> tuple[float, float, int, float]:
    return case["q"], case["noise"], case["steps"], case["delta"]


@every_case
def test_by_renyi_divergences(case: dict[str, Any]) -> None:
    found = epsilon(*arguments(case))
    assert case["pld_below"] < found <= (1 + 1e-9) * case["rdp"]


@every_case
def test_by_the_distribution_of_the_loss(case: dict[str, Any]) -> None:
    found = tight_epsilon(*arguments(case))
    assert case["pld_below"] < found <= epsilon(*arguments(case))
    assert found == pytest.approx(case["pld"], rel=1e-3)


def test_the_golden_cases_are_many_and_differ() -> None:
    assert len(CASES) > 50
    assert {case["steps"] for case in CASES} == {1, 120, 10_000}
    spent = [case["pld"] for case in CASES]
    assert min(spent) < 0.01 and max(spent) > 15
    assert all(c["pld_below"] < c["pld"] < c["rdp"] for c in CASES)


@pytest.mark.parametrize(
    ("noise", "renyi", "tight"),
    [(1, 4.334, 3.785), (2, 1.335, 1.202), (4, 0.562, 0.508), (8, 0.256, 0.231)],
)
def test_the_run_of_the_chapter(noise: float, renyi: float, tight: float) -> None:
    assert epsilon(0.05, noise, 120, 1e-5) == pytest.approx(renyi, abs=6e-4)
    assert tight_epsilon(0.05, noise, 120, 1e-5) == pytest.approx(tight, abs=6e-4)


@pytest.mark.parametrize("delta", [0.3, 1e-5, 1e-14])
@pytest.mark.parametrize("noise", [0.7, 40.0])
@pytest.mark.parametrize("steps", [1, 10_000])
def test_without_sampling_the_truth_is_known(
    delta: float, noise: float, steps: int
) -> None:
    truth = exact(noise * (1 if steps < 100 else 30) / math.sqrt(steps), delta)
    found = tight_epsilon(1, noise * (1 if steps < 100 else 30), steps, delta)
    assert truth * (1 - 1e-9) <= found <= truth * (1 + 1e-3) + 1e-7


def lost(q: float, noise: float, e: float, sign: int) -> float:
    """Delta of one step at epsilon ``e``, by integration over the outcomes."""

    def f(z: float) -> float:
        p = norm.pdf(z, scale=noise)
        mixed = (1 - q) * p + q * norm.pdf(z, loc=1, scale=noise)
        a, b = (mixed, p) if sign > 0 else (p, mixed)
        return max(a - math.exp(e) * b, 0)

    points = list(np.linspace(-8 * noise, 1 + 8 * noise, 60))
    return sum(quad(f, *part, epsabs=0)[0] for part in itertools.pairwise(points))


@pytest.mark.parametrize(("q", "noise"), [(0.02, 1.1), (0.3, 2.0), (0.9, 0.8)])
def test_of_one_step_the_truth_is_known(q: float, noise: float) -> None:
    delta = 1e-4
    truth = max(
        float(brentq(lambda e, s=sign: hockey_stick(q, noise, e, s) - delta, 0, 30))
        for sign in (1, -1)
        if hockey_stick(q, noise, 0, sign) > delta
    )
    assert truth <= tight_epsilon(q, noise, 1, delta) <= truth * (1 + 1e-3)
    for sign in (1, -1):
        expected = lost(q, noise, truth, sign)
        assert hockey_stick(q, noise, truth, sign) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("q", [0.05, 0.5, 1.0])
def test_a_step_keeps_both_probabilities_and_only_grows(q: float) -> None:
    """Each cell's ends have its probability on both sides; the rest moves up."""
    noise, grid = 1.5, np.linspace(-6, 6, 121)
    for sign, step in zip(
        (1, -1), loss_distribution._losses(grid, q, noise), strict=True
    ):
        assert step.p.sum() + step.infinite == pytest.approx(1, abs=1e-14)
        for k in range(0, 121, 10):
            e = float(grid[k])
            coarse = -(step.p[k:] * np.expm1(e - grid[k:])).sum() + step.infinite
            assert coarse == pytest.approx(hockey_stick(q, noise, e, sign), abs=1e-9)


def hockey_stick(q: float, noise: float, e: float, sign: int) -> float:
    """Delta of one step at epsilon ``e``, in closed form."""

    def outcome(loss: float) -> float:
        inside = (math.exp(loss) - 1 + q) / q
        return noise**2 * math.log(inside) + 0.5 if inside > 0 else -math.inf

    z = outcome(sign * e)
    plain = float(ndtr(-sign * z / noise))
    mixed = (1 - q) * plain + q * float(ndtr(-sign * (z - 1) / noise))
    first, second = (mixed, plain) if sign > 0 else (plain, mixed)
    return first - math.exp(e) * second


def test_what_is_beyond_the_grid_counts_against_privacy() -> None:
    grid: Array = np.linspace(-0.5, 0.5, 11)
    removed, added = loss_distribution._losses(grid, 0.4, 0.5)
    z = 0.25 * math.log((math.exp(0.5) - 0.6) / 0.4) + 0.5
    above = 0.6 * ndtr(-z / 0.5) + 0.4 * ndtr((1 - z) / 0.5)
    assert removed.infinite == pytest.approx(above)
    z = 0.25 * math.log((math.exp(-0.5) - 0.6) / 0.4) + 0.5
    assert added.infinite == pytest.approx(ndtr(z / 0.5))
    for step in (removed, added):  # and what was below came to the lowest point
        assert step.p.sum() + step.infinite == pytest.approx(1, abs=1e-14)


def test_a_finer_grid_says_the_same_and_never_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = (0.02, 1.0, 1000, 1e-6)
    spent = []
    for power in (8, 9, 10, 12):
        monkeypatch.setattr(loss_distribution, "POINTS", 3**power)
        spent.append(tight_epsilon(*run))
    assert spent == sorted(spent, reverse=True)
    assert spent[-2] == pytest.approx(spent[-1], rel=1e-3)
    assert spent[0] < 1.1 * spent[-1]


@pytest.mark.parametrize("steps", [1, 100])
def test_a_sum_beyond_the_grid_counts_against_privacy(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a grid that is much too short, it is an upper bound, and a bad one."""
    truth = exact(2 / math.sqrt(steps), 1e-3)
    monkeypatch.setattr(loss_distribution, "NEGLECTED", 0.9 * steps)
    assert truth < tight_epsilon(1, 2.0, steps, 1e-3)
    monkeypatch.setattr(loss_distribution, "NEGLECTED", 0.1 * steps)
    assert truth < tight_epsilon(1, 2.0, steps, 1e-3) < 1.1 * truth


def test_a_step_with_an_infinite_loss_spends_delta(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of three steps that tell all once in 10,000 times, 0.00029997 is not enough."""
    monkeypatch.setattr(loss_distribution, "POINTS", 729)
    monkeypatch.setattr(loss_distribution, "ROUNDED", 0.0)
    p = np.zeros(729)
    p[364] = 1 - 1e-4
    step = loss_distribution.Losses(np.linspace(-50, 50, 729), p, 1e-4)
    assert loss_distribution._epsilon(step, 1.0, 3, 3.1e-4) == 0
    assert loss_distribution._epsilon(step, 1.0, 3, 2.9e-4) == 50  # the top: none


def test_what_rounding_may_take_is_left_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_distribution, "ROUNDED", 0.5)
    whole = tight_epsilon(0.05, 2.0, 120, 1e-5)
    monkeypatch.setattr(loss_distribution, "ROUNDED", 0.0)
    assert whole == pytest.approx(tight_epsilon(0.05, 2.0, 120, 5e-6), rel=1e-5)


@pytest.mark.parametrize("run", [(0.3, 1.0, 50, 1e-5), (0.9, 0.9, 3, 1e-3)])
def test_both_directions_are_counted(
    run: tuple[float, float, int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, both = tight_epsilon(*run), loss_distribution._losses
    one_way = []
    for i in (0, 1):
        monkeypatch.setattr(loss_distribution, "_losses", lambda *a, i=i: [both(*a)[i]])
        one_way.append(tight_epsilon(*run))
    assert whole == max(one_way)
    assert one_way[0] != one_way[1]


def test_extremes() -> None:
    assert tight_epsilon(1e-6, 1000.0, 1, 0.5) == 0
    assert 0 < tight_epsilon(1e-6, 0.05, 10**6, 1e-14) < math.inf
    assert tight_epsilon(0.5, 1.0, 10**6, 1e-5) <= epsilon(0.5, 1.0, 10**6, 1e-5)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ((0, 1.0, 1, 1e-5), "q must be in (0, 1], got 0"),
        ((0.1, 0.0, 1, 1e-5), "noise must be in (0, inf), got 0.0"),
        ((0.1, 1.0, 0, 1e-5), "steps must be an int >= 1, got 0"),
        ((0.1, 1.0, 1, 1.0), "delta must be in (0, 1), got 1.0"),
    ],
)
def test_bad_input(run: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        tight_epsilon(*run)
