"""The models of the figures say what the library says, and what the pages derive."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from deepopt_lib import compress, optim
from deepopt_lib.book import models
from deepopt_lib.book.models import (
    bills,
    codes,
    descent,
    eigenvalues,
    exchanges,
    formats,
    grids,
    images,
    noise,
    rates,
    roofs,
)
from deepopt_lib.compress.quantization.grid import Grid
from tests.library.live import given, rules, tables

START = {"x": -3.0, "y": 1.5}
METHODS = dict(zip(descent.METHODS, ("plain", "heavy", "ahead"), strict=True))


def valley(**changed: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "method": "heavy ball",
        "rate": 0.9,
        "momentum": 0.7,
        "kappa": 20.0,
    }
    return descent.valley(**settings | START | changed | given("valley"))


@pytest.mark.parametrize("method", METHODS)
def test_the_valley_is_descended_by_the_library(method: str) -> None:
    rule: Any = rules()[method].rule
    if method != "gradient descent":
        rule = optim.Momentum(0.7, nesterov=rule.nesterov)
    optimizer = optim.Optimizer(rule, 0.9)
    params = {"w": np.array([START["x"], START["y"]])}
    state, path = optimizer.init(params), [params["w"]]
    curvature = np.array([1 / 20, 1.0])
    for _ in range(descent.STEPS):
        params, state = optimizer.step({"w": curvature * params["w"]}, state, params)
        path.append(params["w"])
    found, key = valley(method=method), METHODS[method]
    np.testing.assert_allclose(found[f"{key}_x"], np.array(path)[:, 0], atol=1e-13)
    np.testing.assert_allclose(found[f"{key}_y"], np.array(path)[:, 1], atol=1e-13)
    loss = (np.array(path) ** 2 @ curvature) / 2
    np.testing.assert_allclose(found[key], np.maximum(loss, 1e-30), rtol=1e-9)
    assert not any(found[f"{k}_x"] for k in METHODS.values() if k != key)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate", [0.02, 0.3, 1.2, 1.9])
def test_what_a_step_leaves_is_seen_in_the_long_run(method: str, rate: float) -> None:
    """The size of a pair swings: over many steps its mean logarithm tells."""
    matrix = np.array([[0.7, 1.0], [-rate * 0.7, 1 - rate]])
    if method == "gradient descent":
        matrix = np.array([[0.0, 0.0], [0.0, 1 - rate]])
    if method == "Nesterov":
        matrix = np.array([[0.7, 1.0], [-rate * 0.49, 1 - rate * 1.7]])
    size = np.abs(np.linalg.eigvals(matrix)).max()
    assert descent.shrinks(method, rate, 0.7) == pytest.approx(size, abs=1e-12)


def test_a_run_beyond_the_limit_diverges_and_stays_finite() -> None:
    found = valley(rate=3.9)
    assert found["outlook"] == "it diverges" and found["needed"] == math.inf
    assert max(map(abs, found["heavy_y"])) == descent.FAR
    assert valley(rate=3.3)["outlook"] == "it converges"  # below 2 + 2 * 0.7


def test_contours_are_of_one_loss_each() -> None:
    found = valley(kappa=10.0)
    x, y = np.array(found["contour_x"]), np.array(found["contour_y"])
    losses = x**2 / 10 + y**2
    for part in np.split(losses, np.flatnonzero(np.isnan(losses)))[:-1]:
        part = part[~np.isnan(part)]
        assert np.ptp(part) < 1e-12 * part.max()


@pytest.mark.parametrize("product", [0.05, 0.7, 1.3, 3.7])
@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.8, 1.0])
def test_eigenvalues_are_those_of_the_matrix(product: float, momentum: float) -> None:
    found = eigenvalues.eigenplane(product, momentum)
    matrix = np.array([[momentum, product], [-momentum, 1 - product]])
    values = np.linalg.eigvals(matrix)
    here = np.array(found["real"]) + 1j * np.array(found["imaginary"])
    np.testing.assert_allclose(
        np.sort_complex(here), np.sort_complex(values), atol=1e-7
    )
    assert found["size"] == pytest.approx(np.abs(values).max(), abs=1e-7)
    v, w = 0.0, 1.0
    for error in found["error"]:
        assert error == pytest.approx(min(max(w, -1e9), 1e9), rel=1e-9, abs=1e-12)
        v, w = matrix @ [v, w]
        if abs(w) > 1e8:
            break


@pytest.mark.parametrize(
    ("product", "momentum", "regime"),
    [
        (0.1, 0.1, "it creeps"),
        (0.1, 0.9, "it rings"),
        (1.5, 0.01, "it flips its sign at every step"),
        (3.0, 0.4, "it diverges"),
    ],
)
def test_regimes(product: float, momentum: float, regime: str) -> None:
    assert eigenvalues.eigenplane(product, momentum)["regime"] == regime


@pytest.mark.parametrize(("rate", "batch"), [(0.05, 1), (0.3, 8), (1.5, 64)])
def test_the_noise_ball_is_met_by_the_simulation(rate: float, batch: int) -> None:
    runs = [noise.noise_ball(rate, batch, seed) for seed in range(1, 7)]
    (ball,) = {run["ball"] for run in runs}
    assert ball == pytest.approx(rate / batch / (2 - rate))
    measured = np.mean([run["measured"] for run in runs])
    assert measured == pytest.approx(ball, rel=0.1)
    assert len({run["measured"] for run in runs}) == len(runs)


def test_the_noise_is_normal() -> None:
    """At rate 1 nothing is remembered: a step is the noise itself, of size 1."""
    found = noise.noise_ball(1.0, 1.0, 3)
    path = np.array(found["path"][1:])
    assert abs(path.mean()) < 0.15 and path.std() == pytest.approx(1, rel=0.1)
    assert found["measured"] == pytest.approx(1, rel=0.05)
    assert np.mean(np.abs(path) < 1) == pytest.approx(0.683, abs=0.07)


@pytest.mark.parametrize("t", [1, 7, 40, 41, 200, 400])
def test_schedules_are_those_of_the_library(t: int) -> None:
    steps, rise, lr = 400, 40, 0.3
    library = {
        "constant": optim.warmup(optim.constant(lr), rise),
        "cosine": optim.warmup(optim.cosine(lr, steps), rise),
        "inverse root": optim.inverse_sqrt(lr, rise),
    }
    for shape, schedule in library.items():
        here = rates.rate_at(shape, t, lr, steps, rise, 80)
        assert here == pytest.approx(schedule(t), rel=1e-12)
    warm = min(1, t / rise)
    line = rates.rate_at("linear", t, lr, steps, rise, 80)
    assert line == pytest.approx(lr * warm * (steps - t + 1) / steps)
    last = rates.rate_at("stable, then decay", t, lr, steps, rise, 80)
    assert last == pytest.approx(lr * warm * min(1, (401 - t) / 80))


def test_the_sum_of_the_rates() -> None:
    for i, shape in enumerate(rates.SHAPES):
        found = rates.schedule(shape, 0.1, 100, 10, 20)
        total = sum(rates.rate_at(shape, t, 0.1, 100, 10, 20) for t in range(1, 101))
        assert found["total"] == pytest.approx(total)
        assert found["sums"][i] == found["chosen"] == pytest.approx(10 * total)
        assert found["chosen_low"] == pytest.approx(found["low"][i])
    assert found["rise"] == 10 and found["done"][-1] == 100


@pytest.mark.parametrize(
    ("bits", "low", "high"), [(2, -1.0, 2.0), (4, -3.0, 3.0), (8, 0.0, 2.5)]
)
def test_the_even_grid_is_the_librarys(bits: int, low: float, high: float) -> None:
    weights = np.random.default_rng(0).normal(size=400)
    step = np.array([[(high - low) / (2**bits - 1)]])
    grid = Grid(step, np.rint(-low / step), 2**bits)
    error = weights - grid.values(grid.codes(weights[None]))[0]
    found = grids.even_grid(bits, low, high, weights.tolist())
    assert found["total"] == pytest.approx(np.mean(error**2))
    ends = np.sort(grid.values(np.array([[0, 2**bits - 1]]))[0])
    outside = (weights < ends[0] - step[0, 0] / 2) | (
        weights > ends[1] + step[0, 0] / 2
    )
    assert found["clipping"] == pytest.approx(np.mean(np.where(outside, error, 0) ** 2))
    assert found["zero"] == grid.zero[0, 0] and 0 in found["grid_x"]


@pytest.mark.parametrize("bits", [4, 8])
def test_the_dynamic_code_is_the_librarys(bits: int) -> None:
    values = [list(table) for table in tables()]
    for size in (1e-6, 3e-4, 0.02, 0.4, 1.0):
        found = codes.dynamic_code(bits, size, values)
        block = compress.Blockwise("dynamic", bits, 2).round(np.array([size, 1.0]))
        assert found["kept"] == pytest.approx(block[0], rel=1e-6)
        level = compress.Blockwise("linear", bits, 2).round(np.array([size, 1.0]))
        assert found["level_kept"] == pytest.approx(level[0], rel=1e-6, abs=1e-12)
    assert np.all(np.array(found["uneven"]) <= 100 + 1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("number", ["float32", "float64"])
@pytest.mark.parametrize("block", [2, 4])
def test_formats_take_the_librarys_bytes(seed: int, number: str, block: int) -> None:
    rng = np.random.default_rng(seed)
    W = (rng.random((8, 8)) < (seed + 1) / 5).astype(number)
    found = formats.sparse_formats(W.ravel().astype(int).tolist(), number, str(block))
    choice = compress.smallest(W, block=(block, block))
    for name in ("dense", "CSR", "COO", "BSR"):
        made = compress.to_format(W, name, block=(block, block))
        assert found[name.lower()] == sum(compress.storage(made).values()), name
        if name == "CSR":
            assert found["starts"] == made.indptr.tolist()
            assert found["columns"] == made.indices.tolist()
        if name == "COO":
            assert found["rows"] == made.row.tolist()
        if name == "BSR":
            made.sort_indices()  # SciPy leaves the blocks of a row as it found them
            assert found["block_starts"] == made.indptr.tolist()
            assert found["block_columns"] == made.indices.tolist()
    assert found[found["best"].lower()] == choice.costs[choice.format]
    value = np.dtype(number).itemsize
    assert found["even"] * (value + 4) + 36 <= found["dense"]
    assert (found["even"] + 1) * (value + 4) + 36 > found["dense"]


def test_the_roof() -> None:
    found = roofs.roofline(100.0, 20.0, "matrix product", 1024)
    assert found["intensity"] == pytest.approx(1024 / 6)
    assert (found["bound"], found["held"]) == (100, "the arithmetic")
    assert found["time"] == pytest.approx(2 * 1024**3 / 100e9 * 1e6)
    adam = roofs.roofline(100.0, 20.0, "Adam step", 1000)
    assert adam["bound"] == pytest.approx(10) and adam["held"] == "the memory"
    assert adam["time"] == pytest.approx(4 * (3 + 2 * 2) * 1000 / 20e9 * 1e6)
    layer = roofs.roofline(100.0, 20.0, "layer, one sample", 4096)
    assert layer["intensity"] == pytest.approx(2 * 4096**2 / (4096**2 * 4 + 8 * 4096))
    assert roofs.roofline(8.0, 4.0, "dot product", 64)["share"] == pytest.approx(12.5)


def test_the_bill_is_the_sum_of_the_four_items() -> None:
    full = bills.memory_bill(1000, 64, "Adam", "float32", 32, 0)
    assert full["total"] == full["whole"] == pytest.approx(16 + full["a"])
    width = math.sqrt(1e9 / 32)
    assert full["a"] == pytest.approx(4 * 32 * width * 64 / 1e9)
    small = bills.memory_bill(1000, 64, "momentum", "bfloat16", 8, 16)
    trained = 32 * 2 * 16 * width
    assert small["w"] == pytest.approx(2 * (1e9 + trained) / 1e9)
    assert small["g"] == pytest.approx(2 * trained / 1e9)
    assert small["s"] == pytest.approx(trained / 1e9)
    assert small["end"][0] == pytest.approx(100 * small["total"] / small["whole"])
    assert bills.memory_bill(1, 1, "SGD", "float32", 32, 0)["s"] == 0


@pytest.mark.parametrize("ranks", [2, 3, 5, 8])
def test_the_ring_ends_with_the_whole_sum_everywhere(ranks: int) -> None:
    rounds = 2 * (ranks - 1)
    for step in range(rounds + 1):
        found = exchanges.ring_steps(ranks, step, 10.0)
        counts = [n for n in found["texts"] if n != ""]
        assert len(counts) == ranks**2 and max(counts) == min(step + 1, ranks)
        assert found["complete"] == counts.count(ranks)
        assert found["complete"] == max(0, step - ranks + 2) * ranks
        assert found["sent"] == pytest.approx(step * 10 / ranks)
        assert len(found["came_left"]) == (ranks if step else 0)
    assert set(counts) == {ranks}
    assert found["phase"] == "every rank has the whole sum"
    assert found["all"] == pytest.approx(2 * (ranks - 1) / ranks * 10)
    assert exchanges.ring_steps(ranks, 14, 10.0)["done"] == rounds


def test_low_rank_is_the_librarys() -> None:
    image = np.clip(np.random.default_rng(1).normal(0.4, 0.3, (14, 14)), 0, 1)
    u, s, v = np.linalg.svd(image)
    parts = {"u": u.ravel().tolist(), "s": s.tolist(), "v": v.ravel().tolist()}
    for rank in (0, 1, 5, 14):
        found = images.low_rank(rank, **parts)
        best = u[:, :rank] * s[:rank] @ v[:rank]
        np.testing.assert_allclose(
            found["pixels"], np.clip(best, 0, 1).ravel(), atol=1e-12
        )
        error = np.linalg.norm(image - best) / np.linalg.norm(image)
        assert found["error"] == pytest.approx(100 * error, abs=1e-5)
    assert found["numbers"] == 2 * 196


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"image must be \(14, 14\), got \(28, 28\)"):
        models.low_rank_image(np.ones((28, 28)))
