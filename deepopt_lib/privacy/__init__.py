"""Differentially private training: clipped, noisy gradients, and their price.

`clipped_sum` bounds what one sample can do to the gradient, `privatize` adds the noise,
and two accountants turn noise, sampling rate and steps into an (epsilon, delta):
`epsilon` by Renyi divergences, `tight_epsilon` by the distribution of the loss.
"""

from deepopt_lib.privacy.accountant import (
    ORDERS,
    best_order,
    epsilon,
    noise_for,
    rdp,
    to_epsilon,
)
from deepopt_lib.privacy.clipping import (
    clip_factors,
    clipped_sum,
    mlp_clipped_sum,
    poisson,
    privatize,
)
from deepopt_lib.privacy.loss_distribution import tight_epsilon

__all__ = [
    "ORDERS",
    "best_order",
    "clip_factors",
    "clipped_sum",
    "epsilon",
    "mlp_clipped_sum",
    "noise_for",
    "poisson",
    "privatize",
    "rdp",
    "tight_epsilon",
    "to_epsilon",
]
