"""How what was measured is compared and written in a claim."""

from __future__ import annotations

from deepopt_lib import trials
from reproductions.common import Right

__all__ = ["MARGIN", "ahead", "percent", "shown"]

MARGIN = 0.2
"""Points of accuracy within which two networks count as equally good: the standard
error of an error of 1.6 % on 10,000 images is 0.13."""


def percent(right: Right) -> str:
    """Return the mean error in percent: "1.62 %"."""
    return f"{100 * (1 - right.mean()):.2f} %"


def ahead(a: Right, b: Right) -> trials.Difference:
    """Return by how many points ``a`` has more images right than ``b``."""
    return trials.paired(a, b).scaled(100)


def shown(ahead: trials.Difference, digits: int = 2) -> str:
    """Return a difference and its interval, as "+0.24 [0.10, 0.38]"."""
    low, high = (f"{end:.{digits}f}" for end in (ahead.low, ahead.high))
    return f"{ahead.mean:+.{digits}f} [{low}, {high}]".replace("-", "−")
