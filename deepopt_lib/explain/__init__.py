"""Attribution: which inputs an answer depends on, by gradients of one score."""

from deepopt_lib.explain.attribution import (
    input_gradient,
    integrated_gradients,
    saliency,
)

__all__ = [
    "input_gradient",
    "integrated_gradients",
    "saliency",
]
