"""What the ranks must agree on: before a run all it is made of, then each step."""

from __future__ import annotations

import json
import math
import os
import platform
import zlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.files import checksum
from deepopt_lib.core.types import Array, Grads, Params
from deepopt_lib.parallel.errors import SharedError
from deepopt_lib.parallel.ranks import Ranks
from deepopt_lib.training.checkpoint import get_generator

__all__ = ["agreed_step", "check_same", "facts"]


def check_same(ranks: Ranks, mine: Mapping[str, Any]) -> None:
    """Refuse ranks that do not agree on all facts: versions, names, checksums.

    Raises
    ------
    SharedError
        It names the fact, two ranks and what each of them has.
    """
    each = [json.loads(text) for text in ranks.all_gather_texts(json.dumps(mine))]
    for name in dict.fromkeys(name for told in each for name in told):
        first, *others = (told.get(name, "nothing") for told in each)
        for rank, value in enumerate(others, 1):
            if value != first:
                raise SharedError(
                    f"the ranks differ in {name}: "
                    f"rank 0 has {first}, rank {rank} has {value}"
                )


def facts(
    params: Params,
    x: Array,
    y: Any,
    rng: np.random.Generator,
    checkpoint: str | os.PathLike[str] | None,
) -> dict[str, Any]:
    """Return what must be the same on all ranks, beside the options of a run."""
    drawn = json.dumps(get_generator(rng)).encode()
    path = None if checkpoint is None else os.fspath(checkpoint)
    return {
        "versions": f"deepopt_lib {version('deepopt_lib')}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}",
        "the names of the parameters": sorted(params),
        "the first parameters": f"{checksum(params):08x}",
        "the data": f"{checksum({'x': np.asarray(x), 'y': np.asarray(y)}):08x}",
        "the generator": f"{zlib.crc32(drawn):08x}",
        "checkpoint": path,
        "whether the checkpoint exists": path is not None and os.path.exists(path),
    }


def agreed_step(
    ranks: Ranks,
    t: int,
    batch: NDArray[np.int64],
    gradient: Callable[[], tuple[float, Grads]],
) -> tuple[float, Grads]:
    """Return the mean loss of the ranks and this rank's gradients, all of them finite.

    Parameters
    ----------
    t : int
        The step, from 1.
    batch : array (batch_size,)
        Indices of the samples of all ranks: the same on each.
    gradient : callable
        Returns the loss and the gradients of this rank's share.

    Raises
    ------
    SharedError
        If ``gradient`` fails on a rank, if a loss or a gradient is no longer finite,
        or if the ranks have drawn other batches.
    """
    error: Exception | None = None
    value, grads = math.nan, Grads()
    try:
        value, grads = gradient()
    except Exception as e:
        error = e
    what = [*(f"the gradient of {k}" for k in grads), "the loss"]
    found: list[Any] = [*grads.values(), value]
    finite = [bool(np.isfinite(a).all()) for a in found]
    bad = [*finite, False].index(False)  # the first, or beyond the last
    mine = np.array([value, bad, zlib.crc32(batch.data), error is not None])
    with ranks.uncounted():
        told = ranks.all_gather(mine)
    if told[:, 3].any():
        ranks.share(error)
    for rank, (_, i, drawn, _) in enumerate(told):
        if drawn != told[0, 2]:
            raise SharedError(
                f"step {t}: rank 0 and rank {rank} have drawn other batches: "
                "a loss must not draw from the generator that shuffles"
            )
        if i < len(what):
            which = what[int(i)]
            raise SharedError(f"step {t}: {which} is NaN or infinite on rank {rank}")
    return float(told[:, 0].mean()), grads
