"""Thin factors against the theory of the SVD, and training in few dimensions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepopt_lib import autodiff, nn, optim
from deepopt_lib.autodiff import value_and_grad
from deepopt_lib.compress import (
    GaLore,
    LowRank,
    activation_aware,
    break_even,
    factored_mlp,
    init_lora,
    output_error,
    randomized,
    rank_for_energy,
    tail,
    truncated,
    with_lora,
)
from deepopt_lib.compress.low_rank import wide
from deepopt_lib.core import Array, nbytes

modest = settings(max_examples=25, deadline=None, derandomize=True, database=None)
rng = np.random.default_rng(0)
W = rng.standard_normal((12, 9))
X = rng.standard_normal((60, 12)) * np.geomspace(1, 1e-2, 12)


@modest
@given(m=st.integers(2, 9), n=st.integers(2, 9), data=st.data())
def test_the_error_is_the_tail_of_the_spectrum(
    m: int, n: int, data: st.DataObject
) -> None:
    r = data.draw(st.integers(1, min(m, n)))
    A = np.random.default_rng(m * n).standard_normal((m, n))
    s = np.linalg.svd(A, compute_uv=False)
    factors = truncated(A, r)
    assert factors.U.shape == (m, r)
    assert factors.V.shape == (r, n)
    error = np.sum((A - factors.product) ** 2)
    assert error == pytest.approx(tail(s, r), rel=1e-10, abs=1e-20)
    assert tail(s, r) == pytest.approx(sum(v * v for v in s[r:].tolist()))
    np.testing.assert_allclose(  # split evenly
        np.linalg.norm(factors.U, axis=0), np.linalg.norm(factors.V, axis=1)
    )


def test_the_randomized_factors_are_nearly_the_best() -> None:
    A = rng.standard_normal((80, 60)) @ np.diag(0.8 ** np.arange(60))
    best = tail(np.linalg.svd(A, compute_uv=False), 5)
    errors = [
        np.sum((A - randomized(A, 5, np.random.default_rng(1), 5, p).product) ** 2)
        for p in (0, 1, 3)
    ]
    assert best <= errors[2] < 1.001 * best
    assert errors[2] < errors[1] < errors[0]
    exact = randomized(A, 5, np.random.default_rng(1), extra=55)
    assert np.sum((A - exact.product) ** 2) == pytest.approx(best)


def test_ten_more_columns_and_two_rounds_by_default() -> None:
    A = rng.standard_normal((40, 30))
    a = randomized(A, 3, np.random.default_rng(1))
    b = randomized(A, 3, np.random.default_rng(1), extra=10, power=2)
    np.testing.assert_array_equal(a.product, b.product)


def test_no_matrix_of_that_rank_is_closer_on_the_data() -> None:
    """Gradient descent on the factors, from ten starts, finds nothing better."""
    best = output_error(W, activation_aware(W, X, 3).product, X)
    assert best < output_error(W, truncated(W, 3).product, X)
    C = np.linalg.cholesky(X.T @ X).T
    s = np.linalg.svd(C @ W, compute_uv=False)
    assert best == pytest.approx(tail(s, 3) / np.sum((X @ W) ** 2), rel=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("samples", [1, 4, 60])
@pytest.mark.parametrize("damp", [1e-30, 1e-6, 1e-2])
def test_fewer_samples_than_inputs_are_no_error(
    samples: int, damp: float, dtype: Any
) -> None:
    """Cholesky's decomposition in float32 broke down, damped or not."""
    x, A = X[:samples].astype(dtype), W.astype(dtype)
    if dtype == np.float16 and damp == 1e-30 and samples == 1:
        with pytest.raises(ValueError, match=r"U in float16 has .* infinite"):
            activation_aware(A, x, 4, damp)
        return
    U, V = activation_aware(A, x, 4, damp)
    assert (U.dtype, V.dtype) == (dtype, dtype)
    assert (U.shape, V.shape) == ((12, 4), (4, 9))
    wide = x.astype(np.float64)
    Z = U.astype(np.float64) @ V.astype(np.float64)
    error = output_error(A.astype(np.float64), Z, wide)
    if samples <= 4 and damp <= 1e-6:  # rank 4 holds all that the inputs see
        assert error < 1e4 * np.finfo(dtype).eps
    else:
        plain = truncated(W, 4).product
        assert error < output_error(W, plain, wide) * 1.001


