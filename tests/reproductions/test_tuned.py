"""What was tuned stands in the modules as it was found, and not on a border."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reproductions import adam, distillation, hashed_nets, low_bits, pupils, store


def found(name: str, key: str) -> dict[str, dict[str, float]]:
    """Return what `tune` has tried, or skip where the present one has not run."""
    tuning = store.read(name, store.FOLDER).get("tuning", {})
    if key not in tuning:
        pytest.skip(f"{name} is not tuned")
    tried: dict[str, dict[str, float]] = tuning[key]
    return tried


def best(tried: Mapping[str, float]) -> str:
    return min(tried, key=lambda setting: tried[setting])


def check_rates(tried: Mapping[str, float], rate: float) -> None:
    assert tried[f"{rate:g}"] == min(tried.values())  # two rates may be equally good
    assert min(float(lr) for lr in tried) < rate


@pytest.mark.parametrize("piece", hashed_nets.PIECES)
def test_hashed_nets(piece: str) -> None:
    tried = found("hashed_nets", "validation error")[piece]
    rate, dropout = hashed_nets.TUNED[piece]
    assert best(tried) == f"rate {rate:g}, dropout {dropout:g}"
    around = [f"rate {rate * factor:g}, dropout {dropout:g}" for factor in (0.5, 2)]
    assert set(around) <= set(tried)


@pytest.mark.parametrize("piece", adam.PIECES)
def test_adam(piece: str) -> None:
    tried = found("adam", "cost of the last epoch by rate")[piece]
    check_rates(tried, adam.TUNED[piece])


def test_distillation() -> None:
    tried = found("distillation", "validation error")
    assert best(tried["teacher's dropout"]) == str(pupils.DROPOUT)
    for name, rate in distillation.TUNED.items():
        check_rates(tried[name], rate)


@pytest.mark.parametrize("name", low_bits.TUNED)
def test_low_bits(name: str) -> None:
    check_rates(found("low_bits", "validation error")[name], low_bits.TUNED[name])
