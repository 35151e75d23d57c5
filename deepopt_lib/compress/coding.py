"""Lossless coding: Huffman's code, with its table counted."""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.checks import check_int

__all__ = [
    "HuffmanCode",
    "code_lengths",
    "entropy",
    "huffman",
    "huffman_bytes",
    "unhuffman",
]

Ints = NDArray[Any]

SPAN = 2**18  # symbols or bits that are handled at a time
LONGEST = 16  # bits of a code word, so that a table of 2**16 entries decodes it


class HuffmanCode(NamedTuple):
    """The bits, the length of each symbol's word, and how many symbols there are."""

    packed: NDArray[np.uint8]
    lengths: NDArray[np.uint8]
    n_symbols: NDArray[np.int64]  # (1,)


def entropy(counts: Ints) -> float:
    """Return the entropy of symbols with these counts, in bits (Shannon 1948).

    No code that gives each symbol a word of its own is shorter on average, and
    Huffman's is less than one bit longer.

    Raises
    ------
    ValueError
        If all counts are 0, or one is negative.
    """
    counts = _check_counts(counts)
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
    counts = _check_counts(counts)
    if np.count_nonzero(counts) > 2**LONGEST:
        raise ValueError(f"more than {2**LONGEST} symbols have no words that short")
    while True:
        lengths = _lengths(counts)
        if lengths.max() <= LONGEST:
            return lengths.astype(np.uint8)
        counts = (counts + 1) // 2  # in the end all are 1


def _check_counts(counts: Any) -> NDArray[np.int64]:
    counts = np.asarray(counts)
    whole = counts.ndim == 1 and counts.dtype.kind in "iu"
    if not whole or not counts.any() or counts.min() < 0:
        raise ValueError("counts must be ints >= 0 of at least one symbol")
    wide: NDArray[np.int64] = counts.astype(np.int64)
    return wide


def _lengths(counts: NDArray[np.int64]) -> Ints:
    """Return the depth of each symbol in Huffman's tree; of equal counts the first."""
    symbols = np.flatnonzero(counts)
    lengths = np.zeros(counts.size, np.int64)
    lengths[symbols] = 1  # a single symbol needs a bit as well
    heap = [(int(counts[s]), int(s), leaf) for leaf, s in enumerate(symbols)]
    heapq.heapify(heap)
    parent = [0] * (2 * len(heap) - 1)  # leaves first, then nodes as they are made
    for node in range(len(heap), len(parent)):
        (a, _, left), (b, tie, right) = heapq.heappop(heap), heapq.heappop(heap)
        parent[left] = parent[right] = node
        heapq.heappush(heap, (a + b, tie, node))
    depth = [0] * len(parent)
    for node in range(len(parent) - 2, -1, -1):  # from the root down
        depth[node] = depth[parent[node]] + 1
    if len(symbols) > 1:
        lengths[symbols] = depth[: len(symbols)]
    return lengths


def _words(lengths: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the canonical code words: in order of length, then of symbol."""
    words = np.zeros(lengths.size, np.uint16)
    word, before = 0, 0
    for symbol in np.argsort(lengths, kind="stable"):
        if n := int(lengths[symbol]):
            word <<= n - before
            words[symbol], before = word, n
            word += 1
    return words


def huffman_bytes(counts: NDArray[np.int64]) -> int:
    """Return the bytes of the `huffman` code of symbols that occur this often."""
    bits = int(counts @ code_lengths(counts).astype(np.int64))
    return -(-bits // 8) + counts.size + np.dtype(np.int64).itemsize


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
    check_int("alphabet", alphabet, 1, 2**16)
    flat = np.ravel(symbols)
    whole = flat.size and flat.dtype.kind in "iu"
    if not whole or flat.min() < 0 or flat.max() >= alphabet:
        raise ValueError(
            f"symbols must be ints in [0, {alphabet}), one or more of them"
        )
    counts = np.bincount(flat.astype(np.int64), minlength=alphabet)
    lengths = code_lengths(counts)
    words, place = _words(lengths), 0
    bits = np.empty(int(counts @ lengths.astype(np.int64)), np.uint8)
    for i in range(0, flat.size, SPAN):
        n = lengths[flat[i : i + SPAN]]
        ends = np.cumsum(n, dtype=np.int32)
        behind = np.repeat(ends, n) - np.arange(1, ends[-1] + 1, dtype=np.int32)
        bit = np.repeat(words[flat[i : i + SPAN]], n) >> behind & 1
        bits[place : place + bit.size] = bit
        place += bit.size
    return HuffmanCode(np.packbits(bits), lengths, np.array([flat.size]))


def unhuffman(code: HuffmanCode) -> NDArray[np.uint16]:
    """Return the symbols of a Huffman code.

    Raises
    ------
    ValueError
        If the lengths are those of no code, or the bits do not come out even.
    """
    lengths = code.lengths.astype(np.int64)
    used = lengths[lengths > 0]
    if (
        not 0 < used.size <= lengths.size <= 2**LONGEST
        or used.max() > LONGEST
        or np.sum(2.0**-used) > 1
    ):
        raise ValueError("the table is not that of a Huffman code")
    # At every bit: which symbol would start here, and where would the next one start?
    symbol_of = np.full(2**LONGEST, lengths.size, np.int64)
    words = _words(code.lengths)
    for symbol in np.flatnonzero(lengths):
        free = LONGEST - int(lengths[symbol])
        first = int(words[symbol]) << free
        symbol_of[first : first + 2**free] = symbol
    size = 8 * code.packed.size
    data = np.concatenate([code.packed, np.zeros(3, np.uint8)]).astype(np.int64)
    count, place, out = int(code.n_symbols[0]), 0, []
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
        out.append(starts[found].astype(np.uint16))
    if count or -(-place // 8) != code.packed.size:
        raise ValueError("the bits are not those of a Huffman code with this table")
    return np.concatenate(out)
