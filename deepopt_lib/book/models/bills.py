"""The memory bill of a training run: weights, gradients, state, activations."""

from __future__ import annotations

import math
from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.cells import Label
from deepopt_lib.book.live.controls import Choice, Slider
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.marks import Boxes, Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel

__all__ = ["memory_bill", "memory_of_a_run", "parts"]

LAYERS = 32  # square ones, which hold all the weights
GIGA = 1e9


def parts(
    weights: float, batch: float, arrays: int, value: int, state: float, rank: int
) -> list[float]:
    """Return GB of weights, gradients, state, activations.

    ``arrays`` of state with ``state`` bytes each; rank 0 trains all weights, another
    one two factors of that rank for each layer. Weights and gradients take ``value``
    bytes, activations four.
    """
    width = math.sqrt(weights / LAYERS)
    trained = weights
    held = weights
    if rank > 0:
        trained = min(2 * width * rank * LAYERS, weights)
        held = weights + trained
    return [
        held * value / GIGA,
        trained * value / GIGA,
        arrays * trained * state / GIGA,
        4 * LAYERS * width * batch / GIGA,
    ]


def memory_bill(
    millions: float, batch: float, optimizer: str, number: str, bits: int, rank: int
) -> dict[str, Any]:
    """Add up ``P + P + k*P + A*B``, beside the run with Adam in 32 bits."""
    weights = 1e6 * millions
    arrays = 2
    if optimizer == "SGD":
        arrays = 0
    if optimizer == "momentum":
        arrays = 1
    value = 2 if number == "bfloat16" else 4
    plain = parts(weights, batch, 2, 4, 4.0, 0)
    yours = parts(weights, batch, arrays, value, bits / 8, rank)
    whole = plain[0] + plain[1] + plain[2] + plain[3]
    total = yours[0] + yours[1] + yours[2] + yours[3]
    edges = [0.0]
    plain_edges = [0.0]
    for i in range(4):
        edges.append(edges[i] + 100 * yours[i] / whole)
        plain_edges.append(plain_edges[i] + 100 * plain[i] / whole)
    batches = [2**i for i in range(17)]
    by_batch = []
    plain_by_batch = []
    for b in batches:
        one = parts(weights, b, arrays, value, bits / 8, rank)
        other = parts(weights, b, 2, 4, 4.0, 0)
        by_batch.append(one[0] + one[1] + one[2] + one[3])
        plain_by_batch.append(other[0] + other[1] + other[2] + other[3])
    return {
        "weights_x0": [edges[0], plain_edges[0]],
        "gradients_x0": [edges[1], plain_edges[1]],
        "state_x0": [edges[2], plain_edges[2]],
        "activations_x0": [edges[3], plain_edges[3]],
        "end": [edges[4], plain_edges[4]],
        "low": [0.15, 1.15],
        "high": [0.6, 1.6],
        "batches": batches,
        "by_batch": by_batch,
        "plain_by_batch": plain_by_batch,
        "w": yours[0],
        "g": yours[1],
        "s": yours[2],
        "a": yours[3],
        "total": total,
        "whole": whole,
        "saved": whole / total,
    }


def memory_of_a_run() -> HTML:
    """Show what a training run of the reader's size has to hold at once."""
    names = ("weights", "gradients", "state", "activations")
    looks = ("blue", "vermilion", "green", "pink")
    ends = ("gradients_x0", "state_x0", "activations_x0", "end")
    stack = Panel(
        Axis(0, 105, "% of the run with Adam in 32 bits"),
        Axis(0, 2, "", ticks={}),
        [
            *(
                Boxes(look=look, x0=f"{k}_x0", x1=end, y0="low", y1="high", label=k)
                for k, look, end in zip(names, looks, ends, strict=True)
            ),
            Label(look="ink", x=0.0, y=1.68, text="Adam in 32 bits: {whole:3} GB"),
            Label(look="ink", x=0.0, y=0.68, text="this run: {total:3} GB"),
        ],
        "Two stacked bars: the plain run, half of it the state of Adam, and this one, "
        "in which little more than the weights is left.",
    )
    growth = Panel(
        Axis(1, 65536, "batch size", log=True),
        Axis(1e-3, 1e5, "GB", log=True),
        [
            Line(look="gray", x="batches", y="plain_by_batch", label="Adam in 32 bits"),
            Line(look="blue", x="batches", y="by_batch", label="this run"),
            Points(look="blue", x="batch", y="total", size=10),
        ],
        "Memory against the batch size: flat at first, then proportional to it.",
    )
    sizes = [10**k * m for k in range(5) for m in (1, 2, 5)] + [10**5]
    return figure(
        memory_bill,
        [
            Slider("millions", "Weights", sizes, 1000, "million"),
            Slider("batch", "Batch", [2**k for k in range(17)], 64),
            Slider("rank", "LoRA rank (0: none)", [0, 1, 2, 4, 8, 16, 32, 64, 128], 0),
            Slider("bits", "Bits of the state", [32, 16, 8, 4], 8),
            Choice("optimizer", "Optimizer", _same("SGD", "momentum", "Adam"), "Adam"),
            Choice("number", "Number format", _same("float32", "bfloat16"), "float32"),
        ],
        [stack, growth],
        title="At a small batch the optimizer fills memory, at a large one the data",
        text="{millions} million weights in 32 square layers, batch {batch}: weights "
        "{w:3} GB, gradients {g:3}, state {s:3}, activations {a:3}, together {total:3} "
        "GB. Adam in 32 bits needs {saved:3} times as much.",
        caption="Kept at the same moment; what comes and goes within a step is not "
        "counted. With LoRA two factors of the rank are trained for each layer, and "
        "the weights stay. An activation is one float32 for each unit and sample.",
    )


def _same(*values: str) -> dict[str, str]:
    return {value: value for value in values}
