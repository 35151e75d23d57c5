"""How busy the machine is, and claims about time that hold only where it is not."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from deepopt_lib.core.checks import check_number
from deepopt_lib.core.types import Array

__all__ = ["Timings", "Watch", "when_quiet"]

EVERY = 0.02
"""Seconds for which each loop of about a millisecond stands."""

ENDS = 10
"""Loops at either end of a watch: one interruption alone makes no noise of 20 %."""

MOST = 100
"""Loops at a time, however long a call took."""


class Watch:
    """Watch the machine during a measurement: ``with Watch() as watch: ...``.

    A loop of known work, which has nothing to do with what is measured, runs at both
    ends of the block and whenever `sample` is called. It adds up the same numbers every
    time, 2 MB of them, so that it feels who takes the processor and who the memory.
    """

    def __init__(self) -> None:
        self._numbers = np.ones(2**18)
        self._wall: list[float] = []
        self._processor: list[float] = []
        self._last = time.perf_counter()

    def __enter__(self) -> Watch:
        _loop(self._numbers)  # not timed: nothing of it is in a cache
        self._run(ENDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(max(ENDS, self._due()))

    def __repr__(self) -> str:
        return f"Watch(noise={self.noise:.3f})" if self._wall else "Watch()"

    def sample(self) -> bool:
        """Run the loop once for every 20 ms since the last time.

        Returns
        -------
        bool
            Whether it ran at all, and so has replaced what was in the caches.
        """
        due = self._due()
        self._run(due)
        return due > 0

    @property
    def noise(self) -> float:
        """How much longer the loop took than it needs, 0.1 for 10 %.

        The sum of what other processes took, which is its time on the clock over that
        on the processor, less one, and of its unsteadiness, which is its median time
        over its least, less one. A loop that others slow each time is as steady as a
        quiet one, and one that waits for memory loses no time on the processor.

        Raises
        ------
        ValueError
            If nothing was watched.
        """
        if not self._wall:
            raise ValueError("nothing was watched: measure within `with Watch() as w:`")
        wall, processor = sum(self._wall), sum(self._processor)
        # Some systems count a processor's time in ticks that are longer than a loop.
        taken = max(0.0, wall / processor - 1) if processor else 0.0
        return taken + float(np.median(self._wall)) / min(self._wall) - 1

    def _due(self) -> int:
        return min(MOST, int((time.perf_counter() - self._last) / EVERY))

    def _run(self, times: int) -> None:
        for _ in range(times):
            wall, processor = time.perf_counter(), time.thread_time()
            _loop(self._numbers)
            self._processor.append(time.thread_time() - processor)
            self._wall.append(time.perf_counter() - wall)
        if times:
            self._last = time.perf_counter()


class Timings(dict[Any, float]):
    """Seconds by name, and how busy the machine was when they were measured."""

    noise: float
    """What a `Watch` saw meanwhile, 0.1 for 10 %."""

    def __init__(self, seconds: Mapping[Any, float], noise: float) -> None:
        super().__init__(seconds)
        self.noise = noise


@contextmanager
def when_quiet(*measured: Timings | Watch, margin: float = 0.2) -> Iterator[None]:
    """Assert what a block asserts about time, if the machine was quiet meanwhile.

    ``with when_quiet(least): assert least["new"] < least["old"]``. Where the noise of
    a measurement exceeds ``margin``, a line says that nothing is confirmed, whether it
    holds or not. So such a block holds nothing but claims about time.

    Raises
    ------
    AssertionError
        If the noise is within the margin and an assertion fails; a note has the noise
        and the measurements.
    ValueError
        If there is no measurement, one has no noise, or the margin is not in (0, 1].
    """
    if not measured:
        raise ValueError("when_quiet needs at least one measurement, got none")
    for each in measured:
        if not isinstance(each, Timings | Watch):
            raise ValueError(f"a measurement must have a noise, got {each!r}")
    noise = max(check_number("noise", each.noise, 0) for each in measured)
    check_number("margin", margin, 0, 1, "(]")
    said = f"noise {100 * noise:.0f} %, margin {100 * margin:.0f} %"
    try:
        yield
    except AssertionError as error:
        if noise <= margin:
            error.add_note(f"{said}; measured {', '.join(map(repr, measured))}")
            raise
    if noise > margin:
        print(f"not confirmed: the machine is busy ({said})")


def _loop(numbers: Array) -> float:
    """Do the known work, about a millisecond of it."""
    return sum(float(numbers.sum()) for _ in range(16)) + sum(range(40_000))
