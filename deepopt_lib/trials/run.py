"""Runs of a comparison: taken from the store, or computed in two processes."""

from __future__ import annotations

import datetime
import hashlib
import math
import multiprocessing
import os
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from deepopt_lib.core.types import Array
from deepopt_lib.trials.grid import Setting
from deepopt_lib.trials.store import Result, Store

__all__ = ["Job", "Runner", "Trained"]

MODE = "DEEPOPT_TRIALS"
"""Environment variable: ``again`` computes everything again in place of what is stored,
``check`` computes everything again and compares."""

MOVED = 0.02
"""The mean of a kept result may differ by this: other processors round otherwise."""

DIVERGED = 1e6
SECONDS = 10.0  # between two writes: a long comparison can be stopped and taken up

WORK: dict[str, Callable[[Any], Result]] = {}
"""What a forked process runs; a function of a notebook cannot be sent to it."""


class Trained(NamedTuple):
    """What a run of a contestant returns.

    ``predict`` maps inputs to what the comparison scores, or is the score itself, a
    number. ``cost`` is counted in the unit of the budget, ``notes`` are other numbers.
    """

    predict: Callable[[Array], Array] | float
    cost: float
    notes: dict[str, float] = {}  # noqa: RUF012 (never written to)


@dataclass(frozen=True)
class Job:
    """A contestant, its setting, its seed, and whether it is scored on the test items.

    ``common`` is the digest of all that its runs share.
    """

    name: str
    setting: Setting
    seed: int
    test: bool
    common: str
    key: str = field(init=False)

    def __post_init__(self) -> None:
        text = f"{self.common} {sorted(self.setting.items())!r} {self.seed}"
        key = hashlib.sha256(text.encode()).hexdigest()[:20]
        object.__setattr__(self, "key", key)

    @property
    def label(self) -> str:
        """Return the run as a line for people."""
        values = "".join(f", {k} = {v!r}" for k, v in self.setting.items())
        return f"{self.name}{values}, seed {self.seed}"


class Runner:
    """Computes what the store lacks."""

    def __init__(
        self, store: Store, work: Callable[[Job], Result], processes: int
    ) -> None:
        self.store, self.work, self.processes = store, work, processes
        self.mode = os.environ.get(MODE, "")
        self.fresh: set[str] = set()
        self.saved = time.monotonic()
        self.pool: ProcessPoolExecutor | None = None

    def compute(self, jobs: Sequence[Job], *, check: bool = False) -> None:
        """See that the store has the results of all jobs.

        With ``check``, and if it had all of them, one is computed again.

        Raises
        ------
        RuntimeError
            If a stored result is not what is computed now.
        """
        unique = {job.key: job for job in jobs}
        missing = [
            job
            for key, job in unique.items()
            if key not in self.store or (self.mode and key not in self.fresh)
        ]
        for job, result in self._results(missing):
            if job.key in self.store and self.mode == "check":
                self._compare(job, result)
            self.store.put(job.key, job.label, result)
            self.fresh.add(job.key)
            if time.monotonic() > self.saved + SECONDS:
                self.store.save(whole=False)
                self.saved = time.monotonic()
        if check and not self.fresh and unique:
            day = datetime.datetime.now(datetime.UTC).date().toordinal()
            turn = day + zlib.crc32(min(unique).encode())
            drawn = unique[sorted(unique)[turn % len(unique)]]
            self._compare(drawn, self._named(drawn))

    def _results(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """Yield each job with its result, as they come."""
        silent = bool(os.environ.get("TQDM_DISABLE"))
        bar = tqdm(
            total=len(jobs), desc="runs", disable=silent or not jobs, leave=False
        )
        with bar, warnings.catch_warnings():
            # Python 3.12 warns of forks beside threads, which a notebook's kernel has.
            warnings.simplefilter("ignore", DeprecationWarning)
            if self.pool is None and (len(jobs) < 2 or not self._forks()):
                for job in jobs:
                    yield job, self._named(job)
                    bar.update()
                return
            futures = {self._started().submit(_work, job): job for job in jobs}
            for future in as_completed(futures):
                yield futures[future], future.result()
                bar.update()

    def _forks(self) -> bool:
        return self.processes > 1 and sys.platform == "linux"

    def _started(self) -> ProcessPoolExecutor:
        """Return the processes, which have what a notebook defines since they fork."""
        if self.pool is None:
            WORK["run"] = self._named
            context = multiprocessing.get_context("fork")
            self.pool = ProcessPoolExecutor(self.processes, context, _quiet)
        return self.pool

    def __enter__(self) -> Runner:
        """Return the runner."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the processes."""
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def _named(self, job: Job) -> Result:
        try:
            with np.errstate(all="ignore"):  # who diverges is counted, nobody is warned
                return self.work(job)
        except Exception as error:
            error.add_note(f"in the run {job.label}")
            raise

    def _compare(self, job: Job, result: Result) -> None:
        moved = _moved(self.store[job.key].scores, np.asarray(result.scores))
        if moved > MOVED:
            raise RuntimeError(
                f"{job.label}: the result in {self.store.path} is not what is computed "
                f"now, its mean moved by {moved:.1%}; make trials computes all again"
            )


def _moved(stored: Any, now: Any) -> float:
    """Return how far the mean has moved: of booleans as such, of numbers relatively.

    Where a run that diverges ends is an accident of rounding, so that is no move.
    """
    with np.errstate(all="ignore"):
        before, after = (float(np.mean(np.asarray(x, float))) for x in (stored, now))
    if not (abs(before) < DIVERGED or abs(after) < DIVERGED):
        return 0.0
    scale = 1.0 if stored.dtype == bool else max(abs(before), 1e-300)
    moved = abs(before - after) / scale
    return moved if math.isfinite(moved) else math.inf


def _quiet() -> None:
    os.environ["TQDM_DISABLE"] = "1"


def _work(job: Job) -> Result:
    return WORK["run"](job)
