"""Arrays side by side in one block of memory, and loops over them."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deepopt_lib.core.types import Array

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["Buffers", "read_only"]

SMALL = 32768  # entries: below, a copy of the gradient is cheaper than another call
LINE = 64  # bytes of a cache line, and of the widest vectors
SHARE = 32768  # entries that a thread has to have to be worth its start


Loop = Callable[[Array, Array, tuple[Array, ...]], None]


class _Run(NamedTuple):
    """Rows first to last - 1: their parameters as one flat array, and their states."""

    first: int
    last: int
    w: Array
    states: tuple[Array, ...]


class Buffers:
    """Columns of arrays, packed: column j is one flat array of all rows, in order.

    Each column begins on a cache line: a vector of 64 bytes that straddles two lines is
    read twice. Large rows are served one by one, runs of small ones together.

    Attributes
    ----------
    views : list of tuples
        For each row its arrays, read-only and in their shapes.
    """

    def __init__(self, rows: Sequence[Sequence[Array]]) -> None:
        dtype, sizes = rows[0][0].dtype, [row[0].size for row in rows]
        self.block, columns = _aligned(len(rows[0]), sum(sizes), dtype)
        for j, column in enumerate(columns):
            np.concatenate([np.ravel(row[j]) for row in rows], out=column)
        edges = np.cumsum([0, *sizes]).tolist()
        self.views = [
            tuple(read_only(c[a:b].reshape(row[0].shape)) for c in columns)
            for row, (a, b) in zip(rows, pairwise(edges), strict=True)
        ]
        self.runs = [
            _Run(first, last, *_cut(columns, edges[first], edges[last]))
            for first, last in _runs(sizes)
        ]
        self.scratch = np.empty(min(sum(sizes), SMALL), dtype)

    def take(self, grads: Sequence[Array]) -> list[Array]:
        """Return the gradients; copies of those that lie in the buffers themselves."""
        return [
            # What is shown of the buffers is read-only, and few gradients are.
            g.copy() if not g.flags.writeable and self._holds(g) else g
            for g in grads
        ]

    def _holds(self, g: Array) -> bool:
        return bool(np.may_share_memory(g, self.block))

    def run(self, loop: Loop, grads: Sequence[Array], threads: int) -> None:
        """Call ``loop(w, g, states)`` for every run, on threads if it is long."""
        for first, last, w, states in self.runs:
            if last - first == 1:
                g = grads[first].reshape(-1)
            else:
                flat = [g.reshape(-1) for g in grads[first:last]]
                g = np.concatenate(flat, out=self.scratch[: w.size])
            if threads == 1 or w.size < threads * SHARE:
                loop(w, g, states)
                continue
            edges = np.linspace(0, w.size // LINE, threads + 1).astype(int) * LINE
            edges[-1] = w.size
            cuts = [slice(a, b) for a, b in pairwise(edges)]
            jobs = [(w[i], g[i], tuple(s[i] for s in states)) for i in cuts]
            list(_pool(threads, os.getpid()).map(loop, *zip(*jobs, strict=True)))


def read_only(a: Array) -> Array:
    """Return a view of ``a`` that cannot be written to."""
    view = a.view()
    view.flags.writeable = False
    return view


def _aligned(columns: int, n: int, dtype: Any) -> tuple[Any, list[Array]]:
    """Return a block and flat arrays of n entries in it, each from a cache line on."""
    size = n * dtype.itemsize
    stride = (size // LINE + 1) * LINE
    block = np.empty(columns * stride + LINE, np.uint8)
    start = -block.ctypes.data % LINE
    places = range(start, start + columns * stride, stride)
    return block, [block[i : i + size].view(dtype) for i in places]


def _cut(
    columns: Sequence[Array], start: int, stop: int
) -> tuple[Array, tuple[Array, ...]]:
    w, *states = (c[start:stop] for c in columns)
    return w, tuple(states)


def _runs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Split rows into runs that one call serves: small neighbors, or a large one."""
    runs: list[tuple[int, int]] = []
    total = math.inf
    for i, size in enumerate(sizes):
        if total + size <= SMALL:
            runs[-1] = (runs[-1][0], i + 1)
            total += size
        else:
            runs.append((i, i + 1))
            total = size
    return runs


@functools.cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Return the threads of this process: those of its parent did not come along."""
    from concurrent.futures import ThreadPoolExecutor  # not for each import of ours

    return ThreadPoolExecutor(threads, thread_name_prefix="deepopt")
