"""A language model of today's parts: what predicts the next symbol of a text."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from deepopt_lib.autodiff.ops.arithmetic import matmul
from deepopt_lib.autodiff.ops.arrays import reshape, transpose
from deepopt_lib.autodiff.ops.embedding import embedding
from deepopt_lib.autodiff.ops.llama import rms_norm, swiglu
from deepopt_lib.autodiff.ops.rotary import rotary_attention
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.shapes import check_indices
from deepopt_lib.core.types import Params

__all__ = ["LanguageModel"]


class LanguageModel(NamedTuple):
    """The sizes of a model like Llama's: Touvron et al. (2023), section 2.2.

    Each layer adds two branches to its input, both of its `rms_norm`: causal attention
    with rotated queries and keys, then SwiGLU. The table of symbols is used twice, for
    what comes in and, transposed, for what is predicted (Press, Wolf 2017).

    Attributes
    ----------
    symbols, context
        How many symbols there are, and how many of them the model sees at once.
    dim, layers, hidden
        Features, layers, and hidden units of SwiGLU, customarily 8/3 of dim.
    heads, groups
        Heads of queries, and of the keys and values that they share.
    """

    symbols: int
    context: int
    dim: int
    layers: int
    heads: int
    groups: int
    hidden: int

    def check(self) -> None:
        """Raise unless the sizes fit.

        Raises
        ------
        ValueError
            If a size is no positive int, ``groups`` does not divide ``heads``, or
            2*heads does not divide ``dim``.
        """
        for name, value in self._asdict().items():
            check_int(name, value)
        if self.heads % self.groups:
            raise ValueError(
                f"groups must divide heads = {self.heads}, got {self.groups}"
            )
        if self.dim % (2 * self.heads):
            raise ValueError(
                f"2*heads must divide dim = {self.dim}, got heads = {self.heads}"
            )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter; W (n_in, n_out) stands right of its x."""
        kv = self.groups * (self.dim // self.heads)
        layer = {
            "norm1.g": (self.dim,),
            "attention.W": (self.dim, self.dim + 2 * kv),
            "attention.Wo": (self.dim, self.dim),
            "norm2.g": (self.dim,),
            "mlp.W": (self.dim, 2 * self.hidden),
            "mlp.Wo": (self.hidden, self.dim),
        }
        shapes: dict[str, tuple[int, ...]] = {"table": (self.symbols, self.dim)}
        for i in range(self.layers):
            shapes |= {f"layer{i}.{name}": shape for name, shape in layer.items()}
        return shapes | {"norm.g": (self.dim,)}

    def init(self, rng: np.random.Generator, *, dtype: Any = np.float32) -> Params:
        """Draw the parameters: N(0, 1/n_in), the table small, gains 1.

        What a branch adds is divided by the root of their number, 2*layers, so that the
        sum keeps its size (Radford et al. 2019, section 2.3).

        Raises
        ------
        ValueError
            As `check`.
        """
        self.check()
        params = {}
        for name, shape in self.shapes().items():
            w = np.ones(shape)
            if len(shape) == 2:
                spread = TABLE if name == "table" else 1 / np.sqrt(shape[0])
                w = spread * rng.standard_normal(shape)
            if name.endswith("Wo"):
                w /= np.sqrt(2 * self.layers)
            params[name] = w.astype(dtype)
        return params

    def logits(self, params: Any, ids: Any) -> Any:
        """Return what follows each symbol: ids (batch, time) -> (batch*time, symbols).

        Raises
        ------
        ValueError
            If ``ids`` is no matrix of ints in [0, symbols) of at most ``context``
            columns.
        """
        ids = check_indices("ids", ids, self.symbols)
        if ids.ndim != 2 or not 1 <= ids.shape[1] <= self.context:
            raise ValueError(
                f"ids must be (batch, 1..{self.context}) in shape, got {ids.shape}"
            )
        time = ids.shape[1]
        x = reshape(embedding(params["table"], ids), shape=(-1, self.dim))
        for i in range(self.layers):
            w = {k: params[f"layer{i}.{k}"] for k in LAYER}
            z = matmul(rms_norm(x, w["norm1.g"]), w["attention.W"])
            seen = rotary_attention(z, time=time, heads=self.heads, groups=self.groups)
            x = x + matmul(seen, w["attention.Wo"])
            hidden = swiglu(matmul(rms_norm(x, w["norm2.g"]), w["mlp.W"]))
            x = x + matmul(hidden, w["mlp.Wo"])
        x = rms_norm(x, params["norm.g"])
        return matmul(x, transpose(params["table"]))


TABLE = 0.02  # standard deviation of its entries, as in GPT-2: no guess at the start
LAYER = ("norm1.g", "attention.W", "attention.Wo", "norm2.g", "mlp.W", "mlp.Wo")
