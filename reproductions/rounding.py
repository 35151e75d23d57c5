"""Weights of few bits: rounded after training, or trained as they are rounded."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib import autodiff, compress, core, data, nn
from reproductions import lenet
from reproductions.common import Report

__all__ = [
    "EPOCHS",
    "WIDTHS",
    "Codes",
    "by_gptq",
    "codec",
    "nearest",
    "trained",
]

WIDTHS = {"8 bits": 8, "4 bits": 4, "3 bits": 3, "2 bits": 2, "three values": 2}
EPOCHS = 20  # of training with rounded weights

Codes = dict[str, compress.AffineCode]
"""The codes of the layers by name."""


def codec(name: str, range: str) -> compress.Affine:
    """Return the codec of a name: a grid for each output, its range found so."""
    if name == "two values":
        return compress.Affine(
            1, symmetric=True, axis=1
        )  # plus and minus the mean size
    symmetric = name == "three values"
    return compress.Affine(WIDTHS[name], symmetric=symmetric, axis=1, range=range)


def nearest(params: core.Params, codec: compress.Affine) -> Codes:
    """Round every weight to the nearest value."""
    return {k: codec.encode(params[k]) for k in lenet.MATRICES}


def by_gptq(params: core.Params, codec: compress.Affine, x: core.Array) -> Codes:
    """Round layer by layer; each sees what comes out of the rounded ones before it."""
    codes: Codes = {}
    for i, k in enumerate(lenet.MATRICES, 1):
        codes[k] = compress.gptq(params[k], x, codec)
        x = np.maximum(
            core.matmul(x, codec.decode(codes[k])) + params[f"layer{i}.b"], 0
        )
    return codes


def trained(
    params: core.Params,
    codec: compress.Affine,
    split: data.Split,
    seed: int,
    report: Report,
    lr: float,
) -> tuple[core.Params, Codes]:
    """Train weights that are rounded in the forward pass; return them and their codes.

    The grids are those of the start: what moves is which value a weight is nearest to.
    """
    grids = {k: codec.fit(params[k]) for k in lenet.MATRICES}

    def network(free: Any, x: Any) -> Any:
        return nn.mlp(
            {**free, **{k: rounded(free[k], codec, grids[k]) for k in grids}}, x
        )

    rng = np.random.default_rng([seed, 2])
    end = lenet.fit(
        params, split, rng, epochs=EPOCHS, lr=lr, network=network, report=report
    )
    return end, {k: codec.encode(end[k], grids[k]) for k in grids}


def rounded(w: Any, codec: compress.Affine, grid: compress.Grid) -> Any:
    """Return the nearest values on a grid, with the derivative of ``w`` itself."""
    value = w.value if isinstance(w, autodiff.Var) else w
    return w + (codec.round(value, grid) - value)
