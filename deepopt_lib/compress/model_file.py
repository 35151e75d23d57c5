"""A compressed model in one file: a header, the bytes of all arrays, a checksum."""

from __future__ import annotations

import json
import os
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.coding import HuffmanCode
from deepopt_lib.compress.packed import Model, Packed
from deepopt_lib.core.files import write_bytes

__all__ = ["read_model", "write_model"]

MAGIC = b"DCZ1"
# What a header raises that says something else than `write_model` writes.
MALFORMED = (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError)


def write_model(path: str | os.PathLike[str], model: Model) -> int:
    """Write a model; until it is on the disk, the file that was there stays.

    A mark, a checksum (CRC-32), the header's length, the header (names, shapes, types,
    lengths) as compact JSON, the bytes of all arrays. Returns the size of the file.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    header, parts = {}, []
    for name, code in model.items():
        arrays = _arrays(code)
        parts += [np.ascontiguousarray(a).tobytes() for a in arrays]
        header[name] = _describe(code)
    text = json.dumps(header, separators=(",", ":")).encode()
    body = len(text).to_bytes(4, "little") + text + b"".join(parts)
    data = MAGIC + zlib.crc32(body).to_bytes(4, "little") + body
    try:
        write_bytes(os.fspath(path), data)
    except OSError as error:
        reason = f"cannot write the model: {error.strerror}"
        raise OSError(error.errno, reason, os.fspath(path)) from None
    return len(data)


def read_model(path: str | os.PathLike[str]) -> Model:
    """Return the model of a file, with the bits that were written.

    Raises
    ------
    ValueError
        If the file is truncated, damaged or something else.
    OSError
        If there is no such file or it cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] != MAGIC:
        raise ValueError(f"{path} is no compressed model: it starts with {data[:4]!r}")
    body = data[8:]
    if zlib.crc32(body) != int.from_bytes(data[4:8], "little"):
        raise ValueError(f"{path} is truncated or damaged: its checksum does not match")
    try:
        start = 4 + int.from_bytes(body[:4], "little")
        header, place = json.loads(body[4:start]), start
        model: Model = {}
        for name, entry in header.items():
            arrays = []
            for dtype, count in _layout(entry):
                arrays.append(np.frombuffer(body, dtype, count, place).copy())
                place += arrays[-1].nbytes
            model[name] = _build(entry, arrays)
        if place != len(body):
            raise ValueError(f"{len(body) - place} bytes are left over")
    except MALFORMED as error:
        raise ValueError(f"{path} is no model of this version: {error}") from None
    return model


def _describe(code: Packed | NDArray[Any]) -> list[Any]:
    """Return what the header says: the shape, the dtype, the lengths of the parts."""
    if not isinstance(code, Packed):
        return [list(code.shape), code.dtype.str]
    sizes = [
        n
        for h in (code.gaps, code.labels)
        for n in (h.packed.size, h.lengths.size, int(h.symbols[0]))
    ]
    return [code.shape.tolist(), code.centers.dtype.str, *sizes]


def _arrays(code: Packed | NDArray[Any]) -> list[NDArray[Any]]:
    if not isinstance(code, Packed):
        return [code]
    parts = [a for h in (code.gaps, code.labels) for a in (h.packed, h.lengths)]
    return [*parts, code.centers]


def _layout(entry: list[Any]) -> list[tuple[str, int]]:
    """Return dtype and length of the arrays that follow for a header's entry."""
    shape, dtype, *sizes = entry
    if not sizes:
        return [(dtype, int(np.prod(shape)))]
    g, gl, _, v, vl, _ = sizes
    return [("|u1", g), ("|u1", gl), ("|u1", v), ("|u1", vl), (dtype, vl - 1)]


def _build(entry: list[Any], arrays: list[NDArray[Any]]) -> Packed | NDArray[Any]:
    shape, _, *sizes = entry
    if not sizes:
        return arrays[0].reshape(shape)
    g, gl, v, vl, centers = arrays
    gaps = HuffmanCode(g, gl, np.array([sizes[2]]))
    labels = HuffmanCode(v, vl, np.array([sizes[5]]))
    return Packed(gaps, labels, centers, np.array(shape, np.int32))
