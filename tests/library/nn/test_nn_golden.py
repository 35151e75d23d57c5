"""Layers against PyTorch, outputs and gradients in float64 (tests/golden)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepopt_lib import autodiff, nn
from deepopt_lib.autodiff import Statistics, running_statistics
from deepopt_lib.core import Array, Params

FILE = Path(__file__).parents[2] / "golden" / "torch_nn.json"
GOLDEN: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["cases"]
IDS = np.array([[1, 0, 1, 4], [1, 4, 2, 2]])


def value(i: int, k: int) -> float:
    return ((37 * i + 101 * k + 17 * i * k) % 211 - 105) / 128


def filled(shape: Any, k: int) -> Array:
    return np.array([value(i, k) for i in range(int(np.prod(shape)))]).reshape(shape)


# Ours from PyTorch's parameters. Each function is made of the tape's primitives, so
# that the gradients come back under PyTorch's names and shapes.


def last(x: Any) -> Any:
    """Put channels last: (batch, c, height, width) -> (batch, height, width, c)."""
    return autodiff.transpose(x, axes=(0, 2, 3, 1))


def first(x: Any) -> Any:
    """Put channels first."""
    return autodiff.transpose(x, axes=(0, 3, 1, 2))


def kernels(W: Any) -> Any:
    """Turn (c_out, c_in, kh, kw) into (kh, kw, c_in, c_out)."""
    return autodiff.transpose(W, axes=(2, 3, 1, 0))


def conv2d(pad: int) -> Any:
    return lambda p: first(
        autodiff.conv2d(last(p["x"]), kernels(p["weight"]), p["bias"], pad=pad)
    )


def conv_layer(p: Any) -> Any:
    W, b = kernels(p["0.weight"]), p["0.bias"]
    return first(autodiff.conv_layer(last(p["x"]), W, b, pad=1))


def conv_then_pool(p: Any) -> Any:
    W, b = kernels(p["0.weight"]), p["0.bias"]
    return first(
        autodiff.max_pool(autodiff.relu(autodiff.conv2d(last(p["x"]), W, b, pad=1)))
    )


def recurrent(layer: Any, number: int = 0) -> Any:
    """One bias is the sum of PyTorch's two."""

    def run(p: Any, x: Any = None) -> Any:
        W, U, b, c = (
            p[f"{k}_l{number}"]
            for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return layer(p["x"] if x is None else x, W.T, U.T, b + c)

    return run


def stacked(p: Any) -> Any:
    return recurrent(autodiff.lstm_layer, 1)(p, recurrent(autodiff.lstm_layer)(p))


def gru(p: Any) -> Any:
    n = p["weight_hh_l0"].shape[1]
    b, c = p["bias_ih_l0"], p["bias_hh_l0"]
    kept = np.repeat([1.0, 1.0, 0.0], n)  # the third part of c is not a summand
    W, U = p["weight_ih_l0"].T, p["weight_hh_l0"].T
    return autodiff.gru_layer(p["x"], W, U, b + c * kept, c[2 * n :])


def attention(heads: int, causal: bool, prefix: str = "") -> Any:
    def run(p: Any, x: Any = None) -> Any:
        params = {
            "W": p[f"{prefix}in_proj_weight"].T,
            "b": p[f"{prefix}in_proj_bias"],
            "Wo": p[f"{prefix}out_proj.weight"].T,
            "bo": p[f"{prefix}out_proj.bias"],
        }
        return nn.attention(params, p["x"], heads=heads, causal=causal)

    return run


def transformer_block(heads: int, **options: Any) -> Any:
    def run(p: Any) -> Any:
        params = {
            "attention.W": p["self_attn.in_proj_weight"].T,
            "attention.b": p["self_attn.in_proj_bias"],
            "attention.Wo": p["self_attn.out_proj.weight"].T,
            "attention.bo": p["self_attn.out_proj.bias"],
        }
        for i in (1, 2):
            params |= {
                f"mlp.layer{i}.W": p[f"linear{i}.weight"].T,
                f"mlp.layer{i}.b": p[f"linear{i}.bias"],
                f"norm{i}.g": p[f"norm{i}.weight"],
                f"norm{i}.b": p[f"norm{i}.bias"],
            }
        return nn.transformer_block(params, p["x"], heads=heads, **options)

    return run


def norm(op: Any, **options: Any) -> Any:
    return lambda p: op(p["x"], p["weight"], p["bias"], **options)


def batch_norm_images(p: Any) -> Any:
    return first(autodiff.batch_norm(last(p["x"]), p["weight"], p["bias"], eps=0.125))


FIXED = Statistics(filled((3,), 50), np.abs(filled((3,), 51)))

# By the names in the file; where a case has two equivalents, both are compared.
OURS: dict[str, list[Callable[[Any], Any]]] = {
    "conv2d": [conv2d(1)],
    "conv2d_valid": [conv2d(0)],
    "conv_layer": [conv_layer, conv_then_pool],
    "max_pool": [lambda p: first(autodiff.max_pool(last(p["x"])))],
    "avg_pool": [lambda p: first(autodiff.avg_pool(last(p["x"]), size=3))],
    "rnn": [recurrent(autodiff.rnn_layer)],
    "lstm": [recurrent(autodiff.lstm_layer)],
    "lstm_stacked": [stacked],
    "gru": [gru],
    "attention": [attention(2, causal=False)],
    "attention_causal": [attention(3, causal=True)],
    "transformer_block": [transformer_block(2)],
    "transformer_block_pre_norm": [transformer_block(3, causal=True, pre_norm=True)],
    "layer_norm": [norm(autodiff.layer_norm)],
    "layer_norm_eps": [norm(autodiff.layer_norm, eps=0.25)],
    "batch_norm": [norm(autodiff.batch_norm)],
    "batch_norm_images": [batch_norm_images],
    "batch_norm_evaluation": [norm(autodiff.batch_norm, statistics=FIXED)],
    "embedding": [lambda p: autodiff.embedding(p["weight"], IDS)],
}


def leaves(name: str) -> Params:
    shapes = GOLDEN[name]["shapes"]
    numbers = {"x": 0} if "x" in shapes else {}
    parameters = [k for k in shapes if k != "x"]
    numbers |= {k: i for i, k in enumerate(parameters, 1)}
    return {k: filled(shape, numbers[k]) for k, shape in shapes.items()}


@pytest.mark.parametrize(
    ("name", "f"),
    [pytest.param(k, f, id=f"{k}-{i}") for k in OURS for i, f in enumerate(OURS[k])],
)
def test_same_output_and_gradients_as_torch(name: str, f: Any) -> None:
    golden, params = GOLDEN[name], leaves(name)
    out = []

    def loss(p: Any) -> Any:
        y = f(p)
        out.append(y.value)
        return autodiff.sum(y * filled(y.shape, 99))

    _, grads = autodiff.value_and_grad(loss)(params)
    close: Any = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(out[0].ravel(), golden["output"], **close)
    assert grads.keys() == golden["gradients"].keys()
    for k, expected in golden["gradients"].items():
        np.testing.assert_allclose(grads[k].ravel(), expected, err_msg=k, **close)


@pytest.mark.parametrize(
    ("name", "mu"), [("batch_norm", 0.8), ("batch_norm_images", 0.9)]
)
def test_same_running_statistics_as_torch(name: str, mu: float) -> None:
    x, buffers = leaves(name)["x"], GOLDEN[name]["buffers"]
    if x.ndim == 4:
        x = last(x)
    n = x.shape[-1]
    found = running_statistics(x, Statistics(np.zeros(n), np.ones(n)), mu)
    np.testing.assert_allclose(found.mean, buffers["running_mean"], rtol=1e-12)
    np.testing.assert_allclose(found.var, buffers["running_var"], rtol=1e-12)


def test_every_golden_case_is_compared() -> None:
    assert GOLDEN.keys() == OURS.keys()


def test_golden_cases_are_not_flat() -> None:
    """A file of constants would let anything pass."""
    for name, case in GOLDEN.items():
        for k, numbers in {"output": case["output"], **case["gradients"]}.items():
            assert np.ptp(numbers) > 1e-3, f"{name}: {k}"
