"""Deep Compression: a pruned network with shared values, Huffman-coded, in one file.

Han et al. (2016). The matrices of a network are packed (`deepopt_lib.packed`), and the
whole is written to a file (`deepopt_lib.modelfile`); both are offered here as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepopt_lib.compress.packed import Model, Packed, pack, unpack
from deepopt_lib.core.checks import check_array
from deepopt_lib.core.types import Params

__all__ = ["compress", "decompress"]


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
            check_array(k, w)
            if w.any() and (code := pack(w, bits, start=start)).nbytes < w.nbytes:
                model[k] = code
    return model


def decompress(model: Model) -> Params:
    """Return the parameters that a model stands for."""
    return {k: unpack(a) if isinstance(a, Packed) else a for k, a in model.items()}
