"""Write dp_accounting.json: what Google's accountants say of the sampled Gaussian.

The library does not depend on them, so their results are committed. To write them
again, in a virtual environment of its own (another processor may change last bits):

    python -m pip install dp-accounting==0.4.4
    python tests/golden/make_privacy_goldens.py

Of each case: epsilon by Renyi divergences, an upper and a lower bound of it by privacy
loss distributions. The lower one rounds each step's loss down to a multiple of BELOW;
the upper one has a grid finer than usual where the losses are smaller than usual.
"""

import itertools
from importlib.metadata import version

from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism
from dp_accounting.rdp import RdpAccountant
from store import store

Q = (0.001, 0.01, 0.05, 0.2, 0.5, 1.0)
NOISE = (0.7, 1.0, 2.0, 4.0, 8.0)
RUNS = ((1, 1e-5), (120, 1e-5), (10_000, 1e-8))  # steps and delta
LARGEST = 30.0  # epsilon; beyond it nothing is private
BELOW = {1: 1e-5, 120: 2e-5, 10_000: 1e-4}  # by the number of steps
COLUMNS = ("q", "noise", "steps", "delta", "rdp", "pld", "pld_below")


def spent(accountant, q, noise, steps, delta):
    """Return the epsilon that an accountant finds."""
    step = PoissonSampledDpEvent(q, GaussianDpEvent(noise))
    accountant.compose(SelfComposedDpEvent(step, steps))
    return float(accountant.get_epsilon(delta))


def fine(q, noise):
    """Return an accountant whose grid suits the losses, which are about q/noise."""
    return PLDAccountant(value_discretization_interval=min(1e-4, q / noise / 30))


def below(q, noise, steps, delta):
    """Return a lower bound of epsilon."""
    step = from_gaussian_mechanism(
        noise,
        sampling_prob=q,
        pessimistic_estimate=False,
        value_discretization_interval=BELOW[steps],
    )
    return float(step.self_compose(steps).get_epsilon_for_delta(delta))


def main() -> None:
    """Write the file next to this script."""
    cases = []
    for q, noise, (steps, delta) in itertools.product(Q, NOISE, RUNS):
        found = spent(RdpAccountant(), q, noise, steps, delta)
        if found <= LARGEST:
            tight = spent(fine(q, noise), q, noise, steps, delta)
            lower = below(q, noise, steps, delta)
            cases.append([q, noise, steps, delta, found, tight, lower])
    store(
        {
            "dp_accounting": version("dp-accounting"),
            "columns": list(COLUMNS),
            "cases": cases,
        },
        "dp_accounting.json",
    )


if __name__ == "__main__":
    main()