@pytest.mark.parametrize("damp", [1e-6, 0.5])
def test_the_damping_is_that_share_of_the_mean_diagonal(damp: float) -> None:
    """The best factors for the damped Gram matrix, from its own square root."""
    gram = X.T @ X
    gram += damp * np.mean(np.diag(gram)) * np.eye(12)
    values, vectors = np.linalg.eigh(gram)
    root = (vectors * np.sqrt(values)) @ vectors.T
    best = np.linalg.solve(root, truncated(root @ W, 3).product)
    np.testing.assert_allclose(activation_aware(W, X, 3, damp).product, best)
    if damp == 1e-6:
        default = activation_aware(W, X, 3).product
        np.testing.assert_array_equal(default, activation_aware(W, X, 3, damp).product)


def test_half_precision_has_factors_too() -> None:
    """LAPACK has no float16: a TypeError."""
    A = (300 * W).astype(np.float16)  # the products need more than float16 in between
    wide = A.astype(np.float64)
    for factors in (truncated(A, 5), randomized(A, 5, np.random.default_rng(1))):
        assert factors.U.dtype == factors.V.dtype == factors.product.dtype == np.float16
        best = truncated(wide, 5).product
        np.testing.assert_allclose(factors.product, best, atol=2)
    assert rank_for_energy(A, 0.9) == rank_for_energy(wide, 0.9)
    assert rank_for_energy(A.astype(np.longdouble), 0.9) == rank_for_energy(wide, 0.9)


def test_on_white_inputs_it_is_the_plain_svd() -> None:
    Q = np.linalg.qr(rng.standard_normal((60, 12)))[0]
    a, b = activation_aware(W, Q, 4), truncated(W, 4)
    np.testing.assert_allclose(a.product, b.product, atol=1e-9)


def test_the_rank_for_a_share_of_the_squares() -> None:
    A = np.diag([3.0, 2.0, 1.0, 0.0])  # squares 9, 4, 1
    found = [rank_for_energy(A, e) for e in (0.5, 9 / 14, 0.7, 13 / 14, 0.95, 1.0)]
    assert found == [1, 1, 2, 2, 3, 3]
    assert rank_for_energy(np.zeros((3, 2)), 0.9) in (1, 2)


@pytest.mark.parametrize(
    ("n", "m"), [(196, 300), (4, 4), (1, 7), (1024, 1024), (1, 1), (2, 3)]
)
def test_break_even_is_the_last_rank_that_saves(n: int, m: int) -> None:
    r = break_even(n, m)
    assert r * (n + m) < n * m <= (r + 1) * (n + m)


def test_the_codec_counts_both_factors() -> None:
    x = W.astype(np.float32)
    assert nbytes(LowRank(3).encode(x)) == 4 * 3 * (12 + 9)


def test_a_factored_network_is_the_one_with_the_products() -> None:
    params = nn.init_mlp(np.random.default_rng(1), [12, 9, 4])
    params |= {k: rng.random(w.shape) for k, w in params.items() if w.ndim == 1}
    thin = {k: w for k, w in params.items() if k != "layer1.W"}
    factors = truncated(params["layer1.W"], 9)
    thin |= {"layer1.U": factors.U, "layer1.V": factors.V}
    np.testing.assert_allclose(factored_mlp(thin, X), nn.mlp(params, X), atol=1e-12)


def test_lora_starts_as_the_network_and_trains_alone() -> None:
    params = nn.init_mlp(np.random.default_rng(1), [12, 9, 4])
    lora = init_lora(np.random.default_rng(2), params, ["layer1.W"], 2)
    assert {k: w.shape for k, w in lora.items()} == {
        "layer1.W.A": (12, 2),
        "layer1.W.B": (2, 9),
    }
    same = with_lora(params, lora)
    np.testing.assert_array_equal(same["layer1.W"], params["layer1.W"])

    def loss(lora: Any, x: Array, y: Any) -> Any:
        return autodiff.cross_entropy(nn.mlp(with_lora(params, lora, 6.0), x), y)

    y = np.arange(60) % 4
    _, grads = value_and_grad(loss)(lora, X, y)
    assert grads.keys() == lora.keys()
    assert np.abs(grads["layer1.W.B"]).max() > 0 == np.abs(grads["layer1.W.A"]).max()
    lora["layer1.W.B"] = rng.standard_normal((2, 9))
    merged = with_lora(params, lora, alpha=6.0)["layer1.W"]
    change = lora["layer1.W.A"] @ lora["layer1.W.B"]
    np.testing.assert_allclose(merged, params["layer1.W"] + 3.0 * change)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (6, 6)])
