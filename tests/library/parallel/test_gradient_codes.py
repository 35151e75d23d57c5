"""Top-k, scaled sign and error feedback, against what the papers say of them."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from deepopt_lib.core import Array, nbytes
from deepopt_lib.optim import Momentum, Optimizer, chain
from deepopt_lib.parallel import (
    AllReduce,
    DataParallel,
    ErrorFeedback,
    Gathered,
    Link,
    LocalSGD,
    PowerSGD,
    ScaledSign,
    TopK,
    ZeRO1,
    encode_with_feedback,
)
from deepopt_lib.training import descend, quadratic

X = np.random.default_rng(0).standard_normal((9, 7))


@pytest.mark.parametrize("keep", [0.001, 0.1, 0.5, 1.0])
def test_topk_keeps_the_largest(keep: float) -> None:
    code = TopK(keep).encode(X)
    k = math.ceil(keep * X.size)
    threshold = np.sort(np.abs(X).ravel())[-k]
    np.testing.assert_array_equal(TopK(keep).round(X), X * (np.abs(X) >= threshold))
    assert code.values.size == code.places.size == k
    assert nbytes(code) == k * (8 + 4) + 8
    assert (np.diff(code.places.astype(int)) > 0).all()
    lost = np.sum((X - TopK(keep).round(X)) ** 2)
    assert lost <= (1 - k / X.size) * np.sum(
        X**2
    )  # Stich et al. (2018), a k-contraction


def test_topk_rounds_up_what_is_above_a_whole_number() -> None:
    for keep, k in ((0.07, 7), (0.55, 55), (0.551, 56), (0.5 + 1.5e-11, 51)):
        assert TopK(keep).encode(np.ones(100)).values.size == k


def test_scaled_sign_is_the_best_multiple_of_the_signs() -> None:
    y = ScaledSign().round(X)
    scale = np.abs(X).sum() / X.size
    np.testing.assert_allclose(y, scale * np.sign(X), rtol=1e-15)
    assert nbytes(ScaledSign().encode(X)) == math.ceil(X.size / 8) + 8 + 8
    errors = [np.sum((X - c * np.sign(X)) ** 2) for c in (0.9 * scale, 1.1 * scale)]
    assert np.sum((X - y) ** 2) < min(errors)
    # Karimireddy et al. (2019), Lemma 8: what is lost, exactly.
    delta = np.abs(X).sum() ** 2 / (X.size * np.sum(X**2))
    np.testing.assert_allclose(np.sum((X - y) ** 2), (1 - delta) * np.sum(X**2))
    assert (ScaledSign().round(np.zeros(3)) == 0).all()
    assert ScaledSign().round(np.array([0.0, 2.0, -4.0])).tolist() == [2, 2, -2]
    assert ScaledSign().encode(X).scale.shape == (1,)


@pytest.mark.parametrize("codec", [TopK(0.05), ScaledSign()])
def test_messages_with_feedback_miss_no_more_than_the_last_error(codec: Any) -> None:
    rng = np.random.default_rng(1)
    rule = ErrorFeedback(codec)
    w, total, said = np.zeros((9, 7)), np.zeros((9, 7)), np.zeros((9, 7))
    e = rule.init(w)
    for t in range(1, 30):
        g = rng.standard_normal(w.shape)
        code, u, _ = encode_with_feedback(codec, g, e)
        expected = codec.round(g + e)
        u, e = rule.update(g, e, w, t)
        np.testing.assert_array_equal(u, expected)
        np.testing.assert_array_equal(codec.decode(code), expected)
        total, said = total + g, said + u
        np.testing.assert_allclose(said + e, total, atol=1e-12)


def test_feedback_of_nothing_is_nothing() -> None:
    """A code refuses an empty array; a parameter may be one."""
    rule, none = ErrorFeedback(ScaledSign()), np.zeros((0, 3))
    u, e = rule.update(none, rule.init(none), none, 1)
    assert u.shape == np.shape(e) == (0, 3)


def test_feedback_of_a_lossless_code_is_the_rule_itself() -> None:
    problem = quadratic([1.0, 10.0])
    plain = descend(problem, Optimizer(Momentum(0.9), 0.02), 20)
    rule = chain(ErrorFeedback(TopK(1.0)), Momentum(0.9))
    np.testing.assert_allclose(descend(problem, Optimizer(rule, 0.02), 20), plain)


def test_feedback_mends_what_the_sign_breaks() -> None:
    """Karimireddy et al. (2019), section 3: signs alone never change x1 + x2."""

    def gradient(x: Array) -> Array:
        plus, minus = np.sign(x[0] + x[1]), np.sign(x[0] - x[1])
        return np.array([0.5 * plus + minus, 0.5 * plus - minus])

    rule, lr = ErrorFeedback(ScaledSign()), 0.01
    signs, mended = np.array([1.0, 0.9]), np.array([1.0, 0.9])
    e = rule.init(mended)
    for t in range(1, 1001):
        signs = signs - lr * ScaledSign().round(gradient(signs))
        u, e = rule.update(gradient(mended), e, mended, t)
        mended = mended - lr * u
    assert signs.sum() == pytest.approx(1.9)
    assert abs(mended.sum()) < 0.1


def test_scalars_of_numpy_become_pythons() -> None:
    """What a strategy prints as is what a checkpoint and the other ranks compare."""
    optimizer = Optimizer(Momentum(), 0.1)
    pairs: list[tuple[Any, Any]] = [
        (TopK(np.float64(0.5)), TopK(0.5)),
        (PowerSGD(np.int64(2), seed=np.uint8(3)), PowerSGD(2, seed=3)),  # type: ignore[arg-type]
        (LocalSGD(optimizer, np.int32(4)), LocalSGD(optimizer, 4)),  # type: ignore[arg-type]
    ]
    for found, expected in pairs:
        assert repr(found) == repr(expected)
    assert repr(TopK()) == "TopK(keep=0.01)"
    assert repr(PowerSGD()) == "PowerSGD(rank=2, feedback=True, seed=0)"
    assert repr(Gathered()) == "Gathered(codec=ScaledSign(), feedback=True)"
    assert LocalSGD(optimizer).period == 8
    assert ErrorFeedback().codec == ScaledSign()
    assert not ErrorFeedback().elementwise
    link = Link.line(1.0, 1.0)
    for made in (TopK(), PowerSGD(), Gathered(), AllReduce(), ErrorFeedback(), link):
        assert hash(made) == hash(dataclasses.replace(made))  # values, not changed
    for strategy in (LocalSGD(optimizer), DataParallel(optimizer), ZeRO1(optimizer)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            strategy.optimizer = optimizer  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TopK(0.0), r"TopK.keep must be in \(0, 1\], got 0.0"),
        (lambda: TopK(1.5), r"TopK.keep must be in \(0, 1\], got 1.5"),
        (lambda: TopK(float("nan")), r"TopK.keep must be in \(0, 1\], got nan"),
        (lambda: ErrorFeedback(TopK), "ErrorFeedback.codec is not a codec"),  # type: ignore[arg-type]
        (lambda: Gathered(3), "Gathered.codec is not a codec, got 3"),  # type: ignore[arg-type]
        (
            lambda: Gathered(feedback=1),  # type: ignore[arg-type]
            "Gathered.feedback must be True or False, got 1",
        ),
        (lambda: PowerSGD(0), "PowerSGD.rank must be an int >= 1, got 0"),
        (lambda: PowerSGD(2, seed=-1), "PowerSGD.seed must be an int >= 0, got -1"),
        (lambda: PowerSGD(2, 1), "PowerSGD.feedback must be True or False, got 1"),  # type: ignore[arg-type]
        (lambda: LocalSGD(Optimizer(Momentum(), 0.1), 0), "LocalSGD.period must be"),
        (
            lambda: ZeRO1(Optimizer({"w": Momentum()}, 0.1)),
            "ZeRO1 needs one elementwise rule, got {'w'",
        ),
        (lambda: ScaledSign().encode(np.array([np.nan])), "x has 1 entries that are"),
        (lambda: TopK().encode(np.empty(0)), "x is empty"),
    ],
)
def test_bad_input(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
