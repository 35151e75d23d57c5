"""The loop of training, its checkpoints, and small problems with known minima.

`fit` draws batches, asks `deepopt_lib.autodiff` for gradients, lets an optimizer step,
and returns a `History`; with a checkpoint it goes on where it was stopped, to the same
bits. `descend` does it for a `Problem`, whose minimum is known.
"""

from deepopt_lib.training.history import History
from deepopt_lib.training.loop import descend, fit
from deepopt_lib.training.plan import batches
from deepopt_lib.training.problems import (
    Problem,
    beale,
    bowl,
    logistic_regression,
    noisy,
    quadratic,
    reddi,
    rosenbrock,
)

__all__ = [
    "History",
    "Problem",
    "batches",
    "beale",
    "bowl",
    "descend",
    "fit",
    "logistic_regression",
    "noisy",
    "quadratic",
    "reddi",
    "rosenbrock",
]
