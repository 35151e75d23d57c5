"""Schematics of the book's ideas: SVG in its colors, for light, dark and narrow pages.

Each function returns one figure with a caption and a description for those who do not
see it; every number in it is computed from the arguments.
"""

from deepopt_lib.book.draw.attention import online_softmax
from deepopt_lib.book.draw.bits import quantization_grid, state_blocks, straight_through
from deepopt_lib.book.draw.blocks import block_sparse
from deepopt_lib.book.draw.codes import code_book
from deepopt_lib.book.draw.compress import deep_compression, lora, low_rank
from deepopt_lib.book.draw.feedback import error_feedback
from deepopt_lib.book.draw.machines import memory, roofline
from deepopt_lib.book.draw.parallel import pipeline, ring, zero
from deepopt_lib.book.draw.sparse import csr, two_four
from deepopt_lib.book.draw.training import minibatch, private_sgd, tape
from deepopt_lib.book.draw.transfer import brain_surgeon, distillation
from deepopt_lib.book.draw.valley import velocity

__all__ = [
    "block_sparse",
    "brain_surgeon",
    "code_book",
    "csr",
    "deep_compression",
    "distillation",
    "error_feedback",
    "lora",
    "low_rank",
    "memory",
    "minibatch",
    "online_softmax",
    "pipeline",
    "private_sgd",
    "quantization_grid",
    "ring",
    "roofline",
    "state_blocks",
    "straight_through",
    "tape",
    "two_four",
    "velocity",
    "zero",
]
