"""Weights from elsewhere: read from a safetensors file, and used as a network."""

from __future__ import annotations

import re

import numpy as np
from safetensors import SafetensorError, safe_open

from deepopt_lib.core.types import Array, Params

__all__ = ["predict", "read_weights"]


def read_weights(path: str) -> Params:
    """Return the arrays of a safetensors file by name.

    Raises
    ------
    ValueError
        If it is no safetensors file, or has a type that NumPy has not (bfloat16).
    OSError
        If it cannot be read.
    """
    with open(path, "rb"):
        pass  # an OSError from here names the file
    try:
        with safe_open(path, framework="numpy") as file:
            return {k: np.array(file.get_tensor(k)) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no safetensors file for NumPy: {error}") from None


def predict(params: Params, x: Array) -> Array:
    """Return the logits of a relu MLP whose layers are found by their names.

    ``"1.weight"`` (n_out, n_in) and ``"1.bias"`` as PyTorch names them, or ``"1.W"``
    (n_in, n_out) and ``"1.b"`` as here, in the order of their names, numbers as
    numbers. x (samples, n_in).

    Raises
    ------
    ValueError
        If the arrays are no such network for this x.
    """
    layers = [k for k in params if k.endswith((".weight", ".W"))]
    layers.sort(key=lambda k: [int(p) if p.isdigit() else p for p in _split(k)])
    for i, k in enumerate(layers):
        torch = k.endswith(".weight")
        W = params[k].T if torch else params[k]
        b = params.get(k[: -len("weight")] + "bias" if torch else k[:-1] + "b")
        if W.ndim != 2 or W.shape[0] != x.shape[1]:
            raise ValueError(f"{k} is no layer for {x.shape[1]} inputs")
        x = x @ W + (0 if b is None else b)
        if i + 1 < len(layers):
            x = np.maximum(x, 0)
    if not layers:
        raise ValueError(f"no array is named *.weight or *.W: {list(params)}")
    return x


def _split(name: str) -> list[str]:
    return re.split(r"(\d+)", name)
