"""Small unsigned integers in exactly as many bits as they need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import check_int

__all__ = ["pack_bits", "unpack_bits"]


def pack_bits(codes: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Return integers in [0, 2**bits) one after the other, ``ceil(n*bits/8)`` bytes.

    The lowest bit comes first; the last byte is filled with zeros.

    Raises
    ------
    ValueError
        If ``bits`` is outside [1, 16], or an entry does not fit into it.
    """
    bits = check_int("bits", bits, 1, 16)
    flat = np.ravel(codes)
    if flat.dtype.kind not in "iu":
        raise ValueError(f"codes must be integers, got {flat.dtype}")
    if flat.size and not (flat.min() >= 0 and flat.max() < 2**bits):
        raise ValueError(
            f"codes must be in [0, {2**bits}) for {bits} bits, "
            f"got {flat.min()} to {flat.max()}"
        )
    if bits == 8:
        return flat.astype(np.uint8)
    wide = flat.astype("<u2").view(np.uint8).reshape(-1, 2)
    every = np.unpackbits(wide, axis=1, count=bits, bitorder="little")  # (n, bits)
    return np.packbits(every, bitorder="little")


def unpack_bits(packed: NDArray[np.uint8], bits: int, n: int) -> NDArray[Any]:
    """Return the ``n`` integers that `pack_bits` stored, as uint8 or uint16.

    Raises
    ------
    ValueError
        If ``bits`` is outside [1, 16], ``n`` negative, or the bytes are not as many as
        it takes.
    """
    bits, n = check_int("bits", bits, 1, 16), check_int("n", n, 0)
    if packed.size != (size := -(-n * bits // 8)):
        raise ValueError(
            f"{n} codes of {bits} bits take {size} bytes, got {packed.size}"
        )
    if bits == 8:
        return packed.copy()
    every = np.unpackbits(packed, count=n * bits, bitorder="little").reshape(n, bits)
    wide = np.packbits(every, axis=1, bitorder="little")  # (n, 1 or 2)
    if bits < 8:
        return wide.reshape(n)
    return wide.view("<u2").reshape(n).astype(np.uint16)
