"""A compressed model in one file: a header, the bytes of all arrays, a checksum."""

from __future__ import annotations

import json
import math
import os
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.coding import HuffmanCode
from deepopt_lib.compress.sparse_code import Model, SparseCode
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.files import write_bytes
from deepopt_lib.core.tree import nbytes

__all__ = ["GROWTH", "read_model", "write_model"]

MAGIC = b"DCZ1"
GROWTH = 2**14
"""How many times larger than its code an array may be. Zeros behind the last entry cost
nothing, so that without a bound a hundred bytes could ask for any amount of memory."""

LARGEST = 2**31 - 1  # entries along an axis, bytes of a stream
TYPES = {np.dtype(end + t).str for end in "<>" for t in "?bBhHiIqQefdFD"}
# What a header raises that says something else than `write_model` writes.
MALFORMED = (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError)


def write_model(path: str | os.PathLike[str], model: Model) -> int:
    """Write a model; until it is on the disk, the file that was there stays.

    A mark, a checksum (CRC-32), the header's length, the header (names, shapes, types,
    lengths) as compact JSON, the bytes of all arrays. Returns the size of the file.

    Raises
    ------
    ValueError
        If an array has a type that is no number, or more than `GROWTH` times the bytes
        of its code.
    OSError
        If the file cannot be written.
    """
    header, parts = {}, []
    for name, code in model.items():
        try:
            _check_code(code)
        except ValueError as error:
            raise ValueError(f"{name} cannot be written: {error}") from None
        header[name] = _describe(code)
        parts += [np.ascontiguousarray(a).tobytes() for a in _arrays(code)]
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

    Whatever the file says, the arrays take no more memory than its bytes, and
    decompressed at most `GROWTH` times as much.

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
        return _parse(body)
    except MALFORMED as error:
        raise ValueError(f"{path} is no model of this version: {error}") from None


def _parse(body: bytes) -> Model:
    place = 4 + int.from_bytes(body[:4], "little")
    header = json.loads(body[4:place].decode(), object_pairs_hook=_unique)
    model: Model = {}
    for name, entry in header.items():
        arrays = []
        for dtype, count in _layout(entry):
            size = count * np.dtype(dtype).itemsize
            if size > len(body) - place:
                raise ValueError(f"{name} needs {size} bytes of {len(body) - place}")
            part = body[place : place + size]
            arrays.append(np.frombuffer(part, dtype).copy())
            place += size
        model[name] = _build(entry, arrays)
        _check_code(model[name])
    if place != len(body):
        raise ValueError(f"{len(body) - place} bytes are left over")
    return model


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("an array is named twice")
    return names


def _describe(code: SparseCode | NDArray[Any]) -> list[Any]:
    """Return what the header says: the shape, the dtype, the lengths of the parts."""
    if not isinstance(code, SparseCode):
        return [list(code.shape), code.dtype.str]
    sizes = [
        n
        for h in (code.gaps, code.labels)
        for n in (h.packed.size, h.lengths.size, int(h.n_symbols[0]))
    ]
    return [code.shape.tolist(), code.centers.dtype.str, *sizes]


def _arrays(code: SparseCode | NDArray[Any]) -> list[NDArray[Any]]:
    if not isinstance(code, SparseCode):
        return [code]
    parts = [a for h in (code.gaps, code.labels) for a in (h.packed, h.lengths)]
    return [*parts, code.centers]


def _layout(entry: list[Any]) -> list[tuple[str, int]]:
    """Return dtype and length of the arrays that follow for a header's entry."""
    shape, dtype, *sizes = entry
    if dtype not in TYPES:
        raise ValueError(f"{dtype!r} is no type of an array")
    for n in (*shape, *sizes):
        check_int("a size", n, 0, LARGEST)
    if not sizes:
        return [(dtype, math.prod(shape))]
    g, gl, _, v, vl, _ = sizes
    return [("|u1", g), ("|u1", gl), ("|u1", v), ("|u1", vl), (dtype, max(vl - 1, 0))]


def _build(entry: list[Any], arrays: list[NDArray[Any]]) -> SparseCode | NDArray[Any]:
    shape, _, *sizes = entry
    if not sizes:
        return arrays[0].reshape(shape)
    g, gl, v, vl, centers = arrays
    gaps = HuffmanCode(g, gl, np.array([sizes[2]]))
    labels = HuffmanCode(v, vl, np.array([sizes[5]]))
    return SparseCode(gaps, labels, centers, np.array(shape, np.int32))


def _check_code(code: SparseCode | NDArray[Any]) -> None:
    """Refuse types that are no numbers, and codes that would grow out of bounds."""
    if not isinstance(code, SparseCode):
        if code.dtype.str not in TYPES:
            raise ValueError(f"{code.dtype} is no type of an array")
        return
    if code.centers.dtype.kind != "f":
        raise ValueError(f"shared values must be floating, got {code.centers.dtype}")
    shape, stored = tuple(code.shape.tolist()), nbytes(code)
    if math.prod(shape) * code.centers.itemsize > GROWTH * stored:
        raise ValueError(
            f"shape {shape} is more than {GROWTH} times as large as {stored} bytes"
        )
