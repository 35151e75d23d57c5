"""How ranks agree on the mean of their gradients: exactly, or in fewer bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np

from deepopt_lib.compress.codec import check_codec
from deepopt_lib.core.checks import check_bool, check_int
from deepopt_lib.core.products import matmul
from deepopt_lib.core.tree import ravel, unravel
from deepopt_lib.core.types import Array, Codec, Grads, Params
from deepopt_lib.parallel.feedback import encode_with_feedback
from deepopt_lib.parallel.gradient_codes import ScaledSign
from deepopt_lib.parallel.ranks import Ranks

__all__ = ["AllReduce", "Exchange", "ExchangeState", "Gathered", "PowerSGD"]


class ExchangeState(NamedTuple):
    """What an exchange remembers from one step to the next."""

    error: dict[str, Array]  # this rank's own: what its messages have left out so far
    shared: dict[str, Array]  # the same on every rank


class Exchange(Protocol):
    """A way to the mean gradient; the same on every rank."""

    def init(self, params: Params, /) -> ExchangeState:
        """Return the state before the first step."""
        ...

    def mean(
        self, grads: Grads, s: ExchangeState, ranks: Ranks, /
    ) -> tuple[Grads, ExchangeState]:
        """Return the mean over the ranks, the same bits on each, and the next state."""
        ...


@dataclass(frozen=True)
class AllReduce:
    """The exact mean, all gradients in one message."""

    def init(self, params: Params, /) -> ExchangeState:
        """Return nothing to remember."""
        return ExchangeState({}, {})

    def mean(
        self, grads: Grads, s: ExchangeState, ranks: Ranks, /
    ) -> tuple[Grads, ExchangeState]:
        """Return the mean of each gradient."""
        return _exact_mean(grads, ranks), s


@dataclass(frozen=True)
class Gathered:
    """Every rank sends the code of its matrices to every other one.

    A mean of codes is not a code, so that an all-gather is needed, and each rank sends
    N - 1 codes where an all-reduce sends less than two arrays. Vectors, such as biases,
    are few and go by an exact all-reduce.

    Raises
    ------
    ValueError
        If ``codec`` is no codec or ``feedback`` no bool.
    """

    codec: Codec = field(default_factory=ScaledSign)
    feedback: bool = True

    def __post_init__(self) -> None:
        """Check the parts."""
        check_codec("Gathered.codec", self.codec)
        check_bool("Gathered.feedback", self.feedback)

    def init(self, params: Params, /) -> ExchangeState:
        """Return an error of zero for every matrix."""
        zeros = {k: np.zeros_like(w) for k, w in params.items() if w.ndim > 1}
        return ExchangeState(zeros, {})

    def mean(
        self, grads: Grads, s: ExchangeState, ranks: Ranks, /
    ) -> tuple[Grads, ExchangeState]:
        """Return the mean of what the codes of all ranks stand for."""
        rest = {k: g for k, g in grads.items() if k not in s.error}
        found = _exact_mean(rest, ranks)
        coded = {
            k: encode_with_feedback(self.codec, grads[k], e) for k, e in s.error.items()
        }
        everyone = ranks.all_gather_arrays(
            [part for code, _, _ in coded.values() for part in code]
        )
        parts = [iter(arrays) for arrays in everyone]  # one message for all matrices
        for k, (code, _, _) in coded.items():
            codes = [tuple(islice(mine, len(code))) for mine in parts]
            found[k] = np.mean([self.codec.decode(c) for c in codes], axis=0)
        if self.feedback:
            s = ExchangeState({k: error for k, (_, _, error) in coded.items()}, {})
        return {k: found[k] for k in grads}, s


@dataclass(frozen=True)
class PowerSGD:
    """The mean gradient of each matrix, cut to rank ``rank`` by one power iteration.

    Vogels, Karimireddy, Jaggi (2019), Algorithms 1 and 2. With M the rank's own
    gradient plus its error, and Q from the last step::

        P = orthogonalize(mean(M @ Q))        (m, r)
        Q = mean(M.T @ P)                     (n, r)
        the mean gradient is P @ Q.T;  error <- M - P @ Q.T

    Both means are linear, so that all-reduce serves: r*(m + n) numbers instead of m*n,
    for any number of ranks. Kernels of a convolution are matrices (the rest, outputs);
    what two factors would not make smaller is sent as it is, like vectors.

    Raises
    ------
    ValueError
        If ``rank`` is no int >= 1, ``feedback`` no bool, or ``seed`` no int >= 0.
    """

    rank: int = 2
    feedback: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        object.__setattr__(self, "rank", check_int("PowerSGD.rank", self.rank))
        object.__setattr__(self, "seed", check_int("PowerSGD.seed", self.seed, 0))
        check_bool("PowerSGD.feedback", self.feedback)

    def init(self, params: Params, /) -> ExchangeState:
        """Return errors of zero, and a random Q (n, r) for each matrix."""
        rng = np.random.default_rng(self.seed)
        errors, shared = {}, {}
        for k, w in params.items():
            if w.ndim > 1 and self.rank * sum(_matrix(w).shape) < w.size:
                q = rng.standard_normal((w.shape[-1], self.rank))
                errors[k], shared[k] = np.zeros_like(w), q.astype(w.dtype)
        return ExchangeState(errors, shared)

    def mean(
        self, grads: Grads, s: ExchangeState, ranks: Ranks, /
    ) -> tuple[Grads, ExchangeState]:
        """Return P @ Q.T for each matrix, the exact mean of all else."""
        M = {k: _matrix(grads[k] + e) for k, e in s.error.items()}
        rest = {k: g for k, g in grads.items() if k not in M}
        products = {f"P {k}": matmul(M[k], s.shared[k]) for k in M}
        found = _exact_mean({**rest, **products}, ranks)  # one message for both
        P = {k: np.linalg.qr(found.pop(f"P {k}"))[0] for k in M}
        Q = _exact_mean({k: matmul(M[k].T, P[k]) for k in M}, ranks)
        errors = dict(s.error)
        for k in M:
            low = matmul(P[k], Q[k].T)
            found[k] = low.reshape(grads[k].shape)
            if self.feedback:
                errors[k] = (M[k] - low).reshape(grads[k].shape)
        return {k: found[k] for k in grads}, ExchangeState(errors, Q)


def _exact_mean(grads: Grads, ranks: Ranks) -> Grads:
    return unravel(ranks.all_reduce_mean(ravel(grads)[0]), grads) if grads else {}


def _matrix(w: Array) -> Array:
    return w.reshape(-1, w.shape[-1])
