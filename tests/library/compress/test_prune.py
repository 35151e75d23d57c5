"""Scores, exact counts, patterns, the schedule, and masks that training keeps."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepopt_lib import compress, optim
from deepopt_lib.compress import (
    Masked,
    apply_masks,
    density,
    global_masks,
    gradual,
    layer_masks,
    magnitude,
    masked_rules,
    top_blocks,
    top_nm,
    top_share,
    wanda,
)
from deepopt_lib.core import Params, Rule, flatten
from deepopt_lib.optim import Optimizer

modest = settings(max_examples=40, deadline=None, derandomize=True, database=None)
W = np.random.default_rng(0).standard_normal((8, 6))


@modest
@given(sparsity=st.floats(0, 0.99), seed=st.integers(0, 99), ties=st.booleans())
def test_exactly_as_many_stay_and_they_are_the_largest(
    sparsity: float, seed: int, ties: bool
) -> None:
    score = np.abs(np.random.default_rng(seed).standard_normal((7, 5)))
    score = np.round(score) if ties else score
    mask = top_share(score, sparsity)
    assert mask.sum() == round(35 * (1 - sparsity))
    if mask.any() and not mask.all():
        assert score[mask].min() >= score[~mask].max()
    for axis in (0, 1):
        lines = top_share(score, sparsity, axis=axis)
        kept = round(score.shape[axis] * (1 - sparsity))
        assert (lines.sum(axis=axis) == kept).all()


def test_wanda_is_size_times_the_norm_of_the_input() -> None:
    x = np.random.default_rng(1).standard_normal((20, 8))
    score = wanda(W, x)
    for i in range(8):
        norm = sum(v * v for v in x[:, i].tolist()) ** 0.5
        for j in range(6):
            assert score[i, j] == pytest.approx(abs(W[i, j]) * norm)


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 2), (3, 8)])
def test_every_group_of_a_column_keeps_its_largest(n: int, m: int) -> None:
    mask = top_nm(np.abs(W), n, m)
    for j in range(6):
        for i in range(0, 8, m):
            group, kept = np.abs(W[i : i + m, j]), mask[i : i + m, j]
            assert kept.sum() == n
            assert set(np.argsort(-group)[:n]) == set(np.flatnonzero(kept))


def test_blocks_stay_or_go_as_a_whole() -> None:
    mask = top_blocks(np.abs(W), (4, 3), 0.5)
    tiles = mask.reshape(2, 4, 2, 3).transpose(0, 2, 1, 3).reshape(4, 12)
    assert (tiles.all(axis=1) | ~tiles.any(axis=1)).all()
    norms = (W.reshape(2, 4, 2, 3) ** 2).sum(axis=(1, 3)).ravel()
    assert set(np.argsort(-norms)[:2]) == set(np.flatnonzero(tiles[:, 0]))


def test_blocks_are_compared_by_their_squares() -> None:
    score = np.array([[3.0, 0.0], [2.0, 2.0]])  # 9 against 8, but 3 against 4
    kept = top_blocks(score, (1, 2), 0.5)
    assert kept.tolist() == [[True, True], [False, False]]


def test_blocks_of_half_precision_do_not_overflow() -> None:
    score = np.array([[300.0, 0.0], [290.0, 290.0]], np.float16)
    kept = top_blocks(score, (1, 2), 0.5)
    assert kept.tolist() == [[False, False], [True, True]]
    x = np.array([[300.0, 1.0], [300.0, 1.0]], np.float16)
    np.testing.assert_allclose(wanda(np.ones((2, 1)), x)[:, 0], [300 * 2**0.5, 2**0.5])


def test_one_threshold_for_all_or_one_for_each() -> None:
    params = {"a": W, "b": 10 * W, "bias": W[0]}
    each = layer_masks(params, 0.5, ["a", "b"])
    assert [m.mean() for m in each.values()] == [0.5, 0.5]
    np.testing.assert_array_equal(each["a"], each["b"])
    together = global_masks(params, 0.5, ["a", "b"])
    assert density(together) == 0.5
    sizes = np.concatenate([np.abs(params[k])[together[k]] for k in "ab"])
    gone = np.concatenate([np.abs(params[k])[~together[k]] for k in "ab"])
    assert sizes.min() >= gone.max()
    assert together["a"].sum() < together["b"].sum()


def test_every_name_gets_its_part_of_the_common_mask() -> None:
    params: Params = {k: W[: 2 * i + 2] * (i + 1) for i, k in enumerate("abcd")}
    together = global_masks(params, 0.5, params)
    flat = np.concatenate([np.abs(w).ravel() for w in params.values()])
    limit = np.median(flat)
    for k, w in params.items():
        np.testing.assert_array_equal(together[k], np.abs(w) > limit)


def test_of_equal_scores_the_first_stay() -> None:
    """Also of so many that a sort keeps their order only where it is asked to."""
    score = np.tile([1.0, 2.0], 500)
    kept = np.flatnonzero(top_share(score, 0.8))
    np.testing.assert_array_equal(kept, np.arange(1, 400, 2))


def test_the_schedule_is_the_papers_cubic() -> None:
    s = gradual(0.9, first=10, last=110, start=0.1)
    for t in (10, 35, 60, 110):
        expected = 0.9 + (0.1 - 0.9) * (1 - (t - 10) / 100) ** 3
        assert s(t) == pytest.approx(expected)
    assert s(0) == s(10) == pytest.approx(0.1)
    assert s(110) == s(10_000) == 0.9


RULES: list[Rule] = [
    optim.GradientDescent(),
    optim.Momentum(0.9, nesterov=True),
    optim.chain(optim.Adam(), optim.WeightDecay(0.1)),
    optim.Lion(),
    optim.chain(optim.Momentum(0.95), optim.Orthogonalize()),
    compress.Quantized(optim.Adam(), smallest=1),
]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_zeros_stay_zeros_under_every_rule(rule: Rule) -> None:
    """Also with a state that was filled before there was a mask."""
    mask = top_share(magnitude(W), 0.5)
    rng = np.random.default_rng(3)
    _, stale = rule.update(rng.standard_normal(W.shape), rule.init(W), W, 1)
    masked = Masked(rule, mask)
    w = W * mask
    for s in (masked.init(w), stale):
        v = w
        for t in range(2, 6):
            u, s = masked.update(rng.standard_normal(W.shape), s, v, t)
            v = v - 0.1 * u
        assert not v[~mask].any()
        assert (v[mask] != w[mask]).any()


def test_the_rule_inside_sees_the_masked_gradient() -> None:
    """A momentum must not fill up where nothing moves: it would come out with Muon."""
    mask = top_share(magnitude(W), 0.5)
    g = np.random.default_rng(4).standard_normal(W.shape)
    rule = optim.chain(optim.Momentum(0.95), optim.Orthogonalize())
    masked = Masked(rule, mask)
    u, s = masked.update(g, masked.init(W), W, 1)
    v, expected = rule.update(g * mask, rule.init(W), W, 1)
    np.testing.assert_array_equal(u, v * mask)
    for a, b in zip(flatten(s), flatten(expected), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not flatten(s)[0][~mask].any()


def test_nothing_outside_of_a_mask_gets_through() -> None:
    mask = np.array([True, False])
    masked = Masked(optim.Momentum(), mask)
    g = np.array([1.0, np.inf])
    u, _ = masked.update(g, np.array([0.0, np.nan]), g, 1)
    assert u.tolist() == [1.0, 0.0]
    kept = apply_masks({"a": g, "b": g}, {"a": mask})
    assert kept["a"].tolist() == [1.0, 0.0]
    assert kept["b"] is g
    single = apply_masks({"a": np.ones(2, np.float32)}, {"a": mask})
    assert single["a"].dtype == np.float32


def test_a_full_mask_changes_nothing() -> None:
    rule, g = optim.Adam(), np.ones_like(W)
    masked = Masked(rule, np.ones(W.shape, np.bool_))
    np.testing.assert_array_equal(
        masked.update(g, masked.init(W), W, 1)[0], rule.update(g, rule.init(W), W, 1)[0]
    )


def test_a_policy_for_an_optimizer() -> None:
    params = {"W": W, "b": W[0]}
    keep = {"W": top_share(magnitude(W), 0.7)}
    bare = apply_masks(params, keep)
    assert np.count_nonzero(bare["W"]) == keep["W"].sum()
    assert bare["b"] is params["b"]
    method = Optimizer(masked_rules(optim.Adam(), bare, keep), 0.1)
    after, _ = method.step({k: w + 1 for k, w in bare.items()}, method.init(bare), bare)
    assert not after["W"][~keep["W"]].any()
    assert (after["b"] != bare["b"]).all()


def test_masks_that_differ_print_differently() -> None:
    a, b = top_share(np.abs(W), 0.5), top_share(-np.abs(W), 0.5)
    assert repr(Masked(optim.Adam(), a)) != repr(Masked(optim.Adam(), b))
    assert "24 of 48" in repr(Masked(optim.Adam(), a))


BAD: list[tuple[Any, str]] = [
    (lambda: top_share(W, 1.0), r"sparsity must be in \[0, 1\), got 1.0"),
    (lambda: top_share(W, -0.1), r"sparsity must be in \[0, 1\), got -0.1"),
    (lambda: top_share(W, float("nan")), r"sparsity must be in \[0, 1\), got nan"),
    (lambda: top_share(W, "half"), r"sparsity must be in \[0, 1\), got 'half'"),  # type: ignore[arg-type]
    (lambda: top_share(np.zeros(0), 0.5), r"score is empty: shape \(0,\)"),
    (lambda: top_share(np.array([np.nan]), 0.5), "score has 1 entries that are NaN"),
    (lambda: magnitude(np.array([1, 2])), "w must be a floating-point array, got int"),
    (lambda: top_nm(W, 2, 3), "m must divide the rows, got m = 3 for 8 rows"),
    (lambda: top_nm(W, 4, 4), r"pattern.n must be an int in \[1, 3\], got 4"),
    (lambda: top_blocks(W, (3, 2), 0.5), r"block \(3, 2\) does not divide"),
    (lambda: top_blocks(W, (0, 2), 0.5), r"block\[0\] must be an int >= 1, got 0"),
    (lambda: top_blocks(W, (2, 1.5), 0.5), r"block\[1\] must be an int >= 1, got 1.5"),  # type: ignore[arg-type]
    (lambda: top_blocks(W, 2, 0.5), "block must be two ints, got 2"),  # type: ignore[arg-type]
    (lambda: gradual(0.5, 0, 9, 1.0), r"start must be in \[0, 1\), got 1.0"),
    (lambda: gradual(0.5, 0, 9, -0.1), r"start must be in \[0, 1\), got -0.1"),
    (lambda: gradual(-0.1, 0, 9), r"end must be in \[0, 1\), got -0.1"),
    (lambda: gradual(0.5, -1, 9), "first must be an int >= 0, got -1"),
    (lambda: density({}), r"masks have no entries: \[\]"),
    (
        lambda: apply_masks({"a": W}, {"a": W}),  # type: ignore[dict-item]
        r"masks\['a'\] must be an array of bools",
    ),
    (lambda: wanda(W, W), r"x must be \(samples, 8\), got \(8, 6\)"),
    (lambda: gradual(1.0, 0, 9), r"end must be in \[0, 1\), got 1.0"),
    (lambda: gradual(0.5, 9, 9), "last must be an int >= 10, got 9"),
    (lambda: Masked(3, W > 0), "Masked.rule is not a rule, got 3"),  # type: ignore[arg-type]
    (lambda: Masked(optim.Adam(), W), "Masked.mask must be an array of bools"),  # type: ignore[arg-type]
    (lambda: Masked(optim.Adam(), W > 0).init(W[0]), "mask of shape .* for shape"),
    (lambda: apply_masks({"a": W}, {"b": W > 0}), r"masks\['b'\] of shape .* fits no"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
