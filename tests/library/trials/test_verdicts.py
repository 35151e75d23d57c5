"""The rule of verdicts, case by case."""

import math

import pytest

from deepopt_lib.trials import (
    Difference,
    Verdict,
    combined,
    factor,
    gain,
    holds,
    no_worse,
)

YES, PARTLY, NO, OPEN = Verdict


@pytest.mark.parametrize(
    ("mean", "low", "high", "paper", "expected"),
    [
        (2.0, 1.0, 3.0, 2.0, YES),
        (1.0, 0.1, 1.9, 2.0, YES),  # half is enough
        (0.9, 0.1, 1.7, 2.0, PARTLY),
        (5.0, 0.1, 9.9, 2.0, YES),
        (0.2, -0.5, 0.9, 2.0, NO),
        (-1.0, -2.0, -0.1, 2.0, NO),
        (0.5, -0.5, 1.5, 2.0, OPEN),
        (0.0, -9.0, 9.0, 2.0, OPEN),
        (0.5, 0.0, 1.0, 2.0, OPEN),  # an interval that holds 0 is not above it
        (0.4, 0.1, 0.7, 0.0, YES),
        (0.1, -0.1, 0.3, 0.0, OPEN),
        (-0.4, -0.7, 0.0, 0.0, NO),
    ],
)
def test_gains(
    mean: float, low: float, high: float, paper: float, expected: Verdict
) -> None:
    assert gain(Difference(mean, low, high, 0.5), paper) is expected


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        (-0.9, 0.2, 1.0, YES),
        (-1.0, 0.2, 1.0, YES),
        (-1.1, 0.2, 1.0, OPEN),
        (-3.0, -1.1, 1.0, NO),
        (-3.0, -1.0, 1.0, OPEN),
        (0.5, 2.0, 0.0, YES),
    ],
)
def test_no_worse(low: float, high: float, margin: float, expected: Verdict) -> None:
    assert no_worse(Difference((low + high) / 2, low, high, 0.5), margin) is expected


@pytest.mark.parametrize(
    ("here", "expected"),
    [(40, YES), (32, YES), (31.9, PARTLY), (1.1, PARTLY), (1, NO), (0.5, NO)],
)
def test_factors(here: float, expected: Verdict) -> None:
    assert factor(here, 40) is expected
    assert factor(1.4, 1.5) is YES


def test_what_holds() -> None:
    assert holds(True) is holds(True, True) is YES
    assert holds(True, False) is PARTLY
    assert holds(False) is NO


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((YES,), YES),
        ((YES, YES), YES),
        ((NO, NO), NO),
        ((OPEN, OPEN), OPEN),
        ((YES, NO), PARTLY),
        ((YES, OPEN), PARTLY),
        ((PARTLY, NO), PARTLY),
        ((PARTLY, OPEN), PARTLY),
        ((NO, OPEN), OPEN),
    ],
)
def test_combined(parts: tuple[Verdict, ...], expected: Verdict) -> None:
    assert combined(*parts) is expected


def test_a_verdict_is_shown_as_its_words() -> None:
    assert [str(v) for v in Verdict] == [
        "reproduced",
        "partly",
        "not at this scale",
        "open",
    ]


def test_bad_input() -> None:
    d = Difference(1, 0, 2, 0.1)
    for value in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^paper must be"):
            gain(d, value)
        with pytest.raises(ValueError, match=r"^margin must be"):
            no_worse(d, value)
    with pytest.raises(ValueError, match=r"^here must be"):
        factor(0, 40)
    with pytest.raises(ValueError, match=r"^paper must be"):
        factor(2, 1)
    with pytest.raises(ValueError, match="at least one condition"):
        holds()
    with pytest.raises(ValueError, match="at least one part"):
        combined()
