"""What messages cost: the alpha-beta model.

A message of m bytes takes ``alpha + beta*m`` seconds: alpha to start it, beta a byte.
``mpiexec -n 4 python -m deepopt_lib.parallel.measure`` times all-reduces.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from deepopt_lib.core.checks import check_int, check_number
from deepopt_lib.core.types import Array

__all__ = ["Link", "halving_time", "ring_time"]


@dataclass(frozen=True)
class Link:
    """What one message takes, by its size: straight between measured sizes.

    With one alpha and one beta this is Hockney's line; software has several, one for
    short messages, one for long ones, one for those that leave the cache, so that
    between two sizes the pair belongs to that interval.

    Parameters
    ----------
    sizes : sequence of float
        Bytes, two or more, ascending.
    seconds : sequence of float
        What a message of that size takes. Beyond the last size the last line goes on.

    Raises
    ------
    ValueError
        If there are fewer than two sizes, not as many seconds, or they do not ascend.
    """

    sizes: tuple[float, ...]
    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that there is a line."""
        if len(self.sizes) != len(self.seconds) or len(self.sizes) < 2:
            raise ValueError(
                "Link needs two sizes or more, and as many seconds, got "
                f"{len(self.sizes)} and {len(self.seconds)}"
            )
        if not np.all(np.diff(self.sizes) > 0) or not np.all(
            np.asarray(self.seconds) > 0
        ):
            raise ValueError(
                f"Link needs ascending sizes and seconds > 0, got {self.sizes} and "
                f"{self.seconds}"
            )

    @classmethod
    def line(cls, alpha: float, beta: float) -> Link:
        """Return the link with one alpha (seconds) and one beta (seconds a byte).

        Raises
        ------
        ValueError
            If one of them is not a finite number > 0.
        """
        alpha = check_number("alpha", alpha, 0, ends="()")
        beta = check_number("beta", beta, 0, ends="()")
        return cls((0.0, 1e9), (alpha, alpha + 1e9 * beta))

    def __call__(self, m: ArrayLike) -> Array:
        """Return the seconds that messages of ``m`` bytes take."""
        m = np.asarray(m, np.float64)
        x, y = np.asarray(self.sizes), np.asarray(self.seconds)
        i = np.clip(np.searchsorted(x, m) - 1, 0, len(x) - 2)
        beta = (y[i + 1] - y[i]) / (x[i + 1] - x[i])
        return np.asarray(y[i] + beta * (m - x[i]))


def ring_time(link: Link, nbytes: ArrayLike, n: int) -> Array:
    """Return the seconds of a ring all-reduce: ``2(N-1)`` messages of ``nbytes/N``.

    Patarasuk and Yuan (2009). With one alpha and beta it is
    ``2(N-1)*alpha + 2(N-1)/N * beta*nbytes``: best for long messages, and slow to start
    on many ranks.

    Raises
    ------
    ValueError
        If ``n`` is not an int >= 1.
    """
    n = check_int("n", n)
    return np.asarray(2 * (n - 1) * link(np.asarray(nbytes) / n))


def halving_time(link: Link, nbytes: ArrayLike, n: int) -> Array:
    """Return the seconds of halving and doubling: ``2*log2(N)`` messages.

    Thakur, Rabenseifner, Gropp (2005): messages of nbytes/2, nbytes/4, ... nbytes/N and
    back again; as few bytes as the ring with ``2*log2(N)`` starts. For N that is no
    power of two the next one is counted.

    Raises
    ------
    ValueError
        If ``n`` is not an int >= 1.
    """
    rounds = (check_int("n", n) - 1).bit_length()  # the logarithm may be rounded up
    parts = [link(np.asarray(nbytes) / 2**k) for k in range(1, rounds + 1)]
    return np.asarray(2 * sum(parts, np.zeros(np.shape(nbytes))))
