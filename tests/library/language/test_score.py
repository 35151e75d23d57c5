"""Bits per byte of a model, and of what counting predicts."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from deepopt_lib import language

MODEL = language.LanguageModel(
    symbols=5, context=8, dim=8, layers=1, heads=2, groups=1, hidden=8
)
TEXT = np.random.default_rng(0).choice(5, 400, p=[0.4, 0.3, 0.15, 0.1, 0.05])


def test_windows_overlap_by_what_the_stride_leaves() -> None:
    assert language.windows(np.arange(7), 3, 2).tolist() == [
        [0, 1, 2],
        [2, 3, 4],
        [4, 5, 6],
    ]
    with pytest.raises(ValueError, match="width"):
        language.windows(np.arange(7), 8, 2)
    with pytest.raises(ValueError, match="stride"):
        language.windows(np.arange(7), 3, 0)


def test_each_symbol_is_scored_once_from_half_a_context() -> None:
    params = MODEL.init(np.random.default_rng(0), dtype=np.float64)
    bits = []
    for end in range(8, 400 - 7, 4):  # pieces of nine symbols, four apart
        piece = TEXT[end - 8 : end + 1]
        logits = MODEL.logits(params, piece[None, :-1])
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        bits += [-math.log2(p[i, piece[i + 1]]) for i in range(4, 8)]
    found = language.bits_per_byte(MODEL, params, TEXT, batch=7)
    pieces = (len(TEXT) - 9) // 4 + 1
    assert found == pytest.approx(np.mean(bits[: 4 * pieces]), rel=0.02)
    assert found == pytest.approx(
        language.bits_per_byte(MODEL, params, TEXT, batch=1000), abs=1e-12
    )
    zero = {k: 0 * w for k, w in params.items()}
    assert language.bits_per_byte(MODEL, zero, TEXT) == pytest.approx(math.log2(5))


def witten_bell(text: list[int], order: int, history: list[int], s: int) -> float:
    """Transcribe Chen and Goodman (1999), section 2.6, with dictionaries."""
    if order == 0:
        return 1 / 5
    if len(history) < order - 1:
        return witten_bell(text, order - 1, history, s)
    head = history[len(history) - order + 1 :]
    after = Counter(
        text[i + order - 1]
        for i in range(len(text) - order + 1)
        if text[i : i + order - 1] == head
    )
    lower = witten_bell(text, order - 1, head[1:], s)
    if not after:
        return lower
    return (after[s] + len(after) * lower) / (after.total() + len(after))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_counts_are_mixed_as_in_the_paper(order: int) -> None:
    grams = language.NGrams(TEXT[:200], order, 5)
    found = grams.probabilities(TEXT[200:230])
    text, new = TEXT[:200].tolist(), TEXT[200:230].tolist()
    wanted = [witten_bell(text, order, new[:i], s) for i, s in enumerate(new)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert grams.bits_per_byte(TEXT[200:230]) == pytest.approx(-np.log2(wanted).mean())


def test_probabilities_add_up_to_one() -> None:
    grams = language.NGrams(TEXT[:200], 3, 5)
    total = sum(grams.probabilities(np.array([0, 1, s]))[-1] for s in range(5))
    assert total == pytest.approx(1)


def test_a_longer_order_takes_more_bytes() -> None:
    sizes = [language.NGrams(TEXT, n, 5).nbytes for n in (1, 2, 3)]
    assert sizes[0] == 5 * (1 + 1) + 0 * 2 or sizes[0] < sizes[1] < sizes[2]
    with pytest.raises(ValueError, match="order 30 is too much for 5 symbols"):
        language.NGrams(TEXT, 30, 5)
    with pytest.raises(ValueError, match="order"):
        language.NGrams(TEXT, 0, 5)
