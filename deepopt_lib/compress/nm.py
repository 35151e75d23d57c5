"""N:M sparsity: n entries of every m, the pattern that tensor cores can use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.bits import pack_bits, unpack_bits
from deepopt_lib.compress.codec import BaseCodec, shape_of
from deepopt_lib.core.checks import check_array, check_int
from deepopt_lib.core.types import Array

__all__ = ["NM", "NMCode"]


class NMCode(NamedTuple):
    """The values in their order, and where in its group of m each of them stands."""

    values: Array  # (rows/m * n, columns)
    places: NDArray[np.uint8]  # packed
    shape: NDArray[np.int32]


@dataclass(frozen=True)
class NM(BaseCodec):
    """Store a matrix with at most n non-zeros in every m consecutive rows of a column.

    Mishra et al. (2021), the layout of sparse tensor cores: values, and for each
    ``ceil(log2(m))`` bits that say where in its group it stands. 2:4 takes 9/16 of a
    dense float16 matrix, and 17/32 of a float32 one. Lossless.

    Raises
    ------
    ValueError
        If not 1 <= n < m, m does not divide the rows, or a group has more entries.
    """

    n: int = 2
    m: int = 4

    def __post_init__(self) -> None:
        """Check n and m."""
        n, m = check_nm("NM", self.n, self.m)
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "m", m)

    def encode(self, x: Array, /) -> NMCode:
        """Return the code of a matrix (rows, columns)."""
        check_array("x", x, ndim=2)
        check_nm("NM", self.n, self.m, x.shape[0])
        groups = x.reshape(-1, self.m, x.shape[1])  # (rows/m, m, columns)
        most = int((groups != 0).sum(axis=1).max())
        if most > self.n:
            raise ValueError(
                f"a group of {self.m} has {most} entries other than zero, "
                f"{self.n} are allowed"
            )
        # What is not zero comes first; zeros fill up to n.
        order = np.argsort(groups == 0, axis=1, kind="stable")
        places = np.sort(order[:, : self.n], axis=1)
        values = np.take_along_axis(groups, places, axis=1)
        packed = pack_bits(places, (self.m - 1).bit_length())
        return NMCode(values.reshape(-1, x.shape[1]), packed, shape_of(x))

    def decode(self, code: NMCode, /) -> Array:
        """Return the matrix."""
        rows, columns = (int(k) for k in code.shape)
        bits = (self.m - 1).bit_length()
        places = unpack_bits(code.places, bits, code.values.size).astype(np.intp)
        groups = np.zeros((rows // self.m, self.m, columns), code.values.dtype)
        few = (rows // self.m, self.n, columns)
        np.put_along_axis(groups, places.reshape(few), code.values.reshape(few), axis=1)
        return groups.reshape(rows, columns)


def check_nm(name: str, n: Any, m: Any, rows: int = 0) -> tuple[int, int]:
    """Return n and m if n:m is a pattern that divides the rows."""
    m = check_int(f"{name}.m", m, 2, 2**16)
    n = check_int(f"{name}.n", n, 1, m - 1)
    if rows % m:
        raise ValueError(f"m must divide the rows, got m = {m} for {rows} rows")
    return n, m
