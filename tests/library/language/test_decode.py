"""Text that is generated: the cache is exact, and the draw is the softmax's."""

from __future__ import annotations

import numpy as np
import pytest

from deepopt_lib import language
from deepopt_lib.language.decode import draw_symbol

MODEL = language.LanguageModel(
    symbols=11, context=24, dim=16, layers=2, heads=4, groups=2, hidden=20
)
PARAMS = MODEL.init(np.random.default_rng(0), dtype=np.float64)
IDS = np.random.default_rng(1).integers(0, 11, (2, 24))


@pytest.mark.parametrize("cuts", [[24], [1] * 24, [10, 1, 1, 12]])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_cache_changes_nothing(cuts: list[int], groups: int) -> None:
    model = MODEL._replace(groups=groups)
    params = model.init(np.random.default_rng(0), dtype=np.float64)
    cache = language.Cache.empty(model, 2, np.float64)
    pieces = np.split(IDS, np.cumsum(cuts)[:-1], axis=1)
    found = np.concatenate([cache.logits(params, piece) for piece in pieces], axis=1)
    whole = model.logits(params, IDS).reshape(2, 24, 11)
    np.testing.assert_allclose(found, whole, atol=1e-12)
    assert cache.length == 24
    with pytest.raises(ValueError, match=r"24 \+ 1 symbols exceed the context of 24"):
        cache.logits(params, IDS[:, :1])


def test_the_same_seed_writes_the_same_text_and_the_likeliest_needs_none() -> None:
    def write(seed: int, temperature: float = 1.0) -> list[int]:
        rng = np.random.default_rng(seed)
        text = language.generate(
            MODEL, PARAMS, IDS[0, :5], 60, rng, temperature=temperature
        )
        return [int(i) for i in text]

    assert write(0) == write(0) != write(1)
    assert len(write(0)) == 60 and set(write(0)) <= set(range(11))
    assert write(0, 0.0) == write(1, 0.0)
    logits = MODEL.logits(PARAMS, IDS[:1, :5])
    assert write(0, 0.0)[0] == int(np.argmax(logits[-1]))


def test_symbols_are_drawn_as_often_as_they_are_likely() -> None:
    logits, rng = np.log([0.1, 0.2, 0.7]), np.random.default_rng(0)
    for temperature, p in ((1.0, [0.1, 0.2, 0.7]), (0.5, [0.01, 0.04, 0.49])):
        drawn = [draw_symbol(logits, temperature, rng) for _ in range(4000)]
        shares = np.bincount(drawn, minlength=3) / 4000
        np.testing.assert_allclose(shares, np.array(p) / sum(p), atol=0.025)
    assert draw_symbol(np.array([-1e9, 1e9]), 1.0, rng) == 1


@pytest.mark.parametrize(
    ("prompt", "length", "temperature", "message"),
    [
        ([], 3, 1.0, "prompt must be 1 to 24 symbols"),
        ([0] * 25, 3, 1.0, r"prompt must be 1 to 24 symbols, got \(25,\)"),
        ([11], 3, 1.0, "11"),
        ([0], 0, 1.0, "length"),
        ([0], 3, -1.0, "temperature"),
        ([0], 3, float("nan"), "temperature"),
    ],
)
def test_what_cannot_be_continued_is_refused(
    prompt: list[int], length: int, temperature: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        language.generate(
            MODEL,
            PARAMS,
            np.array(prompt, int),
            length,
            np.random.default_rng(0),
            temperature=temperature,
        )
