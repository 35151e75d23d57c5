"""Sharing: many positions, few values. Codebooks, hashing, and tied parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.autodiff.ops.arrays import transpose
from deepopt_lib.autodiff.tape import Result, primitive
from deepopt_lib.compress.bits import pack_bits, unpack_bits
from deepopt_lib.compress.codec import BaseCodec, shape_of
from deepopt_lib.compress.kmeans import STARTS, k_means
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.types import Array

__all__ = ["Codebook", "CodebookCode", "hash_places", "spread", "sum_shared", "tie"]


def sum_shared(g: Array, labels: NDArray[Any], k: int) -> Array:
    """Return the gradient of k shared values: the sum over all who share each.

    Han et al. (2016), eq. 3. ``labels`` of the shape of ``g`` say who has which value.

    Raises
    ------
    ValueError
        If a label is not in [0, k), or the shapes differ.
    """
    inside = labels.size == 0 or (labels.min() >= 0 and labels.max() < k)
    if labels.shape != g.shape or not inside:
        raise ValueError(
            f"labels {labels.shape} must be in [0, {k}), one for each of {g.shape}"
        )
    return np.bincount(labels.ravel(), g.ravel(), minlength=k).astype(g.dtype)


@primitive
def spread(values: Any, *, places: Any, signs: Any = 1.0) -> Result:
    """Return ``values[places] * signs``: many positions, few values (k,).

    The derivative of a value is the sum over its positions (Chen et al. 2015).
    ``places`` ints and ``signs`` of the shape of the output, or one number.
    """
    return values[places] * signs, (
        lambda d: sum_shared(d * signs, places, len(values)),
    )


class CodebookCode(NamedTuple):
    """The values, and for each position which of them it has, packed."""

    packed: NDArray[np.uint8]
    centers: Array
    shape: NDArray[np.int32]


@dataclass(frozen=True)
class Codebook(BaseCodec):
    """Store an array by 2**bits shared values, found by `k_means` (Han et al. 2016).

    ``bits/8`` bytes an entry and the values themselves.

    Raises
    ------
    ValueError
        If ``bits`` is outside [1, 16], ``start`` unknown, or an array has fewer entries
        than the codebook, is not finite, or not floating.
    """

    bits: int = 4
    start: str = "linear"

    def __post_init__(self) -> None:
        """Check the arguments."""
        object.__setattr__(self, "bits", check_int("Codebook.bits", self.bits, 1, 16))
        if self.start not in STARTS[:2]:
            raise ValueError(
                f"Codebook.start must be in {STARTS[:2]}, got {self.start!r}"
            )

    def encode(self, x: Array, /) -> CodebookCode:
        """Return the code of an array, any shape."""
        centers, labels = k_means(x, 2**self.bits, self.start)
        return CodebookCode(pack_bits(labels, self.bits), centers, shape_of(x))

    def decode(self, code: CodebookCode, /) -> Array:
        """Return the array of shared values."""
        labels = unpack_bits(code.packed, self.bits, int(np.prod(code.shape)))
        x: Array = code.centers[labels].reshape(code.shape)
        return x


def hash_places(
    shape: tuple[int, ...], buckets: int, seed: int = 0
) -> tuple[NDArray[np.intp], Array]:
    """Return which of ``buckets`` shared values each position has, and its sign.

    Chen et al. (2015): ``W[i, j] = sign[i, j] * values[place[i, j]]``.
    Both come out of a hash of the position, so that nothing is stored but the values;
    the hash is splitmix64, and the same on every machine. `spread` puts the values
    where they belong.

    Raises
    ------
    ValueError
        If ``buckets`` is not an int in [1, number of positions], or ``seed`` none >= 0.
    """
    size = int(np.prod(shape))
    check_int("buckets", buckets, 1, size)
    check_int("seed", seed, 0)
    z = np.arange(1, size + 1, dtype=np.uint64) + np.uint64(seed * size % 2**64)
    z *= np.uint64(0x9E3779B97F4A7C15)  # wraps, as it should
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    places = ((z >> np.uint64(1)) % np.uint64(buckets)).astype(np.intp)
    signs = 1.0 - 2.0 * (z & np.uint64(1)).astype(np.float64)
    return places.reshape(shape), signs.reshape(shape)


def tie(params: Mapping[str, Any], ties: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters with more names for some of them: one array, two uses.

    ``tie(params, {"layer2.W": "layer1.W.T"})`` adds a name for the transpose, as where
    an output layer has the embedding's table (Press and Wolf 2017). On the tape the
    gradients of all uses add up, and the optimizer sees one array.

    Raises
    ------
    ValueError
        If a name is taken already, or what it stands for is missing.
    """
    out = dict(params)
    for name, other in ties.items():
        source = other.removesuffix(".T")
        if name in params or source not in params:
            raise ValueError(
                f"cannot tie {name!r} to {other!r}: there are {list(params)}"
            )
        out[name] = transpose(params[source]) if source != other else params[source]
    return out
