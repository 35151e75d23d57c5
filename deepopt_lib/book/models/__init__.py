"""Models of the figures that answer: formulas in restricted Python, and their figures.

Each module has one theme; a model computes, a figure shows it and says what moves.
"""

from deepopt_lib.book.models.bills import memory_of_a_run
from deepopt_lib.book.models.codes import dynamic_codes
from deepopt_lib.book.models.descent import momentum_valley
from deepopt_lib.book.models.eigenvalues import momentum_regimes
from deepopt_lib.book.models.exchanges import ring_by_steps
from deepopt_lib.book.models.formats import storage_formats
from deepopt_lib.book.models.grids import quantization_grid
from deepopt_lib.book.models.images import low_rank_image
from deepopt_lib.book.models.networks import Network, compressed_networks
from deepopt_lib.book.models.noise import sgd_noise
from deepopt_lib.book.models.rates import schedule_builder
from deepopt_lib.book.models.roofs import roofline_of_yours

__all__ = [
    "Network",
    "compressed_networks",
    "dynamic_codes",
    "low_rank_image",
    "memory_of_a_run",
    "momentum_regimes",
    "momentum_valley",
    "quantization_grid",
    "ring_by_steps",
    "roofline_of_yours",
    "schedule_builder",
    "sgd_noise",
    "storage_formats",
]
