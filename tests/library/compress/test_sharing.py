"""Sharing: k-means on a line, codebooks, hashed positions, tied parameters."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.vq import kmeans2

from deepopt_lib import autodiff
from deepopt_lib.autodiff import check_grads, value_and_grad
from deepopt_lib.compress import Codebook, hash_places, k_means, spread, sum_shared, tie
from deepopt_lib.core import Array, Params, nbytes
from deepopt_lib.optim import sgd

modest = settings(max_examples=60, deadline=None, derandomize=True, database=None)
NUMBERS = [
    st.floats(-100, 100, allow_subnormal=False),
    st.integers(-8, 8).map(float),  # entries halfway between two centers
    st.integers(0, 9).map(lambda i: 1 + i * 2.0**-52),  # halfway is one of the two
]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# k-means.


@st.composite
def lines(draw: st.DrawFn) -> tuple[Array, int, str]:
    numbers = draw(st.sampled_from(NUMBERS))
    values = np.array(draw(st.lists(numbers, min_size=1, max_size=40)))
    k = draw(st.integers(1, len(values)))
    return values, k, draw(st.sampled_from(["linear", "density", "random"]))


def lloyd(values: list[float], centers: list[float]) -> list[float]:
    """Lloyd's algorithm by its words: assign, average, until nothing changes."""
    for _ in range(200):
        members: list[list[float]] = [[] for _ in centers]
        for v in values:
            distances = [abs(v - c) for c in centers]
            members[distances.index(min(distances))].append(v)
        pairs = zip(members, centers, strict=True)
        moved = sorted(math.fsum(m) / len(m) if m else c for m, c in pairs)
        if moved == centers:
            break
        centers = moved
    return centers


@modest
@given(lines())
def test_nearest_centers_which_are_means(line: tuple[Array, int, str]) -> None:
    """A fixed point of Lloyd's two steps, whatever the start."""
    values, k, start = line
    centers, labels = k_means(values, k, start, rng(), iterations=10_000)
    assert (centers.shape, labels.shape) == ((k,), values.shape)
    assert np.all(np.diff(centers) >= 0)
    for v, label in zip(values, labels, strict=True):
        assert abs(v - centers[label]) == min(abs(v - c) for c in centers)
    for i in set(labels.tolist()):
        mean = math.fsum(values[labels == i]) / np.sum(labels == i)
        assert centers[i] == pytest.approx(mean, rel=1e-12, abs=1e-12)
    if len(set(values.tolist())) <= k:
        np.testing.assert_array_equal(centers[labels], values)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("start", ["linear", "density", "random"])
def test_k_means_is_lloyds_algorithm_from_its_start(start: str, seed: int) -> None:
    values = rng(seed).standard_normal(83) * (1 + seed)
    k, ordered = 2 + seed, sorted(values.tolist())
    if start == "linear":
        step = (ordered[-1] - ordered[0]) / (k - 1)
        first = [ordered[0] + i * step for i in range(k)]
    elif start == "density":  # (i + 1/2)/k of the way through the entries
        first = []
        for i in range(k):
            at = (i + 0.5) / k * 82
            low, high = ordered[int(at)], ordered[int(at) + 1]
            first.append(low + (at - int(at)) * (high - low))
    else:
        first = sorted(rng(seed).choice(np.sort(values), k, replace=False).tolist())
    raw, _ = k_means(values, k, start, rng(seed), iterations=0)
    np.testing.assert_allclose(raw, first, rtol=1e-12, atol=1e-12)
    centers, labels = k_means(values, k, start, rng(seed), iterations=500)
    np.testing.assert_allclose(centers, lloyd(ordered, first), rtol=1e-12, atol=1e-12)
    theirs, their_labels = kmeans2(values, np.array(first), iter=500, minit="matrix")
    worst = np.sum((values - theirs[their_labels]) ** 2) + 1e-9
    assert np.sum((values - centers[labels]) ** 2) <= worst


