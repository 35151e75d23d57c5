"""Deep Compression: a pruned network with shared values, Huffman-coded, in one file.

Han et al. (2016). A *packed* array holds the entries of a matrix that are not zero: the
gaps between them in symbols of a few bits, and which shared value each has. Both are
Huffman-coded, with their tables. A file of such arrays is what `write` writes.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.codec import check_array, check_bits, nbytes
from deepopt_lib.coding import HuffmanCode, from_gaps, huffman, to_gaps, unhuffman
from deepopt_lib.sealed import replace
from deepopt_lib.sharing import k_means
from deepopt_lib.types import Array, Params

__all__ = [
    "Model",
    "Packed",
    "compress",
    "decompress",
    "pack",
    "read",
    "unpack",
    "write",
]

MAGIC = b"DCZ1"
GAP_BITS = range(2, 13)  # what `pack` tries
# What a header raises that says something else than `write` writes.
MALFORMED = (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError)


class Packed(NamedTuple):
    """A sparse matrix with shared values: two Huffman codes, the values, the shape."""

    gaps: HuffmanCode
    labels: HuffmanCode  # 0 is an entry that is zero: a filler
    centers: Array
    shape: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return nbytes(tuple(self))


Model = dict[str, Packed | NDArray[Any]]
"""Arrays by name: packed, or as they are."""


def pack(
    w: Array, bits: int = 4, *, gap_bits: int | None = None, start: str = "linear"
) -> Packed:
    """Pack the entries of ``w`` that are not zero: gaps, and 2**bits - 1 shared values.

    One symbol is left for the fillers between far entries, whose value is zero. Entries
    that have fewer different values keep them exactly: what was shared before, for
    example by training the values, is stored without a loss.

    Parameters
    ----------
    w : array
        Any shape; stored by rows.
    bits : int
        1 to 12 bits for a shared value.
    gap_bits : int, optional
        Bits of a gap; by default whatever makes the smallest code.
    start : str
        Where `deepopt_lib.sharing.k_means` starts.
    """
    check_array(w, "w")
    check_bits(bits, most=12)
    places = np.flatnonzero(w)
    if not places.size:
        raise ValueError(f"w has no entry other than zero: shape {w.shape}")
    values = w.ravel()[places]
    centers, found = np.unique(values, return_inverse=True)
    if centers.size >= 2**bits:
        centers, found = k_means(values, 2**bits - 1, start)
    codes = []
    for b in GAP_BITS if gap_bits is None else (gap_bits,):
        gaps, real = to_gaps(places, b)
        labels = np.zeros(gaps.size, np.int64)
        labels[real] = found + 1
        coded = huffman(gaps, 2**b), huffman(labels, centers.size + 1)
        codes.append(Packed(*coded, centers, np.array(w.shape, np.int32)))
    return min(codes, key=lambda code: code.nbytes)


def unpack(code: Packed) -> Array:
    """Return the array that `pack` stored, with its zeros.

    Raises
    ------
    ValueError
        If the parts do not fit each other.
    """
    places, labels = from_gaps(unhuffman(code.gaps)), unhuffman(code.labels)
    size = int(np.prod(code.shape))
    if places.size != labels.size or places[-1] >= size:
        raise ValueError(
            f"{places.size} gaps and {labels.size} values for {size} places"
        )
    if labels.max() > code.centers.size:
        raise ValueError(f"value {labels.max()} of {code.centers.size}")
    out = np.zeros(size, code.centers.dtype)
    out[places] = np.concatenate([np.zeros(1, out.dtype), code.centers])[labels]
    return out.reshape(code.shape)


def compress(
    params: Params,
    bits: int = 4,
    *,
    start: str = "linear",
    progress: Callable[[Any], Any] = lambda names: names,
) -> Model:
    """Pack every floating-point matrix; keep all other arrays as they are.

    A matrix that would not get smaller, or is zero, is kept as well. ``progress`` may
    wrap the names, for example in a bar.

    Raises
    ------
    ValueError
        If a matrix holds NaN or is empty; the message says which.
    """
    model: Model = {}
    for k in progress(list(params)):
        w = params[k]
        model[k] = w
        if w.ndim == 2 and w.dtype.kind == "f":
            check_array(w, k)
            if w.any() and (code := pack(w, bits, start=start)).nbytes < w.nbytes:
                model[k] = code
    return model


def decompress(model: Model) -> Params:
    """Return the parameters that a model stands for."""
    return {k: unpack(a) if isinstance(a, Packed) else a for k, a in model.items()}


def write(path: str | os.PathLike[str], model: Model) -> int:
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
        replace(os.fspath(path), data)
    except OSError as error:
        reason = f"cannot write the model: {error.strerror}"
        raise OSError(error.errno, reason, os.fspath(path)) from None
    return len(data)


def read(path: str | os.PathLike[str]) -> Model:
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
