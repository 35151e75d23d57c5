"""Attribution: which inputs an answer depends on, by gradients of one score.

A score of each sample, such as the logit of one class, is differentiated by the
sample's own inputs: `saliency` takes the size of this gradient, `integrated_gradients`
its mean on the way from a baseline, which adds up to the difference of the scores.
"""

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
