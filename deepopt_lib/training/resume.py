"""The keeper of a run of `fit`: saves it every so many steps, and takes it up again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from deepopt_lib.core.checks import check_int
from deepopt_lib.core.files import checksum
from deepopt_lib.core.types import Params
from deepopt_lib.optim.optimizer import OptimizerState
from deepopt_lib.training.checkpoint import get_generator, load, save, set_generator
from deepopt_lib.training.history import History
from deepopt_lib.training.plan import Indices, Plan
from deepopt_lib.training.worker import Worker

__all__ = ["Keeper"]

Loaded = tuple[Params, OptimizerState, dict[str, Any]]


class Keeper:
    """Keep a run's checkpoint at ``path``; without a path, do nothing.

    Beside parameters, state and generator it stores the losses, the metrics and the
    generator's state before the running epoch was shuffled. The step says the rest: the
    epoch, the place in it, and where the schedule stands.

    Parameters
    ----------
    path : str or path, optional
        The file.
    every : int
        Steps between two checkpoints.
    worker : Worker
        Who holds the run.
    rng : numpy.random.Generator
        What shuffles.

    Raises
    ------
    ValueError
        If ``every`` is not an int >= 1.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        every: int,
        worker: Worker,
        rng: np.random.Generator,
    ) -> None:
        self.every = check_int("every", every)
        self.path = None if path is None else os.fspath(path)
        self.worker = worker
        self.rng = rng
        self.same: dict[str, Any] = {}
        self.shuffle: Any = None
        self.stored = (-1, -1)

    def resume(
        self, run: History, plan: Plan, evaluated: bool, data: Mapping[str, Any]
    ) -> None:
        """Bring a new ``run`` to where the file says that it was, if there is one.

        The file must be of a run with the same start, worker, samples and batches, the
        same ``data``, and at most the plan's steps. Unless that run is over, a file is
        written at once: that it cannot be is better found before the training than
        after it.

        Raises
        ------
        ValueError
            If there is a file, but not one of this run. Nothing has changed then.
        OSError
            If the file cannot be read or written.
        """
        if self.path is None:
            return
        sums = {
            f"checksum of {k}": checksum({k: v})
            for k, v in data.items()
            if isinstance(v, np.ndarray) and not v.dtype.hasobject
        }
        self.same = {
            "samples": plan.samples,
            "batch_size": plan.batch_size,
            "evaluate": evaluated,
            **self.worker.facts(),
            **sums,
            "checksum of the first params": checksum(run.params),
        }
        found = self.worker.read(lambda: self._load(run.params, plan.steps))
        if found is not None:
            self._take_up(run, *found)
        if run.state.t < plan.steps:
            self._write(run)

    def batches(self, plan: Plan, skip: int) -> Iterator[Indices]:
        """Draw the batches of an epoch; leave out ``skip``, if it had begun already."""
        if self.path is None:
            return plan.batches(self.rng)
        now = get_generator(self.rng)
        if skip == 0:
            self.shuffle = now
            return plan.batches(self.rng)
        set_generator(self.rng, self.shuffle)
        batches = plan.batches(self.rng)
        set_generator(self.rng, now)  # the loss may have drawn since, for dropout
        return islice(batches, skip, None)

    def step(self, run: History) -> None:
        """Save after every ``every``-th step."""
        if run.state.t % self.every == 0:
            self.save(run)

    def save(self, run: History) -> None:
        """Save, if a step or a metric is new."""
        if self.path is not None and self.stored != _length(run):
            self._write(run)

    def _write(self, run: History) -> None:
        params, state, more = self.worker.collect(run)
        extras = {
            "loss": np.array(run.loss, np.float64),
            "metrics": run.metrics,
            "shuffle": self.shuffle,
            **more,
        }
        path, kept = str(self.path), (self.worker.optimizer, params, state, self.rng)
        self.worker.write(lambda: save(path, *kept, extras=extras, same=self.same))
        self.stored = _length(run)

    def _load(self, params: Params, steps: int) -> Loaded | None:
        path, before = str(self.path), get_generator(self.rng)
        if not os.path.exists(path):
            return None
        found = load(path, self.worker.optimizer, params, self.rng, self.same)
        t = found[1].t
        if t > steps:
            set_generator(self.rng, before)
            raise ValueError(f"{path} is beyond this run: it is at step {t} of {steps}")
        return found

    def _take_up(
        self, run: History, params: Params, state: OptimizerState, extras: Any
    ) -> None:
        loss, metrics = extras.pop("loss"), extras.pop("metrics")
        self.shuffle = extras.pop("shuffle")
        self.worker.give_back(run, params, state, extras)
        run.loss, run.metrics = loss.tolist(), metrics
        self.stored = _length(run)


def _length(run: History) -> tuple[int, int]:
    return run.state.t, len(run.metrics)
