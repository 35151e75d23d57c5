"""The keeper of a run of `fit`: saves it every so many steps, and takes it up again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import is_int
from deepopt_lib.core.files import checksum
from deepopt_lib.core.tree import flatten, ravel
from deepopt_lib.optim.optimizer import Optimizer
from deepopt_lib.training.checkpoint import get_generator, load, save, set_generator
from deepopt_lib.training.history import History

__all__ = ["Keeper"]

Batch = TypeVar("Batch")


class Keeper:
    """Keep a run's checkpoint at ``path``; without a path, do nothing.

    Beside parameters, state and generator it stores the losses, the metrics and the
    generator's state before the running epoch was shuffled. The step says the rest: the
    epoch, the place in it, and where the schedule stands.

    Raises
    ------
    ValueError
        If ``every`` is not an int >= 1.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        every: int,
        optimizer: Optimizer,
        rng: np.random.Generator,
    ) -> None:
        if not is_int(every) or every < 1:
            raise ValueError(f"every must be an int >= 1, got {every!r}")
        self.path = None if path is None else os.fspath(path)
        self.every = every
        self.optimizer = optimizer
        self.rng = rng
        self.same: dict[str, Any] = {}
        self.shuffle: Any = None
        self.stored = (-1, -1)
        self.more: dict[str, NDArray[Any]] = {}  # whatever else belongs to the run

    def resume(
        self, run: History, steps: int, same: Mapping[str, Any], data: Mapping[str, Any]
    ) -> None:
        """Bring a new ``run`` to where the file says that it was, if there is one.

        The file must be of a run with the same start, the same ``same`` and ``data``,
        and at most ``steps`` steps. Unless that run is over, a file is written at once:
        that it cannot be is better found before the training than after it.

        Raises
        ------
        ValueError
            If there is a file, but not one of this run. Nothing has changed then.
        OSError
            If the file cannot be read or written.
        """
        if self.path is None:
            return
        flatten = {k: v for k, v in data.items() if isinstance(v, np.ndarray)}
        flatten = {k: v for k, v in flatten.items() if not v.dtype.hasobject}
        sums = {f"checksum of {k}": checksum({k: v}) for k, v in flatten.items()}
        start = {"checksum of the first params": checksum(run.params)}
        self.same = {**same, **sums, **start}
        if os.path.exists(self.path):
            self._load(self.path, run, steps)
        if run.state.t < steps:
            self._write(self.path, run)

    def batches(
        self, draw: Callable[[np.random.Generator], Iterator[Batch]], skip: int
    ) -> Iterator[Batch]:
        """Draw the batches of an epoch; leave out ``skip``, if it had begun already."""
        if self.path is None:
            return draw(self.rng)
        now = get_generator(self.rng)
        if skip == 0:
            self.shuffle = now
            return draw(self.rng)
        set_generator(self.rng, self.shuffle)
        batches = draw(self.rng)
        set_generator(self.rng, now)  # the loss may have drawn since, for dropout
        return islice(batches, skip, None)

    def step(self, run: History) -> None:
        """Save after every ``every``-th step."""
        if run.state.t % self.every == 0:
            self.save(run)

    def save(self, run: History) -> None:
        """Save, if a step or a metric is new."""
        if self.path is not None and self.stored != _length(run):
            self._write(self.path, run)

    def _write(self, path: str, run: History) -> None:
        extras = {
            "loss": np.array(run.loss, np.float64),
            "metrics": run.metrics,
            "shuffle": self.shuffle,
            **self.more,
        }
        kept = (self.optimizer, run.params, run.state, self.rng)
        save(path, *kept, extras=extras, same=self.same)
        self.stored = _length(run)

    def _load(self, path: str, run: History, steps: int) -> None:
        before = get_generator(self.rng)
        run.params, run.state, extras = load(
            path, self.optimizer, run.params, self.rng, self.same
        )
        if run.state.t > steps:
            set_generator(self.rng, before)
            raise ValueError(
                f"{path} is beyond this run: it is at step {run.state.t} of {steps}"
            )
        if self.optimizer.fused:  # side by side again, as before the stop
            run.params = ravel(run.params)[1]
            state = self.optimizer.init(run.params)
            old, new = tuple(run.state.rules.values()), tuple(state.rules.values())
            for a, b in zip(flatten(new), flatten(old), strict=True):
                a[...] = b
            run.state = state._replace(t=run.state.t)
        run.loss = extras["loss"].tolist()
        run.metrics = extras["metrics"]
        self.shuffle = extras["shuffle"]
        known = ("loss", "metrics", "shuffle")
        self.more = {k: v for k, v in extras.items() if k not in known}
        self.stored = _length(run)


def _length(run: History) -> tuple[int, int]:
    return run.state.t, len(run.metrics)
