"""A ring all-reduce step by step: who holds which chunk, and how complete it is."""

from __future__ import annotations

import math
from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.cells import Cells
from deepopt_lib.book.live.controls import Slider
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.marks import Boxes, Line, Points
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Panel

__all__ = ["ring_by_steps", "ring_steps"]

MOST = 8  # ranks


def ring_steps(ranks: int, step: int, size: float) -> dict[str, Any]:
    """Pass chunks around a ring: first sums grow, then they travel on. Size in MB."""
    n = ranks
    done = min(step, 2 * (n - 1))
    held = [1] * (MOST * MOST)  # how many ranks' numbers are in chunk c of rank r
    came_x: list[int] = []
    came_y: list[int] = []
    for k in range(done):
        came_x = []
        came_y = []
        for rank in range(n):
            to = (rank + 1) % n
            if k < n - 1:
                chunk = (rank - k) % n
                held[MOST * chunk + to] += held[MOST * chunk + rank]
            else:
                chunk = (rank - k + n) % n
                held[MOST * chunk + to] = n
            came_x.append(to)
            came_y.append(chunk)
    shades = []
    texts: list[float | str] = []
    complete = 0
    for chunk in range(MOST):
        for rank in range(MOST):
            inside = chunk < n and rank < n
            count = held[MOST * chunk + rank]
            shades.append(count / n if inside else math.nan)
            texts.append(count if inside else "")
            if inside and count == n:
                complete += 1
    counts = [i for i in range(2, 65)]
    phase = "sums grow" if done < n else "sums travel on"
    if done == 2 * (n - 1):
        phase = "every rank has the whole sum"
    if done == 0:
        phase = "every rank has its own numbers"
    return {
        "shades": shades,
        "texts": texts,
        "came_left": came_x,
        "came_right": [x + 1 for x in came_x],
        "came_top": came_y,
        "came_bottom": [y + 1 for y in came_y],
        "done": done,
        "rounds": 2 * (n - 1),
        "phase": phase,
        "complete": complete,
        "chunks": n * n,
        "sent": done * size / n,
        "all": 2 * (n - 1) * size / n,
        "root": (n - 1) * size,
        "counts": counts,
        "by_ring": [2 * (i - 1) * size / i for i in counts],
        "by_root": [(i - 1) * size for i in counts],
    }


def ring_by_steps() -> HTML:
    """Show who holds what in a ring all-reduce, and what each rank has sent."""
    ring = Panel(
        Axis(-0.8, 8.8),
        Axis(8.1, -0.1, "each column a rank, each row a chunk"),
        [
            Cells(
                look="blue",
                values="shades",
                texts="texts",
                rows=MOST,
                columns=MOST,
                most=0.5,
            ),
            Boxes(
                look="vermilion",
                x0="came_left",
                x1="came_right",
                y0="came_bottom",
                y1="came_top",
                faint=0,
                edge=True,
                label="arrived in this round",
            ),
        ],
        "A grid with a column for each of 4 ranks and a row for each chunk; a number "
        "says how many ranks a chunk is the sum of. After two rounds one chunk of each "
        "rank is the sum of three.",
        300,
        bare=True,
    )
    sent = Panel(
        Axis(2, 64, "ranks", log=True, ticks={2.0**k: str(2**k) for k in range(1, 7)}),
        Axis(1, 1e5, "MB sent by the busiest rank", log=True),
        [
            Line(look="gray", x="counts", y="by_root", label="one rank serves all"),
            Line(look="blue", x="counts", y="by_ring", label="ring"),
            Points(look="blue", x="ranks", y="all", size=10),
        ],
        "Megabytes sent against the number of ranks: the ring stays below twice the "
        "array, a rank that serves all others sends in proportion to them.",
        300,
    )
    return figure(
        ring_steps,
        [
            Slider("step", "Round", list(range(2 * MOST - 1)), 2),
            Slider("ranks", "Ranks", list(range(2, MOST + 1)), 4),
            Slider(
                "size", "Array", [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], 100, "MB"
            ),
        ],
        [ring, sent],
        title="In a ring no rank sends more than twice the array, at any length",
        text="Round {done} of {rounds} with {ranks} ranks: {phase}; {complete} of "
        "{chunks} chunks are complete. Each rank has sent {sent:3} MB, in the end "
        "{all:3} MB; one that serves all others would send {root:3} MB.",
        caption="A column is a rank, a row a chunk of its array; the number says how "
        "many ranks are in the sum so far. Every rank sends to its right neighbor, the "
        "last one to the first.",
    )