def test_galore_at_full_rank_is_gradient_descent(shape: tuple[int, int]) -> None:
    rule = GaLore(optim.GradientDescent(), r=6, every=2, scale=0.5)
    w = np.zeros(shape)
    s = rule.init(w)
    for t in range(1, 5):
        g = rng.standard_normal(shape)
        u, s = rule.update(g, s, w, t)
        np.testing.assert_allclose(u, 0.5 * g, atol=1e-12)


def test_galore_runs_the_rule_in_the_basis_of_the_gradient() -> None:
    rule = GaLore(optim.Adam(), r=2, every=3, scale=1.0)
    g = [rng.standard_normal((5, 8)) for _ in range(4)]
    w = np.zeros((5, 8))
    s, inner = rule.init(w), optim.Adam().init(np.zeros((2, 8)))
    for t in range(1, 5):
        u, s = rule.update(g[t - 1], s, w, t)
        if t in (1, 4):  # found again every three steps
            P = np.linalg.svd(g[t - 1])[0][:, :2]
            P = P * np.sign([max(column, key=abs) for column in P.T])
        n, inner = optim.Adam().update(P.T @ g[t - 1], inner, np.zeros((2, 8)), t)
        np.testing.assert_allclose(u, P @ n)
        assert np.linalg.matrix_rank(u) == 2


def test_galore_shows_its_rule_the_weights_in_the_basis() -> None:
    """A decay inside pulls the weights, and not the gradient, towards zero."""
    rule = GaLore(optim.chain(optim.GradientDescent(), optim.WeightDecay(0.5)), 2)
    g, w = rng.standard_normal((5, 8)), rng.standard_normal((5, 8))
    u, s = rule.update(g, rule.init(w), w, 1)
    P = s.basis
    np.testing.assert_allclose(u, 0.25 * P @ (P.T @ g + 0.5 * P.T @ w))
    assert (rule.every, rule.scale, rule.elementwise) == (50, 0.25, False)


@pytest.mark.parametrize("shape", [(5, 8), (8, 5)])
def test_galores_basis_keeps_its_signs(shape: tuple[int, int]) -> None:
    """Signs were LAPACK's: with -g, the same directions, a moment could turn round."""
    rule = GaLore(optim.Momentum(), 3, every=1)
    g = rng.standard_normal(shape)
    _, s = rule.update(g, rule.init(g), g, 1)
    for change in (-g, g + 1e-6 * rng.standard_normal(shape), 3 * g):
        _, other = rule.update(change, s, g, 2)
        np.testing.assert_allclose(other.basis, s.basis, atol=1e-4)
    for column in s.basis.T:
        assert max(column, key=abs) > 0


def test_galore_finds_its_basis_at_steps_one_and_every_few_after() -> None:
    rule = GaLore(optim.Momentum(), 2, every=3)
    w = np.zeros((4, 6))
    s, bases = rule.init(w), []
    for t in range(1, 9):
        _, s = rule.update(rng.standard_normal((4, 6)), s, w, t)
        bases.append(s.basis)
    new = [t for t in range(2, 9) if bases[t - 1] is not bases[t - 2]]
    assert new == [4, 7]
    for b in bases:
        np.testing.assert_allclose(b.T @ b, np.eye(2), atol=1e-12)


def test_galore_goes_on_with_another_interval() -> None:
    """The moments live in whatever basis there is: nothing else depends on it."""
    rule, other = (GaLore(optim.Adam(), 2, every=n) for n in (4, 7))
    w, (early, late) = np.zeros((4, 6)), (range(1, 6), range(6, 30))
    s = rule.init(w)
    for t in early:
        u, s = rule.update(rng.standard_normal((4, 6)), s, w, t)
    before = s.basis
    for t in late:
        u, s = other.update(rng.standard_normal((4, 6)), s, w, t)
        assert (s.basis is before) == ((t - 1) % 7 != 0)
        before = s.basis
        assert np.abs(u).max() < 5 * 0.25


def test_galore_turns_with_the_matrix() -> None:
    rule = GaLore(optim.Momentum(), r=2)
    g = rng.standard_normal((5, 8))
    wide, _ = rule.update(g, rule.init(g), g, 1)
    tall, _ = rule.update(g.T, rule.init(g.T), g.T, 1)
    np.testing.assert_allclose(wide, tall.T)
    assert nbytes(rule.init(g)) == 8 * (5 * 2 + 2 * 8)


