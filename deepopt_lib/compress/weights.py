"""Weights from elsewhere: read from a safetensors file, and used as a network."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from deepopt_lib.core.products import matmul
from deepopt_lib.core.types import Array, Params

__all__ = ["layers", "predict", "read_weights"]

TYPES = {
    **{"BOOL": "?", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8"},
    **{"I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"},
    **{"F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8"},
}
"""What NumPy calls the types of safetensors."""


def read_weights(path: str) -> Params:
    """Return the arrays of a safetensors file by name; bfloat16 becomes float32.

    A bfloat16 is the upper half of a float32: nothing is rounded.

    Raises
    ------
    ValueError
        If it is no safetensors file, or has a type that NumPy has not (8-bit floats).
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        found = deserialize(content)  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from None
    found.sort(key=lambda pair: pair[0])  # their order is that of a hash
    return {name: _array(f"{name} of {path}", **view) for name, view in found}


def _array(name: str, dtype: str, shape: list[int], data: bytes) -> NDArray[Any]:
    if dtype == "BF16":
        half = np.frombuffer(data, "<u2").astype(np.uint32)
        return (half << 16).view(np.float32).reshape(shape)
    if dtype not in TYPES:
        raise ValueError(f"{name} has the type {dtype}, which NumPy has not")
    return np.frombuffer(data, TYPES[dtype]).reshape(shape).copy()


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
    found = layers(params)
    for i, (k, W, b) in enumerate(found):
        if W.ndim != 2 or W.shape[0] != x.shape[1]:
            raise ValueError(f"{k} is no layer for {x.shape[1]} inputs")
        if b is not None and b.shape != W.shape[1:]:
            raise ValueError(f"{k} {W.shape} does not fit a bias {b.shape}")
        x = matmul(x, W) + (0 if b is None else b)
        if i + 1 < len(found):
            x = np.maximum(x, 0)
    return x


def layers(params: Params) -> list[tuple[str, Array, Array | None]]:
    """Return name, matrix (n_in, n_out) and bias of each layer, in order.

    Raises
    ------
    ValueError
        If no name is that of a layer's matrix.
    """
    names = [k for k in params if k.endswith((".weight", ".W"))]
    names.sort(key=lambda k: [int(p) if p.isdigit() else p for p in _split(k)])
    if not names:
        raise ValueError(f"no array is named *.weight or *.W: {list(params)}")
    return [
        (k, params[k].T, params.get(k.removesuffix("weight") + "bias"))
        if k.endswith(".weight")
        else (k, params[k], params.get(k.removesuffix("W") + "b"))
        for k in names
    ]


def _split(name: str) -> list[str]:
    return re.split(r"(\d+)", name)
