"""What all codecs share: a base class, a list of them, and a few checks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import check_array, check_int
from deepopt_lib.core.types import Array, Codec

__all__ = [
    "CODECS",
    "BaseCodec",
    "check_block",
    "check_codec",
    "check_layer",
    "shape_of",
]

CODECS: dict[str, type[BaseCodec]] = {}
"""Every codec of the library by name; the tests check the promises of each."""


class BaseCodec(ABC):
    """Base of the codecs: frozen dataclasses with ``encode`` and ``decode``.

    It adds to the protocol `deepopt_lib.core.types.Codec` a place on the list `CODECS`
    and ``round``.
    """

    def __init_subclass__(cls) -> None:
        """Put the class on the list."""
        CODECS[cls.__name__] = cls

    @abstractmethod
    def encode(self, x: Array, /) -> Any:
        """Return the code of ``x``."""

    @abstractmethod
    def decode(self, code: Any, /) -> Array:
        """Return the array that ``code`` stands for."""

    def round(self, x: Array, /) -> Array:
        """Return what is left of ``x`` after coding and decoding, in the dtype of x."""
        return self.decode(self.encode(x))


def check_layer(W: Any, x: Any) -> None:
    """Refuse a matrix (n_in, n_out) and inputs that are not (samples, n_in)."""
    check_array("W", W, ndim=2)
    check_array("x", x, ndim=2)
    if x.shape[1] != len(W):
        raise ValueError(f"x must be (samples, {len(W)}), got {x.shape}")


def check_codec(name: str, codec: object) -> None:
    """Refuse what is no codec; the class of one, without its brackets, is none."""
    if isinstance(codec, type) or not isinstance(codec, Codec):
        raise ValueError(f"{name} is not a codec, got {codec!r}")


def check_block(
    name: str, block: Any, shape: tuple[int, ...] = (0, 0)
) -> tuple[int, int]:
    """Return ``block`` if it is two ints >= 1 that divide the shape of a matrix."""
    if not isinstance(block, tuple | list) or len(block) != 2:
        raise ValueError(f"{name} must be two ints, got {block!r}")
    rows, columns = (check_int(f"{name}[{i}]", n) for i, n in enumerate(block))
    if shape[0] % rows or shape[1] % columns:
        raise ValueError(f"{name} {block} does not divide the shape {shape}")
    return rows, columns


def shape_of(x: NDArray[Any]) -> NDArray[np.int32]:
    """Return the shape as an array, which a code can hold."""
    return np.array(x.shape, np.int32)
