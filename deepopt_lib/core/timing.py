"""How long something takes, on a machine that is never quite quiet."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from deepopt_lib.core.checks import check_int
from deepopt_lib.core.noise import Timings, Watch

__all__ = ["least_seconds"]

SERIES = 6
"""Most series of rounds: a machine that never settles must not hold a page up."""


def least_seconds(
    calls: Mapping[Any, Callable[[], object]],
    *,
    rounds: int = 7,
    before: Callable[[], object] | None = None,
) -> Timings:
    """Time some calls in turns and return the least seconds of each.

    Whatever else a machine does only adds time, so the least time is the nearest to
    that of the call itself, and in turns a disturbance that lasts meets all of them.
    A first call of each is not timed. Then come series of ``rounds`` rounds, until one
    of them lowers no time by more than 2 %, six at most. ``before`` is called ahead of
    every timed call, outside its time: to empty the caches, for example. Between the
    rounds a `Watch` runs its loop, and the first call once more, not timed, because the
    loop has emptied the caches. What the watch saw is the ``noise`` of the result.

    Raises
    ------
    ValueError
        If there is nothing to call, or ``rounds`` is not a positive int.
    """
    if not calls:
        raise ValueError("calls must name at least one function, got none")
    check_int("rounds", rounds)
    first = next(iter(calls.values()))
    best = dict.fromkeys(calls, math.inf)
    with Watch() as watch:
        for call in calls.values():
            call()
        for _ in range(SERIES):
            last = dict(best)
            for _ in range(rounds):
                if watch.sample():
                    first()
                for key, call in calls.items():
                    if before is not None:
                        before()
                    start = time.perf_counter()
                    call()
                    best[key] = min(best[key], time.perf_counter() - start)
            if all(best[key] >= 0.98 * last[key] for key in best):
                break
    return Timings(best, watch.noise)
