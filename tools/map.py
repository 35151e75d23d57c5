"""The map on the first page: technique against cost, with the gain measured here.

Every number is one that a chapter has glued, so it is compared whenever that is run.
"""

from __future__ import annotations

import contextlib
import string
from collections.abc import Iterator, Mapping

from deepopt_lib.book import kept
from tools.notebooks import CHAPTERS

COSTS = ("steps", "FLOPs", "time", "bytes", "memory", "messages")
# Technique, then for each cost that it attacks: the chapter that measured the gain, and
# how to say it, where {a} is what the chapter has glued as a, {a/b} a ratio of two.
MAP = {
    "Mini-batches": {
        "FLOPs": (
            "principles/stochastic_gradient_descent",
            "**{samples_gd/samples_sgd}×** fewer samples",
        ),
    },
    "Larger batches": {
        "steps": (
            "practice/stochastic_gradient_descent",
            "**{saved_early}×** fewer at first",
        ),
    },
    "Momentum": {
        "steps": (
            "principles/gradient_descent",
            "**{steps_gradient_descent/steps_heavy_ball}×** fewer at κ = 10⁴",
        ),
    },
    "Rates for each coordinate": {
        "steps": (
            "outlook/adaptive_learning",
            "**{ada_steps}** instead of > 300, ill-scaled",
        ),
    },
    "Gradient accumulation": {
        "memory": ("background", "**{bg_accumulated}×** less at the peak"),
    },
    "Compiled loops": {
        "time": ("performance", "**{perf_pure/perf_fused}×** less a step"),
    },
    "Sparse weights": {
        "time": (
            "principles/sparse_matrices",
            "**{at_95}** of the dense at 95 % zeros",
        ),
        "bytes": (
            "practice/sparse_matrices",
            "2 % left, **{lost_gradual}** points lost",
        ),
        "memory": ("practice/sparse_matrices", "state **{state_factor}×** smaller"),
    },
    "Fewer bits": {
        "bytes": ("practice/quantization", "2 bits, **{pquant_qat}** points lost"),
        "memory": (
            "principles/quantization",
            "state **{quant_share}**, {quant_gap} points lost",
        ),
    },
    "Sharing and low rank": {
        "bytes": (
            "principles/model_compression",
            "**{cmp_factor}×** fewer, {cmp_hashed} % right",
        ),
    },
    "Pruned, shared, coded": {
        "bytes": (
            "practice/model_compression",
            "**{pcmp_ratio}×** smaller, {pcmp_lost} points",
        ),
    },
    "Distillation": {
        "FLOPs": (
            "outlook/knowledge_distillation",
            "**{kd_smaller}×** smaller network",
        ),
    },
    "Convolution": {
        "FLOPs": (
            "outlook/network_structure",
            "**{net_separable_saved}×** fewer if separable",
        ),
        "bytes": (
            "outlook/network_structure",
            "**{net_mlp_params/net_conv_params}×** fewer parameters",
        ),
    },
    "Several machines": {
        "memory": (
            "outlook/parallel_and_distributed",
            "state **{par_state}** on 4 ranks",
        ),
        "messages": (
            "outlook/parallel_and_distributed",
            "**{par_ratio}×** fewer bytes, {par_gap} points",
        ),
    },
}


class Gain(string.Formatter):
    """Fills in numbers by their glued names, and ratios of two of them."""

    def __init__(self, glued: Mapping[str, str]) -> None:
        self.glued = glued

    def get_value(self, key: int | str, *_: object) -> str:
        """Return what is glued as ``a``, or of ``a/b`` two digits or the whole part."""
        found = [str(self.glued[name]) for name in str(key).split("/")]
        if len(found) == 1:
            return found[0]
        high, low = (float(text.replace(",", "")) for text in found)
        return f"{high / low:.0f}" if high / low >= 10 else f"{high / low:.1f}"


def lines() -> Iterator[str]:
    """Yield the lines of the map, a Markdown table of links."""
    yield f"| technique | {' | '.join(COSTS)} |\n"
    yield f"|{' :-- |' * (len(COSTS) + 1)}\n"
    for technique, gains in MAP.items():
        cells = []
        for cost in COSTS:
            chapter, gain = gains.get(cost, ("", ""))
            said = gain and Gain(kept.stored(chapter)).format(gain)
            cells.append(f"[{said}]({chapter}.ipynb)" if gain else " ")
        yield f"| {technique} | {' | '.join(cells)} |\n"


def table() -> str:
    """Return the map, in a box of its own."""
    with contextlib.chdir(CHAPTERS):
        return f"\n:::{{div}} do-map\n\n{''.join(lines())}\n:::\n\n"
