"""Distillation: shifts, biases and counts by hand, a tiny run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deepopt_lib import data
from reproductions import distillation, pupils

TINY = data.mnist(train=400, dtype=np.float32)


def test_jitter_shifts_whole_images_by_up_to_two_pixels() -> None:
    dot = np.zeros((500, 28, 28), np.float32)
    dot[:, 13, 14] = 1
    out = pupils.jittered(dot.reshape(500, 784), np.random.default_rng(0))
    assert out.shape == (500, 784) and out.dtype == np.float32
    image, row, column = np.nonzero(out.reshape(500, 28, 28))
    np.testing.assert_array_equal(image, np.arange(500))  # one dot each
    shifts = {(int(i), int(j)) for i, j in zip(row - 13, column - 14, strict=True)}
    assert shifts == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}
    corner = np.zeros((50, 28, 28), np.float32)
    corner[:, 0, 0] = 1  # leaves the image, and does not come in again elsewhere
    out = pupils.jittered(corner.reshape(50, 784), np.random.default_rng(0))
    assert set(out.sum(axis=1)) == {0.0, 1.0}


def test_the_bias_of_the_three_is_the_least_of_the_best() -> None:
    z = np.zeros((3, 10), np.float32)
    z[:, 3], z[0, 5], z[1, 5], z[2, 5] = 0, 1.02, 2.02, 4.02
    y = np.array([3, 3, 5])
    assert distillation.best_bias(z, y) == 2.05
    up = distillation.raised(z, 2.05)
    assert up.dtype == np.float32
    np.testing.assert_array_equal(up.argmax(axis=1), y)
    np.testing.assert_array_equal(np.delete(up, 3, axis=1), np.delete(z, 3, axis=1))


def test_errors_on_the_threes_are_counted() -> None:
    z = np.eye(10)[[3, 3, 5, 7, 1]]
    found = distillation.scored(z, np.array([3, 4, 3, 7, 3]))
    assert (found["on the 3s"], found["3s"], found["error"]) == (2, 3, 60.0)


def test_the_losses_are_those_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    y, answers = np.array([1, 2, 3]), rng.standard_normal((3, 10))
    z, rows = rng.standard_normal((2, 10)), np.array([2, 0])
    params = {"layer1.W": np.eye(10), "layer1.b": np.zeros(10)}  # logits are inputs
    losses = pupils.losses(y, answers)

    def log_softmax(a: Any) -> Any:
        return a - np.log(np.exp(a).sum(axis=1, keepdims=True))

    hard = -log_softmax(z)[[0, 1], y[rows]].mean()
    np.testing.assert_allclose(losses["labels"](params, z, rows), hard)
    p, q = (log_softmax(a / pupils.T) for a in (answers[rows], z))
    soft = pupils.T**2 * (np.exp(p) * (p - q)).sum(axis=1).mean()
    wanted = soft + pupils.WEIGHT * hard
    np.testing.assert_allclose(losses["distilled"](params, z, rows), wanted)


@pytest.fixture
def tiny_run(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[float]]:
    monkeypatch.setattr(pupils, "TEACHER", (784, 30, 30, 10))
    monkeypatch.setattr(pupils, "STUDENT", (784, 20, 20, 10))
    monkeypatch.setattr(distillation, "EPOCHS", {"teacher": 2, "student": 2})
    given = SimpleNamespace(mnist=lambda **_: TINY)
    monkeypatch.setattr(distillation, "data", given)
    told: list[float] = []
    return distillation.run("all", 0, told.append), told


def test_a_tiny_run_scores_everything(
    tiny_run: tuple[dict[str, Any], list[float]],
) -> None:
    found, told = tiny_run
    assert told == sorted(told) and told[-1] == pytest.approx(1)
    never = [f"{name}, no 3s" for name in ("labels", "distilled")]
    ways = [
        f"{n}, bias raised{way}" for n in never for way in ("", " to the test's best")
    ]
    assert set(found) == {"teacher", "labels", "distilled", *never, *ways}
    assert all(net["3s"] == 1010 and net["images"] == 10000 for net in found.values())
    for name in never:  # the best bias on the test images, 0 among them, is no worse
        best = found[f"{name}, bias raised to the test's best"]
        assert best["error"] <= min(
            found[name]["error"], found[f"{name}, bias raised"]["error"]
        )


def test_claims_follow_from_the_runs(
    tiny_run: tuple[dict[str, Any], list[float]],
) -> None:
    found, _ = tiny_run
    claims = distillation.claims({f"all/{s}": found for s in distillation.SEEDS})
    assert len(claims) == 5
    same = {**found, "labels": found["distilled"], "teacher": found["distilled"]}
    claims = distillation.claims({f"all/{s}": same for s in distillation.SEEDS})
    verdicts = [str(claim.verdict) for claim in claims]
    assert verdicts[:2] == ["not at this scale", "reproduced"]
