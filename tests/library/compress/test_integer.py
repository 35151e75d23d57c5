"""Integer-only inference, and 8-bit weights at batch 1."""

from typing import Any

import numpy as np
import pytest

from deepopt_lib import nn
from deepopt_lib.compress import int8_layer, int8_linear, integer_mlp, multiplier
from deepopt_lib.compress.quantization import weight_only
from deepopt_lib.core import matmul, nbytes

rng = np.random.default_rng(0)
PARAMS = nn.init_mlp(rng, [20, 16, 12, 5])
PARAMS = {k: w + (0.1 if k.endswith("b") else 0) for k, w in PARAMS.items()}
X = rng.random((300, 20)) - 0.2


def test_the_multiplier_is_exact_to_31_bits() -> None:
    M = np.concatenate([10.0 ** -rng.uniform(0.01, 6, 100), [0.5, 1 - 2**-40]])
    factor, shift = multiplier(M)
    assert factor.dtype == np.int32
    assert factor.min() >= 2**30
    np.testing.assert_allclose(factor * 2.0**-shift, M, rtol=2**-31)
    for bad in (0.0, 2.0**-32, -0.1, 2.0**30):
        with pytest.raises(
            ValueError, match=r"M must be in \[2\*\*-31, 2\*\*30\), got"
        ):
            multiplier(np.array([bad]))


def test_the_multiplier_goes_as_far_as_64_bits() -> None:
    M = np.array([2.0**-31, 60.5, 1e6, 2.0**30 - 1])
    factor, shift = multiplier(M)
    np.testing.assert_allclose(factor * 2.0**-shift, M, rtol=2**-31)


def test_a_bias_without_weights_takes_all_the_room() -> None:
    """What 20 products of the largest size leave of an int32, but for 2**12."""
    params = {"layer1.W": PARAMS["layer1.W"].copy(), "layer1.b": np.zeros(16)}
    params["layer1.W"][:, 3], params["layer1.b"][3] = 0, 1e6
    bias = int(integer_mlp(params, X).layers[0].b[3])
    assert bias == pytest.approx(2**31 - 2**12 - 20 * 127 * 255, abs=2)


def test_the_logits_are_those_of_the_network() -> None:
    net, exact = integer_mlp(PARAMS, X), nn.mlp(PARAMS, X)
    step = net.scale_out
    error = np.abs(net(X) - exact)
    assert error.max() < 4 * step  # three layers, each rounded
    assert np.mean(error) < step
    agree = np.mean(net(X).argmax(axis=1) == exact.argmax(axis=1))
    assert agree > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("column", [1e-6, 1e-30, 0.0])
@pytest.mark.parametrize("bias", [0.5, -0.5, 1e6, 0.0])
def test_units_with_next_to_no_weights_keep_their_bias(
    column: float, bias: float, dtype: Any
) -> None:
    """The bias overflowed 32 bits, in silence: 64 % error. Zeros were refused."""
    params = {k: w.astype(dtype) for k, w in PARAMS.items()}
    params["layer1.W"][:, 3] *= dtype(column)
    params["layer1.b"][3] = bias
    x = X.astype(dtype)
    net, exact = integer_mlp(params, x), nn.mlp(params, x)
    assert np.mean(np.abs(net(x) - exact)) < net.scale_out
    unit = net.layers[0]
    assert np.abs(unit.b.astype(np.int64)).max() + 20 * 127 * 255 < 2**31
    if bias == 0.5:
        h = np.maximum(matmul(x, params["layer1.W"]) + params["layer1.b"], 0)
        alone = {"layer1.W": params["layer1.W"], "layer1.b": params["layer1.b"]}
        first = integer_mlp(alone, x)
        assert np.abs(first(x)[:, 3] - h[:, 3]).max() < first.scale_out


def test_a_layer_whose_outputs_hardly_vary() -> None:
    """M is above 1: a product is worth more than a step of the output."""
    W = np.array([[1.0], [-1.0]])
    x = np.repeat(np.linspace(0, 1, 9)[:, None], 2, axis=1)
    x[:, 0] += np.linspace(0, 1e-3, 9)
    params = {"layer1.W": W, "layer1.b": np.zeros(1)}
    net = integer_mlp(params, x)
    assert np.abs(net(x) - matmul(x, W)).max() < 1 / 255


def test_sums_that_could_overflow_are_refused() -> None:
    W = np.zeros((2**16 + 1, 1))
    with pytest.raises(
        ValueError, match=r"layer1.W has 65537 inputs, int32 sums 65536"
    ):
        integer_mlp({"layer1.W": W, "layer1.b": np.ones(1)}, np.ones((1, 2**16 + 1)))


def test_the_longest_sums_do_not_overflow() -> None:
    n = 2**16
    params = {"layer1.W": np.ones((n, 2)), "layer1.b": np.array([0.0, 1e-3])}
    x = np.vstack([np.ones(n), np.zeros(n), -np.ones(n)])
    net = integer_mlp(params, x)
    exact = matmul(x, params["layer1.W"]) + params["layer1.b"]
    assert np.abs(net(x) - exact).max() <= net.scale_out


