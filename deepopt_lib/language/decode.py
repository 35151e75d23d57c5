"""Generating text: one symbol at a time, with the keys and values of the past kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.autodiff.ops.llama import rms_norm, swiglu
from deepopt_lib.autodiff.ops.rotary import rotate
from deepopt_lib.core.checks import check_int, check_number
from deepopt_lib.core.products import matmul
from deepopt_lib.core.shapes import check_indices
from deepopt_lib.core.types import Array, Params
from deepopt_lib.language.model import LAYER, LanguageModel

__all__ = ["Cache", "draw_symbol", "generate"]


@dataclass
class Cache:
    """Keys, rotated, and values of all positions so far, for each layer.

    ``keys`` and ``values`` are (layers, batch, groups, context, d), of which the first
    ``length`` positions are filled. A step costs the products of one position, not all.
    """

    model: LanguageModel
    keys: Array
    values: Array
    length: int = 0

    @classmethod
    def empty(cls, model: LanguageModel, batch: int = 1, dtype: Any = None) -> Cache:
        """Return a cache for ``batch`` texts of ``model.context`` symbols or fewer.

        The type is float32 if ``dtype`` is not given.
        """
        d = model.dim // model.heads
        shape = (model.layers, batch, model.groups, model.context, d)
        keys, values = (np.zeros(shape, dtype or np.float32) for _ in range(2))
        return cls(model, keys, values)

    def logits(self, params: Params, ids: Any) -> Array:
        """Read on: return the logits after each of ``ids``, (batch, new, symbols).

        Equal, up to rounding, to those of `LanguageModel.logits` for the whole text.

        Raises
        ------
        ValueError
            If the ids are no symbols, or there is no room for them in the context.
        """
        m, n = self.model, np.shape(ids)[-1]
        ids = check_indices("ids", ids, m.symbols)
        if self.length + n > m.context:
            raise ValueError(
                f"{self.length} + {n} symbols exceed the context of {m.context}"
            )
        d, batch = m.dim // m.heads, len(ids)
        end = self.length + n
        x = params["table"][ids].reshape(-1, m.dim)
        hidden = np.arange(end) > np.arange(self.length, end)[:, None]  # (new, end)
        hidden = np.tile(hidden, (m.heads // m.groups, 1))
        for i in range(m.layers):
            w = {k: params[f"layer{i}.{k}"] for k in LAYER}
            z = matmul(rms_norm(x, w["norm1.g"]), w["attention.W"])
            z = z.reshape(batch, n, -1, d).swapaxes(1, 2)  # (batch, parts, new, d)
            q, k, v = np.split(z, (m.heads, m.heads + m.groups), axis=1)
            q = rotate(q, self.length).reshape(batch, m.groups, -1, d) / math.sqrt(d)
            self.keys[i, :, :, self.length : end] = rotate(k, self.length)
            self.values[i, :, :, self.length : end] = v
            scores = matmul(q, self.keys[i, :, :, :end].mT)
            scores[..., hidden] = -np.inf
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            seen = matmul(scores, self.values[i, :, :, :end])
            seen = seen.reshape(batch, m.heads, n, d).swapaxes(1, 2)
            x = x + matmul(seen.reshape(-1, m.dim), w["attention.Wo"])
            wide = matmul(rms_norm(x, w["norm2.g"]), w["mlp.W"])
            x = x + matmul(swiglu(wide), w["mlp.Wo"])
        self.length = end
        out: Array = matmul(rms_norm(x, params["norm.g"]), params["table"].T)
        return out.reshape(batch, n, m.symbols)


def generate(
    model: LanguageModel,
    params: Params,
    prompt: Any,
    length: int,
    rng: np.random.Generator,
    *,
    temperature: float = 1.0,
) -> NDArray[np.int64]:
    """Return ``length`` symbols drawn one after the other after ``prompt``.

    Where the context is full the older half is forgotten, and the rest is read again.

    Raises
    ------
    ValueError
        If the prompt is empty, no symbols, or longer than the context; if ``length`` is
        no positive int, or ``temperature`` no finite number >= 0.
    """
    prompt = check_indices("prompt", prompt, model.symbols)
    if prompt.ndim != 1 or not 1 <= len(prompt) <= model.context:
        raise ValueError(
            f"prompt must be 1 to {model.context} symbols, got {prompt.shape}"
        )
    check_int("length", length)
    check_number("temperature", temperature, 0)
    text = [int(i) for i in prompt]
    cache, new = Cache.empty(model, dtype=params["table"].dtype), text
    for _ in range(length):
        if cache.length + len(new) > model.context:
            cache, new = Cache.empty(model, dtype=params["table"].dtype), text
            new = text[-(model.context // 2) :]
        logits = cache.logits(params, [new])[0, -1]
        new = [draw_symbol(logits, temperature, rng)]
        text += new
    return np.array(text[len(prompt) :])


def draw_symbol(logits: Array, temperature: float, rng: np.random.Generator) -> int:
    """Draw a symbol from ``softmax(logits / temperature)``; at 0 the likeliest."""
    if temperature == 0:
        return int(np.argmax(logits))
    p = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    return int(np.searchsorted(np.cumsum(p), rng.random() * p.sum(), side="right"))
