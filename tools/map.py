"""Write the map on the first page: technique against cost, with the gain measured here.

    python tools/map.py            rewrite it in chapters/index.md
    python tools/map.py --check    only say whether it is up to date

Every number is one that a chapter has glued, so it is compared whenever that is run.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deepopt_lib.book.show import stored

ROOT = Path(__file__).parents[1]
INDEX = ROOT / "chapters" / "index.md"
BEGIN, END = "<!-- map: begin -->\n", "<!-- map: end -->\n"
COSTS = ("steps", "FLOPs", "bytes", "state", "messages")

Gain = Callable[[dict[str, Any]], str]


def _ratio(high: Any, low: Any) -> str:
    a, b = (float(str(v).replace(",", "")) for v in (high, low))
    return f"{a / b:.0f}" if a / b >= 10 else f"{a / b:.1f}"


# Technique, then for each cost: the chapter that measured it, and how to say the gain.
MAP: list[tuple[str, dict[str, tuple[str, Gain]]]] = [
    (
        "Mini-batches",
        {
            "FLOPs": (
                "principles/stochastic_gradient_descent",
                lambda g: (
                    f"**{_ratio(g['samples_gd'], g['samples_sgd'])}×** fewer samples"
                ),
            )
        },
    ),
    (
        "Larger batches",
        {
            "steps": (
                "practice/stochastic_gradient_descent",
                lambda g: f"**{g['saved_early']}×** fewer at first",
            )
        },
    ),
    (
        "Momentum",
        {
            "steps": (
                "principles/gradient_descent",
                lambda g: (
                    "**"
                    + _ratio(g["steps_gradient_descent"], g["steps_heavy_ball"])
                    + "×** fewer at κ = 10⁴"
                ),
            )
        },
    ),
    (
        "Rates for each coordinate",
        {
            "steps": (
                "outlook/adaptive_learning",
                lambda g: f"**{g['ada_steps']}** instead of > 300, ill-scaled",
            )
        },
    ),
    (
        "Compiled loops",
        {
            "bytes": (
                "performance",
                lambda g: f"**{_ratio(g['perf_pure'], g['perf_fused'])}×** faster step",
            )
        },
    ),
    (
        "Sparse weights",
        {
            "FLOPs": (
                "principles/sparse_matrices",
                lambda g: f"**{g['at_95']}** of the time at 95 % zeros",
            ),
            "bytes": (
                "practice/sparse_matrices",
                lambda g: f"2 % left, **{g['lost_gradual']}** points lost",
            ),
            "state": (
                "practice/sparse_matrices",
                lambda g: f"**{g['state_factor']}×** smaller",
            ),
        },
    ),
    (
        "Fewer bits",
        {
            "bytes": (
                "practice/quantization",
                lambda g: f"2 bits, **{g['pquant_qat']}** points lost",
            ),
            "state": (
                "principles/quantization",
                lambda g: f"**{g['quant_share']}**, {g['quant_gap']} points lost",
            ),
        },
    ),
    (
        "Sharing and low rank",
        {
            "bytes": (
                "principles/model_compression",
                lambda g: f"**{g['cmp_factor']}×** fewer, {g['cmp_hashed']} % right",
            )
        },
    ),
    (
        "Pruned, shared, coded",
        {
            "bytes": (
                "practice/model_compression",
                lambda g: f"**{g['pcmp_ratio']}×** smaller, {g['pcmp_lost']} points",
            )
        },
    ),
    (
        "Distillation",
        {
            "FLOPs": (
                "outlook/knowledge_distillation",
                lambda g: f"**{g['kd_smaller']}×** smaller network",
            )
        },
    ),
    (
        "Convolution",
        {
            "FLOPs": (
                "outlook/network_structure",
                lambda g: f"**{g['net_separable_saved']}×** fewer if separable",
            ),
            "bytes": (
                "outlook/network_structure",
                lambda g: (
                    f"**{_ratio(g['net_mlp_params'], g['net_conv_params'])}×** "
                    "fewer parameters"
                ),
            ),
        },
    ),
    (
        "Several machines",
        {
            "state": (
                "outlook/parallel_and_distributed",
                lambda g: f"**{g['par_state']}** on 4 ranks (ZeRO)",
            ),
            "messages": (
                "outlook/parallel_and_distributed",
                lambda g: f"**{g['par_ratio']}×** fewer bytes, {g['par_gap']} points",
            ),
        },
    ),
]


def lines() -> Iterator[str]:
    """Yield the lines of the map, a Markdown table of links."""
    yield f"| technique | {' | '.join(COSTS)} |\n"
    yield f"|{' :-- |' * (len(COSTS) + 1)}\n"
    for technique, gains in MAP:
        cells = []
        for cost in COSTS:
            chapter, gain = gains.get(cost, ("", lambda g: ""))
            said = gain(stored(chapter)) if chapter else ""
            cells.append(f"[{said}]({chapter}.ipynb)" if chapter else " ")
        yield f"| {technique} | {' | '.join(cells)} |\n"


def drawn(text: str) -> str:
    """Return the text of the first page with the map made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    with contextlib.chdir(ROOT / "chapters"):
        table = "".join(lines())
    return f"{before}{BEGIN}\n:::{{div}} do-map\n\n{table}\n:::\n\n{END}{after}"


def main(argv: list[str]) -> int:
    """Rewrite or check; return 1 if the check fails."""
    old = INDEX.read_text(encoding="utf8")
    new = drawn(old)
    if argv == ["--check"]:
        print("up to date" if new == old else f"{INDEX} needs `python tools/map.py`")
        return int(new != old)
    temporary = INDEX.with_suffix(".tmp")
    temporary.write_text(new, encoding="utf8")
    temporary.replace(INDEX)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