def test_one_layer_is_the_formula_in_whole_numbers() -> None:
    """Jacob et al. (2018), eqs. 5 to 7, on Python ints."""
    params = {"layer1.W": PARAMS["layer1.W"], "layer1.b": PARAMS["layer1.b"]}
    net = integer_mlp(params, X)
    (layer,) = net.layers
    inputs = np.vstack([X[:10], 5 * X[:10]])  # also beyond the calibrated range
    for x, found in zip(inputs, net.codes(inputs), strict=True):
        q = [
            min(max(round(float(v / net.scale_in)) + int(net.zero_in), 0), 255)
            for v in x
        ]
        for j in range(16):
            total = sum(a * int(w) for a, w in zip(q, layer.W[:, j], strict=True))
            total += int(layer.b[j])
            m, s = int(layer.factor[j]), int(layer.shift[j])
            out = (total * m + (1 << (s - 1))) >> s
            assert found[j] == min(max(out + int(layer.zero_out), 0), 255)


def test_everything_stored_is_an_integer_and_sums_fit() -> None:
    net = integer_mlp(PARAMS, X)
    types = ["int8", "int32", "int32", "int8", "uint8"]
    for layer in net.layers:
        assert [a.dtype.name for a in layer] == types
        worst = len(layer.W) * 127 * 255 + np.abs(layer.b.astype(np.int64)).max()
        assert worst < 2**31
        assert (np.abs(layer.W.astype(int)).max(axis=0) == 127).all()  # each its own
    assert net.codes(X).dtype == np.uint8
    assert [int(layer.zero_out) for layer in net.layers[:-1]] == [0, 0]  # relu


@pytest.mark.parametrize(
    ("params", "x", "message"),
    [
        (PARAMS, X[:, :5], r"layer1.W \(20, 16\) does not fit 5 inputs"),
        (PARAMS, X * np.nan, "x has 6000 entries that are NaN"),
        ({**PARAMS, "layer1.W": PARAMS["layer1.W"] * np.inf}, X, "layer1.W has"),
        ({**PARAMS, "layer2.b": PARAMS["layer2.b"] * np.nan}, X, "layer2.b has"),
        ({**PARAMS, "layer2.b": np.ones(3)}, X, r"layer2.W .* does not fit a bias"),
        ({"layer1.W": X}, X, r"params must be layer1.W, layer1.b, ..., got \["),
        ({}, X, r"params must be layer1.W, layer1.b, ..., got \[\]"),
    ],
)
def test_what_does_not_fit_is_refused(params: Any, x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        integer_mlp(params, x)


@pytest.mark.parametrize("shape", [(40, 64), (33, 7), (5, 3), (1, 1), (16, 130)])
@pytest.mark.parametrize("compiled", [True, False])
def test_8_bit_weights_give_nearly_the_same_products(
    shape: tuple[int, int], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = []

    def loop() -> Any:  # the loop before it is compiled
        loops.append(compiled)
        return weight_only._products

    monkeypatch.setattr(weight_only, "numba_is_installed", lambda: compiled)
    monkeypatch.setattr(weight_only, "_compiled", loop)
    W = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    x = np.random.default_rng(2).standard_normal(shape[0]).astype(np.float32)
    layer = int8_layer(W)
    assert layer.codes.shape == shape[::-1]
    assert nbytes(layer) == W.size + 4 * shape[1]
    decoded = layer.scale * layer.codes.T.astype(np.float64)
    assert np.all(np.abs(decoded - W) <= layer.scale / 2 * (1 + 1e-5))
    y = int8_linear(x, layer)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, matmul(x, decoded), rtol=1e-4, atol=1e-4)
    assert int8_linear(x.astype(np.float64), layer).dtype == np.float64
    assert loops == 2 * [True] * compiled


def test_the_compiled_loop_is_the_loop() -> None:
    pytest.importorskip("numba")
    W = np.random.default_rng(1).standard_normal((40, 66)).astype(np.float32)
    x = np.random.default_rng(2).standard_normal(40).astype(np.float32)
    layer = int8_layer(W)
    decoded = layer.scale * layer.codes.T.astype(np.float64)
    np.testing.assert_allclose(int8_linear(x, layer), matmul(x, decoded), atol=1e-4)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones(3), r"x must be \(4,\), got \(3,\)"),
        (np.ones((4, 1)), r"x must have 1 axes, got shape \(4, 1\)"),
        (np.arange(4), "x must be a floating-point array, got int64"),
        ([1.0] * 4, "x must be a floating-point array, got"),
        (np.full(4, np.nan), "x has 4 entries that are NaN"),
    ],
)
def test_what_is_no_input_of_the_layer_is_refused(x: Any, message: str) -> None:
    """The products of integers were cut off to integers."""
    with pytest.raises(ValueError, match=message):
        int8_linear(x, int8_layer(np.ones((4, 3))))
