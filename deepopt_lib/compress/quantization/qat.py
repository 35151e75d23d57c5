"""Quantization-aware training: round in the forward pass, look away in the backward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepopt_lib.autodiff.tape import Var
from deepopt_lib.compress.codec import BaseCodec

__all__ = ["quantize_params", "straight_through"]


def straight_through(w: Any, codec: BaseCodec) -> Any:
    """Return ``w + constant`` with the constant ``round(w) - w``: the rounded values.

    The straight-through estimator (Bengio et al. 2013; Courbariaux et al. 2015): the
    output is on the codec's grid, the derivative is that of ``w``. An optimizer that
    steps ``w`` collects small gradients in full precision, until one of them moves the
    rounded value. w: an array or a recorded one, any shape.
    """
    value = w.value if isinstance(w, Var) else w
    return w + (codec.round(value) - value)


def quantize_params(params: Mapping[str, Any], codecs: Mapping[str, BaseCodec]) -> Any:
    """Return the parameters with `straight_through` where there is a codec.

    Put it in front of a network, in training and in evaluation:
    ``nn.mlp(quantize_params(params, {"layer1.W": Affine(2, axis=1)}), x)``.

    Raises
    ------
    ValueError
        If a codec has a name that no parameter has.
    """
    if unknown := sorted(codecs.keys() - params.keys()):
        raise ValueError(f"no parameter is named {unknown}, there are {list(params)}")
    return {
        k: straight_through(w, codecs[k]) if k in codecs else w
        for k, w in params.items()
    }
