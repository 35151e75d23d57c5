"""Measure what messages cost: ``mpiexec -n 4 python -m deepopt_lib.parallel.measure``.

Times all-reduces of this machine, for `deepopt_lib.parallel.Link`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepopt_lib.core.checks import check_int, check_number
from deepopt_lib.core.types import Array
from deepopt_lib.parallel.job import check_place, run_command, write_report
from deepopt_lib.parallel.ranks import Ranks
from deepopt_lib.parallel.ring import ring_all_reduce

__all__ = ["main", "measure"]

MOST = 2**31 - 8  # bytes of a message whose count MPI holds in 32 bits


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
    arrays = [(np.ones(s // 8), np.empty(s // 8)) for s in sizes]
    times: dict[str, list[list[float]]] = {way: [[] for _ in sizes] for way in ways}
    rounds, end, go_on = 0, time.perf_counter() + seconds, np.array([True])
    while go_on[0]:  # interleaved, so that a slow moment meets all sizes alike
        for i, (x, y) in enumerate(arrays):
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
    """Measure on all ranks; print a line of JSON, or write it to a file.

    Returns 0, or 2 after a sentence on what is wrong.
    """
    options = _parser().parse_args(argv)
    return run_command(
        "deepopt_lib.parallel.measure", lambda ranks: _measure(options, ranks)
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m deepopt_lib.parallel.measure",
        description="Time all-reduces on all ranks that mpiexec -n N has started.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--least", type=int, default=8192, help="bytes of a message")
    parser.add_argument("--decades", type=float, default=3.0, help="up from there")
    parser.add_argument("--sizes", type=int, default=21, help="how many sizes")
    parser.add_argument("--seconds", type=float, default=5.0, help="to measure")
    parser.add_argument("--report", help="a JSON file; else it is printed")
    return parser


def _measure(options: argparse.Namespace, ranks: Ranks) -> None:
    sizes = ranks.together(lambda: _sizes(options))
    check_place(ranks, options.report)
    found = measure(ranks.comm, sizes, options.seconds)
    sent = [ring_all_reduce(ranks.comm, np.ones(s // 8))[1] for s in sizes]
    told = {"ranks": ranks.size, "sizes": sizes, "sent": sent, **found}
    if options.report:
        write_report(ranks, options.report, told)
    elif ranks.rank == 0:
        print(json.dumps(told))


def _sizes(options: argparse.Namespace) -> list[int]:
    """Return the sizes in bytes of whole float64, evenly spaced on a log scale."""
    least = check_int("--least", options.least, 8, MOST)
    decades = check_number("--decades", options.decades, 0, 9)
    check_number("--seconds", options.seconds, 0)
    spread = np.geomspace(1.0, 10**decades, check_int("--sizes", options.sizes))
    sizes = [8 * round(least * factor / 8) for factor in spread.tolist()]
    check_int("the largest message", sizes[-1], high=MOST)
    return sizes


if __name__ == "__main__":
    raise SystemExit(main())
