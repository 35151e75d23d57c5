"""LeNet-300-100 on MNIST: what its experiments share.

784-300-100-10 with relu (LeCun et al. 1998), 266,200 weights and 410 biases, all of it
in float32. Pixels are in [0, 1]; no image is distorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib import autodiff, compress, core, data, nn, optim, training
from reproductions import common

__all__ = [
    "MATRICES",
    "SIZES",
    "dense",
    "draw",
    "error",
    "fit",
    "images",
    "score",
    "walk",
]

SIZES = (784, 300, 100, 10)
MATRICES = ("layer1.W", "layer2.W", "layer3.W")
EPOCHS, RATE, DECAY = 20, 8e-3, 0.1  # of `dense`; chosen by `pruning.tune`

Network = Callable[[Any, Any], Any]
Labels = NDArray[np.int64]


def images(validation: int = 0) -> data.Split:
    """Return MNIST in float32: all 60,000 to train, or fewer and some to choose by."""
    return data.mnist(validation=validation, dtype=np.float32)


def draw(seed: int) -> core.Params:
    """Return the network before training, drawn as He et al. (2015) do."""
    rng = np.random.default_rng([seed, 0])
    return nn.init_mlp(rng, SIZES, dtype=np.float32)


def walk(
    params: core.Params,
    optimizer: optim.Optimizer,
    x: core.Array,
    y: Labels,
    rng: np.random.Generator,
    *,
    batch: int,
    masks: Mapping[str, compress.Mask] | None = None,
    network: Network = nn.mlp,
) -> Iterator[core.Params]:
    """Take a step at a time, without end, and yield views of the parameters.

    What is zero where a mask says so stays zero: its gradient is zero from the first
    step on, and with it all that the optimizer remembers.
    """

    def loss(params: Any, x: Any, y: Any) -> Any:
        return autodiff.cross_entropy(network(params, x), y)

    gradient = autodiff.value_and_grad(loss)
    run = optim.InPlace(optimizer, compress.apply_masks(params, masks or {}))
    kept = {k: mask.astype(np.float32) for k, mask in (masks or {}).items()}
    while True:
        for i in training.batches(len(x), batch, rng):
            _, grads = gradient(run.params, x[i], y[i])
            run.step({k: g * kept[k] if k in kept else g for k, g in grads.items()})
            yield run.params


def fit(
    params: core.Params,
    split: data.Split,
    rng: np.random.Generator,
    *,
    epochs: int,
    lr: float,
    decay: float = 0.0,
    batch: int = 100,
    masks: Mapping[str, compress.Mask] | None = None,
    network: Network = nn.mlp,
    report: common.Report = lambda fraction: None,
) -> core.Params:
    """Train by AdamW, whose rate falls from ``lr`` to 0 along half a cosine.

    Every step takes the share ``lr * decay`` off the parameters; Loshchilov and Hutter
    (2019).
    """
    steps = core.check_int("epochs", epochs) * -(-len(split.x_train) // batch)
    rule = (
        optim.chain(optim.Adam(), optim.WeightDecay(decay)) if decay else optim.Adam()
    )
    optimizer = optim.Optimizer(rule, optim.cosine(lr, steps))
    path = walk(
        params,
        optimizer,
        split.x_train,
        split.y_train,
        rng,
        batch=batch,
        masks=masks,
        network=network,
    )
    for t in range(1, steps + 1):
        trained = next(path)
        report(t / steps)
    return {k: w.copy() for k, w in trained.items()}


def score(params: core.Params, split: data.Split) -> dict[str, Any]:
    """Score a network on the test images."""
    return common.score(nn.mlp(params, split.x_test), split.y_test)


def error(params: core.Params, split: data.Split) -> float:
    """Return the error on the validation images, in percent."""
    return 100 * (1 - nn.accuracy(nn.mlp(params, split.x_val), split.y_val))


def dense(
    seed: int,
    split: data.Split,
    report: common.Report,
    *,
    lr: float = RATE,
    decay: float = DECAY,
) -> core.Params:
    """Return the trained network of a seed, where pruning and rounding start."""
    rng = np.random.default_rng([seed, 1])
    return fit(draw(seed), split, rng, epochs=EPOCHS, lr=lr, decay=decay, report=report)
