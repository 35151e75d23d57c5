"""Differentially private training: clipped, noisy gradients, and their price.

`clipped_sum` bounds what one sample can do to the gradient, `privatize` adds the noise,
and the accountant turns noise, sampling rate and steps into an (epsilon, delta).
"""

from deepopt_lib.privacy.accountant import ORDERS, epsilon, noise_for, rdp
from deepopt_lib.privacy.clipping import (
    clip_factors,
    clipped_sum,
    mlp_clipped_sum,
    poisson,
    privatize,
)

__all__ = [
    "ORDERS",
    "clip_factors",
    "clipped_sum",
    "epsilon",
    "mlp_clipped_sum",
    "noise_for",
    "poisson",
    "privatize",
    "rdp",
]
