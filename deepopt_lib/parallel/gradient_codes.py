"""Codes for gradients that travel: a few entries, or one bit of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.codec import BaseCodec, shape_of
from deepopt_lib.core.checks import check_array, check_number
from deepopt_lib.core.types import Array

__all__ = ["ScaledSign", "Signs", "Top", "TopK"]


class Top(NamedTuple):
    """Entries by their place in the flat array."""

    values: Array  # (k,)
    places: NDArray[np.uint32]  # (k,), ascending
    shape: NDArray[np.int32]


@dataclass(frozen=True)
class TopK(BaseCodec):
    """Keep the share ``keep`` of the entries that is largest in magnitude.

    Aji and Heafield (2017), Lin et al. (2018): k = ceil(keep*n) values and their
    places, ``itemsize + 4`` bytes each. Biased: it needs error feedback.

    Raises
    ------
    ValueError
        If ``keep`` is not in (0, 1], or an array is empty or not finite.
    """

    keep: float = 0.01

    def __post_init__(self) -> None:
        """Check the share."""
        keep = check_number("TopK.keep", self.keep, 0, 1, "(]")
        object.__setattr__(self, "keep", keep)

    def encode(self, x: Array, /) -> Top:
        """Return the k largest entries of ``x``, any shape."""
        flat = check_array("x", x).reshape(-1)
        k = math.ceil(self.keep * flat.size - 1e-9)  # 0.07 * 100 is above 7
        places = np.sort(np.argpartition(np.abs(flat), flat.size - k)[flat.size - k :])
        return Top(flat[places], places.astype(np.uint32), shape_of(x))

    def decode(self, code: Any, /) -> Array:
        """Return the entries in their places, zero elsewhere."""
        values, places, shape = code
        flat = np.zeros(math.prod(shape.tolist()), values.dtype)
        flat[places] = values
        return flat.reshape(tuple(shape))


class Signs(NamedTuple):
    """One bit an entry and one number for all."""

    bits: NDArray[np.uint8]  # (ceil(n/8),), first entry in the highest bit
    scale: Array  # (1,)
    shape: NDArray[np.int32]


@dataclass(frozen=True)
class ScaledSign(BaseCodec):
    """Keep the signs and the mean magnitude: ``sign(x) * mean(|x|)``.

    Karimireddy et al. (2019), equation (2): one bit an entry; a zero counts as
    positive. Of all multiples of the signs it is the closest to x. Biased: it needs
    error feedback (Seide et al. 2014 send one bit as well, with two scales).

    Raises
    ------
    ValueError
        If an array is empty or not finite.
    """

    def encode(self, x: Array, /) -> Signs:
        """Return the packed signs of ``x``, any shape, and the mean magnitude."""
        flat = check_array("x", x).reshape(-1)
        scale = np.mean(np.abs(flat), keepdims=True)
        return Signs(np.packbits(flat >= 0), scale, shape_of(x))

    def decode(self, code: Any, /) -> Array:
        """Return plus or minus the scale."""
        bits, scale, shape = code
        signs = np.unpackbits(bits, count=math.prod(shape.tolist())).astype(scale.dtype)
        u: Array = scale * (2 * signs - 1)
        return u.reshape(tuple(shape))
