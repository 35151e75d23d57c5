"""Smaller networks, drawn: thin matrices, and a pipeline."""

from __future__ import annotations

import numpy as np
from IPython.display import HTML
from numpy.typing import ArrayLike

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH
from deepopt_lib.core.checks import check_array, check_int

__all__ = ["deep_compression", "lora", "low_rank"]

STAGES = ("dense", "pruned", "shared", "coded")


def low_rank(
    m: int = 784,
    n: int = 512,
    r: int = 16,
    *,
    caption: str = "Low rank. A matrix whose columns are mixtures of r directions is a "
    "product of two thin ones, stored and multiplied at r(m + n) numbers instead of "
    "mn.",
) -> HTML:
    """Draw a matrix as a product of two thin ones, all to scale but for the rank.

    Raises
    ------
    ValueError
        If m, n or r is not an int >= 1, or the thin ones are not smaller.
    """
    _check_rank(m, n, r)
    c = Canvas(
        "A matrix as a product of two thin ones",
        f"A box of {m} × {n} equals a tall thin box of {m} × {r} times a flat one of "
        f"{r} × {n}: {m * n:,} numbers become {r * (m + n):,}.",
        222,
    )
    unit = min(150 / m, 132 / n)
    tall, wide = max(m * unit, 30.0), max(n * unit, 30.0)
    thin = max(14.0, min(r * unit, 40.0))
    y = 24 + (150 - tall) / 2
    left = (WIDTH - 2 * wide - thin - 70) / 2 + 10
    times = left + wide + 44
    c.box(left, y, wide, tall, color="gray", tint=0.25)
    c.text(left + wide / 2, y + tall / 2, "W", bold=True)
    c.text(left + wide / 2, y - 11, str(n), color="gray")
    c.text(left - 6, y + tall / 2, str(m), at="end", color="gray")
    c.text(left + wide + 22, 99, "≈")
    c.box(times, y, thin, tall, color="pink", tint=0.35)
    c.text(times + thin / 2, y - 11, str(r), color="gray")
    right = times + thin + 26
    c.text(times + thin + 13, 99, "×")
    c.box(right, 99 - thin / 2, wide, thin, color="pink", tint=0.35)
    c.text(right + wide / 2, 99 - thin / 2 - 11, str(n), color="gray")
    c.text(left + wide / 2, 204, f"{m * n:,}", name="dense")
    words = f"{r * (m + n):,}, {m * n / (r * (m + n)):.1f} times fewer"
    c.text(times, 204, words, at="start", color="pink", bold=True, name="thin")
    return c.figure(caption)


def lora(
    m: int = 784,
    n: int = 256,
    r: int = 4,
    *,
    caption: str = "LoRA. The trained matrix stays as it is. What is learned is a thin "
    "detour beside it, which can be added to the matrix in the end.",
) -> HTML:
    """Draw a frozen matrix, and two thin trained ones beside it.

    Raises
    ------
    ValueError
        If m, n or r is not an int >= 1, or the thin ones are not smaller.
    """
    _check_rank(m, n, r)
    few = r * (m + n)
    c = Canvas(
        "Low-rank adaptation",
        f"An input goes two ways: through a large gray box, the frozen W with "
        f"{m * n:,} numbers, and through two thin pink boxes, A and B, with {few:,}. "
        "Both ways meet in a sum, the output.",
        244,
    )
    c.text(34, 122, "x", bold=True)
    c.box(120, 10, 150, 100, color="gray", tint=0.25)
    c.text(195, 48, "W, frozen", bold=True)
    c.text(195, 70, f"{m} × {n}", color="gray")
    c.arrow((46, 114), (114, 62), color="gray")
    c.arrow((46, 130), (114, 178), color="pink")
    c.box(120, 140, 26, 76, color="pink", tint=0.35)
    c.text(133, 178, "A", bold=True)
    c.arrow((152, 178), (186, 178), color="pink")
    c.text(169, 165, str(r))
    c.box(192, 165, 78, 26, color="pink", tint=0.35)
    c.text(231, 178, "B", bold=True)
    c.arrow((276, 62), (334, 112), color="gray")
    c.arrow((276, 178), (334, 130), color="pink")
    c.spot(345, 121, 11, color="gray", tint=0.1)
    c.text(345, 121, "+", bold=True)
    c.arrow((359, 121), (392, 121))
    c.text(412, 121, "y", bold=True)
    share = f"trained: {few:,} of {m * n:,}"
    c.text(120, 232, share, at="start", color="pink", bold=True, name="trained")
    c.text(300, 178, f"{few / (m * n):.1%}", at="start", color="pink", name="share")
    return c.figure(caption)


def deep_compression(
    sizes: ArrayLike = (1_064_800, 98_494, 29_282, 23_426),
    *,
    caption: str = "Deep Compression. Each stage works on what the one before has "
    "left: prune the connections, let the others share few values, code what repeats.",
) -> HTML:
    """Draw the stages with their sizes, to scale: dense, pruned, shared, coded.

    Parameters
    ----------
    sizes : four ints
        Bytes after each stage. The default: 266,200 weights of 32 bits, of which 8 %
        stay, with an address of 5 bits; then 6 + 5 bits each, and 8.8 when coded.

    Raises
    ------
    ValueError
        If ``sizes`` are not four numbers > 0 that fall.
    """
    b = check_array("sizes", np.asarray(sizes, np.float64), ndim=1)
    if b.size != 4 or b.min() <= 0 or np.any(np.diff(b) > 0):
        raise ValueError(f"sizes must be four that fall, got {b.tolist()}")
    factors = b[0] / b
    c = Canvas(
        "Deep Compression",
        "Four bars to scale, one below the other: "
        + ", ".join(f"{s} {x / 1000:,.0f} kB" for s, x in zip(STAGES, b, strict=True))
        + f"; {factors[-1]:.0f} times smaller in the end.",
        234,
    )
    shades = [[3] * 9, [0, 3, 0, 0, 3, 0, 3, 0, 0], [0, 1, 0, 0, 3, 0, 1, 0, 0]]
    for k, (stage, size) in enumerate(zip(STAGES, b, strict=True)):
        y, side = 10.0 + 60 * k, 14.0
        for j in range(9):
            x, up = 4 + j % 3 * side, y + j // 3 * side
            if k < 3:
                color = "gray" if k < 2 else ("green", "blue")[shades[k][j] // 2]
                full = 0.55 if shades[k][j] else 0.0
                c.box(x, up, side, side, color=color if full else "gray", tint=full,
                      round=0)  # fmt: skip
        if k == 3:
            for row, word in enumerate(("0110", "10")):
                c.text(4, y + 11 + 19 * row, word, at="start", color="green")
        c.text(62, y + 8, stage, at="start", bold=True)
        times = f"{size / 1000:,.0f} kB" + (f", {factors[k]:.0f} ×" if k else "")
        c.text(WIDTH - 4, y + 8, times, at="end", name="size")
        color = ("gray", "blue", "vermilion", "green")[k]
        long = (WIDTH - 66) * float(size / b[0])
        c.box(62, y + 22, max(long, 1.5), 16, color=color, tint=0.5, round=1)
    return c.figure(caption)


def _check_rank(m: int, n: int, r: int) -> None:
    """Refuse a rank at which nothing is saved."""
    for name, value in {"m": m, "n": n, "r": r}.items():
        check_int(name, value)
    if r * (m + n) >= m * n:
        raise ValueError(f"r must be below {m * n / (m + n):.4g}, got {r}")
