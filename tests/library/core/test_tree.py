"""Dicts of arrays: mapping, norms, clipping, and the packed buffer."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepopt_lib.core import (
    Params,
    clip_by_global_norm,
    flatten,
    global_norm,
    named_leaves,
    nbytes,
    ravel,
    tree_map,
    unflatten,
    unravel,
)
from deepopt_lib.optim import adam

modest = settings(max_examples=40, deadline=None, derandomize=True, database=None)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=False)


@st.composite
def trees(draw: st.DrawFn) -> Params:
    """Draw one to four float64 arrays under names, empty ones and 0-d ones included."""
    some = st.sampled_from(["layer1.W", "layer1.b", "b", "", "é", "0"])
    names = draw(st.lists(some, min_size=1, max_size=4, unique=True))
    return {
        name: draw(hnp.arrays(np.float64, draw(SHAPES), elements=NUMBERS))
        for name in names
    }


def example() -> Params:
    return {"W": np.array([[3.0, 0.0], [0.0, 4.0]]), "b": np.array([12.0])}


def test_tree_map_goes_by_name_and_keeps_the_first_order() -> None:
    a = {"x": 1, "y": 2}
    b = {"y": 20, "x": 10}
    c = {"y": 200, "x": 100}
    found = tree_map(lambda p, q, r: p + q + r, a, b, c)
    assert list(found.items()) == [("x", 111), ("y", 222)]
    assert tree_map(str, a) == {"x": "1", "y": "2"}
    assert a == {"x": 1, "y": 2}
    assert tree_map(str, {}) == {}


def test_global_norm_in_whole_numbers() -> None:
    assert global_norm(example()) == 13.0
    assert global_norm({"a": np.zeros((2, 2))}) == 0.0
    assert global_norm({"a": np.array(-2.0)}) == 2.0
    assert isinstance(global_norm({"a": np.ones(4, np.float32)}), float)


def test_global_norm_adds_up_arrays_in_double_precision() -> None:
    tree = {"a": np.full(1, 4096, np.float32), "b": np.ones(1, np.float32)}
    assert global_norm(tree) == math.sqrt(4096**2 + 1)


@modest
@given(trees())
def test_global_norm_is_the_norm_of_one_long_vector(tree: Params) -> None:
    flat = [float(x) for w in tree.values() for x in w.ravel()]
    assert global_norm(tree) == pytest.approx(math.hypot(*flat), rel=1e-12)


def test_clipping_scales_to_the_norm_and_keeps_the_direction() -> None:
    grads = example()
    clipped, norm = clip_by_global_norm(grads, 6.5)
    assert norm == 13.0
    np.testing.assert_allclose(clipped["W"], [[1.5, 0.0], [0.0, 2.0]], rtol=1e-15)
    np.testing.assert_allclose(clipped["b"], [6.0], rtol=1e-15)
    assert grads["b"][0] == 12.0
    assert list(clipped) == ["W", "b"]


@pytest.mark.parametrize("max_norm", [13.0, 13.1, 1e9, math.inf, np.float64(20)])
def test_clipping_leaves_short_gradients_alone(max_norm: float) -> None:
    grads = example()
    clipped, norm = clip_by_global_norm(grads, max_norm)
    assert norm == 13.0
    for k, g in grads.items():
        np.testing.assert_array_equal(clipped[k], g)
        assert not np.shares_memory(clipped[k], g)


def test_clipping_zeros_divides_nothing_by_zero() -> None:
    clipped, norm = clip_by_global_norm({"a": np.zeros(3)}, 1.0)
    assert norm == 0.0
    np.testing.assert_array_equal(clipped["a"], np.zeros(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_norm", [1, 1.0, np.float64(1.0), np.float32(1.0)])
def test_clipping_keeps_the_dtype(dtype: type, max_norm: Any) -> None:
    clipped, _ = clip_by_global_norm({"a": np.full(4, 3, dtype)}, max_norm)
    assert clipped["a"].dtype == dtype
    np.testing.assert_allclose(clipped["a"], 0.5, rtol=1e-6)


@modest
@given(trees(), st.floats(1e-3, 1e4))
def test_clipped_norm_is_the_smaller_of_two(tree: Params, max_norm: float) -> None:
    for w in tree.values():
        w.setflags(write=False)
    clipped, norm = clip_by_global_norm(tree, max_norm)
    assert global_norm(clipped) == pytest.approx(min(norm, max_norm), rel=1e-9)


@modest
@given(trees())
def test_pack_copies_once_and_unpacks_to_the_same(tree: Params) -> None:
    flat, views = ravel(tree)
    assert flat.ndim == 1
    assert flat.size == sum(w.size for w in tree.values())
    assert list(views) == list(tree)
    start = 0
    for k, w in tree.items():
        assert (views[k].shape, views[k].dtype) == (w.shape, w.dtype)
        np.testing.assert_array_equal(views[k], w)
        np.testing.assert_array_equal(flat[start : start + w.size], w.ravel())
        start += w.size
        assert not np.shares_memory(flat, w)
    again = unravel(flat, tree)
    for k in tree:
        np.testing.assert_array_equal(again[k], tree[k])


def test_views_and_buffer_are_the_same_memory() -> None:
    params = example()
    flat, views = ravel(params)
    flat[:] = np.arange(5.0)
    np.testing.assert_array_equal(views["W"], [[0.0, 1.0], [2.0, 3.0]])
    views["W"][1, 0] = -7.0
    views["b"] += 1.0
    np.testing.assert_array_equal(flat, [0.0, 1.0, -7.0, 3.0, 5.0])
    np.testing.assert_array_equal(params["b"], [12.0])


def test_pack_alone_is_a_copy_too() -> None:
    w = np.ones(3)
    flat, views = ravel({"w": w})
    flat[0] = 9.0
    assert w[0] == 1.0
    assert views["w"][0] == 9.0


def test_pack_reads_any_memory_layout_by_rows() -> None:
    w = np.arange(6.0).reshape(2, 3)
    for layout in (np.asfortranarray(w), np.arange(12.0).reshape(2, 6)[:, ::2] / 2):
        flat, views = ravel({"w": layout})
        np.testing.assert_array_equal(flat, layout.ravel(order="C"))
        np.testing.assert_array_equal(views["w"], layout)


def test_unpack_views_a_strided_buffer() -> None:
    buffer = np.zeros(10)
    views = unravel(buffer[::2], {"W": np.ones((2, 2)), "b": np.ones(1)})
    views["W"][:] = 1.0
    views["b"][:] = 2.0
    np.testing.assert_array_equal(buffer, [1, 0, 1, 0, 1, 0, 1, 0, 2, 0])


def test_pack_keeps_the_dtype() -> None:
    flat, views = ravel({"a": np.ones(2, np.float32), "b": np.ones((1, 3), np.float32)})
    assert flat.dtype == views["a"].dtype == views["b"].dtype == np.float32


def test_one_long_vector_trains_like_the_dict() -> None:
    params = example()
    flat, _ = ravel(params)
    optimizer = adam(0.1)
    state, flat_state = optimizer.init(params), optimizer.init({"flat": flat})
    long: Params = {"flat": flat}
    for t in range(5):
        grads = tree_map(lambda w, t=t: np.cos(w + t), params)
        flat_grads: Params = {"flat": np.cos(long["flat"] + t)}
        params, state = optimizer.step(grads, state, params)
        long, flat_state = optimizer.step(flat_grads, flat_state, long)
    for k, w in unravel(long["flat"], params).items():
        np.testing.assert_array_equal(w, params[k])


class Pair(NamedTuple):
    m: Any
    v: Any


TREE = {"W": Pair(np.ones((2, 3)), None), "b": (np.zeros(2, np.float32), ()), "c": None}


def test_leaves_have_the_path_to_them() -> None:
    found = dict(named_leaves(TREE))
    assert list(found) == ["W/0", "b/0"]
    assert found["W/0"] is TREE["W"].m  # type: ignore[union-attr]
    assert list(dict(named_leaves(np.ones(1), "x"))) == ["x"]
    assert list(dict(named_leaves([np.ones(1), {"a": np.ones(1)}]))) == ["0", "1/a"]
    assert list(named_leaves(None)) == []


def test_a_scalar_of_numpy_is_an_array_without_axes() -> None:
    [(name, leaf)] = named_leaves({"t": np.float32(3)})
    assert name == "t"
    assert isinstance(leaf, np.ndarray)
    assert leaf.shape == ()
    assert leaf.dtype == np.float32


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"a": ({"b": 1.5},)}, "^a/0/b must be an array or a tuple of them, got 1.5$"),
        ("text", "^a tree must be an array or a tuple of them, got 'text'$"),
    ],
)
def test_a_leaf_that_is_no_array_is_named(tree: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        flatten(tree)


def test_unflatten_is_the_inverse_and_keeps_every_type() -> None:
    again = unflatten(TREE, flatten(TREE))
    assert again.keys() == TREE.keys()
    assert type(again["W"]) is Pair
    assert again["W"].v is None
    assert again["b"][1] == ()
    assert again["c"] is None
    for old, new in zip(flatten(TREE), flatten(again), strict=True):
        assert old is new
    assert unflatten([np.ones(1), (np.float32(2),)], "ab") == ["a", ("b",)]
    assert unflatten({"x": np.ones(1), "y": {}}, "a") == {"x": "a", "y": {}}


def test_bytes_are_those_of_all_leaves() -> None:
    assert nbytes(TREE) == 6 * 8 + 2 * 4
    assert nbytes(None) == 0
    assert nbytes(np.float32(1)) == 4


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"x": 1}, r"^names differ: missing \['y'\], unexpected \[\]$"),
        (
            {"x": 1, "y": 2, "z": 3, 4: 5},
            r"^names differ: missing \[\], unexpected \[4, 'z'\]$",
        ),
    ],
)
def test_tree_map_names_what_differs(other: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tree_map(lambda a, b: a, {"x": 1, "y": 2}, other)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, "1", True])
def test_clipping_refuses_what_is_no_norm(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^max_norm must be in \(0, inf\], got "):
        clip_by_global_norm(example(), bad)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "^params is empty: there is nothing to ravel$"),
        ({"w": [1.0]}, r"^params\['w'\] must be an array, got \[1.0\]$"),
        (
            {"a": np.ones(1), "b": np.ones(1, np.float32)},
            "^params must share one dtype",
        ),
    ],
)
def test_ravel_refuses(params: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ravel(params)


@pytest.mark.parametrize("shape", [(4,), (6,), (5, 1)])
def test_unravel_refuses_another_size(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^flat must have shape \(5,\), got \("):
        unravel(np.ones(shape), example())
