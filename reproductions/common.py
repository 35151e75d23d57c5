"""What every experiment shares: how a network is scored, and how scores are read."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core import Array

__all__ = ["Report", "Right", "Runs", "decode", "rights", "score", "span"]

Report = Callable[[float], None]
"""Told which fraction of a piece is done, from 0 to 1."""

Right = NDArray[np.bool_]
"""Which images a network has right: (images,), or (seeds, images)."""

Runs = Mapping[str, Mapping[str, Any]]
"""What `run` returned, by ``"<piece>/<seed>"``."""


def span(report: Report, start: float, end: float) -> Report:
    """Return what a part of a piece reports to: its 0 is ``start``, its 1 ``end``."""
    return lambda fraction: report(start + (end - start) * fraction)


def score(logits: Array, labels: NDArray[np.integer[Any]]) -> dict[str, Any]:
    """Return the error in percent, and which images are right, one bit each.

    logits (images, classes), labels (images,). Two networks that were scored on the
    same images can be compared image by image.

    Raises
    ------
    ValueError
        If the shapes do not fit, there are no images, or a logit is not finite.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not labels.size:
        raise ValueError(
            "score needs logits (images, classes) and labels (images,), got "
            f"{logits.shape} and {labels.shape}"
        )
    if not np.isfinite(logits).all():
        raise ValueError("score needs finite logits: the training has diverged")
    right = logits.argmax(axis=1) == labels
    bits = base64.b64encode(np.packbits(right).tobytes()).decode("ascii")
    error = 100 * int(np.count_nonzero(~right)) / right.size
    return {"error": error, "images": right.size, "right": bits}


def decode(scored: Mapping[str, Any]) -> Right:
    """Return which images are right, (images,), from what `score` returned.

    Raises
    ------
    ValueError
        If the bits are not as many as the images.
    """
    packed = np.frombuffer(base64.b64decode(scored["right"]), np.uint8)
    images = int(scored["images"])
    if packed.size != -(-images // 8):
        raise ValueError(f"{packed.size} bytes of bits for {images} images")
    return np.unpackbits(packed, count=images).astype(np.bool_)


def rights(
    runs: Runs, piece: str, name: str | tuple[str, ...], seeds: Iterable[int]
) -> Right:
    """Return which images are right, (seeds, images), of one network of a piece.

    ``name`` is the key under which ``run`` returned its score, or the keys that lead
    there.

    Raises
    ------
    KeyError
        If a run or the network is missing.
    """
    keys = (name,) if isinstance(name, str) else name
    found = (reduce(getitem, keys, runs[f"{piece}/{seed}"]) for seed in seeds)
    return np.stack([decode(scored) for scored in found])
