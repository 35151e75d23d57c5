"""Deep Compression: a pruned network with shared values, Huffman-coded.

Han et al. (2016). `write_model` of `deepopt_lib.compress.model_file` puts what comes
out of `compress` into one file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from deepopt_lib.compress.model_file import GROWTH
from deepopt_lib.compress.sparse_code import (
    Model,
    SparseCode,
    decode_sparse,
    encode_sparse,
)
from deepopt_lib.core.checks import check_array
from deepopt_lib.core.tree import nbytes
from deepopt_lib.core.types import Params

__all__ = ["compress", "decompress", "is_matrix"]


def is_matrix(w: NDArray[Any]) -> bool:
    """Say whether `compress` codes an array: weights, and neither biases nor ids."""
    return w.ndim >= 2 and w.dtype.kind == "f" and w.size > 0


def compress(
    params: Params,
    bits: int = 4,
    *,
    start: str = "linear",
    progress: Callable[[Any], Any] = lambda names: names,
) -> Model:
    """Code every floating-point matrix or kernel; keep all other arrays as they are.

    What has two axes or more is coded. An array that is empty, zero everywhere or
    nearly so (see `GROWTH`), or would not get smaller is kept as well. ``progress`` may
    wrap the names, for example in a bar.

    Raises
    ------
    ValueError
        If a matrix holds NaN or infinity, which the message names, or ``bits`` or
        ``start`` is out of range.
    """
    model: Model = {}
    for k in progress(list(params)):
        w = params[k]
        model[k] = w
        if is_matrix(w):
            check_array(k, w)
            if not w.any():
                continue
            code = encode_sparse(w, bits, start=start)
            if w.nbytes / GROWTH <= nbytes(code) < w.nbytes:
                model[k] = code
    return model


def decompress(model: Model) -> Params:
    """Return the parameters that a model stands for.

    Raises
    ------
    ValueError
        If the parts of a code do not fit each other.
    """
    return {
        k: decode_sparse(a) if isinstance(a, SparseCode) else a
        for k, a in model.items()
    }
