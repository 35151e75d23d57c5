"""The code of a sparse matrix with shared values, both of its streams Huffman-coded.

Han et al. (2016): the gaps between the entries that are not zero, in symbols of a few
bits, and which shared value each entry has.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.codec import shape_of
from deepopt_lib.compress.coding import HuffmanCode, huffman, huffman_bytes, unhuffman
from deepopt_lib.compress.gaps import count_gaps, from_gaps, to_gaps
from deepopt_lib.compress.kmeans import k_means
from deepopt_lib.core.checks import check_array, check_int
from deepopt_lib.core.types import Array

__all__ = ["Model", "SparseCode", "decode_sparse", "encode_sparse"]

GAP_BITS = range(2, 13)  # from which `encode_sparse` chooses


class SparseCode(NamedTuple):
    """A sparse array with shared values: two Huffman codes, the values, the shape."""

    gaps: HuffmanCode
    labels: HuffmanCode  # 0 is an entry that is zero: a filler
    centers: Array
    shape: NDArray[np.int32]


Model = dict[str, SparseCode | NDArray[Any]]
"""Arrays by name: coded, or as they are."""


def encode_sparse(
    w: Array, bits: int = 4, *, gap_bits: int | None = None, start: str = "linear"
) -> SparseCode:
    """Code the entries of ``w`` that are not zero: gaps, and 2**bits - 1 shared values.

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
        Bits of a gap; by default whatever of 2 to 12 makes the smallest code.
    start : str
        Where `deepopt_lib.compress.kmeans.k_means` starts.

    Raises
    ------
    ValueError
        If an argument is out of range, or w is empty, not finite, not floating or zero
        everywhere.
    """
    check_array("w", w)
    check_int("bits", bits, 1, 12)
    places = np.flatnonzero(w)
    if not places.size:
        raise ValueError(f"w has no entry other than zero: shape {w.shape}")
    values = w.ravel()[places]
    centers = np.unique(values)
    if centers.size < 2**bits:
        found = np.searchsorted(centers, values)
    else:
        centers, found = k_means(values, 2**bits - 1, start)
    width = _shortest(places, found) if gap_bits is None else gap_bits
    gaps, real = to_gaps(places, width)
    labels = np.zeros(gaps.size, np.uint16)
    labels[real] = found + 1
    coded = huffman(gaps, 2**width), huffman(labels, centers.size + 1)
    return SparseCode(*coded, centers, shape_of(w))


def _shortest(places: NDArray[np.intp], found: NDArray[np.intp]) -> int:
    """Return the bits of a gap that make the smallest code, of equal ones the first.

    The lengths of both streams follow from how often each symbol occurs.
    """
    values = np.bincount(found)
    sizes = {}
    for bits, (gaps, fillers) in count_gaps(places, GAP_BITS).items():
        labels = np.concatenate([[fillers], values])
        sizes[bits] = huffman_bytes(gaps) + huffman_bytes(labels)
    return min(sizes, key=lambda bits: sizes[bits])


def decode_sparse(code: SparseCode) -> Array:
    """Return the array that `encode_sparse` was given, with its zeros.

    Raises
    ------
    ValueError
        If the parts do not fit each other.
    """
    size = math.prod(code.shape.tolist())
    places, labels = from_gaps(unhuffman(code.gaps)), unhuffman(code.labels)
    if places.size != labels.size or places[-1] >= size:
        raise ValueError(
            f"{places.size} gaps and {labels.size} values for {size} places"
        )
    if labels.max() > code.centers.size:
        raise ValueError(f"value {labels.max()} of {code.centers.size}")
    out = np.zeros(size, code.centers.dtype)
    out[places] = np.concatenate([np.zeros(1, out.dtype), code.centers])[labels]
    return out.reshape(code.shape)
