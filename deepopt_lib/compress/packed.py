"""Packed arrays: a sparse matrix with shared values, both streams Huffman-coded.

Han et al. (2016): the gaps between the entries that are not zero, in symbols of a few
bits, and which shared value each entry has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.codec import check_bits, shape_of
from deepopt_lib.compress.coding import (
    HuffmanCode,
    from_gaps,
    huffman,
    to_gaps,
    unhuffman,
)
from deepopt_lib.compress.kmeans import k_means
from deepopt_lib.core.checks import check_array
from deepopt_lib.core.tree import nbytes
from deepopt_lib.core.types import Array

__all__ = ["Model", "Packed", "pack", "unpack"]

GAP_BITS = range(2, 13)  # what `pack` tries


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
        Where `deepopt_lib.kmeans.k_means` starts.
    """
    check_array("w", w)
    check_bits("bits", bits, most=12)
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
        codes.append(Packed(*coded, centers, shape_of(w)))
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
