"""Schedules against their closed forms; PyTorch's are in test_rules_golden.py."""

import math

import numpy as np
import pytest

from deepopt_lib.core import Array, Schedule
from deepopt_lib.optim import (
    constant,
    cosine,
    inverse_sqrt,
    inverse_time,
    join_schedules,
    one_cycle,
    step_decay,
    warmup,
)
from deepopt_lib.optim.schedules import __all__


def rates(schedule: Schedule, steps: int) -> Array:
    return np.array([schedule(t) for t in range(1, steps + 1)])


EVERY: dict[str, Schedule] = {
    "constant": constant(0.3),
    "step_decay": step_decay(0.3, 4),
    "cosine": cosine(0.3, 10, 0.01),
    "inverse_time": inverse_time(0.3, 5.0),
    "inverse_sqrt": inverse_sqrt(0.3, 4),
    "warmup": warmup(constant(0.3), 5),
    "one_cycle": one_cycle(0.3, 12),
    "join_schedules": join_schedules([constant(0.3), cosine(0.3, 5)], [3]),
}


def test_every_schedule_is_here() -> None:
    assert sorted(EVERY) == sorted(__all__)


@pytest.mark.parametrize("name", EVERY)
def test_gives_finite_floats_between_zero_and_lr(name: str) -> None:
    for t in [*range(1, 40), 10**6, 10**12]:
        lr = EVERY[name](t)
        assert isinstance(lr, float)
        assert 0 <= lr <= 0.3


@pytest.mark.parametrize("name", EVERY)
def test_does_not_depend_on_what_was_asked_before(name: str) -> None:
    forwards = rates(EVERY[name], 20)
    backwards = [EVERY[name](t) for t in range(20, 0, -1)]
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_constant() -> None:
    assert set(rates(constant(0.25), 100)) == {0.25}


def test_step_falls_after_every_third() -> None:
    found = rates(step_decay(8.0, 3, 0.5), 10)
    np.testing.assert_array_equal(found, [8, 8, 8, 4, 4, 4, 2, 2, 2, 1])


def test_step_falls_to_a_tenth_by_default() -> None:
    np.testing.assert_allclose(rates(step_decay(1.0, 1), 4), [1, 0.1, 0.01, 0.001])


def test_cosine_at_its_known_points() -> None:
    schedule = cosine(0.8, 12, 0.2)
    assert schedule(1) == 0.8
    assert schedule(5) == pytest.approx(0.2 + 0.6 * 0.75, rel=1e-14)  # a third: cos 60°
    assert schedule(7) == pytest.approx(0.5, rel=1e-14)  # halfway
    assert schedule(9) == pytest.approx(0.2 + 0.6 * 0.25, rel=1e-14)
    for t in (13, 14, 25, 1000):
        assert schedule(t) == pytest.approx(0.2, rel=1e-14)


def test_cosine_is_symmetric_and_falls() -> None:
    found = rates(cosine(1.0, 20), 21)
    np.testing.assert_allclose(found + found[::-1], 1.0, rtol=1e-13)
    assert np.all(np.diff(found) < 0)
    assert found[-1] == 0.0


def test_cosine_may_stay_level() -> None:
    np.testing.assert_array_equal(rates(cosine(0.1, 5, 0.1), 8), 0.1)


def test_inverse_time_meets_robbins_and_monro() -> None:
    """lr*t0/(t0+t-1): the sum grows as a logarithm, that of the squares is bounded."""
    lr, t0 = 0.5, 4.0
    found = rates(inverse_time(lr, t0), 20_000)
    assert found[0] == lr
    assert found[4] == lr / 2  # t - 1 = t0
    np.testing.assert_allclose(found, lr * t0 / (t0 + np.arange(20_000)), rtol=1e-13)
    grown = np.sum(found[10_000:])
    assert grown == pytest.approx(lr * t0 * math.log(2), rel=1e-3)
    squares = (lr * t0) ** 2 * (math.pi**2 / 6 - 1 - 1 / 4 - 1 / 9)
    assert np.sum(found**2) == pytest.approx(squares, rel=1e-3)


