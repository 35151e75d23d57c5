"""Error feedback: what a code leaves out of one message is added to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from deepopt_lib.compress.codec import check_codec
from deepopt_lib.core.types import Array, Code, Codec, State
from deepopt_lib.parallel.gradient_codes import ScaledSign

__all__ = ["ErrorFeedback", "encode_with_feedback"]


def encode_with_feedback(codec: Codec, g: Array, e: Array) -> tuple[Code, Array, Array]:
    """Return the code of ``p = g + e``, what it stands for, and the new error.

    Karimireddy et al. (2019), Algorithm 2: ``u = C(g + e)``, ``e <- g + e - u``.
    All messages together miss no more than the last error: ``sum(u) = sum(g) - e``.
    """
    p = np.asarray(g + e)  # 0-d stays an array
    code = codec.encode(p)
    u = codec.decode(code).astype(p.dtype, copy=False)
    return code, u, p - u


@dataclass(frozen=True)
class ErrorFeedback:
    """Pass on the code of ``g + e`` and remember what it left out.

    Karimireddy et al. (2019), Algorithm 2, with the error in units of the gradient as
    in Vogels et al. (2019), Algorithm 2, so that the learning rate may change. The
    first rule of a chain: ``chain(ErrorFeedback(TopK(0.01)), Momentum(0.9))``.
    One array of state.

    Raises
    ------
    ValueError
        If ``codec`` is not a codec, or a gradient is not finite.
    """

    codec: Codec = field(default_factory=ScaledSign)

    def __post_init__(self) -> None:
        """Check the codec."""
        check_codec("ErrorFeedback.codec", self.codec)

    @property
    def elementwise(self) -> bool:
        """False: entries share a scale, or compete for a place."""
        return False

    def init(self, w: Array, /) -> State:
        """Return an error of zero."""
        return np.zeros_like(w)

    def update(self, g: Array, s: State, w: Array, t: int, /) -> tuple[Array, State]:
        """Return what the code of ``g + s`` stands for, and what it leaves out."""
        if g.size == 0:
            return g.copy(), s  # nothing to leave out
        _, u, e = encode_with_feedback(self.codec, g, s)
        return u, np.asarray(e)