def test_float16_neither_overflows_nor_counts_in_float16() -> None:
    wide = np.array([-60000.0, 60000.0, 49984.0, 2.0], np.float16)
    centers, labels = k_means(wide, 3)
    np.testing.assert_array_equal(centers, np.array([-60000, 2, 54992], np.float16))
    np.testing.assert_array_equal(labels, [0, 2, 2, 1])
    assert centers.dtype == np.float16
    x = np.linspace(-1, 1, 2**14).astype(np.float16)
    centers, _ = k_means(x, 2**12, iterations=0)
    even = [np.float16(-1 + 2 * i / (2**12 - 1)) for i in range(2**12)]
    np.testing.assert_array_equal(centers, even)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_neighbors_among_the_floating_point_numbers(dtype: Any) -> None:
    """Halfway between two centers is rounded, in one case to the second of them."""
    ulp = np.finfo(dtype).eps
    for n, k, places, labels in (
        (4, 4, [0, 1, 3, 4], [0, 1, 1, 2, 3]),
        (6, 3, [0, 3, 6], [0, 0, 1, 1, 1, 2, 2]),
    ):
        values = np.array([1 + i * ulp for i in range(n + 1)], dtype)
        centers, found = k_means(values, k, iterations=0)
        np.testing.assert_array_equal(centers, values[places])
        assert found.tolist() == labels


def test_an_entry_halfway_counts_where_its_label_says() -> None:
    """From 0 and 8; then 4 is halfway between 2 and 6, and belongs to the first."""
    centers, labels = k_means(np.array([0.0, 3.0, 3.0, 4.0, 8.0]), 2)
    np.testing.assert_array_equal(centers, [2.5, 8.0])
    assert labels.tolist() == [0, 0, 0, 0, 1]


def test_it_goes_on_until_nothing_moves() -> None:
    """From a far start the centers need dozens of steps."""
    values = np.geomspace(1, 1000, 400)
    centers, labels = k_means(values, 6)
    means = [values[labels == i].mean() for i in range(6)]
    np.testing.assert_allclose(centers, means, rtol=1e-12)
    early, _ = k_means(values, 6, iterations=10)
    assert np.abs(early - centers).max() > 1


def test_a_center_without_entries_stays() -> None:
    values = np.array([10.0, 10.25, 10.5, 11.0, 19.0, 19.5, 19.75, 20.0])
    centers, _ = k_means(values, 3)
    np.testing.assert_array_equal(centers, [10.4375, 15.0, 19.5625])


@pytest.mark.parametrize("start", ["linear", "density", "random"])
@pytest.mark.parametrize(
    ("values", "k"), [(np.full((2, 3), 7.5), 4), (np.array([7.5]), 1), (7.5, 1)]
)
def test_constant_and_one_valued_arrays(values: Any, k: int, start: str) -> None:
    centers, labels = k_means(np.array(values), k, start, rng())
    np.testing.assert_array_equal(centers, np.full(k, 7.5))
    assert np.shape(labels) == np.shape(values)


ONES = np.ones(3)
BAD: list[tuple[Any, str]] = [
    ((ONES, 4), r"k, the number of centers, must be an int in \[1, 3\], got 4"),
    ((ONES, 0), r"k, .*, must be an int in \[1, 3\], got 0"),
    ((ONES, 2.0), r"k, .*, must be an int in \[1, 3\], got 2.0"),
    ((ONES, True), r"k, .*, must be an int in \[1, 3\], got True"),
    ((np.array([1.0, np.nan]), 1), "values has 1 entries that are NaN or infinite"),
    ((np.array([np.inf, np.nan]), 1), "values has 2 entries that are NaN or"),
    ((np.zeros((0, 3)), 1), r"values is empty: shape \(0, 3\)"),
    ((np.arange(3), 1), "values must be a floating-point array, got int64"),
    ((ONES, 1, "linear", None, -1), "iterations must be an int >= 0, got -1"),
    ((ONES, 1, "middle"), r"start must be in .*'linear', .*, got 'middle'"),
    ((ONES, 1, "random"), "'random' with rng, got 'random'"),
]


