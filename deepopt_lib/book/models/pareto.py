"""Which network for so many bytes: the front, the best, the smallest.

Names, sizes and accuracies are lists, the smallest network first. ``apart[i][j]`` is
"1" where networks i > j differ beyond chance.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["alike", "compared", "described", "joined", "of", "pareto"]


def of(
    family: str, chosen: list[int], families: list[str], values: list[float]
) -> list[float]:
    """Return the values of a family as far as chosen, NaN for the others."""
    return [
        values[i] if chosen[i] == 1 and families[i] == family else math.nan
        for i in range(len(values))
    ]


def joined(words: str, word: str) -> str:
    """Return an enumeration with one word more."""
    return word if words == "" else words + ", " + word


def alike(
    one: int, end: int, chosen: list[int], names: list[str], apart: list[str]
) -> str:
    """Name the first three before ``end`` that cannot be told apart from ``one``."""
    words: str = ""
    n = 0
    for i in range(end):
        if i != one and chosen[i] == 1 and apart[max(i, one)][min(i, one)] == "0":
            n += 1
            if n <= 3:
                words = joined(words, names[i])
    return words + " and others" if n > 3 else words


def described(words: str, i: int, names: list[str], says: list[str]) -> str:
    """Return words, and after them a network with its numbers."""
    return words + " " + names[i] + " (" + says[i] + ")"


def compared(others: int, same: str, them: str, which: str) -> str:
    """Say if a network can be told apart from all its ``others``."""
    if others == 0:
        return ""
    if same == "":
        return ", beyond chance ahead of all " + them
    return ", not told apart from " + which + same


def pareto(
    family: str,
    budget: float,
    target: float,
    picked: int,
    names: list[str],
    says: list[str],
    families: list[str],
    sizes: list[float],
    accuracies: list[float],
    apart: list[str],
) -> dict[str, Any]:
    """Choose a family's networks with at most ``budget`` kB, at least ``target`` %."""
    limit = 1000 * budget
    chosen = [1 if family == "all" or one == family else 0 for one in families]
    count = 0
    fit = 0  # chosen ones within the budget
    lower = 0  # chosen ones smaller than the one that reaches the target
    end = 0  # the first that exceeds the budget
    small = -1
    top = -1
    best = -1
    least = -1
    front_x = []
    front_y = []
    both_x = []
    both_y = []
    for i in range(len(sizes)):
        if sizes[i] <= limit:
            end = i + 1
        if chosen[i] == 0:
            continue
        if count == 0:
            small = i
            front_x.append(sizes[i])
            front_y.append(0.0)
        if least < 0 and accuracies[i] >= target:
            least = i
            lower = count
        count += 1
        fit += 1 if sizes[i] <= limit else 0
        if top < 0 or accuracies[i] > accuracies[top]:
            top = i
            best = i if sizes[i] <= limit else best
            front_x.append(sizes[i])
            front_y.append(accuracies[i])
        if sizes[i] <= limit and accuracies[i] >= target:
            both_x.append(sizes[i])
            both_y.append(accuracies[i])
    front_x.append(1e9)
    front_y.append(accuracies[top])
    if best < 0:
        within = described("none is small enough; the smallest is", small, names, says)
    else:
        same = alike(best, end, chosen, names, apart)
        within = described("the best is", best, names, says)
        within = within + compared(fit - 1, same, "others that fit", "")
    if least < 0:
        reaching = described("none is good enough; the best is", top, names, says)
    else:
        same = alike(least, least, chosen, names, apart)
        reaching = described("the smallest is", least, names, says)
        reaching = reaching + compared(lower, same, "smaller ones", "the smaller ")
    return {
        "control": of("control", chosen, families, accuracies),
        "small_bits": of("small, few bits", chosen, families, accuracies),
        "quantized": of("quantized", chosen, families, accuracies),
        "shared": of("shared", chosen, families, accuracies),
        "pruned": of("pruned", chosen, families, accuracies),
        "low_rank": of("low rank", chosen, families, accuracies),
        "whole": of("Deep Compression", chosen, families, accuracies),
        "sizes": sizes,
        "accuracies": accuracies,
        "limit": limit,
        "front_x": front_x,
        "front_y": front_y,
        "both_x": both_x,
        "both_y": both_y,
        "picked_x": sizes[picked],
        "picked_y": accuracies[picked],
        "name": names[picked],
        "numbers": says[picked],
        "best": best,
        "within": within,
        "reaching": reaching,
        "both": len(both_x),
        "count": count,
    }
