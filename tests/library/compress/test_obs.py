"""The surgeon and its heirs against least squares, and against doing without."""

from typing import Any

import numpy as np
import pytest

from deepopt_lib.compress import (
    Affine,
    gptq,
    hessian,
    magnitude,
    obs,
    output_error,
    sparsegpt,
    top_nm,
    top_share,
)
from deepopt_lib.core import Array

rng = np.random.default_rng(0)
X = rng.standard_normal((200, 12)) @ rng.standard_normal((12, 12))  # correlated
W = rng.standard_normal((12, 5))
TINY = 1e-10


def refit(w: Array, keep: Array) -> Array:
    """Return the weights on ``keep`` closest to ``w`` in output, by least squares."""
    out = np.zeros_like(w)
    out[keep] = np.linalg.lstsq(X[:, keep], X @ w, rcond=None)[0]
    return out


def test_the_hessian_is_that_of_the_squared_error() -> None:
    H = hessian(X, TINY)
    w, d = W[:, 0], rng.standard_normal(12)

    def error(v: Array) -> float:
        return float(np.mean((X @ (v - w)) ** 2))

    assert d @ H @ d / 2 == pytest.approx(error(w + d))
    diagonal = np.diag(hessian(X, 0.5)) - np.diag(hessian(X, 0.25))
    np.testing.assert_allclose(diagonal, 0.25 * np.mean(np.diag(2 / 200 * X.T @ X)))


@pytest.mark.parametrize("gone", [1, 2, 5, 11])
def test_the_surgeon_leaves_the_least_squares_solution(gone: int) -> None:
    """Whatever it removes, the rest is optimal: that is what moving the others does."""
    out = obs(W, X, gone / 12, damp=TINY)
    for j in range(5):
        keep = out[:, j] != 0
        assert keep.sum() == 12 - gone
        np.testing.assert_allclose(out[:, j], refit(W[:, j], keep), atol=1e-5)


def test_the_first_cut_is_the_cheapest_of_all() -> None:
    out = obs(W, X, 1 / 12, damp=TINY)
    for j in range(5):
        costs = []
        for q in range(12):
            keep = np.arange(12) != q
            costs.append(np.sum((X @ (refit(W[:, j], keep) - W[:, j])) ** 2))
        assert out[int(np.argmin(costs)), j] == 0


def test_one_sweep_is_worse_than_the_surgeon_and_better_than_no_surgery() -> None:
    for sparsity in (0.25, 0.5, 0.75):
        swept = sparsegpt(W, X, sparsity, block=4)
        assert np.count_nonzero(swept) == 60 - 3 * (4 * 5 - round(20 * (1 - sparsity)))
        exact = output_error(W, obs(W, X, sparsity), X)
        plain = output_error(W, W * top_share(magnitude(W), sparsity), X)
        assert exact < output_error(W, swept, X) < plain


def test_the_sweep_follows_the_pattern() -> None:
    out = sparsegpt(W, X, nm=(2, 4))
    assert ((out.reshape(3, 4, 5) != 0).sum(axis=1) == 2).all()
    masked = W * top_nm(magnitude(W), 2, 4)
    assert output_error(W, out, X) < output_error(W, masked, X)


def test_the_sweep_chooses_by_the_cost_of_what_is_left() -> None:
    """The score of OBS at each input, with the inputs before it already gone."""
    H = hessian(X, TINY)
    spread = [np.linalg.inv(H[i:, i:])[0, 0] for i in range(12)]
    kept = top_share(W**2 / np.array(spread)[:, None], 0.5)
    out = sparsegpt(W, X, 0.5, block=12, damp=TINY)
    np.testing.assert_array_equal(out != 0, kept)
    assert (kept != top_share(magnitude(W), 0.5)).any()


def test_the_last_input_takes_over_what_it_can() -> None:
    """Two inputs, the first removed: the second is the least-squares solution."""
    x = np.array([[1.0, 0.5], [0.5, 1.0], [1.0, 1.0]])
    out = sparsegpt(np.array([[0.1], [1.0]]), x, 0.5, block=2, damp=TINY)
    best = np.linalg.lstsq(x[:, 1:], x @ [0.1, 1.0], rcond=None)[0]
    np.testing.assert_allclose(out[:, 0], [0.0, best[0]], rtol=1e-6)


