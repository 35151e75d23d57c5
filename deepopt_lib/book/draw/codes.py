"""A code book and its Huffman tree, drawn."""

from __future__ import annotations

import heapq

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.core.checks import check_array, check_int

__all__ = ["code_book"]

COLORS = ("blue", "green", "vermilion", "pink")
INDICES = ((0, 0, 1, 0), (2, 0, 1, 0), (0, 1, 0, 3), (1, 0, 2, 0))


def code_book(
    indices: ArrayLike = INDICES,
    values: ArrayLike = (0.0, 0.31, -0.27, 0.85),
    *,
    caption: str = "Few values for many weights. A weight is the number of its value "
    "in the code book; Huffman's tree gives frequent numbers short words, read from "
    "the root down.",
) -> HTML:
    """Draw a matrix of indices, the code book, and Huffman's tree of the indices.

    Raises
    ------
    ValueError
        If ``indices`` is not a matrix of ints of at most 4 x 4, there are not 2 to 4
        finite ``values``, an index has no value, or a value is never used.
    """
    v = check_array("values", np.asarray(values, np.float64), ndim=1)
    check_int("number of values", v.size, 2, 4)
    labels = np.asarray(indices)
    if (
        labels.ndim != 2
        or labels.dtype.kind not in "iu"
        or max(labels.shape) > 4
        or not labels.size
    ):
        raise ValueError(f"indices must be ints, at most 4 × 4, got {labels.shape}")
    check_int("smallest index", int(labels.min()), 0)
    check_int("largest index", int(labels.max()), 0, v.size - 1)
    counts = np.bincount(labels.ravel(), minlength=v.size)
    if not counts.all():
        raise ValueError(f"every value must be used, got the counts {counts.tolist()}")
    words = _words(counts.tolist())
    fixed = int(v.size - 1).bit_length()
    bits = sum(int(n) * len(word) for n, word in zip(counts, words, strict=True))
    c = Canvas(
        "A code book and Huffman's tree",
        f"A matrix of {labels.size} indices in {v.size} colors; the code book with the "
        f"values {', '.join(f'{x:g}' for x in v)}; a tree whose leaves are the indices "
        f"with the words {', '.join(words)}. {fixed * labels.size} bits become {bits}.",
        252,
    )
    w, left, top = 28.0, 4.0, 24.0
    c.text(left, 10, "indices", at="start", bold=True)
    for r, row in enumerate(labels):
        c.cells(left, top + r * w, [str(k) for k in row], w=w, h=w,
                colors=[COLORS[k] for k in row], tints=0.3)  # fmt: skip
    c.text(left, 164, "code book", at="start", bold=True)
    wide = min(46.0, 172 / v.size)
    c.cells(left, 176, [f"{x:g}" for x in v], w=wide, colors=COLORS, tints=0.3)
    for k in range(v.size):
        c.text(left + (k + 0.5) * wide, 214, str(k), color=COLORS[k])
    c.text(
        left, 241, f"{fixed * labels.size} bits → {bits} bits", at="start", name="bits"
    )
    _tree(c, words, counts.tolist())
    return c.figure(caption)


def _tree(c: Canvas, words: list[str], counts: list[int]) -> None:
    """Draw the tree of the words; their leaves stand from left to right."""
    order = sorted(range(len(words)), key=lambda k: words[k])
    x = {words[k]: 234 + 184 * i / (len(order) - 1) for i, k in enumerate(order)}
    inner = sorted({w[:n] for w in words for n in range(len(w))}, key=len, reverse=True)
    for node in inner:
        x[node] = (x[node + "0"] + x[node + "1"]) / 2
    depth = max(map(len, words))
    y = {n: 26 + (len(n) * 142 / depth) for n in x}
    c.text(222, 10, "Huffman's tree", at="start", bold=True)
    for node in inner:
        for bit in "01":
            below = node + bit
            end = x[below], y[below] - (13 if below in words else 0)
            c.curve([(x[node], y[node]), end])
            side = -10 if bit == "0" else 10
            middle = (x[node] + end[0]) / 2, (y[node] + end[1]) / 2
            c.text(middle[0] + side, middle[1] - 2, bit, color="gray")
        c.spot(x[node], y[node], 3.5, color="gray")
    for k, word in enumerate(words):
        c.box(x[word] - 14, y[word] - 13, 28, 26, color=COLORS[k], tint=0.3)
        c.text(x[word], y[word], str(k), bold=True)
        c.text(x[word], y[word] + 25, word, color=COLORS[k], bold=True, name="words")
        c.text(x[word], y[word] + 44, f"{counts[k]} ×", color="gray", name="counts")


def _words(counts: list[int]) -> list[str]:
    """Return Huffman's words, canonical: in order of length, then of symbol."""
    heap = [(n, k, [k]) for k, n in enumerate(counts)]
    heapq.heapify(heap)
    lengths = [0] * len(counts)
    while len(heap) > 1:
        (a, _, left), (b, tie, right) = heapq.heappop(heap), heapq.heappop(heap)
        for k in left + right:
            lengths[k] += 1
        heapq.heappush(heap, (a + b, tie, left + right))
    words, code, before = [""] * len(counts), 0, 0
    for k in sorted(range(len(counts)), key=lambda k: lengths[k]):
        code <<= lengths[k] - before
        words[k], before = f"{code:0{lengths[k]}b}", lengths[k]
        code += 1
    return words
