"""Formats of sparse matrices: which arrays they store, and how many bytes."""

from __future__ import annotations

from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.cells import Cells, Label
from deepopt_lib.book.live.controls import Choice
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.handles import Pattern
from deepopt_lib.book.live.marks import Boxes
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel

__all__ = ["sparse_formats", "storage_formats"]

N = 8  # rows and columns
INDEX = 4  # bytes of a row or column number
START = (
    *(1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0),
    *(0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    *(0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1),
)


def sparse_formats(pattern: list[int], number: str, block: str) -> dict[str, Any]:
    """Store an 8 x 8 pattern in four formats; ``block`` is the side of a BSR block."""
    value = 8 if number == "float64" else 4
    side = 4 if block == "4" else 2
    rows = []
    columns = []
    starts = [0]
    for i in range(N):
        for j in range(N):
            if pattern[N * i + j] == 1:
                rows.append(i)
                columns.append(j)
        starts.append(len(columns))
    block_columns = []
    block_starts = [0]
    left = []
    top = []
    for i in range(N // side):
        for j in range(N // side):
            filled = 0
            for k in range(side * side):
                row = side * i + k // side
                filled += pattern[N * row + side * j + k % side]
            if filled > 0:
                block_columns.append(j)
                left.append(side * j)
                top.append(side * i)
        block_starts.append(len(block_columns))
    count = len(columns)
    blocks = len(block_columns)
    dense = N * N * value
    csr = count * (value + INDEX) + (N + 1) * INDEX
    coo = count * (value + 2 * INDEX)
    bsr = blocks * (side * side * value + INDEX) + (N // side + 1) * INDEX
    sizes = [dense, csr, coo, bsr]
    names = ["dense", "CSR", "COO", "BSR"]
    best = 0
    for i in range(4):
        if sizes[i] < sizes[best]:
            best = i
    return {
        "rows": rows,
        "columns": columns,
        "starts": starts,
        "block_columns": block_columns,
        "block_starts": block_starts,
        "block_left": left,
        "block_top": top,
        "block_right": [x + side for x in left],
        "block_bottom": [y + side for y in top],
        "sizes": sizes,
        "low": [3.15, 2.15, 1.15, 0.15],
        "high": [3.85, 2.85, 1.85, 0.85],
        "count": count,
        "blocks": blocks,
        "dense": dense,
        "csr": csr,
        "coo": coo,
        "bsr": bsr,
        "best": names[best],
        "even": (dense - (N + 1) * INDEX) // (value + INDEX),
    }


def storage_formats() -> HTML:
    """Show a pattern to click, the arrays of three formats, and their bytes."""
    matrix = Panel(
        Axis(-0.8, 8.8),
        Axis(8.1, -0.1, "cells that are not zero"),
        [
            Cells(look="blue", values="pattern", rows=N, columns=N, most=0.8),
            Boxes(
                look="green",
                x0="block_left",
                x1="block_right",
                y0="block_bottom",
                y1="block_top",
                faint=0,
                edge=True,
                label="stored blocks",
            ),
        ],
        "A matrix of 8 rows and columns with 17 filled cells; the blocks that hold one "
        "are framed.",
        300,
        bare=True,
    )
    ticks = {3.5: "dense", 2.5: "CSR", 1.5: "COO", 0.5: "BSR"}
    bars = Panel(
        Axis(0, 640, "bytes"),
        Axis(0, 4, "", ticks=ticks),
        [
            Boxes(look="blue", x0=0.0, x1="sizes", y0="low", y1="high", faint=0.45),
            *(
                Label(look="ink", x=0.0, y=y, text=f"{{{name.lower()}}}", shift=(5, 4))
                for y, name in ticks.items()
            ),
        ],
        "Bars of the bytes that four formats take: CSR the fewest, then COO, BSR and "
        "the dense matrix.",
        300,
    )
    return figure(
        sparse_formats,
        [
            Pattern("pattern", "Cells of the matrix", N, N, START),
            Choice(
                "number",
                "A value is a",
                {k: k for k in ("float32", "float64")},
                "float32",
            ),
            Choice("block", "Blocks of", {"2": "2 × 2", "4": "4 × 4"}, "2"),
        ],
        [matrix, bars],
        title="Every value brings its place along, so that few must be left",
        text="{count} of 64 cells are filled, in {blocks} blocks: {best} is the "
        "smallest format. CSR is smaller than the dense matrix up to {even} filled "
        "cells.",
        caption="Row and column numbers take four bytes each.",
        lists={
            "CSR row starts": "starts",
            "CSR columns": "columns",
            "COO rows": "rows",
            "BSR row starts": "block_starts",
            "BSR columns": "block_columns",
        },
    )
