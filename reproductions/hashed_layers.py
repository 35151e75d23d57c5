"""Networks of few numbers: hashed layers, low rank, or fewer hidden units.

Each has the form 784-1000-10 or comes from it, and a budget: one in so many of its
weights and biases.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from deepopt_lib import autodiff, compress, nn
from deepopt_lib.core import Params

__all__ = ["SIZES", "Hashes", "budget", "hidden_units", "logits", "network", "rank"]

SIZES = (784, 1000, 10)


class Hashes(NamedTuple):
    """Where the values of a hashed layer go, and with which sign: the last row is b."""

    places: Any
    signs: Any


def budget(part: int, sizes: tuple[int, ...] = SIZES) -> list[int]:
    """Return how many values each layer has when one in ``part`` is stored."""
    return [(a + 1) * b // part for a, b in itertools.pairwise(sizes)]


def hidden_units(numbers: int, sizes: tuple[int, ...] = SIZES) -> int:
    """Return how many hidden units a dense network of so many numbers has, rounded up.

    ``(n_in + 1) * h + (h + 1) * n_out``: rounded to the favor of the control.
    """
    n_in, _, n_out = sizes
    return -(-(numbers - n_out) // (n_in + 1 + n_out))


def rank(numbers: int, sizes: tuple[int, ...] = SIZES) -> int:
    """Return the rank of a first layer in a network of at most so many numbers."""
    n_in, h, n_out = sizes
    return (numbers - h - (h + 1) * n_out) // (n_in + h)


def network(
    piece: str, rng: np.random.Generator, sizes: tuple[int, ...] = SIZES
) -> tuple[Params, list[Hashes | None]]:
    """Draw a network's parameters, and the hashes of its layers if it has any."""
    kind, _, fraction = piece.rpartition(" 1/")
    counts = budget(int(fraction), sizes) if kind else []
    none: list[Hashes | None] = [None] * (len(sizes) - 1)
    if kind == "hashed":
        params: Params = {}
        hashes: list[Hashes | None] = []
        for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
            values = rng.standard_normal(counts[i]) * np.sqrt(2 / n_in)
            params[f"layer{i + 1}.values"] = values.astype(np.float32)
            seed = int(rng.integers(2**31))
            places, signs = compress.hash_places((n_in + 1, n_out), counts[i], seed)
            hashes.append(Hashes(places, signs.astype(np.float32)))
        return params, hashes
    if kind == "small":
        sizes = (sizes[0], hidden_units(sum(counts), sizes), sizes[2])
    params = nn.init_mlp(rng, sizes, dtype=np.float32)
    if kind == "low rank":
        r = rank(sum(counts), sizes)
        del params["layer1.W"]
        params["layer1.U"] = nn.draw_linear(rng, sizes[0], r, 1, np.float32)["W"]
        params["layer1.V"] = nn.draw_linear(rng, r, sizes[1], 2, np.float32)["W"]
    return params, none


def layer(p: Any, i: int, x: Any, hashes: Hashes | None) -> Any:
    """Return layer ``i`` of x (batch, n_in): (batch, n_out)."""
    if hashes is not None:
        places, signs = hashes
        values = p[f"layer{i}.values"]
        W = compress.spread(values, places=places[:-1], signs=signs[:-1])
        b = compress.spread(values, places=places[-1], signs=signs[-1])
        return autodiff.linear(x, W, b)
    if f"layer{i}.U" in p:
        inner = autodiff.matmul(x, p[f"layer{i}.U"])
        return autodiff.linear(inner, p[f"layer{i}.V"], p[f"layer{i}.b"])
    return autodiff.linear(x, p[f"layer{i}.W"], p[f"layer{i}.b"])


def logits(
    p: Any,
    x: Any,
    hashes: list[Hashes | None],
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Any:
    """Return the logits of x (batch, 784): (batch, 10), without dropout if no rng."""
    for i, own in enumerate(hashes, 1):
        if dropout:
            x = autodiff.dropout(x, rate=dropout, rng=rng)
        x = layer(p, i, x, own)
        x = autodiff.relu(x) if i < len(hashes) else x
    return x
