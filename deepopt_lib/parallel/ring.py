"""Ring all-reduce, written out: every rank sends 2(N-1)/N of its array, and no more."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepopt_lib.core.types import Array

__all__ = ["ring_all_reduce"]


def ring_all_reduce(comm: Any, x: Array) -> tuple[Array, int]:
    """Return the sum of a flat ``x`` over the ranks, and the bytes this rank sent.

    Patarasuk and Yuan (2009), section 4: N chunks travel around a ring. In N - 1 rounds
    each rank adds its own numbers to the chunk that comes in (reduce-scatter), until
    it holds one chunk of the sum; in N - 1 more the sums travel on (all-gather). Chunks
    differ by one entry if N does not divide n.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The communicator.
    x : array (n,)
        The same size and dtype on every rank; it is not changed.
    """
    n, rank = comm.Get_size(), comm.Get_rank()
    to, source = (rank + 1) % n, (rank - 1) % n
    total = x.copy()
    chunks = np.array_split(total, n)  # views
    inbox = np.empty_like(chunks[0])  # the largest
    sent = 0
    for k in range(n - 1):
        out, mine = chunks[(rank - k) % n], chunks[(rank - k - 1) % n]
        comm.Sendrecv(out, to, recvbuf=inbox[: mine.size], source=source)
        mine += inbox[: mine.size]
        sent += out.nbytes
    for k in range(n - 1):
        out, mine = chunks[(rank - k + 1) % n], chunks[(rank - k) % n]
        comm.Sendrecv(out, to, recvbuf=mine, source=source)
        sent += out.nbytes
    return total, sent
