"""Who works on a run: holds its parameters, takes its steps, fills its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from numpy.typing import NDArray

from deepopt_lib.core.tree import flatten, unflatten
from deepopt_lib.core.types import Grads, Params
from deepopt_lib.optim.inplace.driver import InPlace
from deepopt_lib.optim.optimizer import Optimizer, OptimizerState
from deepopt_lib.training.history import History

__all__ = ["InPlaceWorker", "More", "Worker"]

More = Mapping[str, NDArray[Any]]
"""Further arrays of a checkpoint, by name."""

Result = TypeVar("Result")


class Worker:
    """One process, whose run is all in its `History`.

    A subclass says what is different where the state is elsewhere: in buffers that are
    written in place, or shared out over the ranks of a job.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def start(self, params: Params) -> History:
        """Return a run before its first step."""
        return History(params, self.optimizer.init(params))

    def step(self, run: History, grads: Grads) -> None:
        """Take one step."""
        run.params, run.state = self.optimizer.step(grads, run.state, run.params)

    def shown(self, run: History) -> Params:
        """Return the parameters that are evaluated."""
        return run.params

    def finish(self, run: History) -> None:
        """Leave behind what the caller is to have."""

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint must have in common with this worker."""
        return {}

    def collect(self, run: History) -> tuple[Params, OptimizerState, More]:
        """Return parameters, state, and further arrays by name, for one file."""
        return run.params, run.state, {}

    def give_back(
        self, run: History, params: Params, state: OptimizerState, more: More
    ) -> None:
        """Bring ``run`` to what `collect` has returned.

        Raises
        ------
        ValueError
            If ``more`` does not fit this run. Nothing has changed then.
        """
        run.params, run.state = params, state

    def read(self, f: Callable[[], Result]) -> Result:
        """Call what reads the file."""
        return f()

    def write(self, f: Callable[[], None]) -> None:
        """Call what writes the file."""
        f()


class InPlaceWorker(Worker):
    """The buffers of an `InPlace` hold the run; its `History` shows views of them."""

    buffers: InPlace

    def start(self, params: Params) -> History:
        """Return a run in new buffers."""
        self.buffers = InPlace(self.optimizer, params)
        return History(self.buffers.params, self.buffers.state)

    def step(self, run: History, grads: Grads) -> None:
        """Write over the buffers; the views show the new numbers."""
        self.buffers.step(grads)
        run.state = self.buffers.state

    def finish(self, run: History) -> None:
        """Copy, so that the history has arrays of its own, to be written to."""
        tree = run.params, run.state.rules
        run.params, rules = unflatten(tree, [a.copy() for a in flatten(tree)])
        run.state = OptimizerState(run.state.t, rules)

    def facts(self) -> dict[str, Any]:
        """Return the class that steps: a loop may round otherwise than NumPy."""
        return {"optimizer": InPlace.__name__}

    def give_back(
        self, run: History, params: Params, state: OptimizerState, more: More
    ) -> None:
        """Make new buffers of what a file holds."""
        self.buffers = InPlace(self.optimizer, params, state=state)
        run.params, run.state = self.buffers.params, self.buffers.state
