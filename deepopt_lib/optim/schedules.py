"""Learning-rate schedules: plain closures from the step (1, 2, ...) to a float."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from deepopt_lib.core.checks import check_number
from deepopt_lib.core.types import Schedule

__all__ = [
    "constant",
    "cosine",
    "inverse_sqrt",
    "inverse_time",
    "join_schedules",
    "one_cycle",
    "step_decay",
    "warmup",
]


def _check(**values: float) -> None:
    """Refuse a value that is not a finite number > 0."""
    for name, value in values.items():
        check_number(name, value, 0, ends="()")


def _check_schedule(schedule: Schedule) -> None:
    if not callable(schedule):
        raise ValueError(f"schedule must be a function of the step, got {schedule!r}")


def constant(lr: float) -> Schedule:
    """Return ``lr`` at every step.

    Raises
    ------
    ValueError
        If ``lr`` is not a finite number > 0.
    """
    _check(lr=lr)
    return lambda t: lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """Multiply by ``factor`` every so often: ``lr * factor**((t-1) // every)``.

    Raises
    ------
    ValueError
        If ``lr``, ``every`` or ``factor`` is not a finite number > 0.
    """
    _check(lr=lr, every=every, factor=factor)
    return lambda t: lr * factor ** ((t - 1) // every)


def cosine(lr: float, steps: int, final: float = 0.0) -> Schedule:
    """Fall along half a cosine, from ``lr`` at step 1 to ``final`` in ``steps`` steps.

    Loshchilov and Hutter (2017), eq. 5, without restarts; ``final`` forever after.

    Raises
    ------
    ValueError
        If ``lr`` or ``steps`` is not a finite number > 0, or ``final`` not in [0, lr].
    """
    _check(lr=lr, steps=steps)
    check_number("final", final, 0, lr, "[]")

    def schedule(t: int) -> float:
        done = min((t - 1) / steps, 1.0)
        return final + (lr - final) * (1 + math.cos(math.pi * done)) / 2

    return schedule


def inverse_time(lr: float, t0: float = 1.0) -> Schedule:
    """Decay as 1/t: ``lr / (1 + (t-1)/t0)``, which meets Robbins and Monro (1951).

    The sum of the rates is infinite, the sum of their squares finite.

    Raises
    ------
    ValueError
        If ``lr`` or ``t0`` is not a finite number > 0.
    """
    _check(lr=lr, t0=t0)
    return lambda t: lr / (1 + (t - 1) / t0)


def inverse_sqrt(lr: float, steps: int) -> Schedule:
    """Rise linearly to ``lr`` at step ``steps``, then decay as 1/sqrt(t).

    The shape of Vaswani et al. (2017), eq. 3, with its peak as the parameter.

    Raises
    ------
    ValueError
        If ``lr`` or ``steps`` is not a finite number > 0.
    """
    _check(lr=lr, steps=steps)
    return lambda t: lr * min(t / steps, math.sqrt(steps / t))


def warmup(schedule: Schedule, steps: int) -> Schedule:
    """Scale the first ``steps`` steps by ``t/steps`` (Goyal et al. 2017).

    Raises
    ------
    ValueError
        If ``steps`` is not a finite number > 0, or ``schedule`` no function.
    """
    _check(steps=steps)
    _check_schedule(schedule)
    return lambda t: schedule(t) * min(1.0, t / steps)


def one_cycle(
    lr: float, steps: int, rise: float = 0.3, start: float = 25.0, end: float = 1e4
) -> Schedule:
    """Rise from ``lr/start`` to ``lr``, then fall to ``lr/start/end``, both on cosines.

    The 1cycle policy of Smith (2018) in PyTorch's variant (`OneCycleLR`, cosine, two
    phases); ``rise`` is the fraction of the steps that goes up.

    Raises
    ------
    ValueError
        If a number is not > 0, or ``rise`` leaves no step on one side.
    """
    _check(lr=lr, steps=steps, rise=rise, start=start, end=end)
    if not (rise < 1 and rise * steps > 1 and steps > 2):
        raise ValueError(f"rise must leave steps on both sides, got {rise!r}")
    low, lowest = lr / start, lr / start / end
    peak = rise * steps - 1  # zero-based position of the peak

    def between(a: float, b: float, done: float) -> float:
        return b + (a - b) * (1 + math.cos(math.pi * min(done, 1.0))) / 2

    def schedule(t: int) -> float:
        if t - 1 <= peak:
            return between(low, lr, (t - 1) / peak)
        return between(lr, lowest, (t - 1 - peak) / (steps - 1 - peak))

    return schedule


def join_schedules(schedules: Sequence[Schedule], ends: Sequence[int]) -> Schedule:
    """Run ``schedules[i]`` up to and including step ``ends[i]``, the last one for ever.

    Each schedule counts its own steps from 1.

    Raises
    ------
    ValueError
        If ``ends`` is not increasing or not one shorter than ``schedules``.
    """
    if len(ends) != len(schedules) - 1:
        raise ValueError(f"{len(schedules)} schedules need {len(schedules) - 1} ends")
    for one in schedules:
        _check_schedule(one)
    starts = [0, *ends]
    if any(b <= a for a, b in pairwise(starts)):
        raise ValueError(f"ends must increase from 1 on, got {list(ends)}")

    def schedule(t: int) -> float:
        i = bisect_left(ends, t)
        return schedules[i](t - starts[i])

    return schedule
