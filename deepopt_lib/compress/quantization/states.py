"""A rule whose state is stored in a code, for example in 8 bits."""

from __future__ import annotations

from dataclasses import dataclass, field

from deepopt_lib.compress.codec import check_codec
from deepopt_lib.compress.quantization.blockwise import Blockwise
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.tree import flatten, unflatten
from deepopt_lib.core.types import Array, Code, Codec, Rule, State
from deepopt_lib.optim.base import check_rule

__all__ = ["Quantized"]


@dataclass(frozen=True)
class Quantized:
    """Keep the state of ``rule`` in the code of ``codec`` between the steps.

    Dettmers et al. (2022), section 2.2: decode, take the step in full precision, encode
    again. Arrays with fewer than ``smallest`` entries keep their state as it is, as in
    the paper: biases and norms are few, and sensitive. With the default codec a state
    takes ``1 + itemsize/256`` bytes an entry, about 0.254 of float32.

    Raises
    ------
    ValueError
        If a state is not finite, as with a code that rounds second moments to zero.
        If ``rule`` is not a rule, ``codec`` not a codec, or ``smallest`` no int >= 1.
    """

    rule: Rule
    codec: Codec = field(default_factory=Blockwise)
    smallest: int = 4096

    def __post_init__(self) -> None:
        """Check the parts."""
        check_rule("Quantized.rule", self.rule)
        check_codec("Quantized.codec", self.codec)
        smallest = check_int("Quantized.smallest", self.smallest)
        object.__setattr__(self, "smallest", smallest)

    @property
    def elementwise(self) -> bool:
        """False: entries of a block share a scale."""
        return False

    def init(self, w: Array, /) -> State:
        """Return the codes of the rule's state, of a small array the state itself."""
        s = self.rule.init(w)
        return s if w.size < self.smallest else self._encode(s)

    def update(self, g: Array, s: State, w: Array, t: int, /) -> tuple[Array, State]:
        """Decode the state, apply the rule, encode the new state."""
        if w.size < self.smallest:
            return self.rule.update(g, s, w, t)
        like = self.rule.init(w)  # says how the arrays belong together
        u, new = self.rule.update(g, unflatten(like, map(self.codec.decode, s)), w, t)
        return u, self._encode(new)

    def _encode(self, s: State) -> tuple[Code, ...]:
        try:
            return tuple(self.codec.encode(a) for a in flatten(s))
        except ValueError as error:
            raise ValueError(
                f"the state of {self.rule!r} has no code: {error}"
            ) from None
