"""The one rule that turns a measured difference into a verdict on a paper's claim."""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

from deepopt_lib.core.checks import check_number
from deepopt_lib.trials.intervals import Difference

__all__ = ["Claim", "Verdict", "combined", "factor", "gain", "holds", "no_worse"]

SHARE = 0.5
"""A gain counts as the paper's if it is at least this share of it."""

CLOSE = 0.8
"""A factor (40 times smaller) counts as the paper's from this share of it."""


class Verdict(enum.Enum):
    """What an experiment says about a claim."""

    REPRODUCED = "reproduced"
    PARTLY = "partly"
    NOT_HERE = "not at this scale"
    OPEN = "open"

    def __str__(self) -> str:
        """Return it as the pages show it."""
        return self.value


class Claim(NamedTuple):
    """A row of the table "paper / here": the claim, both numbers, and the verdict."""

    claim: str
    paper: str
    here: str
    verdict: Verdict


def gain(here: Difference, paper: float) -> Verdict:
    """Judge "A is better than B by so much"; both in the same units, better is > 0.

    ======================  ==================================================
    reproduced              the interval is above 0, the mean at least half of
                            the paper's gain
    partly                  the interval is above 0, the mean below that half
    not at this scale       the interval holds 0 or less, and is below half
    open                    the interval holds both 0 and half of the gain
    ======================  ==================================================

    Give ``paper=0`` if the paper states the direction alone; an interval that holds 0
    is then open.

    Raises
    ------
    ValueError
        If ``paper`` is not a finite number >= 0.
    """
    enough = SHARE * check_number("paper", paper, 0, math.inf, "[)")
    if here.low > 0:
        return Verdict.REPRODUCED if here.mean >= enough else Verdict.PARTLY
    below = here.high < enough or here.high <= 0
    return Verdict.NOT_HERE if below else Verdict.OPEN


def no_worse(here: Difference, margin: float) -> Verdict:
    """Judge "A loses at most ``margin`` against B"; ``here`` is how far A is ahead.

    Reproduced if the interval is above ``-margin``, not at this scale if it is below,
    open if it holds it: that no difference was found is no proof that there is none.

    Raises
    ------
    ValueError
        If ``margin`` is not a finite number >= 0.
    """
    least = -check_number("margin", margin, 0, math.inf, "[)")
    if here.low >= least:
        return Verdict.REPRODUCED
    return Verdict.NOT_HERE if here.high < least else Verdict.OPEN


def factor(here: float, paper: float) -> Verdict:
    """Judge a counted factor ("40 times fewer bytes"), which has no interval.

    Reproduced from four fifths of the paper's factor on, partly if it is above 1.

    Raises
    ------
    ValueError
        If ``here`` is not a number > 0, or ``paper`` none > 1.
    """
    here = check_number("here", here, 0, math.inf, "()")
    paper = check_number("paper", paper, 1, math.inf, "()")
    if here >= CLOSE * paper:
        return Verdict.REPRODUCED
    return Verdict.PARTLY if here > 1 else Verdict.NOT_HERE


def holds(*conditions: bool) -> Verdict:
    """Judge what is exact: an identity, a theorem's bound, a count.

    Reproduced if all conditions hold, partly if some do.

    Raises
    ------
    ValueError
        If there is no condition.
    """
    if not conditions:
        raise ValueError("a verdict needs at least one condition")
    if all(conditions):
        return Verdict.REPRODUCED
    return Verdict.PARTLY if any(conditions) else Verdict.NOT_HERE


def combined(*verdicts: Verdict) -> Verdict:
    """Judge a claim of several parts: what all of them say, if they agree.

    Otherwise it is met partly if one part is, at least partly; open if none is.

    Raises
    ------
    ValueError
        If there is no verdict.
    """
    if not verdicts:
        raise ValueError("a verdict needs at least one part")
    if len(set(verdicts)) == 1:
        return verdicts[0]
    if {Verdict.REPRODUCED, Verdict.PARTLY} & set(verdicts):
        return Verdict.PARTLY
    return Verdict.OPEN
