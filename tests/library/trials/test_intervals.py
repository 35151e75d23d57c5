"""Intervals hold as often as they promise, in simulated comparisons."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from deepopt_lib.trials import Difference, fixed, holm, paired


def simulated(
    rng: np.random.Generator,
    shape: tuple[int, int],
    true: float,
    by_seed: float,
    by_item: float,
    rest: float,
) -> tuple[Any, Any]:
    """Return two contestants whose difference has the three kinds of chance in it."""
    seeds, items = shape
    common = rng.standard_normal(shape)
    d = true + by_seed * rng.standard_normal((seeds, 1))
    d = (
        d
        + by_item * rng.standard_normal((1, items))
        + rest * rng.standard_normal(shape)
    )
    return common + d, common


KINDS = {
    "seeds alone": (1.0, 0.0, 0.0),
    "items alone": (0.0, 1.0, 0.0),
    "the rest alone": (0.0, 0.0, 1.0),
    "mostly seeds": (0.3, 1.0, 2.0),
    "mostly items": (0.02, 1.0, 1.0),
    "all alike": (0.1, 1.0, 1.0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seeds", [3, 6])
def test_the_interval_holds_the_truth_as_often_as_promised(
    kind: str, seeds: int
) -> None:
    rng = np.random.default_rng(100 + seeds)
    found = [
        paired(*simulated(rng, (seeds, 100), 0.7, *KINDS[kind])) for _ in range(1500)
    ]
    inside = np.mean([d.low <= 0.7 <= d.high for d in found])
    assert inside >= (0.92 if seeds < 5 else 0.94)  # a standard error is 0.6 points
    if kind in ("seeds alone", "mostly seeds"):
        assert inside <= 0.975  # and no wider than it must be


@pytest.mark.parametrize("kind", KINDS)
def test_no_difference_is_found_where_there_is_none(kind: str) -> None:
    rng = np.random.default_rng(1)
    ps = [paired(*simulated(rng, (5, 60), 0, *KINDS[kind])).p for _ in range(600)]
    assert np.mean(np.array(ps) < 0.05) <= 0.07


def test_right_and_wrong_answers_of_networks() -> None:
    """Booleans, as pages have them: each seed and each image has its own ease."""
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(400):
        ease = rng.normal(1.5, 1, 400)
        a = ease + rng.normal(0.2, 0.05, (5, 1)) + rng.normal(0, 1, (5, 400)) > 0
        b = ease + rng.normal(0, 0.05, (5, 1)) + rng.normal(0, 1, (5, 400)) > 0
        # Ease, seed and noise are normal, so the mean of each is a normal integral.
        sigma = math.sqrt(1 + 0.05**2 + 1)
        truth = stats.norm.cdf(1.7 / sigma) - stats.norm.cdf(1.5 / sigma)
        d = paired(a, b)
        inside += d.low <= truth <= d.high
    assert 0.93 <= inside / 400 <= 0.99


def test_one_number_a_seed_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.5, 1, 7), rng.normal(0, 1, 7)
    expected = stats.ttest_rel(a, b)
    interval = expected.confidence_interval(0.9)
    d = paired(a, b, level=0.9)
    assert d.p == pytest.approx(expected.pvalue)
    assert (d.low, d.high) == pytest.approx((interval.low, interval.high))


def test_the_variance_is_that_of_the_two_way_analysis() -> None:
    """By hand: rows 0 and 4, columns 2, 0 and 4 in the means; no interaction."""
    d = np.array([[0.0, -2.0, 2.0], [4.0, 2.0, 6.0]])
    rest = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]])
    by_seed, by_item, left = 3 * (4 + 4) / 1, 2 * (4 + 4) / 2, 4 / 2
    total = by_seed + by_item - left
    freedom = total**2 / (by_seed**2 / 1 + by_item**2 / 2 + left**2 / 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(total / 6)
    found = paired(d + rest, np.zeros((2, 3)))
    assert found.mean == pytest.approx(2)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))


def test_two_items_are_items_already() -> None:
    """Rows agree, columns are 0 and 4: all of the error is between the two items."""
    half = stats.t.ppf(0.975, 1) * math.sqrt(2 * 8 / 4)
    found = paired([[0.0, 4.0], [0.0, 4.0]], np.zeros((2, 2)))
    assert (found.mean, found.high) == pytest.approx((2, 2 + half))


def test_the_variance_is_never_below_a_part_of_it() -> None:
    """Negative estimates: the rest exceeds both, and alone bounds the error."""
    d = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]])
    half = stats.t.ppf(0.975, 2) * math.sqrt((4 / 2) / 6)
    assert paired(d, 0 * d).high == pytest.approx(half)


def test_exact_agreement_has_no_width() -> None:
    ones = np.ones((3, 4))
    assert paired(ones, ones) == Difference(0, 0, 0, 1)
    assert paired(ones, 0 * ones) == Difference(1, 1, 1, 0)


def test_pairing_is_what_makes_it_sharp() -> None:
    rng = np.random.default_rng(3)
    items = rng.standard_normal(300)
    a = items + 0.1 + 0.05 * rng.standard_normal((4, 300))
    b = items + 0.05 * rng.standard_normal((4, 300))
    assert paired(a, b).low > 0.08
    shuffled = paired(a, rng.permuted(b, axis=1))
    assert shuffled.low < 0 < shuffled.high


def test_exchanging_the_two_changes_the_sign() -> None:
    a, b = simulated(np.random.default_rng(4), (4, 9), 1, 1, 1, 1)
    d, turned = paired(a, b), paired(b, a)
    assert turned[:3] == pytest.approx((-d.mean, -d.high, -d.low))
    assert d.scaled(-2)[:3] == pytest.approx((-2 * d.mean, -2 * d.high, -2 * d.low))


def test_two_networks_are_mcnemar() -> None:
    a = np.array([True] * 12 + [False] * 3 + [True] * 85)
    b = np.array([False] * 12 + [True] * 3 + [True] * 85)
    d = fixed(a, b)
    assert d.p == pytest.approx(stats.binomtest(12, 15).pvalue)
    assert d.mean == pytest.approx(0.09)
    middle = 9 / 102
    half = 1.959964 * math.sqrt((16 / 102 - middle**2) / 102)
    assert (d.low, d.high) == pytest.approx((middle - half, middle + half))
    assert fixed(a, a).p == 1


def test_mcnemars_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(1000):
        kind = rng.choice(4, 300, p=[0.04, 0.02, 0.9, 0.04])
        d = fixed(np.isin(kind, (0, 2)), np.isin(kind, (1, 2)))
        inside += d.low <= 0.02 <= d.high
    assert 0.93 <= inside / 1000 <= 0.98


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_errs_anywhere_in_five_percent() -> None:
    rng = np.random.default_rng(6)
    ps = rng.random((4000, 6))
    assert np.mean([min(holm(row.tolist())) < 0.05 for row in ps]) < 0.06


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([[1, 0]], [[0, 1]], "one seed shows no spread"),
        ([1.0], [2.0], "one seed shows no spread"),
        ([[1, 0]] * 2, [[0]] * 2, "same seeds and items"),
        ([[[1]]] * 2, [[[0]]] * 2, "same seeds and items"),
        ([], [], "same seeds and items"),
        ([math.nan, 1], [0, 0], "finite"),
        ([1, 1], [0, math.inf], "finite"),
    ],
)
def test_what_cannot_be_compared(a: Any, b: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        paired(a, b)


def test_bad_levels_and_ps() -> None:
    for level in (0, 1, math.nan):
        with pytest.raises(ValueError, match="level must be"):
            paired([1, 2], [0, 1], level)
        with pytest.raises(ValueError, match="level must be"):
            fixed([True], [False], level)
    with pytest.raises(ValueError, match="p must be"):
        holm([0.5, 1.5])


def test_a_difference_reads_as_text() -> None:
    assert str(Difference(1.25, -0.5, 3, 0.1)) == "+1.2 [-0.5, 3.0]"
