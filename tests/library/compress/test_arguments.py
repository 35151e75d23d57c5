"""Arguments of all public names: documented defaults, Python's numbers, bad calls."""

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest

from deepopt_lib import compress, optim
from deepopt_lib.compress import (
    NM,
    Affine,
    Blockwise,
    Codebook,
    GaLore,
    LowRank,
    Quantized,
    encode_sparse,
    fastest,
    gptq,
    hessian,
    huffman,
    int8_layer,
    integer_mlp,
    k_means,
    multiplier,
    obs,
    output_error,
    randomized,
    rank_for_energy,
    smallest,
    sparse_linear,
    sparsegpt,
    sum_shared,
    table,
    to_format,
    to_gaps,
    top_blocks,
    top_nm,
    truncated,
    unpack_bits,
    with_lora,
)
from deepopt_lib.core import Params

DEFAULTS: dict[str, dict[str, Any]] = {
    "Affine": {
        **{"bits": 8, "symmetric": False, "axis": None, "block": None},
        "range": "minmax",
    },
    "Blockwise": {"grid": "dynamic", "bits": 8, "block": 256},
    "Codebook": {"bits": 4, "start": "linear"},
    "GaLore": {"every": 50, "scale": 0.25},
    "NM": {"n": 2, "m": 4},
    "Quantized": {"smallest": 4096},
    "activation_aware": {"damp": 1e-6},
    "compress": {"bits": 4, "start": "linear"},
    "encode_sparse": {"bits": 4, "gap_bits": None, "start": "linear"},
    "fastest": {"block": (4, 4), "rounds": 5},
    "gptq": {"damp": 0.01},
    "gradual": {"start": 0.0},
    "hash_places": {"seed": 0},
    "hessian": {"damp": 0.01},
    "k_means": {"start": "linear", "rng": None, "iterations": 100},
    "obs": {"damp": 0.01},
    "randomized": {"extra": 10, "power": 2},
    "smallest": {"block": (4, 4)},
    "sparsegpt": {"sparsity": 0.5, "nm": None, "block": 128, "damp": 0.01},
    "spread": {"signs": 1.0},
    "table": {"signed": True},
    "to_format": {"block": (4, 4)},
    "top_share": {"axis": None},
    "with_lora": {"alpha": 1.0},
}


def test_the_defaults_of_all_public_names() -> None:
    """Functions are left out: the activation, the progress, a new codec."""
    found = {}
    for name in set(compress.__all__) - {"Mask", "Model"}:
        value = getattr(compress, name)
        if callable(value):
            given = inspect.signature(value).parameters.values()
            kept = {p.name: p.default for p in given if p.default is not p.empty}
            plain = (bool, int, float, str, tuple, type(None))
            kept = {k: v for k, v in kept.items() if isinstance(v, plain)}
            if kept:
                found[name] = kept
    assert found == DEFAULTS


THREE: Any = np.int64(3)
SEVEN: Any = np.int64(7)
HALF: Any = np.float32(0.5)
YES: Any = np.bool_(True)


@pytest.mark.parametrize(
    "made",
    [
        Affine(THREE, YES, axis=THREE),
        Affine(block=THREE),
        Blockwise(bits=THREE, block=THREE),
        Codebook(THREE),
        GaLore(optim.Adam(), THREE, THREE, HALF),
        LowRank(THREE),
        NM(THREE, SEVEN),
        Quantized(optim.Adam(), smallest=THREE),
    ],
    ids=lambda made: type(made).__name__,
)
def test_numbers_of_numpy_become_those_of_python(made: Any) -> None:
    for field in dataclasses.fields(made):
        assert not isinstance(getattr(made, field.name), np.generic), field.name
    assert "np." not in repr(made)


W = np.random.default_rng(0).standard_normal((8, 6))
X = np.random.default_rng(1).standard_normal((9, 8))
MLP: Params = {"layer1.W": W, "layer1.b": np.ones(6)}
NAN = np.full((2, 2), np.nan)
S = to_format(W, "CSR")
BYTES, PLACES = np.zeros(1, np.uint8), np.arange(2)