def test_inverse_time_starts_at_t0_of_one() -> None:
    np.testing.assert_allclose(rates(inverse_time(1.0), 4), [1, 1 / 2, 1 / 3, 1 / 4])


def test_inverse_sqrt_is_vaswanis_with_its_peak_given() -> None:
    """d**-0.5 * min(t**-0.5, t * steps**-1.5), whose peak is (d*steps)**-0.5."""
    steps, d = 25, 512
    peak = (d * steps) ** -0.5
    found = rates(inverse_sqrt(peak, steps), 400)
    t = np.arange(1, 401)
    vaswani = d**-0.5 * np.minimum(t**-0.5, t * steps**-1.5)
    np.testing.assert_allclose(found, vaswani, rtol=1e-13)
    assert np.argmax(found) + 1 == steps
    assert found[24] == peak
    assert found[99] == pytest.approx(peak / 2, rel=1e-14)


def test_warmup_is_linear_and_then_gets_out_of_the_way() -> None:
    np.testing.assert_allclose(
        rates(warmup(constant(1.0), 4), 6), [0.25, 0.5, 0.75, 1, 1, 1]
    )
    inner = cosine(1.0, 30)
    found = rates(warmup(inner, 10), 30)
    np.testing.assert_array_equal(found[9:], rates(inner, 30)[9:])
    np.testing.assert_allclose(
        found[:10], rates(inner, 10) * np.arange(1, 11) / 10, rtol=1e-15
    )


def test_warmup_of_one_step_changes_nothing() -> None:
    np.testing.assert_array_equal(rates(warmup(constant(0.3), 1), 5), 0.3)


def test_one_cycle_at_its_known_points() -> None:
    """20 steps, rise 0.55: the peak is at step 11, 10 up, 9 down."""
    schedule = one_cycle(1.0, 20, 0.55, 4.0, 10.0)
    assert schedule(1) == pytest.approx(1 / 4, rel=1e-14)
    assert schedule(6) == pytest.approx((1 / 4 + 1) / 2, rel=1e-12)
    assert schedule(11) == pytest.approx(1.0, rel=1e-14)
    assert schedule(14) == pytest.approx(1 / 40 + 0.75 * (1 - 1 / 40), rel=1e-12)
    assert schedule(20) == pytest.approx(1 / 40, rel=1e-12)
    for t in (21, 1000):
        assert schedule(t) == pytest.approx(1 / 40, rel=1e-12)


def test_one_cycle_needs_three_steps() -> None:
    np.testing.assert_allclose(
        rates(one_cycle(1.0, 3, 2 / 3, 4.0, 10.0), 4), [1 / 4, 1, 1 / 40, 1 / 40]
    )


def test_one_cycle_by_default_starts_at_a_25th() -> None:
    schedule = one_cycle(0.5, 40)
    assert schedule(1) == pytest.approx(0.5 / 25, rel=1e-14)
    assert schedule(12) == pytest.approx(0.5, rel=1e-14)
    assert schedule(40) == pytest.approx(0.5 / 25 / 1e4, rel=1e-9)
    found = rates(schedule, 40)
    assert np.all(np.diff(found[:12]) > 0)
    assert np.all(np.diff(found[11:]) < 0)


def test_join_hands_over_after_each_end() -> None:
    def count(t: int) -> float:
        return float(t)

    found = rates(
        join_schedules([count, lambda t: 10.0 * t, lambda t: 100.0 * t], [3, 5]), 8
    )
    np.testing.assert_array_equal(found, [1, 2, 3, 10, 20, 100, 200, 300])


def test_join_of_one_is_itself() -> None:
    np.testing.assert_array_equal(
        rates(join_schedules([step_decay(1.0, 2)], []), 9), rates(step_decay(1.0, 2), 9)
    )


def test_join_nests() -> None:
    a, b, c = constant(1.0), step_decay(2.0, 1, 0.5), constant(3.0)
    flat = rates(join_schedules([a, b, c], [2, 6]), 12)
    np.testing.assert_array_equal(
        rates(join_schedules([join_schedules([a, b], [2]), c], [6]), 12), flat
    )
    np.testing.assert_array_equal(
        rates(join_schedules([a, join_schedules([b, c], [4])], [2]), 12), flat
    )
