"""Training in few dimensions: thin factors, LoRA, and GaLore for the state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from deepopt_lib.autodiff.ops.arithmetic import matmul, relu
from deepopt_lib.compress.low_rank import check_rank, wide
from deepopt_lib.core.checks import check_array, check_int, check_number
from deepopt_lib.core.types import Array, Params, Rule, State
from deepopt_lib.optim.base import check_rule

__all__ = ["GaLore", "Projected", "factored_mlp", "init_lora", "with_lora"]


def factored_mlp(params: Any, x: Any, activation: Callable[[Any], Any] = relu) -> Any:
    """Return the logits of an MLP in which a layer may have ``U`` and ``V`` for ``W``.

    ``"layer1.U"`` (n_in, r), ``"layer1.V"`` (r, n_out), ``"layer1.b"``; ``activation``
    follows every layer but the last. Works on arrays and on the tape.
    """
    depth = sum(k.endswith(".b") for k in params)
    for i in range(1, depth + 1):
        if f"layer{i}.U" in params:
            x = matmul(matmul(x, params[f"layer{i}.U"]), params[f"layer{i}.V"])
        else:
            x = matmul(x, params[f"layer{i}.W"])
        x = x + params[f"layer{i}.b"]
        if i < depth:
            x = activation(x)
    return x


def init_lora(
    rng: np.random.Generator, params: Params, names: Iterable[str], r: int
) -> Params:
    """Draw LoRA's factors for the named matrices (Hu et al. 2022, section 4.1).

    ``"layer1.W.A"`` (n_in, r) with entries N(0, 1/n_in), ``"layer1.W.B"`` (r, n_out)
    of zeros, so that training starts from the network as it is. In the paper's notation
    for column vectors A and B change places.

    Raises
    ------
    ValueError
        If there is no such name, it is no matrix, or ``r`` is not an int in
        [1, min(shape)].
    """
    lora: Params = {}
    for k in names:
        if k not in params:
            raise ValueError(f"no parameter is named {k!r}, there are {list(params)}")
        W = params[k]
        r = check_rank("r", r, W)
        A = rng.standard_normal((W.shape[0], r)) / np.sqrt(W.shape[0])
        lora[f"{k}.A"] = A.astype(W.dtype)
        lora[f"{k}.B"] = np.zeros((r, W.shape[1]), W.dtype)
    return lora


def with_lora(params: Mapping[str, Any], lora: Any, alpha: float = 1.0) -> Any:
    """Return the parameters with ``W + alpha/r * A @ B`` (Hu et al. 2022, eq. 3).

    On arrays this merges the adaptation into the weights for good. Differentiate by
    ``lora`` alone: ``params`` stay constants, and get no gradient and no state.

    Raises
    ------
    ValueError
        If a factor fits no parameter, or lacks the other one, or ``alpha`` is no finite
        number.
    """
    alpha = check_number("alpha", alpha)
    merged = dict(params)
    for k in lora:
        name, _, factor = k.rpartition(".")
        if name not in params or factor not in ("A", "B"):
            raise ValueError(f"{k!r} fits no parameter, there are {list(params)}")
        if not {f"{name}.A", f"{name}.B"} <= set(lora):
            raise ValueError(f"{k!r} has no other factor, there are {list(lora)}")
        if factor == "A":
            W, A, B = params[name], lora[k], lora[f"{name}.B"]
            r = A.shape[1]
            if (A.shape, B.shape) != ((W.shape[0], r), (r, W.shape[1])):
                raise ValueError(
                    f"{A.shape} by {B.shape} does not fit {name!r} {W.shape}"
                )
            merged[name] = W + matmul(A, B) * (alpha / r)
    return merged


class Projected(NamedTuple):
    """GaLore's state: the basis, and the state of the rule inside."""

    basis: Array  # (short side, r)
    inner: State


@dataclass(frozen=True)
class GaLore:
    """Run a rule on the gradient's part in r directions.

    Zhao et al. (2024), Algorithm 1.
    Every ``every`` steps the r first singular vectors of the gradient, along the
    shorter side, become the basis P. The rule sees ``P.T @ g`` (r, longer side) and
    answers with n; the direction is ``scale * P @ n``. Its state shrinks by r over the
    shorter side; P costs ``short * r`` more.

    The moments are kept when P changes, so that a coordinate should go on meaning the
    same. A singular vector has an arbitrary sign: here its largest entry is positive,
    on every machine and from basis to basis.

    Raises
    ------
    ValueError
        If a number is out of range, a parameter is no matrix or too small for r, or a
        gradient that a basis is made of is not finite.
    """

    rule: Rule
    r: int
    every: int = 50
    scale: float = 0.25

    def __post_init__(self) -> None:
        """Check every argument."""
        check_rule("GaLore.rule", self.rule)
        scale = check_number("GaLore.scale", self.scale, 0, math.inf, "()")
        object.__setattr__(self, "scale", scale)
        for name in ("r", "every"):
            value = check_int(f"GaLore.{name}", getattr(self, name))
            object.__setattr__(self, name, value)

    @property
    def elementwise(self) -> bool:
        """False: the basis depends on the whole gradient."""
        return False

    def init(self, w: Array, /) -> Projected:
        """Return an empty basis and the state of the rule in it."""
        if w.ndim != 2:
            raise ValueError(f"GaLore needs a matrix, got shape {w.shape}")
        check_rank("GaLore.r", self.r, w)
        short, long = min(w.shape), max(w.shape)
        inner = self.rule.init(np.zeros((self.r, long), w.dtype))
        return Projected(np.zeros((short, self.r), w.dtype), inner)

    def update(
        self, g: Array, s: Projected, w: Array, t: int, /
    ) -> tuple[Array, Projected]:
        """Project, apply the rule, and go back."""
        wide = g.shape[0] <= g.shape[1]
        G, W = (g, w) if wide else (g.T, w.T)
        basis = s.basis
        if (t - 1) % self.every == 0:
            basis = _basis(G, self.r)
        g_r, w_r = matmul(basis.T, G), matmul(basis.T, W)
        u, inner = self.rule.update(g_r, s.inner, w_r, t)
        back = self.scale * matmul(basis, u)
        return (back if wide else back.T), Projected(basis, inner)


def _basis(G: Array, r: int) -> Array:
    """Return the first r left singular vectors, each with its largest entry > 0."""
    check_array("the gradient", G)
    U = np.linalg.svd(wide(G), full_matrices=False)[0][:, :r]
    largest = np.take_along_axis(U, np.abs(U).argmax(axis=0)[None], axis=0)
    basis: Array = (U * np.sign(largest)).astype(G.dtype)
    return basis
