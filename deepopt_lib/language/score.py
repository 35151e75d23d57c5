"""How well a model predicts a text: bits for each byte of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.autodiff.ops.softmax import cross_entropy
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.shapes import check_indices
from deepopt_lib.core.types import Params
from deepopt_lib.language.model import LanguageModel

__all__ = ["bits_per_byte", "loss", "windows"]


def windows(ids: Any, width: int, stride: int) -> NDArray[Any]:
    """Return pieces of a text, ``width`` symbols each, that start ``stride`` apart.

    Raises
    ------
    ValueError
        If a number is no positive int, or the text is shorter than a piece.
    """
    check_int("stride", stride)
    check_int("width", width, 1, len(ids))
    starts = np.arange(0, len(ids) - width + 1, stride)
    pieces: NDArray[Any] = np.asarray(ids)[starts[:, None] + np.arange(width)]
    return pieces


def loss(model: LanguageModel, params: Any, x: Any, y: Any) -> Any:
    """Return the mean of ``-log p(y)`` of the symbols that follow each of x, in nats.

    x and y (batch, time), y one symbol further on.
    """
    return cross_entropy(model.logits(params, x), y.reshape(-1))


def bits_per_byte(
    model: LanguageModel, params: Params, ids: Any, batch: int = 32
) -> float:
    """Return the bits that a text costs, for each of its bytes; lower is better.

    Each symbol is predicted once, from at least half a context before it, but for the
    first ones of the text: pieces overlap by a half, and the second half is counted.

    Raises
    ------
    ValueError
        If the ids are no symbols of the model, or fewer than a context and one more.
    """
    ids = check_indices("ids", ids, model.symbols)
    half = model.context // 2
    pieces = windows(ids, model.context + 1, half)
    total = 0.0
    for i in range(0, len(pieces), batch):
        x, y = pieces[i : i + batch, :-1], pieces[i : i + batch, 1:]
        logits = model.logits(params, x).reshape(*x.shape, -1)[:, half:]
        rows = np.ascontiguousarray(logits).reshape(-1, model.symbols)
        total += float(cross_entropy(rows, y[:, half:].ravel())) * len(rows)
    return total / (len(pieces) * (model.context - half)) / math.log(2)
