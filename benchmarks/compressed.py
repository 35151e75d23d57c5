"""Compressed layers beside dense ones: sparse formats, 8-bit weights, low rank.

All of them compute ``x @ W`` for float32 inputs x, on one thread. Before anything is
timed the outputs must agree with the dense product of the same, compressed, matrix.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.timing import interleave, ratios, summary
from deepopt_lib import compress
from deepopt_lib.compress import magnitude, top_blocks, top_share
from deepopt_lib.core import Array

Runs = dict[str, Callable[[], Any]]
BASE = "numpy dense"  # what the ratios are of
TILE = (16, 16)


def normal(*shape: int) -> Array:
    rng = np.random.default_rng(sum(shape))
    return rng.standard_normal(shape).astype(np.float32)


def agree(runs: Runs, expected: dict[str, Array], tol: float = 2e-3) -> None:
    """Stop unless every run gives what it should, relative to the largest entry."""
    for name, run in runs.items():
        found, wanted = np.asarray(run()), expected.get(name, expected[BASE])
        error = np.abs(found - wanted).max() / np.abs(wanted).max()
        if not error < tol:
            raise RuntimeError(f"{name} is off by {error:.1e}")


def sparse_runs(W: Array, x: Array) -> tuple[Runs, dict[str, Array]]:
    """Return the dense product and every sparse one, ours, SciPy's and PyTorch's.

    The products are ``S @ X`` with X (n_in, columns), the side on which SciPy and
    PyTorch are at home. BSR has a matrix of its own, pruned in tiles.
    """
    S, X = np.ascontiguousarray(W.T), np.ascontiguousarray(x.T)
    tiled = S * top_blocks(magnitude(S + normal(*S.shape)), TILE, 1 - density(W))
    made = {k: compress.to_format(S, k) for k in ("CSR", "CSC", "COO")}
    blocks = compress.to_format(tiled, "BSR", block=TILE)
    columns = torch.from_numpy(X)
    rows = torch.from_numpy(S).to_sparse_csr()
    dense = torch.from_numpy(S)
    runs: Runs = {
        BASE: lambda: S @ X,
        **{f"scipy {k}": partial(operator.matmul, m, X) for k, m in made.items()},
        "scipy BSR 16x16": lambda: blocks @ X,
        "torch dense": lambda: dense @ columns,
        "torch CSR": lambda: rows @ columns,
    }
    return runs, {BASE: S @ X, "scipy BSR 16x16": tiled @ X}


def density(W: Array) -> float:
    return np.count_nonzero(W) / W.size


def int8_runs(W: Array, x: Array) -> tuple[Runs, dict[str, Array]]:
    """Return the float32 product and those with 8-bit weights, at batch 1."""
    layer, vector = compress.int8_layer(W), x[0]
    decoded = layer.scale * layer.codes.T.astype(np.float32)
    out = np.empty(len(layer.codes), np.float32)
    linear = torch.nn.Linear(*W.shape, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(W.T))
    with warnings.catch_warnings():  # deprecated in favor of a package of its own
        warnings.simplefilter("ignore")
        dynamic = torch.ao.quantization.quantize_dynamic(
            torch.nn.Sequential(linear), {torch.nn.Linear}, dtype=torch.qint8
        )
    row = torch.from_numpy(x)
    blocks = [slice(i, i + 128) for i in range(0, len(out), 128)]

    def by_blocks() -> Array:  # what the library does without numba
        for i in blocks:
            np.matmul(layer.codes[i].astype(np.float32), vector, out=out[i])
        return out * layer.scale

    def in_torch(f: Any) -> Callable[[], Any]:
        def run() -> Any:
            with torch.inference_mode():
                return f(row)[0]

        return run

    runs: Runs = {
        BASE: lambda: vector @ W,
        "deepopt int8": lambda: compress.int8_linear(vector, layer),
        "numpy int8, by blocks": by_blocks,
        "torch dense": in_torch(linear),
        "torch int8, dynamic": in_torch(dynamic),
    }
    exact = vector @ decoded
    return runs, {BASE: vector @ W, **dict.fromkeys(list(runs)[1:3], exact)}


def low_rank_runs(W: Array, x: Array) -> tuple[Runs, dict[str, Array]]:
    """Return the dense product and the two thin ones of a sixteenth of the rank."""
    U, V = compress.randomized(W, len(W) // 16, np.random.default_rng(0))
    row, dense = torch.from_numpy(x), torch.from_numpy(W)
    u, v = torch.from_numpy(U), torch.from_numpy(V)
    runs: Runs = {
        BASE: lambda: x @ W,
        "deepopt rank n/16": lambda: x @ U @ V,
        "torch dense": lambda: row @ dense,
        "torch rank n/16": lambda: row @ u @ v,
    }
    thin = x @ (U @ V)
    return runs, {BASE: x @ W, "deepopt rank n/16": thin, "torch rank n/16": thin}


def cases() -> dict[str, tuple[Any, Array, Array, float, dict[str, float]]]:
    """Return name: (runs, W, x, tolerance, bounds of the ratio to dense NumPy)."""
    found: dict[str, tuple[Any, Array, Array, float, dict[str, float]]] = {}
    W = normal(1024, 1024)
    for sparsity in (0.5, 0.8, 0.9, 0.95, 0.99):
        pruned = W * top_share(magnitude(W), sparsity)
        for columns in (1, 64, 1024):
            bounds = {"scipy CSR": 0.7} if sparsity == 0.95 and columns > 1 else {}
            name = f"sparsity {sparsity:.0%}, {columns} columns"
            found[name] = sparse_runs, pruned, normal(columns, 1024), 2e-3, bounds
    for n in (1024, 4096):
        bounds = {"deepopt int8": 0.5} if n == 4096 else {}
        found[f"int8, n = {n}"] = int8_runs, normal(n, n), normal(1, n), 0.1, bounds
    for rows in (1, 16, 64, 256):
        bounds = {"deepopt rank n/16": 1 / (0.75 * 8)}  # of the ideal, an eighth
        name = f"low rank, {rows} inputs"
        found[name] = low_rank_runs, W, normal(rows, 1024), 2e-3, bounds
    return found


def measure(only: str = "") -> list[dict[str, Any]]:
    """Time every case; print a table, return its rows."""
    rows = []
    for name, (make, W, x, tol, bounds) in cases().items():
        if only not in name:
            continue
        runs, expected = make(W, x)
        agree(runs, expected, tol)
        times = interleave(runs)
        for who, values in times.items():
            ratio = ratios(values, times[BASE])
            us = summary([1e6 * t for t in values])
            bound = bounds.get(who)
            rows.append(
                {"name": name, "who": who, "us": us, "ratio": ratio, "bound": bound}
            )
            limit = f"  bound {bound:.3f}" if bound else ""
            print(
                f"{name:32}{who:24}{us['median']:10.1f} us{ratio['median']:8.3f}{limit}"
            )
    return rows