BAD: list[tuple[Any, str]] = [
    (lambda: NM().encode(np.ones(4)), r"x must have 2 axes, got shape \(4,\)"),
    (lambda: NM().encode(np.ones((4, 2, 2))), "x must have 2 axes"),
    (lambda: NM(1, 2**16 + 1), r"NM.m must be an int in \[2, 65536\], got 65537"),
    (lambda: NM(1, 2**17), r"NM.m must be an int in \[2, 65536\], got 131072"),
    (lambda: Affine(axis=-65), r"Affine.axis must be an int in \[-64, 64\], got -65"),
    (lambda: Affine(4).encode(NAN, Affine(4).fit(W)), "x has 4 entries that are NaN"),
    (lambda: Affine(4).round(NAN, Affine(4).fit(W)), "x has 4 entries that are NaN"),
    (lambda: Affine(4).fit(np.ones(3, np.float16)), "x must be float32 or float64"),
    (lambda: table("linear", 1), r"bits must be an int in \[2, 8\], got 1"),
    (lambda: encode_sparse(W, 13), r"bits must be an int in \[1, 12\], got 13"),
    (lambda: encode_sparse(W, 0), r"bits must be an int in \[1, 12\], got 0"),
    (lambda: smallest(W[0, :4]), r"W must have 2 axes, got shape \(4,\)"),
    (lambda: smallest(W, block=(0, 2)), r"block\[0\] must be an int >= 1, got 0"),
    (lambda: smallest(W * np.nan), "W has 48 entries that are NaN"),
    (lambda: fastest(W[0, :4], X), r"W must have 2 axes, got shape \(4,\)"),
    (lambda: to_format(W[None], "dense"), "W must have 2 axes"),
    (lambda: truncated(W[0], 1), r"W must have 2 axes, got shape \(6,\)"),
    (lambda: truncated(np.ones((2, 2), int), 1), "W must be a floating-point array"),
    (lambda: rank_for_energy(W[0], 0.5), r"W must have 2 axes, got shape \(6,\)"),
    (lambda: rank_for_energy(NAN, 0.5), "W has 4 entries that are NaN"),
    (lambda: rank_for_energy(W, 1.5), r"energy must be in \(0, 1\], got 1.5"),
    (
        lambda: randomized(W, 2, np.random.default_rng(0), power=-1),
        "power must be an int >= 0, got -1",
    ),
    (lambda: with_lora({"W": W}, {"W.C": W}), "'W.C' fits no parameter"),
    (lambda: with_lora({"W": W}, {"A": W}), "'A' fits no parameter"),
    (lambda: with_lora({"W": W}, {"W.A": W}), "'W.A' has no other factor"),
    (lambda: GaLore(optim.Adam(), 2).init(W[None]), "GaLore needs a matrix"),
    (lambda: k_means(np.ones(3), 1, iterations=-1), "iterations must be an int >= 0"),
    (lambda: sum_shared(np.ones(1), np.array([3]), 3), r"labels .* must be in \[0, 3"),
    (lambda: top_nm(W[0], 2, 4), r"score must have 2 axes, got shape \(6,\)"),
    (lambda: top_nm(W[None], 2, 4), "score must have 2 axes"),
    (lambda: top_blocks(W[0], (2, 2), 0.5), "score must have 2 axes"),
    (lambda: top_blocks(W[None], (1, 2), 0.5), "score must have 2 axes"),
    (lambda: top_blocks(NAN, (1, 2), 0.5), "score has 4 entries that are NaN"),
    (lambda: hessian(X[0]), r"x must have 2 axes, got shape \(8,\)"),
    (lambda: output_error(W, W, X[:, :5]), r"x must be \(samples, 8\), got \(9, 5\)"),
    (lambda: obs(W, X[:, :5], 0.5), r"x must be \(samples, 8\), got \(9, 5\)"),
    (lambda: sparsegpt(W, X[:, :5]), r"x must be \(samples, 8\), got \(9, 5\)"),
    (lambda: sparsegpt(W, X, 1.0, nm=(2, 4)), r"sparsity must be in \[0, 1\), got 1.0"),
    (lambda: gptq(W, X[:, :5], Affine(4)), r"x must be \(samples, 8\), got \(9, 5\)"),
    (lambda: gptq(W, X, Affine(4, axis=-2)), "gptq needs a scale in all or for each"),
    (lambda: gptq(W, X, Affine(4, axis=2)), "gptq needs a scale in all or for each"),
    (lambda: obs(W[0], X, 0.5), r"W must have 2 axes, got shape \(6,\)"),
    (lambda: obs(W[None], X[None], 0.5), "W must have 2 axes"),
    (lambda: obs(W, X[0], 0.5), r"x must have 2 axes, got shape \(8,\)"),
    (lambda: obs(W, X[:, :, None], 0.5), "x must have 2 axes"),
    (lambda: top_blocks(W, (2, 2, 2), 0.5), "block must be two ints, got"),  # type: ignore[arg-type]
    (lambda: top_blocks(W, (2, 4), 0.5), r"block \(2, 4\) does not divide"),
    (lambda: unpack_bits(BYTES, 0, 8), r"bits must be an int in \[1, 16\], got 0"),
    (lambda: unpack_bits(BYTES, 17, 0), r"bits must be an int in \[1, 16\], got 17"),
    (lambda: to_gaps(PLACES, 0), r"bits must be an int in \[1, 16\], got 0"),
    (lambda: to_gaps(PLACES, 17), r"bits must be an int in \[1, 16\], got 17"),
    (lambda: huffman(PLACES, 0), r"alphabet must be an int in \[1, 65536\], got 0"),
    (
        lambda: huffman(PLACES, 2**16 + 1),
        r"alphabet must be an int in \[1, 65536\], got 65537",
    ),
    (lambda: int8_layer(W[0]), r"W must have 2 axes, got shape \(6,\)"),
    (lambda: int8_layer(NAN), "W has 4 entries that are NaN"),
    (lambda: multiplier(np.array([0.5, 2.0**-31.5])), "M must be in .*, got .* to 0.5"),
    (lambda: integer_mlp(MLP, X[0]), r"x must have 2 axes, got shape \(8,\)"),
    (lambda: integer_mlp(MLP, X[:, :, None]), "x must have 2 axes"),
    (
        lambda: integer_mlp({**MLP, "layer1.W": W[0]}, X),
        r"layer1.W must have 2 axes, got shape \(6,\)",
    ),
    (
        lambda: integer_mlp({**MLP, "layer1.b": np.ones((6, 1))}, X),
        r"layer1.b must have 1 axes, got shape \(6, 1\)",
    ),
    *(
        (lambda x=x, v=v, b=b: sparse_linear(x, v, b, pattern=S), "sparse_linear needs")
        for x, v, b in (
            (X[:, :5], S.data, W[0]),
            (X[0], S.data, W[0]),
            (X[:, :, None], S.data, W[0]),
            (X, S.data[1:], W[0]),
            (X, S.data, W[0, 1:]),
            (X, S.data[1:], W[0, 1:]),
        )
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
