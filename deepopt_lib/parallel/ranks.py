"""The ranks of a parallel job, and a count of what this one sends.

Works on any MPI through ``mpi4py``. Only buffers travel, never pickled objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.types import Array

__all__ = ["Ranks", "SharedError", "check_same", "world"]

MISSING = (
    "mpi4py and an MPI library are needed: "
    "pip install 'deepopt_lib[parallel]' brings both"
)


class SharedError(ValueError):
    """An error that every rank of the job raises, at the same place."""


def world() -> Ranks:
    """Return all ranks of this job: those that ``mpiexec -n N`` has started.

    Raises
    ------
    ImportError
        If mpi4py or an MPI library is missing; the sentence names the extra.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # no package; no library behind it
        raise ImportError(f"{MISSING} ({error})") from None
    return Ranks(MPI.COMM_WORLD)


class Ranks:
    """What the ranks do together; every method must be called by all of them.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The communicator.

    Attributes
    ----------
    rank, size : int
        This rank, from 0, and how many there are.
    sent : float
        Bytes that this rank has sent so far, if messages go around a ring: of n bytes
        an all-reduce sends ``2*(N-1)/N * n``, a reduce-scatter or an all-gather half of
        that (Patarasuk and Yuan 2009). MPI may choose another way, never a shorter one.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()
        self.sent = 0.0

    def mean(self, x: Array) -> Array:
        """All-reduce: return the mean of ``x`` over the ranks, alike on each."""
        x = np.ascontiguousarray(x)
        total = np.empty_like(x)
        self.comm.Allreduce(x, total)
        self.sent += 2 * self._others * x.nbytes
        return total / self.size

    def mean_part(self, x: Array) -> Array:
        """Reduce-scatter: return this rank's `span` of the mean of a flat ``x``."""
        spans = [self.span(len(x), r) for r in self]
        sizes = [s.stop - s.start for s in spans]
        part = np.empty(sizes[self.rank], x.dtype)
        self.comm.Reduce_scatter(np.ascontiguousarray(x), part, sizes)
        self.sent += self._others * x.nbytes
        return part / self.size

    def join(self, part: NDArray[Any]) -> NDArray[Any]:
        """All-gather: return the flat parts of all ranks, one after the other."""
        mine = np.ascontiguousarray(part).view(np.uint8)
        sizes = np.empty(self.size, np.int64)
        self.comm.Allgather(np.array([mine.size]), sizes)
        whole = np.empty(int(sizes.sum()), np.uint8)
        self.comm.Allgatherv(mine, (whole, sizes))
        self.sent += self._others * whole.size
        return whole.view(part.dtype)

    def each(self, x: NDArray[Any]) -> NDArray[Any]:
        """All-gather: return ``x`` of all ranks, (N, ...), alike in shape."""
        x = np.ascontiguousarray(x)
        everyone = np.empty((self.size, *x.shape), x.dtype)
        self.comm.Allgather(x, everyone)
        self.sent += self._others * everyone.nbytes
        return everyone

    def gather(self, arrays: Sequence[NDArray[Any]]) -> list[list[NDArray[Any]]]:
        """Return every rank's arrays, which must be alike but for the numbers in them.

        Raises
        ------
        SharedError
            If the ranks have arrays of different sizes.
        """
        flat = [np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in arrays]
        mine = np.concatenate([np.empty(0, np.uint8), *flat])
        if self._differ(mine.size):
            raise SharedError("the ranks send codes of different sizes")
        ends = np.cumsum([0, *(f.size for f in flat)])
        return [
            [
                row[start:end].copy().view(a.dtype).reshape(a.shape)
                for start, end, a in zip(ends, ends[1:], arrays, strict=False)
            ]
            for row in self.each(mine)
        ]

    def span(self, n: int, rank: int | None = None) -> slice:
        """Return which of n things belong to a rank: contiguous, even but for one."""
        r = self.rank if rank is None else rank
        return slice(n * r // self.size, n * (r + 1) // self.size)

    def __iter__(self) -> Iterator[int]:
        """Go through the numbers of the ranks."""
        return iter(range(self.size))

    def texts(self, text: str) -> list[str]:
        """Return the text of every rank."""
        mine = np.frombuffer(text.encode() + b"\0", np.uint8)
        with self.uncounted():
            whole = bytes(self.join(mine)).decode()
        return whole.split("\0")[:-1]

    def together(self, f: Callable[[], Any]) -> Any:
        """Call ``f`` on every rank; if one of them fails, all do, with its message.

        Raises
        ------
        SharedError
            Of a ValueError or an OSError on any rank.
        """
        message, result = "", None
        try:
            result = f()
        except (ValueError, OSError) as error:
            message = str(error) or type(error).__name__
        found = self.texts(message)
        if not any(found):
            return result
        first = next(r for r in self if found[r])
        where = "" if all(found) else f"rank {first}: "
        raise SharedError(where + found[first])

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Leave out of ``sent`` what is no part of the method: order, checkpoints."""
        sent = self.sent
        yield
        self.sent = sent

    @property
    def _others(self) -> float:
        return (self.size - 1) / self.size

    def _differ(self, number: int) -> bool:
        with self.uncounted():
            return len(np.unique(self.each(np.array([number])))) > 1


def check_same(ranks: Ranks, facts: Mapping[str, Any]) -> None:
    """Refuse ranks that do not agree on all ``facts``: versions, names, checksums.

    Raises
    ------
    SharedError
        It names the fact, two ranks and what each of them has.
    """
    all_facts = [json.loads(text) for text in ranks.texts(json.dumps(facts))]
    names = dict.fromkeys(name for each in all_facts for name in each)
    for name in names:
        values = [each.get(name, "nothing") for each in all_facts]
        for rank, value in enumerate(values):
            if value != values[0]:
                raise SharedError(
                    f"the ranks differ in {name}: "
                    f"rank 0 has {values[0]}, rank {rank} has {value}"
                )
