"""Ranks that are threads of this process: the collectives of MPI, as far as used.

For what has to be tried often; test_parallel.py starts real processes.
"""

# ruff: noqa: N802 - the names are those of mpi4py

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from deepopt_lib.parallel import Ranks

SECONDS = 20.0  # until a rank that waits for another one is taken for hung


class Job:
    """What the ranks share."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=SECONDS)
        self.slots: list[Any] = [None] * size
        self.aborted: list[int] = []


class ThreadComm:
    """One rank's communicator."""

    def __init__(self, job: Job, rank: int) -> None:
        self.job = job
        self.rank = rank

    def Get_rank(self) -> int:
        return self.rank

    def Get_size(self) -> int:
        return self.job.size

    def Abort(self, code: int) -> None:
        self.job.aborted.append(code)
        self.job.barrier.abort()

    def Barrier(self) -> None:
        self.job.barrier.wait()

    def _all(self, mine: Any) -> list[Any]:
        self.job.slots[self.rank] = mine
        self.Barrier()
        everyone = list(self.job.slots)
        self.Barrier()
        return everyone

    def Allreduce(self, x: Any, total: Any) -> None:
        total[...] = np.sum(self._all(_sent(x)), axis=0)

    def Reduce_scatter(self, x: Any, part: Any, sizes: list[int]) -> None:
        start = sum(sizes[: self.rank])
        total = np.sum(self._all(_sent(x)), axis=0)
        part[...] = total[start : start + sizes[self.rank]]

    def Allgather(self, x: Any, everyone: Any) -> None:
        parts = self._all(_sent(x))
        assert len({(a.dtype, a.shape) for a in parts}) == 1, "not one collective"
        everyone.reshape(self.job.size, -1)[...] = [a.reshape(-1) for a in parts]

    def Allgatherv(self, x: Any, out: tuple[Any, Any]) -> None:
        whole, sizes = out
        parts = self._all(_sent(x))
        assert [a.size for a in parts] == sizes.tolist()
        whole[...] = np.concatenate(parts)

    def Bcast(self, x: Any) -> None:
        x[...] = self._all(_sent(x))[0]

    def Sendrecv(self, x: Any, to: int, *, recvbuf: Any, source: int) -> None:
        sent = self._all((to, _sent(x)))
        assert sent[source][0] == self.rank
        recvbuf[...] = sent[source][1]


def _sent(x: Any) -> Any:
    """Return what travels: MPI takes the memory of an array as it lies."""
    assert x.flags.c_contiguous
    return x.copy()


def run_ranks(n: int, work: Callable[[Ranks], Any]) -> list[Any]:
    """Call ``work`` on n ranks; return what each returns, or raises."""
    job = Job(n)
    found: list[Any] = [None] * n

    def one(rank: int) -> None:
        try:
            found[rank] = work(Ranks(ThreadComm(job, rank)))
        except BaseException as error:
            found[rank] = error
            job.barrier.abort()

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
