"""Lossless coding: Huffman's code with its table counted, and gaps between entries."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.compress.codec import check_bits
from deepopt_lib.core.checks import is_int
from deepopt_lib.core.tree import nbytes

__all__ = [
    "HuffmanCode",
    "code_lengths",
    "entropy",
    "from_gaps",
    "huffman",
    "to_gaps",
    "unhuffman",
]

Ints = NDArray[Any]

SPAN = 2**20  # symbols or bits that are handled at a time
LONGEST = 16  # bits of a code word, so that a table of 2**16 entries decodes it


class HuffmanCode(NamedTuple):
    """The bits, the length of each symbol's word, and how many symbols there are."""

    packed: NDArray[np.uint8]
    lengths: NDArray[np.uint8]
    symbols: NDArray[np.int64]  # how many

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, the table included."""
        return nbytes(tuple(self))


def entropy(counts: Ints) -> float:
    """Return the entropy of symbols with these counts, in bits (Shannon 1948).

    No code that gives each symbol a word of its own is shorter on average, and
    Huffman's is less than one bit longer.
    """
    p = counts[counts > 0] / np.sum(counts)
    return float(-np.sum(p * np.log2(p)))


def code_lengths(counts: Ints) -> NDArray[np.uint8]:
    """Return the length of each symbol's word (Huffman 1952), 0 if it never occurs.

    The two rarest are joined until one is left. Where a word would be longer than 16
    bits, the counts are halved until none is: still a code, no longer the shortest.

    Raises
    ------
    ValueError
        If all counts are 0, one is negative, or more than 2**16 symbols occur.
    """
    counts = np.asarray(counts).astype(np.int64)
    if counts.ndim != 1 or not counts.size or counts.min() < 0 or not counts.any():
        raise ValueError("counts must be ints >= 0 of at least one symbol")
    if np.count_nonzero(counts) > 2**LONGEST:
        raise ValueError(f"more than {2**LONGEST} symbols have no words that short")
    while True:
        lengths = _lengths(counts)
        if lengths.max() <= LONGEST:
            return lengths
        counts = (counts + 1) // 2  # in the end all are 1


def _lengths(counts: Ints) -> NDArray[np.uint8]:
    lengths = np.zeros(counts.size, np.uint8)
    heap = [(int(n), i, [i]) for i, n in enumerate(counts) if n]
    if len(heap) == 1:  # a single symbol needs a bit as well
        lengths[heap[0][1]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (a, _, left), (b, tie, right) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[left + right] += 1
        heapq.heappush(heap, (a + b, tie, left + right))
    return lengths


def _words(lengths: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the canonical code words: in order of length, then of symbol."""
    words = np.zeros(lengths.size, np.int64)
    word, before = 0, 0
    for symbol in np.lexsort((np.arange(lengths.size), lengths)):
        if n := int(lengths[symbol]):
            word <<= n - before
            words[symbol], before = word, n
            word += 1
    return words


def huffman(symbols: Ints, alphabet: int) -> HuffmanCode:
    """Return the Huffman code of integers in [0, alphabet), any shape.

    The code is canonical, so that one byte a symbol of the alphabet, the length of its
    word, is all a decoder needs; it is part of the code and counted.

    Raises
    ------
    ValueError
        If there are no symbols, or one is outside of the alphabet, which has at most
        2**16 symbols.
    """
    if not is_int(alphabet) or not 1 <= alphabet <= 2**16:
        raise ValueError(f"alphabet must be an int in [1, {2**16}], got {alphabet!r}")
    flat = np.ravel(symbols).astype(np.int64)
    if not flat.size or flat.min() < 0 or flat.max() >= alphabet:
        raise ValueError(
            f"symbols must be ints in [0, {alphabet}), one or more of them"
        )
    lengths = code_lengths(np.bincount(flat, minlength=alphabet))
    words, columns = _words(lengths), np.arange(LONGEST)
    bits = []
    for i in range(0, flat.size, SPAN):
        word, n = words[flat[i : i + SPAN], None], lengths[flat[i : i + SPAN], None]
        every = (word >> (n.astype(np.int64) - 1 - columns).clip(0)) & 1
        bits.append(every[columns < n].astype(np.uint8))
    packed = np.packbits(np.concatenate(bits))
    return HuffmanCode(packed, lengths, np.array([flat.size]))


def unhuffman(code: HuffmanCode) -> NDArray[np.uint16]:
    """Return the symbols of a Huffman code.

    Raises
    ------
    ValueError
        If the lengths are those of no code, or the bits do not come out even.
    """
    lengths = code.lengths.astype(np.int64)
    used = lengths[lengths > 0]
    if not used.size or used.max() > LONGEST or np.sum(2.0**-used) > 1:
        raise ValueError("the table is not that of a Huffman code")
    # At every bit: which symbol would start here, and where would the next one start?
    symbol_of = np.full(2**LONGEST, lengths.size, np.int64)
    for symbol, word in enumerate(_words(code.lengths)):
        if n := int(lengths[symbol]):
            first = int(word) << (LONGEST - n)
            symbol_of[first : first + 2 ** (LONGEST - n)] = symbol
    size = 8 * code.packed.size
    data = np.concatenate([code.packed, np.zeros(3, np.uint8)]).astype(np.int64)
    count, place, out = int(code.symbols[0]), 0, []
    for begin in range(0, size, SPAN):
        at = np.arange(begin, min(begin + SPAN, size))
        byte, shift = at >> 3, 8 - (at & 7)
        window = (data[byte] << 16 | data[byte + 1] << 8 | data[byte + 2]) >> shift
        starts = symbol_of[window & (2**LONGEST - 1)]
        steps = np.append(lengths, 0)[starts].tolist()
        found: list[int] = []
        while place - begin < len(steps) and len(found) < count:
            found.append(place - begin)
            place += steps[place - begin] or size + 1  # no word: far out
        count -= len(found)
        out.append(starts[found])
    if count or -(-place // 8) != code.packed.size:
        raise ValueError("the bits are not those of a Huffman code with this table")
    return np.concatenate(out).astype(np.uint16)


def to_gaps(places: Ints, bits: int) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Return the gaps between increasing places, in symbols of ``bits`` bits each.

    Han et al. (2016), section 2 and Fig. 2. A symbol g says: g positions are skipped,
    the next one is an entry. Where a gap has no symbol, *fillers* are put in: the
    largest symbol, with an entry that is zero. Also returns which entries are real.

    Raises
    ------
    ValueError
        If the places do not increase from 0 on, or ``bits`` is outside [1, 16].
    """
    check_bits("bits", bits)
    skipped = np.diff(np.asarray(places, np.int64), prepend=-1) - 1
    if np.any(skipped < 0):
        raise ValueError("places must increase, from 0 on")
    step = 2**bits  # positions that a filler covers, itself included
    fillers = skipped // step
    ends = np.cumsum(fillers + 1) - 1
    gaps = np.full(int(np.sum(fillers + 1)), step - 1, np.uint16)
    real = np.zeros(gaps.size, np.bool_)
    gaps[ends], real[ends] = skipped % step, True
    return gaps, real


def from_gaps(gaps: Ints) -> NDArray[np.int64]:
    """Return the place of every entry, the fillers' included."""
    return np.cumsum(gaps.astype(np.int64) + 1) - 1
