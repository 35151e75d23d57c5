"""Lossless coding: the shortest prefix code, counted with its table; gaps."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepopt_lib.compress import (
    HuffmanCode,
    code_lengths,
    coding,
    entropy,
    from_gaps,
    huffman,
    to_gaps,
    unhuffman,
)
from deepopt_lib.compress.coding import huffman_bytes
from deepopt_lib.compress.gaps import count_gaps
from deepopt_lib.core import nbytes

modest = settings(max_examples=60, deadline=None, derandomize=True, database=None)
COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=60).filter(any)


def code_of(packed: Any, lengths: Any, symbols: int) -> HuffmanCode:
    return HuffmanCode(
        np.array(packed, np.uint8), np.array(lengths, np.uint8), np.array([symbols])
    )


def sum_of_merges(counts: list[int]) -> int:
    """Count the bits of the shortest code: each merge costs its members a bit."""
    queue, total = sorted(n for n in counts if n), 0
    if len(queue) == 1:
        return queue[0]
    while len(queue) > 1:
        a, b, *rest = queue
        total += a + b
        queue = sorted([*rest, a + b])
    return total


def words(lengths: list[int]) -> dict[str, int]:
    """Write down the canonical words as text, by Kraft's sum: each has its interval."""
    out: dict[str, int] = {}
    start = 0.0
    for n, symbol in sorted((n, s) for s, n in enumerate(lengths) if n):
        out[format(int(start * 2**n), f"0{n}b")] = symbol
        start += 2.0**-n
    return out


def prefix_free(lengths: list[int]) -> bool:
    text = sorted(words(lengths))
    return not any(b.startswith(a) for a, b in pairwise(text))


def read_bits(code: HuffmanCode) -> list[int]:
    """Decode bit by bit, with a dict of words."""
    table = words(code.lengths.tolist())
    text = "".join(format(byte, "08b") for byte in code.packed.tolist())
    out: list[int] = []
    word, used = "", 0
    for bit in text:
        if len(out) == int(code.n_symbols[0]):
            break
        word, used = word + bit, used + 1
        if word in table:
            out.append(table[word])
            word = ""
    assert set(text[used:]) <= {"0"}
    assert len(text) - used < 8
    return out


# The code's lengths.


@modest
@given(COUNTS)
def test_no_code_is_shorter(counts: list[int]) -> None:
    lengths = code_lengths(np.array(counts)).tolist()
    assert [n == 0 for n in counts] == [n == 0 for n in lengths]
    bits = sum(n * c for n, c in zip(lengths, counts, strict=True))
    assert bits == sum_of_merges(counts)
    used = [n for n in lengths if n]
    assert sum(2.0**-n for n in used) == (1.0 if len(used) > 1 else 0.5)
    total = sum(counts)
    h = -math.fsum(c / total * math.log2(c / total) for c in counts if c)
    assert entropy(np.array(counts)) == pytest.approx(h, abs=1e-12)
    if len(used) > 1:
        assert h - 1e-12 <= bits / total < h + 1


def test_entropy_in_closed_form() -> None:
    assert entropy(np.array([4, 2, 1, 1])) == 1.75
    assert entropy(np.array([0, 9])) == 0.0
    assert entropy(np.ones(256, np.int64)) == 8.0


def fibonacci(n: int) -> list[int]:
    out = [1, 1]
    while len(out) < n:
        out.append(out[-1] + out[-2])
    return out


