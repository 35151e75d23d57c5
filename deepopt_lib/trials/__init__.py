"""Fair comparisons: tuned alike, scored alike, told apart only beyond chance.

A `Comparison` holds `Contestant` objects, each with what is tuned (`Rates`, `Choices`),
and the items that all are scored on. Its ``run`` returns a `Report`: differences with
their interval, `paired` over seeds and items. From such a difference a `Verdict` on a
paper's claim follows by rule (`gain`, `no_worse`, `factor`, `holds`), never by hand.
"""

from deepopt_lib.trials.comparison import Comparison
from deepopt_lib.trials.contestant import Contestant, Items, right
from deepopt_lib.trials.fingerprint import digest
from deepopt_lib.trials.grid import Choices, Rates
from deepopt_lib.trials.intervals import Difference, fixed, holm, paired
from deepopt_lib.trials.report import Report
from deepopt_lib.trials.run import Trained
from deepopt_lib.trials.store import pack, unpack
from deepopt_lib.trials.verdicts import (
    Claim,
    Verdict,
    combined,
    factor,
    gain,
    holds,
    no_worse,
)

__all__ = [
    "Choices",
    "Claim",
    "Comparison",
    "Contestant",
    "Difference",
    "Items",
    "Rates",
    "Report",
    "Trained",
    "Verdict",
    "combined",
    "digest",
    "factor",
    "fixed",
    "gain",
    "holds",
    "holm",
    "no_worse",
    "pack",
    "paired",
    "right",
    "unpack",
]
