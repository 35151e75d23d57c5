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
    pareto,
    rates,
    roofs,
)
from deepopt_lib.compress.quantization.grid import Grid
from tests.library.live import NETWORKS, given, rules, tables, told_apart

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


def choose(
    networks: list[models.Network], apart: set[frozenset[int]], **changed: Any
) -> dict[str, Any]:
    """Ask the model, of networks in order of their size."""
    settings: dict[str, Any] = {
        "family": "all",
        "budget": 10.0,
        "target": 94.0,
        "picked": 0,
    }
    return pareto.pareto(
        **settings | changed,
        names=[n.name for n in networks],
        says=[f"{n.size} B" for n in networks],
        families=[n.family for n in networks],
        sizes=[n.size for n in networks],
        accuracies=[n.accuracy for n in networks],
        apart=[
            "".join(str(int(frozenset((i, j)) in apart)) for j in range(i))
            for i in range(len(networks))
        ],
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", ["all", "pruned"])
def test_networks_are_chosen_as_numpy_does(seed: int, family: str) -> None:
    rng = np.random.default_rng(seed)
    size = np.sort(rng.integers(1000, 40_000, 15)).astype(float)
    accuracy = np.round(rng.uniform(90, 95, 15), 1)
    kinds = rng.choice(["pruned", "shared"], 15)
    rows = list(zip(map(str, range(15)), kinds, size, accuracy, strict=True))
    networks = [models.Network(*row) for row in rows]
    budget, target = 20.0, 92.5
    found = choose(networks, set(), family=family, budget=budget, target=target)
    mine = (kinds == family) | (family == "all")
    fits, good = mine & (size <= 1000 * budget), mine & (accuracy >= target)
    left = np.flatnonzero(fits)
    assert found["best"] == left[np.argmax(accuracy[left])]
    assert f"best is {found['best']} (" in found["within"]
    assert f"smallest is {np.flatnonzero(good)[0]} (" in found["reaching"]
    assert found["both_x"] == size[fits & good].tolist()
    assert found["both_y"] == accuracy[fits & good].tolist()
    assert (found["both"], found["count"]) == ((fits & good).sum(), mine.sum())
    beaten = np.array(
        [np.any(mine & (size <= s) & (accuracy > a)) for _, _, s, a in rows]
    )
    level = np.array(
        [np.any((accuracy == a) & mine & (size < s)) for _, _, s, a in rows]
    )
    front = mine & ~beaten & ~level
    assert found["front_x"][1:-1] == size[front].tolist()
    assert found["front_y"][1:-1] == accuracy[front].tolist()
    assert found["front_y"][-1] == accuracy[mine].max()
    for kind, key in (("pruned", "pruned"), ("shared", "shared")):
        shown = np.where(mine & (kinds == kind), accuracy, np.nan)
        np.testing.assert_array_equal(found[key], shown)
    assert np.isnan(found["quantized"]).all()


def three(*accuracies: float) -> list[models.Network]:
    return [
        models.Network(name, "pruned", size, accuracy)
        for name, size, accuracy in zip(
            "abcde", (2e3, 4e3, 8e3, 9e3, 2e4), accuracies, strict=False
        )
    ]


BETTER = three(91.0, 92.0, 94.5)
PAIRS = {frozenset(pair) for pair in ((0, 1), (0, 2), (1, 2))}


@pytest.mark.parametrize(
    ("networks", "apart", "changed", "within", "reaching"),
    [
        (
            BETTER,
            PAIRS,
            {},
            "the best is c (8000.0 B), beyond chance ahead of all others that fit",
            "the smallest is c (8000.0 B), beyond chance ahead of all smaller ones",
        ),
        (
            BETTER,
            PAIRS - {frozenset((1, 2))},
            {"target": 94.5, "budget": 8.0},
            "the best is c (8000.0 B), not told apart from b",
            "the smallest is c (8000.0 B), not told apart from the smaller b",
        ),
        (
            BETTER,
            set(),
            {"target": 92.0, "budget": 5.0},
            "the best is b (4000.0 B), not told apart from a",
            "the smallest is b (4000.0 B), not told apart from the smaller a",
        ),
        (
            BETTER,
            set(),
            {"target": 95.0, "budget": 2.0},
            "the best is a (2000.0 B)",
            "none is good enough; the best is c (8000.0 B)",
        ),
        (
            BETTER,
            set(),
            {"target": 90.0, "budget": 1.5},
            "none is small enough; the smallest is a (2000.0 B)",
            "the smallest is a (2000.0 B)",
        ),
        (
            three(94.0, 93.0, 93.5, 93.9, 95.0),
            set(),
            {"target": 95.0},
            "the best is a (2000.0 B), not told apart from b, c, d",
            "the smallest is e (20000.0 B), not told apart from the smaller a, b, c "
            "and others",
        ),
    ],
)
def test_a_difference_within_chance_is_not_claimed(
    networks: list[models.Network],
    apart: set[frozenset[int]],
    changed: dict[str, Any],
    within: str,
    reaching: str,
) -> None:
    found = choose(networks, apart, **changed)
    assert (found["within"], found["reaching"]) == (within, reaching)


def test_only_what_is_chosen_is_compared() -> None:
    networks = [BETTER[0]._replace(family="shared"), *BETTER[1:]]
    mixed = choose(networks, set(), family="pruned", target=94.5)
    assert mixed["within"] == "the best is c (8000.0 B), not told apart from b"
    assert mixed["reaching"].endswith(", not told apart from the smaller b")
    networks[1] = networks[0]._replace(name="b", size=4e3)
    alone = choose(networks, set(), family="pruned", target=94.5, budget=8.0)
    assert alone["within"] == "the best is c (8000.0 B)"
    assert alone["reaching"] == "the smallest is c (8000.0 B)"
    assert (alone["both_x"], alone["both_y"]) == ([8000], [94.5])


def test_what_is_looked_at() -> None:
    found = choose(BETTER, set(), picked=1)
    assert (found["picked_x"], found["picked_y"]) == (4000, 92.0)
    assert (found["name"], found["numbers"]) == ("b", "4000.0 B")


def test_networks_stand_as_in_their_table() -> None:
    shown = models.compressed_networks(NETWORKS[::-1], told_apart()).data
    assert shown == models.compressed_networks(NETWORKS, told_apart()).data
    assert "all of it (9,949 bytes, 94.2 %), not told apart from few" in shown
    assert 'aria-valuetext="all of it, 9,949 bytes, 94.2 %"' in shown
    assert '"names":["tiny","few","all of it","narrow","trained","two bits",' in shown
    assert '"sizes":[1068,' in shown and '"accuracies":[90.1,' in shown
    assert '"apart":["","1","10","111","1001",' in shown


@pytest.mark.parametrize(
    ("wrong", "apart", "message"),
    [
        ({"size": 100.0}, [], "bytes of whole must be in"),
        ({"accuracy": 100.0}, [], "accuracy of whole must be in"),
        ({"family": "new"}, [], r"family must be one of \['control', .*\], got 'new'"),
        ({"name": "2:4"}, [], "every network needs a name of its own, got"),
        ({}, [("2:4", "4:2")], r"apart names \['4:2'\], which are no networks"),
    ],
)
def test_networks_that_would_mislead_are_refused(
    wrong: dict[str, Any], apart: list[tuple[str, str]], message: str
) -> None:
    networks = [*NETWORKS[:-1], NETWORKS[-1]._replace(**wrong)]
    with pytest.raises(ValueError, match=message):
        models.compressed_networks(networks, apart)


def test_one_network_is_no_choice() -> None:
    with pytest.raises(ValueError, match="networks must be an int >= 2, got 1"):
        models.compressed_networks(NETWORKS[:1], [])
