"""What all codecs share: checks, a count of bytes, and a list of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.checked import is_int
from deepopt_lib.types import Array, Codec

__all__ = ["CODECS", "Coder", "nbytes", "shape_of"]

CODECS: dict[str, type[Coder]] = {}
"""Every codec of the library by name; the tests check the promises of each."""


def nbytes(code: Any) -> int:
    """Return the bytes of every array in a code, a state or a dict of parameters."""
    if isinstance(code, np.ndarray):
        return code.nbytes
    if code is None:
        return 0
    parts = code.values() if isinstance(code, dict) else code
    return sum(nbytes(part) for part in parts)


class Coder(ABC):
    """Base of the codecs: frozen dataclasses with ``encode`` and ``decode``."""

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


def check_array(x: Any, name: str = "x", ndim: int | None = None) -> Array:
    """Return ``x`` if it is a floating-point array, not empty and finite."""
    if not (isinstance(x, np.ndarray) and x.dtype.kind == "f"):
        what = x.dtype if isinstance(x, np.ndarray) else repr(x)
        raise ValueError(f"{name} must be a floating-point array, got {what}")
    if ndim is not None and x.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got shape {x.shape}")
    if x.size == 0:
        raise ValueError(f"{name} is empty: shape {x.shape}")
    if not np.isfinite(x).all():
        bad = int(x.size - np.isfinite(x).sum())
        raise ValueError(f"{name} has {bad} entries that are NaN or infinite")
    return x


def check_layer(W: Any, x: Any) -> None:
    """Refuse a matrix (n_in, n_out) and inputs that are not (samples, n_in)."""
    check_array(W, "W", ndim=2)
    check_array(x, "x", ndim=2)
    if x.shape[1] != len(W):
        raise ValueError(f"x must be (samples, {len(W)}), got {x.shape}")


def check_codec(codec: object, name: str) -> None:
    """Refuse what is no codec; the class of one, without its brackets, is none."""
    if isinstance(codec, type) or not isinstance(codec, Codec):
        raise ValueError(f"{name} is not a codec, got {codec!r}")


def check_bits(bits: Any, name: str = "bits", most: int = 16) -> int:
    """Return ``bits`` if it is an int in [1, most]."""
    if not is_int(bits) or not 1 <= bits <= most:
        raise ValueError(f"{name} must be an int in [1, {most}], got {bits!r}")
    return int(bits)


def shape_of(x: NDArray[Any]) -> NDArray[np.int32]:
    """Return the shape as an array, which a code can hold."""
    return np.array(x.shape, np.int32)
