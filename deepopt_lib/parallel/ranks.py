"""The ranks of a parallel job, and a count of what this one sends.

Works on any MPI through ``mpi4py``. Only buffers travel, never pickled objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.types import Array
from deepopt_lib.parallel.errors import SharedError, sentence

__all__ = ["Ranks"]

Result = TypeVar("Result")


class Ranks:
    """What the ranks do together; every method must be called by all of them.

    The names of the collectives are those of MPI, NCCL and ``torch.distributed``.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The communicator.

    Attributes
    ----------
    rank, size : int
        This rank, from 0, and how many there are.
    sent : float
        Bytes of this rank by the ring formula, not counted on the wire: of n bytes an
        all-reduce sends ``2*(N-1)/N * n``, a reduce-scatter or an all-gather half of
        that (Patarasuk and Yuan 2009). MPI may choose another way, never a shorter one.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()
        self.sent = 0.0

    def all_reduce_mean(self, x: Array) -> Array:
        """Return the mean of ``x`` (any shape) over the ranks, alike on each."""
        x = np.ascontiguousarray(x)
        total = np.empty_like(x)
        self.comm.Allreduce(x, total)
        self.sent += 2 * self._others * x.nbytes
        return total / self.size

    def reduce_scatter_mean(self, x: Array) -> Array:
        """Return this rank's `span` of the mean of a flat ``x`` (n,) over the ranks."""
        spans = [self.span(len(x), r) for r in self]
        sizes = [s.stop - s.start for s in spans]
        part = np.empty(sizes[self.rank], x.dtype)
        self.comm.Reduce_scatter(np.ascontiguousarray(x), part, sizes)
        self.sent += self._others * x.nbytes
        return part / self.size

    def all_gather(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return ``x`` of all ranks, (N, ...); it has the same shape on each."""
        x = np.ascontiguousarray(x)
        everyone = np.empty((self.size, *x.shape), x.dtype)
        self.comm.Allgather(x, everyone)
        self.sent += self._others * everyone.nbytes
        return everyone

    def all_gather_v(self, part: NDArray[Any]) -> NDArray[Any]:
        """Return the flat parts of all ranks, of any length, one after the other."""
        mine = np.ascontiguousarray(part).view(np.uint8)
        sizes = np.empty(self.size, np.int64)
        self.comm.Allgather(np.array([mine.size]), sizes)
        whole = np.empty(int(sizes.sum()), np.uint8)
        self.comm.Allgatherv(mine, (whole, sizes))
        self.sent += self._others * whole.size
        return whole.view(part.dtype)

    def all_gather_arrays(
        self, arrays: Sequence[NDArray[Any]]
    ) -> list[list[NDArray[Any]]]:
        """Return the arrays of every rank by one all-gather: one message for all.

        Dtypes and shapes are the same on each rank.

        Raises
        ------
        SharedError
            If the ranks have arrays of different sizes.
        """
        flat = [np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in arrays]
        mine = np.concatenate([np.empty(0, np.uint8), *flat])
        with self.uncounted():
            sizes = self.all_gather(np.array(mine.size))
        if (sizes != mine.size).any():
            raise SharedError("the ranks send codes of different sizes")
        ends = np.cumsum([f.size for f in flat])
        return [
            [
                part.copy().view(a.dtype).reshape(a.shape)
                for part, a in zip(np.split(row, ends), arrays, strict=False)
            ]
            for row in self.all_gather(mine)
        ]

    def all_gather_texts(self, text: str) -> list[str]:
        """Return the text of every rank; it is not counted as sent."""
        mine = np.frombuffer(text.encode() + b"\0", np.uint8)
        with self.uncounted():
            whole = bytes(self.all_gather_v(mine)).decode()
        return whole.split("\0")[:-1]

    def span(self, n: int, rank: int | None = None) -> slice:
        """Return which of n things belong to a rank: contiguous, even but for one."""
        r = self.rank if rank is None else rank
        return slice(n * r // self.size, n * (r + 1) // self.size)

    def __iter__(self) -> Iterator[int]:
        """Go through the numbers of the ranks."""
        return iter(range(self.size))

    def together(self, f: Callable[[], Result]) -> Result:
        """Call ``f`` on every rank; if it fails on one, all raise what went wrong.

        ``f`` must not wait for the other ranks.

        Raises
        ------
        SharedError
            Of an exception on any rank.
        """
        try:
            result = f()
        except Exception as error:
            self.share(error)
            raise  # never: an error was shared
        self.share(None)
        return result

    def share(self, error: Exception | None) -> None:
        """Raise the first rank's error on all of them; None is to have none.

        Raises
        ------
        SharedError
            If a rank has one. It names the rank, unless all have failed.
        """
        found = self.all_gather_texts(sentence(error) if error else "")
        if any(found):
            first = next(r for r in self if found[r])
            where = "" if all(found) else f"rank {first}: "
            raise SharedError(where + found[first]) from error

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Leave out of ``sent`` what is no part of the method: order, checkpoints."""
        sent = self.sent
        yield
        self.sent = sent

    @property
    def _others(self) -> float:
        return (self.size - 1) / self.size