@pytest.mark.parametrize(("args", "message"), BAD)
def test_k_means_refuses(args: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        k_means(*args)


# Codebooks.


@modest
@given(data=st.data())
def test_codebook(data: st.DataObject) -> None:
    """The bytes to the last one; nearest centers; coded again, the same numbers."""
    bits = data.draw(st.integers(1, 7))
    shape = data.draw(st.sampled_from([(128,), (16, 9), (5, 6, 7)]))
    codec = Codebook(bits, data.draw(st.sampled_from(["linear", "density"])))
    x = rng(data.draw(st.integers(0, 99))).standard_normal(shape).astype(np.float32)
    code = codec.encode(x)
    y = codec.decode(code)
    assert code.packed.nbytes == -(-math.prod(shape) * bits // 8)
    assert nbytes(code) == code.packed.nbytes + 4 * 2**bits + 4 * len(shape)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert set(y.ravel().tolist()) <= set(code.centers.tolist())
    distance = np.abs(x.ravel()[:, None].astype(float) - code.centers).min(axis=1)
    np.testing.assert_array_equal(np.abs(x.astype(float) - y).ravel(), distance)
    np.testing.assert_array_equal(codec.round(y), y)


def test_sixteen_bits() -> None:
    x = rng().standard_normal(2**16 + 5)
    code = Codebook(16).encode(x)
    assert nbytes(code) == 2 * x.size + 8 * 2**16 + 4
    assert np.abs(Codebook(16).decode(code) - x).max() < 1e-3


# Gradients of shared values.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sum_shared_is_a_loop(dtype: Any) -> None:
    g = rng().standard_normal((4, 6)).astype(dtype)
    for labels in (rng(1).integers(0, 5, (4, 6)), np.full((4, 6), 2, np.uint8)):
        expected = [0.0] * 7
        for i, j in np.ndindex(4, 6):
            expected[labels[i, j]] += float(g[i, j])
        found = sum_shared(g, labels, 7)
        assert (found.shape, found.dtype) == ((7,), dtype)
        np.testing.assert_allclose(found, expected, rtol=1e-5 if g.itemsize < 8 else 0)


def test_no_position_shares_nothing() -> None:
    nothing = np.zeros((0, 2))
    found = sum_shared(nothing, nothing.astype(np.intp), 3)
    np.testing.assert_array_equal(found, np.zeros(3))


@pytest.mark.parametrize("labels", [np.array([0, 3]), np.array([0]), np.array([-1, 0])])
def test_labels_that_no_value_has(labels: Any) -> None:
    with pytest.raises(ValueError, match=r"labels .* must be in \[0, 3\)"):
        sum_shared(np.ones(2), labels, 3)


def test_spread_and_its_gradient() -> None:
    places, signs = hash_places((5, 4), 3)
    values, d = rng().standard_normal(3), rng(1).standard_normal((5, 4))
    out, expected = spread(values, places=places, signs=signs), np.zeros(3)
    for i, j in np.ndindex(5, 4):
        assert out[i, j] == signs[i, j] * values[places[i, j]]
        expected[places[i, j]] += d[i, j] * signs[i, j]
    np.testing.assert_array_equal(spread(values, places=places), values[places])
    check_grads(lambda v: spread(v, places=places, signs=signs), values)
    check_grads(lambda v: spread(v, places=places, signs=-2.0), values)
    _, grads = value_and_grad(
        lambda p: autodiff.sum(spread(p["v"], places=places, signs=signs) * d)
    )({"v": values})
    np.testing.assert_allclose(grads["v"], expected, rtol=1e-13)


# Hashed positions.


def splitmix(i: int) -> int:
    """Steele et al. (2014), with Python's integers: the i-th output for the seed 0."""
    m = 2**64 - 1
    z = i * 0x9E3779B97F4A7C15 & m
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & m
    z = (z ^ z >> 27) * 0x94D049BB133111EB & m
    return z ^ z >> 31


@pytest.mark.parametrize(
    ("shape", "buckets", "seed"),
    [((3, 4), 5, 0), ((7,), 7, 3), ((2, 3, 2), 1, 1), ((3, 4), 5, 2**61 + 5)],
)
def test_hash_places(shape: tuple[int, ...], buckets: int, seed: int) -> None:
    assert splitmix(1) == 0xE220A8397B1DCDAF  # as published
    places, signs = hash_places(shape, buckets, seed)
    size = math.prod(shape)
    hashes = [splitmix(i + seed * size) for i in range(1, size + 1)]
    assert places.ravel().tolist() == [(h >> 1) % buckets for h in hashes]
    assert signs.ravel().tolist() == [1.0 - 2.0 * (h % 2) for h in hashes]
    assert places.shape == signs.shape == shape


def test_hash_places_on_every_machine() -> None:
    places, signs = hash_places((2, 4), 7)
    assert places.tolist() == [[4, 4, 4, 2], [4, 1, 0, 1]]
    assert signs.tolist() == [[-1, 1, -1, 1], [-1, 1, -1, 1]]


def test_hashes_are_balanced_and_differ_by_seed() -> None:
    places, signs = hash_places((200, 300), 100, 5)
    counts = Counter(places.ravel().tolist())
    assert set(counts) == set(range(100))
    # 600 in each on average, give or take five times the root of 600.
    assert max(abs(n - 600) for n in counts.values()) < 5 * math.sqrt(600)
    assert abs(signs.mean()) < 5 / math.sqrt(signs.size)
    for i in (0, 7, 99):  # the sign does not depend on the bucket
        assert abs(signs[places == i].mean()) < 5 / math.sqrt(600)
    other, _ = hash_places((200, 300), 100, 6)
    assert np.mean(other == places) == pytest.approx(1 / 100, abs=0.003)


@pytest.mark.parametrize("buckets", [0, 13, -1, 2.0, True, None])
def test_buckets_out_of_bounds(buckets: Any) -> None:
    message = rf"buckets must be an int in \[1, 12\], got {buckets}"
    with pytest.raises(ValueError, match=message):
        hash_places((3, 4), buckets)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_seeds_are_counted_from_zero(seed: Any) -> None:
    with pytest.raises(ValueError, match=rf"seed must be an int >= 0, got {seed}"):
        hash_places((3, 4), 5, seed)


# Tied parameters.


def test_gradients_of_all_uses_add_up() -> None:
    params: Params = {"E": rng().standard_normal((5, 3)), "b": np.ones(5)}
    x = rng(1).standard_normal((4, 5))
    ties = {"out": "E.T", "again": "b"}

    def loss(p: Any) -> Any:
        return autodiff.sum(autodiff.tanh(x @ p["E"] @ p["out"] + p["b"]) * p["again"])

    value, grads = value_and_grad(lambda p: loss(tie(p, ties)))(params)
    apart = {**params, "out": params["E"].T.copy(), "again": params["b"].copy()}
    expected, parts = value_and_grad(loss)(apart)
    assert value == pytest.approx(expected, rel=1e-14)
    assert list(grads) == list(params) == ["E", "b"]
    np.testing.assert_allclose(grads["E"], parts["E"] + parts["out"].T, rtol=1e-12)
    np.testing.assert_allclose(grads["b"], parts["b"] + parts["again"], rtol=1e-12)
    optimizer = sgd(0.1)
    stepped, _ = optimizer.step(grads, optimizer.init(params), params)
    tied = tie(stepped, ties)
    np.testing.assert_array_equal(tied["out"], (params["E"] - 0.1 * grads["E"]).T)
    assert tied["again"] is stepped["b"]


@pytest.mark.parametrize(
    ("name", "other"),
    [("b", "W"), ("W", "W.T"), ("c", "missing"), ("c", "missing.T")],
)
def test_ties_that_cannot_be(name: str, other: str) -> None:
    message = rf"cannot tie '{name}' to '{other}': there are \['W', 'b'\]"
    with pytest.raises(ValueError, match=message):
        tie({"W": np.ones((2, 2)), "b": np.ones(2)}, {name: other})