@pytest.mark.parametrize("n", [17, 18, 40, 80])
def test_fibonacci_counts_make_words_of_16_bits_at_most(n: int) -> None:
    """Unlimited they would have up to n - 1 bits, which are 16 for n = 17."""
    counts = fibonacci(n)
    lengths = code_lengths(np.array(counts)).tolist()
    assert max(lengths) == 16 if n == 17 else max(lengths) <= 16
    assert sum(2.0**-k for k in lengths) == 1.0
    assert prefix_free(lengths)
    if n < 20:
        symbols = np.repeat(np.arange(n), counts)
        code = huffman(symbols, n)
        assert code.lengths.tolist() == lengths
        np.testing.assert_array_equal(unhuffman(code), symbols)
        bits = sum(c * k for c, k in zip(counts, lengths, strict=True))
        assert code.packed.size == -(-bits // 8)
        assert (bits == sum_of_merges(counts)) == (n == 17)


@pytest.mark.parametrize("n", [18, 24, 40, 80])
def test_shortening_the_longest_words_costs_next_to_nothing(n: int) -> None:
    """A flat code is a code as well, of 5 to 7 bits where 2.6 do."""
    counts = fibonacci(n)
    lengths = code_lengths(np.array(counts)).tolist()
    bits = sum(c * k for c, k in zip(counts, lengths, strict=True))
    assert bits <= 1.01 * sum_of_merges(counts)


def test_every_symbol_of_sixteen_bits() -> None:
    """Half of them twice: without a limit some would have 17 bits."""
    symbols = np.concatenate([np.arange(2**16), np.arange(1, 2**16, 2)])
    code = huffman(symbols, 2**16)
    assert set(code.lengths.tolist()) == {16}
    np.testing.assert_array_equal(unhuffman(code), symbols)


# Round trips.


@modest
@given(data=st.data())
def test_round_trip(data: st.DataObject) -> None:
    alphabet = data.draw(st.integers(1, 300))
    few = data.draw(st.integers(1, alphabet))
    drawn = data.draw(st.lists(st.integers(0, few - 1), min_size=1, max_size=200))
    symbols = np.array(drawn)
    code = huffman(symbols, alphabet)
    found = unhuffman(code)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, symbols)
    assert read_bits(code) == drawn
    bits = sum_of_merges([drawn.count(i) for i in range(alphabet)])
    assert nbytes(code) == -(-bits // 8) + alphabet + 8
    assert prefix_free(code.lengths.tolist())


def test_the_words_are_canonical() -> None:
    """0 -> 10, 1 -> 0, 2 -> 110, 4 -> 111, and no word for 3."""
    code = huffman(np.array([[1, 0, 1], [2, 4, 1], [1, 0, 1]]), 5)
    assert code.lengths.tolist() == [2, 1, 3, 0, 3]
    text = "010011011100100"
    assert code.packed.tolist() == [int(text[:8], 2), int(text[8:] + "0", 2)]
    assert words([2, 1, 3, 0, 3]) == {"0": 1, "10": 0, "110": 2, "111": 4}


@pytest.mark.parametrize("n", [1, 7, 8, 9, 1000])
def test_a_single_symbol_takes_a_bit(n: int) -> None:
    code = huffman(np.full(n, 3), 5)
    assert (code.packed.size, code.lengths.tolist()) == (-(-n // 8), [0, 0, 0, 1, 0])
    np.testing.assert_array_equal(unhuffman(code), np.full(n, 3))


@pytest.mark.parametrize("span", [8, 16, 64, 1000])
def test_words_across_the_ends_of_a_span(
    span: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols = np.minimum(np.random.default_rng(0).geometric(0.4, 700), 13)
    whole = huffman(symbols, 14)
    monkeypatch.setattr(coding, "SPAN", span)
    parts = huffman(symbols, 14)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(unhuffman(parts), symbols)
    with pytest.raises(ValueError, match="not those of a Huffman code"):
        unhuffman(parts._replace(packed=parts.packed[:-1]))


# What is refused.

BITS = "the bits are not those of a Huffman code with this table"
TABLE = "the table is not that of a Huffman code"
GOOD = huffman(np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]), 5)
CORRUPT: dict[str, tuple[HuffmanCode, str]] = {
    "an empty table": (code_of([0], [], 1), TABLE),
    "a table of zeros": (code_of([0], [0, 0], 1), TABLE),
    "more symbols than 16 bits name": (code_of([0], [1] + [0] * 2**16, 1), TABLE),
    "words of 17 bits": (code_of([0], [1, 17], 1), TABLE),
    "three words of a bit": (code_of([0], [1, 1, 1], 1), TABLE),
    "just too many words": (code_of([0], [1, 2, 2, 16], 1), TABLE),
    "no word at the start": (code_of([0x80], [1], 1), BITS),
    "no word later": (code_of([0x40], [1], 2), BITS),
    "a word cut off": (code_of([0xFF], [1, 9, 9], 1), BITS),
    "a byte too many": (GOOD._replace(packed=np.append(GOOD.packed, 0)), BITS),
    "a byte too few": (GOOD._replace(packed=GOOD.packed[:-1]), BITS),
    "no bytes": (GOOD._replace(packed=GOOD.packed[:0]), BITS),
    "no symbols": (GOOD._replace(n_symbols=np.array([0])), BITS),
    "fewer than none": (GOOD._replace(n_symbols=np.array([-1])), BITS),
    "more symbols": (GOOD._replace(n_symbols=np.array([99])), BITS),
    "fewer symbols": (GOOD._replace(n_symbols=np.array([5])), BITS),
}


@pytest.mark.parametrize("case", CORRUPT)
def test_corrupted_codes(case: str) -> None:
    code, message = CORRUPT[case]
    with pytest.raises(ValueError, match=message):
        unhuffman(code)


@pytest.mark.parametrize("symbols", [[], [-1, 0], [0, 5], [5], [[0], [70000]], [0.5]])
def test_symbols_outside_of_the_alphabet(symbols: Any) -> None:
    with pytest.raises(ValueError, match=r"symbols must be ints in \[0, 5\), one or"):
        huffman(np.array(symbols), 5)


@pytest.mark.parametrize("alphabet", [0, -1, 2**16 + 1, 2.0, True, None])
def test_alphabets_that_have_no_table(alphabet: Any) -> None:
    with pytest.raises(ValueError, match=rf"alphabet .* \[1, 65536\], got {alphabet}"):
        huffman(np.array([0]), alphabet)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([], "counts must be ints >= 0 of at least one symbol"),
        ([0, 0], "counts must be ints >= 0 of at least one symbol"),
        ([3, -1], "counts must be ints >= 0 of at least one symbol"),
        ([0.5, 0.5], "counts must be ints >= 0 of at least one symbol"),
        ([[1, 2]], "counts must be ints >= 0 of at least one symbol"),
        (np.ones(2**16 + 1, np.int64), "more than 65536 symbols"),
    ],
)
def test_counts_that_have_no_code(counts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        code_lengths(np.array(counts))


# Gaps.


@modest
@given(st.sets(st.integers(0, 3000), max_size=40), st.integers(1, 16))
def test_gaps_are_those_of_a_loop(entries: set[int], bits: int) -> None:
    places = sorted(entries)
    expected, flags, at, last = [], [], [], -1
    for place in places:
        while place - last - 1 >= 2**bits:  # too far: a filler at the end of reach
            last += 2**bits
            expected.append(2**bits - 1)
            flags.append(False)
            at.append(last)
        expected.append(place - last - 1)
        flags.append(True)
        at.append(place)
        last = place
    gaps, real = to_gaps(np.array(places, np.int64), bits)
    assert gaps.tolist() == expected
    assert real.tolist() == flags
    assert from_gaps(gaps).tolist() == at
    assert from_gaps(gaps)[real].tolist() == places
    assert [gaps.dtype, real.dtype] == [np.dtype("uint16"), np.dtype("bool")]


def test_the_gaps_of_the_papers_figure() -> None:
    """Han et al. (2016), Fig. 2: 1, 4, 15 with three bits; a filler after eight.

    The paper counts a gap from entry to entry, one more than the positions skipped.
    """
    gaps, real = to_gaps(np.array([1, 4, 15]), 3)
    assert (gaps + 1).tolist() == [2, 3, 8, 3]
    assert real.tolist() == [True, True, False, True]
    assert from_gaps(gaps).tolist() == [1, 4, 12, 15]


@modest
@given(st.sets(st.integers(0, 3000), min_size=1, max_size=40))
def test_gaps_are_counted_without_being_made(entries: set[int]) -> None:
    places = np.array(sorted(entries))
    for bits, (counts, fillers) in count_gaps(places, range(1, 13)).items():
        gaps, real = to_gaps(places, bits)
        assert counts.tolist() == np.bincount(gaps, minlength=2**bits).tolist()
        assert fillers == np.sum(~real)


@modest
@given(COUNTS)
def test_the_bytes_of_a_code_are_known_from_counts(counts: list[int]) -> None:
    symbols = np.repeat(np.arange(len(counts)), counts)
    code = huffman(symbols, len(counts))
    assert huffman_bytes(np.array(counts)) == nbytes(code)


def test_places_that_are_no_integers() -> None:
    with pytest.raises(ValueError, match="places must be integers, got float64"):
        to_gaps(np.array([1.5, 2.5]), 4)


@pytest.mark.parametrize("places", [[3, 2], [1, 1], [-1, 0], [-2], [0, 5, 4]])
def test_unordered_places(places: list[int]) -> None:
    with pytest.raises(ValueError, match="places must increase, from 0 on"):
        to_gaps(np.array(places), 4)


@pytest.mark.parametrize("bits", [0, 17, -1, 2.0, True, None])
def test_bits_of_a_gap(bits: Any) -> None:
    with pytest.raises(ValueError, match=rf"bits must be .* \[1, 16\], got {bits}"):
        to_gaps(np.array([1]), bits)