BAD: list[tuple[Any, str]] = [
    (
        lambda: truncated(W, 0),
        r"r, a rank for shape \(12, 9\), must be an int in \[1, 9\]",
    ),
    (lambda: truncated(W, 10), r"r, .*, must be an int in \[1, 9\], got 10"),
    (lambda: randomized(W, 3, rng, extra=-1), "extra must be an int >= 0, got -1"),
    (lambda: activation_aware(W, W, 3), r"x must be \(samples, 12\), got \(12, 9\)"),
    (lambda: rank_for_energy(W, 0.0), r"energy must be in \(0, 1\], got 0.0"),
    (lambda: truncated(np.full((2, 2), np.nan), 1), "W has 4 entries that are NaN"),
    (lambda: init_lora(rng, {"W": W}, ["W"], 10), r"r, .*, must be an int in \[1, 9\]"),
    (lambda: with_lora({"W": W}, {"V.A": W, "V.B": W}), "'V.A' fits no parameter"),
    (lambda: with_lora({"W": W}, {"W.B": W}), "'W.B' has no other factor"),
    (
        lambda: with_lora({"W": W}, {"W.A": W, "W.B": np.ones((W.shape[1], 99))}),
        "does not fit 'W'",
    ),
    (lambda: GaLore(optim.Adam(), 0), "GaLore.r must be an int >= 1, got 0"),
    (lambda: GaLore(optim.Adam(), 2, every=0), "GaLore.every must be an int >= 1"),
    (
        lambda: GaLore(optim.Adam(), 2, scale=0),
        r"GaLore.scale must be in \(0, inf\), got 0",
    ),
    (lambda: GaLore(2, 2), "GaLore.rule is not a rule, got 2"),  # type: ignore[arg-type]
    (lambda: GaLore(optim.Adam(), 2).init(W[0]), r"GaLore needs a matrix, got shape"),
    (lambda: GaLore(optim.Adam(), 99).init(W), "GaLore.r, a rank for shape .*, got 99"),
    (
        lambda: GaLore(optim.GradientDescent(), 2).update(
            W * np.inf, GaLore(optim.GradientDescent(), 2).init(W), W, 1
        ),
        "the gradient has 108 entries that are NaN or infinite",
    ),
    (lambda: randomized(W, 3, rng, power=1.5), "power must be an int >= 0, got 1.5"),  # type: ignore[arg-type]
    (lambda: activation_aware(W, X * 0, 3), "x is zero everywhere"),
    (lambda: activation_aware(W, X, 3, damp=0), r"damp must be in \(0, inf\), got 0"),
    (lambda: init_lora(rng, {"W": W}, ["V"], 2), "no parameter is named 'V'"),
    (lambda: with_lora({"W": W}, {}, np.nan), "alpha must be a finite number, got nan"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("shape", [(2**18, 1), (1, 2**18)])
def test_no_square_matrix_is_made_of_a_thin_one(shape: tuple[int, int]) -> None:
    """It would take half a terabyte."""
    A, x = np.ones(shape), np.ones((1, shape[0]))
    for factors in (
        truncated(A, 1),
        randomized(A, 1, np.random.default_rng(1)),
        *([activation_aware(A, x, 1)] if shape[0] == 1 else []),
    ):
        np.testing.assert_allclose(factors.product, A)
    rule = GaLore(optim.GradientDescent(), 1, scale=1.0)
    u, _ = rule.update(A, rule.init(A), A, 1)
    np.testing.assert_allclose(u, A)


@pytest.mark.parametrize(
    ("dtype", "known"), [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("g", "f8")]
)
def test_lapack_gets_the_nearest_type_it_knows(dtype: str, known: str) -> None:
    assert wide(np.ones((2, 2), dtype)).dtype == known


def test_a_share_is_kept_but_for_rounding() -> None:
    """A rank counts that misses the share by less than 1e-12."""
    for missing, rank in ((0.5e-12, 1), (1.5e-12, 2)):
        squares = np.array([0.75 - missing, 0.25 + missing])
        assert rank_for_energy(np.diag(np.sqrt(squares)), 0.75) == rank


def test_the_first_factor_of_lora_has_the_papers_variance() -> None:
    lora = init_lora(np.random.default_rng(2), {"W": W}, ["W"], 2)
    drawn = np.random.default_rng(2).standard_normal((12, 2))
    np.testing.assert_allclose(lora["W.A"], drawn / 12**0.5)


def test_the_basis_of_a_square_matrix_is_on_its_left() -> None:
    rule = GaLore(optim.GradientDescent(), 2)
    g = rng.standard_normal((5, 5))
    _, s = rule.update(g, rule.init(g), g, 1)
    left = np.linalg.svd(g)[0][:, :2]
    np.testing.assert_allclose(np.abs(s.basis), np.abs(left))
