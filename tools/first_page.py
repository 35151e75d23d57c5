"""Write what is computed into the first page: a figure, a number, and the map.

    python -m tools.first_page            rewrite them in chapters/index.md
    python -m tools.first_page --check    only say whether they are up to date

The figure is that of the page on momentum, the number what `make reproduce` found of
Deep Compression, and `tools.map` makes the map.
"""

from __future__ import annotations

import json
import sys
from statistics import mean

from deepopt_lib import optim
from deepopt_lib.book import live, models
from deepopt_lib.core import Rule, write_bytes
from tools.map import table
from tools.notebooks import CHAPTERS

INDEX = CHAPTERS / "index.md"
FOUND = CHAPTERS.parent / "reproductions" / "deep_compression.json"


def figure() -> str:
    """Return the valley in which three rules run, as HTML."""

    def update(rule: Rule, *free: str) -> live.Update:
        return live.Update(rule, optim.javascript(rule, *free), free)

    valley = models.momentum_valley(
        {
            "gradient descent": update(optim.GradientDescent()),
            "heavy ball": update(optim.Momentum(), "mu"),
            "Nesterov": update(optim.Momentum(nesterov=True), "mu"),
        }
    )
    return f"\n```{{raw}} html\n{valley.data}\n```\n\n"


def number() -> str:
    """Return a sentence on how small a network's file has become."""
    runs = list(json.loads(FOUND.read_text(encoding="utf8"))["runs"].values())
    dense, small = ([run[k] for run in runs] for k in ("dense", "4 bits"))
    before = mean(found["bytes"] for found in dense) / 1e3
    after = mean(found["bytes, file"] for found in small) / 1e3
    wrong = [mean(f["net"]["error"] for f in found) for found in (dense, small)]
    link = "[pruned, shared, coded](practice/model_compression.ipynb)"
    return (
        f"\nA network that reads handwritten digits shrinks from {before:,.0f} to "
        f"**{after:.0f} kB**, and its errors go from {wrong[0]:.2f} to "
        f"{wrong[1]:.2f} %: {link}.\n\n"
    )


BLOCKS = {"figure": figure, "number": number, "map": table}


def drawn(text: str) -> str:
    """Return the text of the first page with all that is computed made anew."""
    for name, block in BLOCKS.items():
        begin, end = (f"<!-- {name}: {edge} -->\n" for edge in ("begin", "end"))
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}{block()}{end}{after}"
    return text


def main(argv: list[str]) -> int:
    """Rewrite or check; return 1 if the check fails."""
    old = INDEX.read_text(encoding="utf8")
    new = drawn(old)
    if argv == ["--check"]:
        print(
            "up to date"
            if new == old
            else f"{INDEX} needs `python -m tools.first_page`"
        )
        return int(new != old)
    write_bytes(str(INDEX), new.encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
