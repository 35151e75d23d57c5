"""Interleaved rounds: whatever disturbs the machine disturbs all that is compared."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

Times = dict[str, list[float]]
most = 1000  # rounds of a contest; `python -m benchmarks --rounds` lowers it


def pin() -> int | None:
    """Keep this process on one core, the last one; return its number."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def seconds(f: Callable[[], Any], repeat: int) -> float:
    """Return the processor time of one call; what other programs take is not in it."""
    start = time.process_time()
    for _ in range(repeat):
        f()
    return (time.process_time() - start) / repeat


def interleave(
    runs: dict[str, Callable[[], Any]], rounds: int = 15, least: float = 0.01
) -> Times:
    """Time every run in every round, each for about ``least`` seconds."""
    repeats = {}
    for name, run in runs.items():
        run()  # compiles, allocates
        repeats[name] = max(1, int(least / max(seconds(run, 1), 1e-7)))
        if repeats[name] > 1:
            repeats[name] = max(1, int(least / seconds(run, repeats[name] // 8 + 1)))
    times: Times = {name: [] for name in runs}
    for _ in range(min(rounds, most)):
        for name, run in runs.items():
            times[name].append(seconds(run, repeats[name]))
    return times


def summary(values: list[float], digits: int = 4) -> dict[str, float]:
    """Return the median with the quartiles."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {
        name: float(f"{value:.{digits}g}")
        for name, value in {"median": median, "low": low, "high": high}.items()
    }


def ratios(ours: list[float], peer: list[float]) -> dict[str, float]:
    """Return the summary of ours/peer, round by round; below 1 ours is faster."""
    return summary([a / b for a, b in zip(ours, peer, strict=True)], digits=3)
