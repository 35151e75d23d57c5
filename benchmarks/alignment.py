"""Where an array begins: Adam's loop from a cache line on, and from a quarter of one.

NumPy's arrays begin at multiples of 16 bytes, PyTorch's at multiples of 64. A vector of
64 bytes that begins elsewhere lies in two cache lines, and is read and written twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.timing import interleave, ratios, summary
from deepopt_lib.optim import Adam
from deepopt_lib.optim.inplace.kernel import make_kernel

LINE = 64  # bytes
SIZES = (17_000, 100_000, 1_000_000, 10_000_000)
STARTS = {"line": (0, 0), "gradient off": (0, 16), "all off": (16, 16)}


def loops(n: int) -> dict[str, Callable[[], None]]:
    """Return a step for each pair of starts (own arrays, gradient), in one memory."""
    size = -(-4 * n // LINE) * LINE + LINE
    block = np.zeros(4 * size + LINE, np.uint8)
    first = -block.ctypes.data % LINE
    loop = make_kernel(Adam(), np.dtype(np.float32))(1e-3, 100)

    def array(j: int, off: int) -> Any:
        start = first + j * size + off
        return block[start : start + 4 * n].view(np.float32)

    def step(own: int, other: int) -> Callable[[], None]:
        w, m, v = (array(j, own) for j in range(3))
        g = array(3, other)
        return lambda: loop(w, g, (m, v))

    for j in range(4):
        array(j, 0)[:] = 1
    return {name: step(*starts) for name, starts in STARTS.items()}


def measure() -> list[dict[str, Any]]:
    """Return a row for each size and start; ratios to the start on a line."""
    rows = []
    for n in SIZES:
        times = interleave(loops(n), rounds=41, least=0.005)
        for start, values in times.items():
            us = summary([1e6 * t for t in values])
            ratio = ratios(values, times["line"])
            rows.append({"n": n, "start": start, "us": us, "ratio": ratio})
            print(f"{n:11,} {start:14}{us['median']:10.1f} us{ratio['median']:8.3f}")
    return rows
