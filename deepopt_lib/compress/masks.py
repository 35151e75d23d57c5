"""Masks: which entries of an array stay, and how training leaves the others alone."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.types import Array, Params, Rule, State
from deepopt_lib.optim.base import check_rule

__all__ = ["Mask", "Masked", "apply_masks", "density", "masked_rules"]

Mask = NDArray[np.bool_]
"""True where an entry stays."""


def apply_masks(params: Params, masks: Mapping[str, Mask]) -> Params:
    """Return the parameters (or gradients) with zeros where a mask says so.

    Raises
    ------
    ValueError
        If a mask is no array of bools, or fits no parameter.
    """
    for k, mask in masks.items():
        check_mask(f"masks[{k!r}]", mask)
        if k not in params or params[k].shape != mask.shape:
            raise ValueError(f"masks[{k!r}] of shape {mask.shape} fits no parameter")
    return {k: np.where(masks[k], w, 0) if k in masks else w for k, w in params.items()}


def density(masks: Mapping[str, Mask]) -> float:
    """Return the fraction of entries that stay, over all masks.

    Raises
    ------
    ValueError
        If there are no masks, or they have no entries.
    """
    if not (size := sum(m.size for m in masks.values())):
        raise ValueError(f"masks have no entries: {list(masks)}")
    return sum(int(m.sum()) for m in masks.values()) / size


def check_mask(name: str, mask: Any) -> None:
    """Refuse what is no array of bools."""
    if not (isinstance(mask, np.ndarray) and mask.dtype == np.bool_):
        raise ValueError(f"{name} must be an array of bools, got {mask!r}")


@dataclass(frozen=True, eq=False, repr=False)
class Masked:
    """A rule whose direction is zero outside of a mask, whatever its state holds.

    Zeros stay zeros under every rule, also one that mixes entries (Muon), and in a run
    that goes on with an old momentum. State: that of the rule inside.

    Raises
    ------
    ValueError
        If ``rule`` is not a rule, ``mask`` no array of bools, or of another shape than
        the parameter.
    """

    rule: Rule
    mask: Mask

    def __post_init__(self) -> None:
        """Refuse what is no rule or no mask."""
        check_rule("Masked.rule", self.rule)
        check_mask("Masked.mask", self.mask)

    def __repr__(self) -> str:
        """Tell two masks apart without printing them."""
        sum_ = zlib.crc32(np.packbits(self.mask).tobytes())
        kept = f"{self.mask.sum()} of {self.mask.size}"
        return f"Masked({self.rule!r}, {kept}, crc32 {sum_:08x})"

    @property
    def elementwise(self) -> bool:
        """False: the mask knows places, and a fused loop does not."""
        return False

    def init(self, w: Array, /) -> State:
        """Return the state of the rule inside."""
        if w.shape != self.mask.shape:
            raise ValueError(f"mask of shape {self.mask.shape} for shape {w.shape}")
        return self.rule.init(w)

    def update(self, g: Array, s: State, w: Array, t: int, /) -> tuple[Array, State]:
        """Apply the rule to the masked gradient, and mask what it returns."""
        u, s = self.rule.update(np.where(self.mask, g, 0), s, w, t)
        return np.where(self.mask, u, 0), s


def masked_rules(
    rule: Rule, params: Params, masks: Mapping[str, Mask]
) -> dict[str, Rule]:
    """Return a rule for every parameter: `Masked` where there is a mask."""
    return {k: Masked(rule, masks[k]) if k in masks else rule for k in params}