def test_without_correlations_nothing_moves() -> None:
    """Orthogonal inputs of one size: the sweep is magnitude pruning, or rounding."""
    Q = np.linalg.qr(rng.standard_normal((50, 12)))[0]
    swept = sparsegpt(W, Q, 0.5, block=12)
    np.testing.assert_allclose(swept, W * top_share(magnitude(W), 0.5), atol=1e-10)
    codec = Affine(3, symmetric=True, axis=1)
    np.testing.assert_allclose(codec.decode(gptq(W, Q, codec)), codec.round(W))


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_gptq_stays_on_the_grid_and_beats_rounding(bits: int, axis: int | None) -> None:
    codec = Affine(bits, symmetric=True, axis=axis)
    out = codec.decode(gptq(W, X, codec))
    grid = codec.fit(W)
    steps = out / (grid.scale.T if axis else grid.scale)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert np.abs(steps).max() <= 2 ** (bits - 1) - 1
    assert output_error(W, out, X) < output_error(W, codec.round(W), X)


def test_the_sweep_makes_up_for_each_row_exactly() -> None:
    """Two inputs: by hand, the second takes over what the first has lost."""
    x = np.array([[1.0, 0.5], [0.5, 1.0], [1.0, 1.0]])
    w = np.array([[0.3], [1.0]])
    H = 2 / 3 * x.T @ x
    codec = Affine(1, symmetric=True)
    value = float(np.abs(w).mean())
    lost = w[0, 0] - value
    second = w[1, 0] + lost * H[0, 1] / H[1, 1]
    expected = [value, value if second >= 0 else -value]
    found = codec.decode(gptq(w, x, codec, damp=TINY))
    np.testing.assert_allclose(found[:, 0], expected)


def test_damping_is_a_hundredth_of_the_mean_diagonal() -> None:
    """As in both papers (Frantar et al. 2022, 2023), for all of them."""
    np.testing.assert_array_equal(hessian(X), hessian(X, 0.01))
    np.testing.assert_array_equal(obs(W, X, 0.5), obs(W, X, 0.5, 0.01))
    np.testing.assert_array_equal(sparsegpt(W, X), sparsegpt(W, X, damp=0.01))
    codec = Affine(3, symmetric=True, axis=1)
    a, b = gptq(W, X, codec), gptq(W, X, codec, 0.01)
    np.testing.assert_array_equal(a.packed, b.packed)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_few_samples_in_low_precision(dtype: Any) -> None:
    x, w = X[:3].astype(dtype), W.astype(dtype)
    for out in (obs(w, x, 0.5), sparsegpt(w, x, 0.5, block=4)):
        assert out.dtype == dtype
        assert np.count_nonzero(out) == 30
        assert np.isfinite(out).all()


def test_the_unit_of_the_inputs_does_not_matter() -> None:
    for unit in (1e-3, 1e3):
        np.testing.assert_allclose(hessian(X * unit), hessian(X) * unit**2)
        np.testing.assert_allclose(obs(W, X * unit, 0.5), obs(W, X, 0.5))


def test_the_last_axis_has_two_names() -> None:
    a, b = (gptq(W, X, Affine(3, axis=axis)) for axis in (1, -1))
    for p, q in zip(a, b, strict=True):
        np.testing.assert_array_equal(p, q)


BAD: list[tuple[Any, str]] = [
    (lambda: obs(W, X, 1.0), r"sparsity must be in \[0, 1\), got 1.0"),
    (lambda: obs(W, X[:, :5], 0.5), r"x must be \(samples, 12\), got"),
    (lambda: sparsegpt(W, X, nm=(2, 5)), "m must divide the rows, got m = 5 for 12"),
    (lambda: sparsegpt(W, X, block=0), "block must be an int >= 1, got 0"),
    (lambda: hessian(X, 0.0), r"damp must be in \(0, inf\), got 0.0"),
    (lambda: hessian(np.zeros((3, 2))), "x is zero everywhere"),
    (lambda: hessian(np.full((3, 2), np.nan)), "x has 6 entries that are NaN"),
    (lambda: gptq(W, X, Affine(4, axis=0)), "gptq needs a scale in all or for each"),
    (lambda: gptq(W, X, 4), "codec must be an Affine, got 4"),  # type: ignore[arg-type]
    (lambda: output_error(W, W[:3], X), r"Z must be \(12, 5\), got \(3, 5\)"),
    (lambda: output_error(W, W, X * 0), "x @ W is zero everywhere"),
    (lambda: sparsegpt(W, X, nm=(4, 4)), r"nm.n must be an int in \[1, 3\], got 4"),
    (lambda: gptq(W, X, Affine(4, block=8)), "gptq needs a scale in all or for each"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_inputs_that_never_vary_do_no_harm() -> None:
    x = np.column_stack([X, np.zeros(200), np.ones(200)])
    w = np.vstack([W, W[:2]])
    for out in (obs(w, x, 0.5), sparsegpt(w, x, 0.5)):
        assert np.isfinite(out).all()
    assert np.isfinite(gptq(w, x, Affine(4)).scale).all()
