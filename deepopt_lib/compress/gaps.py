"""The places of few entries among many, as the gaps between them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import check_int

__all__ = ["count_gaps", "from_gaps", "to_gaps"]

Ints = NDArray[Any]


def to_gaps(places: Ints, bits: int) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Return the gaps between increasing places, in symbols of ``bits`` bits each.

    Han et al. (2016), section 2 and Fig. 2. A symbol g says: g positions are skipped,
    the next one is an entry. Where a gap has no symbol, *fillers* are put in: the
    largest symbol, with an entry that is zero. Also returns which entries are real.

    Raises
    ------
    ValueError
        If the places are not ints that increase from 0 on, or ``bits`` is outside
        [1, 16].
    """
    step = 2 ** check_int("bits", bits, 1, 16)  # what a filler covers, with itself
    skipped = _skipped(places)
    fillers = skipped // step
    ends = np.cumsum(fillers + 1) - 1
    gaps = np.full(int(np.sum(fillers + 1)), step - 1, np.uint16)
    real = np.zeros(gaps.size, np.bool_)
    gaps[ends], real[ends] = skipped % step, True
    return gaps, real


def count_gaps(
    places: Ints, widths: range | tuple[int, ...]
) -> dict[int, tuple[NDArray[np.int64], int]]:
    """Return for each width how often `to_gaps` uses each symbol, and its fillers.

    Found from one histogram of the gaps, without making the symbols.
    """
    often = np.bincount(_skipped(places))
    gaps = np.flatnonzero(often)
    often = often[gaps]
    found = {}
    for bits in widths:
        step = 2**bits
        counts = np.bincount(gaps % step, often, minlength=step).astype(np.int64)
        fillers = int((gaps // step) @ often)
        counts[-1] += fillers
        found[bits] = counts, fillers
    return found


def from_gaps(gaps: Ints) -> NDArray[np.int64]:
    """Return the place of every entry, the fillers' included."""
    return np.cumsum(gaps.astype(np.int64) + 1) - 1


def _skipped(places: Ints) -> NDArray[np.int64]:
    """Return how many positions lie before each place and after the one before."""
    whole = np.asarray(places)
    if whole.size and whole.dtype.kind not in "iu":
        raise ValueError(f"places must be integers, got {whole.dtype}")
    skipped = np.asarray(np.diff(whole.astype(np.int64), prepend=-1) - 1, np.int64)
    if np.any(skipped < 0):
        raise ValueError("places must increase, from 0 on")
    return skipped
