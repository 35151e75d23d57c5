"""What a run of training leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deepopt_lib.core.types import Array, Params
from deepopt_lib.optim.optimizer import OptimizerState

__all__ = ["History"]


@dataclass
class History:
    """What a run leaves behind.

    Attributes
    ----------
    params, state
        The final parameters and the optimizer's final state.
    loss : list of float
        The mini-batch loss of every step, before the step is taken.
    metrics : list of dict
        What ``evaluate`` returned before the first epoch and after each one.
    """

    params: Params
    state: OptimizerState
    loss: list[float] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)

    def metric(self, name: str) -> Array:
        """Return one metric as an array over epochs, the start included."""
        return np.array([m[name] for m in self.metrics])
