"""A novel, as symbols: a megabyte of English prose."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.data.store import load

__all__ = ["Prose", "prose"]

EVERY = 20  # of so many chapters one is for validation and one for the test
PART = {EVERY // 2: 1, 0: 2}


class Prose(NamedTuple):
    """A text as ids of its symbols, each of which is one byte.

    ``symbols[i]`` is the character of id i; `to_ids` and `to_text` go to and fro.
    """

    symbols: str
    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    test: NDArray[np.uint8]

    def to_ids(self, text: str) -> NDArray[np.uint8]:
        """Return the ids of a text.

        Raises
        ------
        ValueError
            If a character is none of ``symbols``.
        """
        if strange := sorted({*text} - {*self.symbols}):
            raise ValueError(f"no symbol for {strange}, only for {self.symbols!r}")
        known = np.frombuffer(self.symbols.encode("ascii"), np.uint8)  # sorted
        codes = np.frombuffer(text.encode("ascii"), np.uint8)
        return np.searchsorted(known, codes).astype(np.uint8)

    def to_text(self, ids: NDArray[np.integer]) -> str:
        """Return the text of some ids.

        Raises
        ------
        ValueError
            If an id is not in [0, len(symbols)).
        """
        ids = np.asarray(ids)
        if len(bad := ids[(ids < 0) | (ids >= len(self.symbols))]):
            raise ValueError(f"ids must be in [0, {len(self.symbols)}), got {bad[0]}")
        return "".join(self.symbols[i] for i in ids)


def prose() -> Prose:
    """Return Melville's *Moby-Dick* (1851) as `Prose`: 1.2 million symbols of 80 kinds.

    Public domain. Of the 135 chapters, 10, 30, 50, ... are for validation and 20, 40,
    60, ... for the test, so that all three parts are from the whole of the book.

    Raises
    ------
    FileNotFoundError, RuntimeError
        If the file is missing or damaged.
    """
    text = load("mobydick.npz", "text").tobytes().decode("ascii")
    starts = [found.start() for found in re.finditer(r"^CHAPTER \d+\.", text, re.M)]
    chapters = [
        text[i:j] for i, j in zip(starts, [*starts[1:], len(text)], strict=True)
    ]
    symbols = "".join(sorted(set(text)))
    whole = Prose(symbols, *[np.empty(0, np.uint8)] * 3)
    parts: list[list[str]] = [[], [], []]
    for number, chapter in enumerate(chapters, 1):
        parts[PART.get(number % EVERY, 0)].append(chapter)
    return Prose(symbols, *(whole.to_ids("".join(part)) for part in parts))
