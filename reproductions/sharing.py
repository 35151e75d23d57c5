"""Trained quantization: a few values a layer, which the weights share.

Han et al. (2016), section 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib import compress, core, data, nn
from reproductions import lenet
from reproductions.common import Report

__all__ = ["Places", "joined", "share", "train"]

Places = dict[str, NDArray[np.intp]]
"""Which value each weight has, in the shape of the layer."""


def share(params: core.Params, bits: int) -> tuple[core.Params, Places]:
    """Give the weights that are left 2**bits - 1 values a layer, and say who has which.

    k-means starts from evenly spaced values. A weight that is gone has place 0, and
    `joined` keeps it at zero.
    """
    values: core.Params = {}
    places: Places = {}
    for k in lenet.MATRICES:
        kept = params[k] != 0
        values[k], labels = compress.k_means(params[k][kept], 2**bits - 1, "linear")
        places[k] = np.zeros(kept.shape, np.intp)
        places[k][kept] = labels
    return values, places


def joined(params: core.Params, values: Any, places: Places) -> dict[str, Any]:
    """Return the network whose weights have their shared values.

    Which weights are left is read off ``params``; ``values`` may have biases too, which
    then take the place of theirs.
    """
    kept = {k: (params[k] != 0).astype(params[k].dtype) for k in places}
    full = {
        k: compress.spread(values[k], places=places[k], signs=kept[k]) for k in places
    }
    return {**{k: values.get(k, w) for k, w in params.items()}, **full}


def train(
    params: core.Params,
    values: core.Params,
    places: Places,
    split: data.Split,
    rng: np.random.Generator,
    *,
    epochs: int,
    lr: float,
    report: Report = lambda fraction: None,
) -> core.Params:
    """Train the shared values and the biases; which weight has which value stays.

    A value takes the sum of the gradients of all who share it (eq. 3).
    """

    def network(free: Any, x: Any) -> Any:
        return nn.mlp(joined(params, free, places), x)

    free = lenet.fit(
        {**params, **values},
        split,
        rng,
        epochs=epochs,
        lr=lr,
        network=network,
        report=report,
    )
    return joined(params, free, places)
