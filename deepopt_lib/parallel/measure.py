"""Measure what messages cost: ``mpiexec -n 4 python -m deepopt_lib.parallel.measure``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepopt_lib.core.files import write_bytes
from deepopt_lib.core.types import Array
from deepopt_lib.parallel.ranks import world
from deepopt_lib.parallel.ring import ring_all_reduce

__all__ = ["main", "measure"]


def measure(comm: Any, sizes: Sequence[int], seconds: float) -> dict[str, list[float]]:
    """Time all-reduces of float64 on the ranks of ``comm`` for so many seconds.

    Returns
    -------
    dict
        ``"ring"`` and ``"mpi"``: for each size in bytes the seconds of
        `ring_all_reduce` and of MPI's own. Of each call the slowest rank counts, of all
        calls the first quartile: a shared machine adds time, it takes none away.
    """
    ways: dict[str, Callable[[Array, Array], Any]] = {
        "ring": lambda x, y: ring_all_reduce(comm, x),
        "mpi": comm.Allreduce,
    }
    arrays = {s: (np.ones(s // 8), np.empty(s // 8)) for s in sizes}
    times: dict[str, list[list[float]]] = {way: [[] for _ in sizes] for way in ways}
    rounds, end, go_on = 0, time.perf_counter() + seconds, np.ones(1)
    while go_on[0]:  # interleaved, so that a slow moment meets all sizes alike
        for i, (x, y) in enumerate(arrays.values()):
            for way, call in ways.items():
                for _ in range(max(2, min(20, 1_000_000 // x.nbytes))):
                    comm.Barrier()
                    start = time.perf_counter()
                    call(x, y)
                    times[way][i].append(time.perf_counter() - start)
        rounds += 1
        go_on[0] = rounds < 3 or time.perf_counter() < end
        comm.Bcast(go_on)  # rank 0 decides
    return {way: [_slowest(comm, t) for t in each] for way, each in times.items()}


def _slowest(comm: Any, seconds: list[float]) -> float:
    mine = np.array(seconds)
    every = np.empty((comm.Get_size(), mine.size))
    comm.Allgather(mine, every)
    return float(np.quantile(every.max(axis=0), 0.25))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure on all ranks; print a line of JSON, or write it to a file."""
    parser = argparse.ArgumentParser("alphabeta", description=main.__doc__)
    parser.add_argument("--least", type=int, default=8192, help="bytes (8192)")
    parser.add_argument("--decades", type=float, default=3.0, help="beyond (3)")
    parser.add_argument("--sizes", type=int, default=21, help="how many (21)")
    parser.add_argument("--seconds", type=float, default=5.0, help="to measure (5)")
    parser.add_argument("--report", help="a file for the JSON")
    options = parser.parse_args(argv)
    ranks = world()
    spread = np.geomspace(1.0, 10**options.decades, options.sizes)
    sizes = [8 * round(options.least * factor / 8) for factor in spread]
    found = measure(ranks.comm, sizes, options.seconds)
    sent = [ring_all_reduce(ranks.comm, np.ones(s // 8))[1] for s in sizes]
    text = json.dumps({"ranks": ranks.size, "sizes": sizes, "sent": sent, **found})
    if ranks.rank == 0 and options.report:
        write_bytes(options.report, text.encode())
    elif ranks.rank == 0:
        print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
