"""The surnames of a census, as rows of symbols."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deepopt_lib.core.types import Array
from deepopt_lib.data.images import Labels
from deepopt_lib.data.store import load

__all__ = ["Names", "surnames"]


class Names(NamedTuple):
    """Names as rows of symbols, and how common they are.

    A row has 14 entries: 1 to 26 stand for A to Z, 0 ends the name and fills the row.
    The shares are percent of the population, in steps of 0.001.
    """

    train: Labels  # (80000, 14)
    test: Labels  # (8799, 14)
    share_train: Array  # (80000,)
    share_test: Array  # (8799,)


def surnames() -> Names:
    """Return the 88,799 surnames of the 1990 census of the United States as `Names`.

    Public domain; the list of the package ``names`` 0.3.0. Every name occurs once, in
    80,000 rows to train and 8,799 to test; the split is
    ``default_rng(0).permutation(88799)``.

    Raises
    ------
    FileNotFoundError, RuntimeError
        If the file is missing or damaged.
    """
    letters, share = load("surnames.npz", "letters"), load("surnames.npz", "share")
    order = np.random.default_rng(0).permutation(len(letters))
    ids = letters[order].astype(np.int64)
    percent = share[order] / 1000
    return Names(ids[:80000], ids[80000:], percent[:80000], percent[80000:])
