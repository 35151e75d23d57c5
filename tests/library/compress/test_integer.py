"""Integer-only inference, and 8-bit weights at batch 1."""

from typing import Any

import numpy as np
import pytest

from deepopt_lib import nn
from deepopt_lib.compress import int8_layer, int8_linear, integer_mlp, multiplier
from deepopt_lib.compress.quantization import weight_only

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
    for bad in (0.0, 1.0, -0.1, 2.0):
        with pytest.raises(ValueError, match=r"M must be in \(0, 1\), got"):
            multiplier(np.array([bad]))


def test_the_logits_are_those_of_the_network() -> None:
    net, exact = integer_mlp(PARAMS, X), nn.mlp(PARAMS, X)
    step = net.scale_out
    error = np.abs(net(X) - exact)
    assert error.max() < 4 * step  # three layers, each rounded
    assert np.mean(error) < step
    agree = np.mean(net(X).argmax(axis=1) == exact.argmax(axis=1))
    assert agree > 0.95


def test_one_layer_is_the_formula_in_whole_numbers() -> None:
    """Jacob et al. (2018), eqs. 5 to 7, on Python ints."""
    params = {"layer1.W": PARAMS["layer1.W"], "layer1.b": PARAMS["layer1.b"]}
    net = integer_mlp(params, X)
    (layer,) = net.layers
    for x, found in zip(X[:20], net.codes(X[:20]), strict=True):
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
    assert net.codes(X).dtype == np.uint8
    assert [int(layer.zero_out) for layer in net.layers[:-1]] == [0, 0]  # relu


@pytest.mark.parametrize(
    ("params", "x", "message"),
    [
        (PARAMS, X[:, :5], r"layer1.W \(20, 16\) does not fit 5 inputs"),
        (PARAMS, X * np.nan, "x has 6000 entries that are NaN"),
        ({**PARAMS, "layer1.W": PARAMS["layer1.W"] * np.inf}, X, "layer1.W has"),
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
    if not compiled:
        monkeypatch.setattr(weight_only, "numba_is_installed", lambda: False)
    W = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    x = np.random.default_rng(2).standard_normal(shape[0]).astype(np.float32)
    layer = int8_layer(W)
    assert layer.codes.shape == shape[::-1]
    assert layer.nbytes == W.size + 4 * shape[1]
    decoded = layer.scale * layer.codes.T.astype(np.float64)
    assert np.all(np.abs(decoded - W) <= layer.scale / 2 * (1 + 1e-5))
    y = int8_linear(x, layer)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, x @ decoded, rtol=1e-4, atol=1e-4)
    assert int8_linear(x.astype(np.float64), layer).dtype == np.float64


def test_a_vector_of_another_length_is_refused() -> None:
    layer = int8_layer(np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"x must be \(4,\), got \(3,\)"):
        int8_linear(np.ones(3), layer)
