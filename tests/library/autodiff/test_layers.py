"""The large primitives against loops over scalars, written from the papers' equations.

What they promise besides: the same numbers however the work is cut into blocks, no
overflow, no look into the future, masks from the generator alone.
"""

import inspect
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from deepopt_lib import autodiff
from deepopt_lib.autodiff import Statistics, Var, running_statistics, value_and_grad
from deepopt_lib.autodiff.ops import attention, patches
from deepopt_lib.autodiff.tape import Shared
from deepopt_lib.core import Array, Params
from deepopt_lib.core.shapes import check_shapes


def normal(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def several(*shapes: tuple[int, ...]) -> list[Array]:
    return [normal(*shape, seed=i) for i, shape in enumerate(shapes)]


def gradients(f: Callable[..., Any], *args: Array) -> Params:
    """Return the gradients of sum(f * a fixed random tensor), by position."""

    def loss(p: Params) -> Any:
        y = f(*p.values())
        return autodiff.sum(y * normal(*y.shape, seed=99).astype(args[0].dtype))

    return value_and_grad(loss)({str(i): a for i, a in enumerate(args)})[1]


def assert_same_gradients(f: Any, g: Any, *args: Array, rtol: float = 1e-11) -> None:
    ours, theirs = gradients(f, *args), gradients(g, *args)
    for k in ours:
        np.testing.assert_allclose(ours[k], theirs[k], rtol=rtol, atol=1e-12)


# Images.


def conv2d_by_hand(x: Array, W: Array, b: Array, pad: int) -> Array:
    n, h, w, c_in = x.shape
    kh, kw, _, c_out = W.shape
    out = np.empty((n, h + 2 * pad - kh + 1, w + 2 * pad - kw + 1, c_out))
    for at in np.ndindex(out.shape):
        image, i, j, channel = at
        terms = [float(b[channel])]
        for u, v, c in np.ndindex(kh, kw, c_in):
            y, z = i + u - pad, j + v - pad
            if 0 <= y < h and 0 <= z < w:
                terms.append(float(x[image, y, z, c]) * float(W[u, v, c, channel]))
        out[at] = math.fsum(terms)
    return out


CONVOLUTIONS = [
    ((2, 5, 6, 3), (3, 3, 3, 2), 1),
    ((2, 5, 6, 1), (3, 3, 1, 4), 0),
    ((1, 4, 3, 2), (2, 3, 2, 2), 1),
    ((3, 4, 4, 20), (3, 3, 20, 2), 2),
    ((3, 4, 5, 1), (2, 2, 1, 6), 1),  # few inputs: the patches are kept
    ((2, 1, 1, 2), (3, 3, 2, 2), 1),
]


@pytest.mark.parametrize(("image", "kernel", "pad"), CONVOLUTIONS)
def test_conv2d_is_a_sum_over_the_window(image: Any, kernel: Any, pad: int) -> None:
    x, W, b = several(image, kernel, kernel[-1:])
    found = autodiff.conv2d(x, W, b, pad=pad)
    expected = conv2d_by_hand(x, W, b, pad)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("pool", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 7])
def test_conv_layer_is_conv_pool_relu(pool: int, channels: int) -> None:
    def apart(x: Any, W: Any, b: Any) -> Any:
        return autodiff.relu(
            autodiff.max_pool(autodiff.conv2d(x, W, b, pad=1), size=pool)
        )

    def together(x: Any, W: Any, b: Any) -> Any:
        return autodiff.conv_layer(x, W, b, pad=1, pool=pool)

    for c_out in (4, 12):
        args = several((3, 6, 12, channels), (3, 3, channels, c_out), (c_out,))
        np.testing.assert_allclose(together(*args), apart(*args), rtol=1e-12)
        assert_same_gradients(together, apart, *args)


def test_conv_layer_has_no_border_and_halves_by_default() -> None:
    args = several((2, 5, 7, 1), (2, 2, 1, 3), (3,))
    expected = autodiff.conv_layer(*args, pad=0, pool=2)
    np.testing.assert_array_equal(autodiff.conv_layer(*args), expected)


@pytest.mark.parametrize("op", [autodiff.conv2d, autodiff.conv_layer])
def test_float32_kernels_leave_float64_images_their_precision(op: Any) -> None:
    x, W, b = several((2, 5, 7, 3), (2, 2, 3, 3), (3,))
    W, b = W.astype(np.float32), b.astype(np.float32)
    mixed = gradients(op, x, W, b)
    exact = gradients(op, x, W.astype(np.float64), b.astype(np.float64))
    np.testing.assert_allclose(mixed["0"], exact["0"], rtol=1e-12)


@pytest.mark.parametrize("op", [autodiff.conv2d, autodiff.conv_layer])
@pytest.mark.parametrize("channels", [1, 7])
def test_the_kernels_gradient_does_not_depend_on_the_images(
    op: Any, channels: int
) -> None:
    """Recorded images and plain ones take two ways to the same gradient."""
    for c_out in (3, 6):
        x, W, b = several((5, 5, 7, channels), (2, 2, channels, c_out), (c_out,))
        recorded = gradients(op, x, W, b)
        plain = gradients(lambda W, b, x=x: op(x, W, b), W, b)
        np.testing.assert_allclose(plain["0"], recorded["1"], rtol=1e-11)
        np.testing.assert_allclose(plain["1"], recorded["2"], rtol=1e-11)


@pytest.mark.parametrize("cache", [1, 100, 200, 1500, 2000])  # 200, 1500: 3 + 2 images
@pytest.mark.parametrize("op", [autodiff.conv2d, autodiff.conv_layer])
@pytest.mark.parametrize(("channels", "c_out"), [(1, 3), (1, 6), (7, 3)])
def test_blocks_of_images_change_nothing(
    monkeypatch: pytest.MonkeyPatch, cache: int, op: Any, channels: int, c_out: int
) -> None:
    args = several((5, 5, 7, channels), (2, 2, channels, c_out), (c_out,))
    out, grads = op(*args), gradients(op, *args)
    monkeypatch.setattr(patches, "CACHE", cache)
    np.testing.assert_allclose(op(*args), out, rtol=1e-12)
    for k, g in gradients(op, *args).items():
        np.testing.assert_allclose(g, grads[k], rtol=1e-11, atol=1e-12)
    plain = gradients(lambda W, b: op(args[0], W, b), *args[1:])
    np.testing.assert_allclose(plain["0"], grads["1"], rtol=1e-11, atol=1e-12)


def test_a_block_of_patches_is_a_cache_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 5 images with 4 * 4*6/4 * 12 numbers each, as many as fit, evenly cut."""
    x = normal(5, 5, 7, 3)
    for fit, sizes in ((0.1, [1] * 5), (1, [1] * 5), (2.5, [3, 2]), (9, [5])):
        monkeypatch.setattr(patches, "CACHE", round(288 * fit))
        blocks = [
            (i, found.shape) for i, found in patches.cut_patches(x, (2, 2, 3, 9), 2)
        ]
        assert [(len(x[i]), shape) for i, shape in blocks] == [
            (n, (24 * n, 12)) for n in sizes
        ]
    assert list(patches.cut_patches(x[:0], (2, 2, 3, 9))) == []


@pytest.mark.parametrize(
    ("kernel", "width", "by_columns"),
    [((2, 2, 2, 9), 5, True), ((2, 2, 2, 9), 4, False), ((2, 1, 3, 9), 2, False)],
)
def test_patches_are_copied_in_the_longer_runs(
    kernel: Any, width: int, by_columns: bool
) -> None:
    """kw*c numbers of a row, or as many as the output is wide."""
    x = normal(2, 4, width + kernel[1] - 1, kernel[2])
    ((_, found),) = patches.cut_patches(x, kernel)
    assert found.flags.f_contiguous == by_columns
    assert found.flags.c_contiguous != by_columns


@pytest.mark.parametrize(
    ("kernel", "kept"),
    [((3, 2, 1, 6), True), ((3, 2, 1, 5), False), ((2, 2, 2, 7), False)],
)
def test_patches_no_larger_than_the_output_are_kept(kernel: Any, kept: bool) -> None:
    """They are cut once, not again for the backward pass."""
    blocks = patches.keep_patches(normal(2, 5, 6, kernel[2]), kernel)
    (_, first), *_ = blocks()
    (_, second), *_ = blocks()
    assert (first is second) == kept
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("op", ["conv2d", "conv_layer", "depthwise2d"])
def test_an_image_has_room_for_a_kernel_both_ways(op: str) -> None:
    """With its border: kernels of 4 x 4, and a pixel more on each side."""
    more = {"conv_layer": {"pool": 1}}.get(op, {})
    kernel = (4, 4, 2) if op == "depthwise2d" else (4, 4, 2, 2)
    _, W, b = several((1,), kernel, (2,))

    def out(height: int, width: int) -> Any:
        x = normal(1, height, width, 2)
        return getattr(autodiff, op)(x, W, b, pad=1, **more)

    assert out(2, 9).shape == (1, 1, 8, 2)
    assert out(9, 2).shape == (1, 8, 1, 2)
    for height, width in ((1, 9), (9, 1)):
        with pytest.raises(ValueError, match=f"^{op}: images .* are smaller than"):
            out(height, width)


def test_windows_cover_an_image_both_ways() -> None:
    W, b = normal(1, 1, 3, 2), normal(2)

    def layer(x: Array, size: int) -> Any:
        return autodiff.conv_layer(x, W, b, pool=size)

    for op in (autodiff.max_pool, autodiff.avg_pool, layer):
        assert op(normal(1, 4, 6, 3), size=2).shape[1:3] == (2, 3)
        for height, width in ((3, 4), (4, 3)):
            with pytest.raises(ValueError, match=r"must divide height"):
                op(normal(1, height, width, 3), size=2)


def test_one_feature_normalized_is_the_bias() -> None:
    x, g, b = several((3, 1), (1,), (1,))
    np.testing.assert_array_equal(autodiff.layer_norm(x, g, b), np.full((3, 1), b))
    grads = gradients(autodiff.layer_norm, x, g, b)
    np.testing.assert_array_equal(grads["0"], 0)


def test_the_usual_arguments() -> None:
    found: dict[str, dict[str, Any]] = {}
    for name in autodiff.__all__:
        function = getattr(autodiff, name)
        if inspect.isfunction(function):
            for p in inspect.signature(function).parameters.values():
                if p.default is not p.empty:
                    found.setdefault(name, {})[p.name] = p.default
    assert found == {
        "avg_pool": {"size": 2},
        "batch_norm": {"statistics": None, "eps": 1e-5},
        "check_grads": {"tol": 1e-6},
        "conv2d": {"pad": 0},
        "conv_layer": {"pad": 0, "pool": 2},
        "depthwise2d": {"pad": 0},
        "layer_norm": {"eps": 1e-5},
        "max_pool": {"size": 2},
        "mean": {"axis": None},
        "running_statistics": {"mu": 0.9},
        "self_attention": {"causal": False},
        "sum": {"axis": None},
        "transpose": {"axes": None},
    }


def test_images_need_not_be_contiguous() -> None:
    """Such as images whose channels came first."""
    x, W, b = several((2, 3, 6, 6), (3, 3, 3, 2), (2,))
    view = x.transpose(0, 2, 3, 1)
    for op in (autodiff.conv2d, autodiff.conv_layer):
        np.testing.assert_allclose(op(view, W, b), op(view.copy(), W, b), rtol=1e-14)
    for op in (autodiff.max_pool, autodiff.avg_pool):
        np.testing.assert_array_equal(op(view), op(view.copy()))


@pytest.mark.parametrize("pad", [0, 1])
def test_depthwise_by_hand(pad: int) -> None:
    """Howard et al. (2017), eq. 3: a kernel for each channel, and no sum over them."""
    x, W, b = several((2, 4, 5, 3), (3, 2, 3), (3,))
    found = autodiff.depthwise2d(x, W, b, pad=pad)
    assert found.shape == (2, 2 + 2 * pad, 4 + 2 * pad, 3)
    for n, i, j, c in np.ndindex(found.shape):
        value = float(b[c])
        for u, v in np.ndindex(3, 2):
            row, column = i + u - pad, j + v - pad
            if 0 <= row < 4 and 0 <= column < 5:
                value += float(x[n, row, column, c]) * float(W[u, v, c])
        assert found[n, i, j, c] == pytest.approx(value, rel=1e-12)


def test_depthwise_is_a_convolution_with_diagonal_kernels() -> None:
    x, W, b = several((2, 6, 5, 3), (3, 3, 3), (3,))

    def diagonal(x: Any, W: Any, b: Any) -> Any:
        return autodiff.conv2d(
            x, autodiff.reshape(W, shape=(3, 3, 3, 1)) * np.eye(3), b, pad=1
        )

    def depthwise(x: Any, W: Any, b: Any) -> Any:
        return autodiff.depthwise2d(x, W, b, pad=1)

    np.testing.assert_allclose(depthwise(x, W, b), diagonal(x, W, b), rtol=1e-12)
    assert_same_gradients(depthwise, diagonal, x, W, b)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pools_by_hand(size: int) -> None:
    x = normal(2, 6, 6, 2)
    most, average = autodiff.max_pool(x, size=size), autodiff.avg_pool(x, size=size)
    assert most.shape == average.shape == (2, 6 // size, 6 // size, 2)
    for n, i, j, c in np.ndindex(most.shape):
        rows, columns = (slice(k * size, (k + 1) * size) for k in (i, j))
        window = x[n, rows, columns, c].ravel().tolist()
        assert most[n, i, j, c] == max(window)
        assert average[n, i, j, c] == pytest.approx(statistics.fmean(window), rel=1e-13)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_of_equal_entries_one_gets_the_whole_derivative(size: int) -> None:
    grads = gradients(lambda x: autodiff.max_pool(x, size=size), np.zeros((1, 6, 6, 1)))
    windows = grads["0"].reshape(6 // size, size, 6 // size, size)
    assert np.count_nonzero(windows) == (6 // size) ** 2
    assert np.all(windows[:, 0, :, 0] != 0)


# Sequences.

Vector = list[float]


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def affine(x: Sequence[float], W: Array, b: Sequence[float]) -> Vector:
    return [
        math.fsum([*(float(p) * float(w) for p, w in zip(x, column, strict=True)), c])
        for column, c in zip(W.T, b, strict=True)
    ]


def rnn_by_hand(x: Array, W: Array, U: Array, b: Array) -> list[Vector]:
    """Elman (1990), one sequence (time, n_in)."""
    h, states = [0.0] * len(U), []
    for x_t in x:
        h = [math.tanh(z) for z in affine(h, U, affine(x_t, W, b.tolist()))]
        states.append(h)
    return states


def lstm_by_hand(x: Array, W: Array, U: Array, b: Array) -> list[Vector]:
    """Hochreiter, Schmidhuber (1997) with the forget gate of Gers et al. (2000)."""
    n = len(U)
    h, c, states = [0.0] * n, [0.0] * n, []
    for x_t in x:
        z = affine(h, U, affine(x_t, W, b.tolist()))
        for k in range(n):
            keep, write, show = (sigmoid(z[g * n + k]) for g in (1, 0, 3))
            c[k] = keep * c[k] + write * math.tanh(z[2 * n + k])
            h[k] = show * math.tanh(c[k])
        states.append(list(h))
    return states


def gru_by_hand(x: Array, W: Array, U: Array, b: Array, b_new: Array) -> list[Vector]:
    """Cho et al. (2014), eqs. 5 to 8, the reset gate after the product."""
    n = len(U)
    h, states = [0.0] * n, []
    for x_t in x:
        z, a = affine(x_t, W, b.tolist()), affine(h, U, [0.0] * (3 * n))
        for k in range(n):
            r, u = sigmoid(z[k] + a[k]), sigmoid(z[n + k] + a[n + k])
            new = math.tanh(z[2 * n + k] + r * (a[2 * n + k] + float(b_new[k])))
            h[k] = u * h[k] + (1 - u) * new
        states.append(list(h))
    return states


RECURRENT = [
    (autodiff.rnn_layer, rnn_by_hand, 1, []),
    (autodiff.lstm_layer, lstm_by_hand, 4, []),
    (autodiff.gru_layer, gru_by_hand, 3, [(4,)]),
]


@pytest.mark.parametrize(("layer", "by_hand", "gates", "more"), RECURRENT)
def test_recurrent_layers_by_hand(
    layer: Any, by_hand: Any, gates: int, more: Any
) -> None:
    n = 4
    shapes = [(3, 6, 2), (2, gates * n), (n, gates * n), (gates * n,), *more]
    x, *weights = several(*shapes)
    found = layer(x, *weights)
    assert found.shape == (3, 6, n)
    for sequence, states in zip(x, found, strict=True):
        np.testing.assert_allclose(states, by_hand(sequence, *weights), rtol=1e-11)


@pytest.mark.parametrize(("layer", "by_hand", "gates", "more"), RECURRENT)
def test_a_state_does_not_see_the_future(
    layer: Any, by_hand: Any, gates: int, more: Any
) -> None:
    n = 4
    shapes = [(2, 6, 3), (3, gates * n), (n, gates * n), (gates * n,), *more]
    x, *weights = several(*shapes)
    changed = x.copy()
    changed[:, 4:] += 1
    before, after = layer(x, *weights), layer(changed, *weights)
    np.testing.assert_allclose(after[:, :4], before[:, :4], rtol=1e-12)
    assert np.all(np.abs(after[:, 4:] - before[:, 4:]) > 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_gates_saturate_without_overflow(size: float, dtype: Any) -> None:
    x = np.full((2, 3, 1), size, dtype)
    for layer, _, gates, more in RECURRENT:
        weights = [np.ones(s, dtype) for s in ((1, gates * 4), (4, gates * 4))]
        rest = [np.zeros(s, dtype) for s in [(gates * 4,), *more]]
        out = layer(x, *weights, *rest)
        assert out.dtype == dtype
        # The GRU's update gate keeps 0 when it is open, the LSTM's output gate shuts.
        full = {1: math.copysign(1, size), 4: None, 3: 0.0 if size > 0 else -1.0}[gates]
        if full is not None:
            np.testing.assert_array_equal(out, full)
        else:
            c = np.array([1.0, 2.0, 3.0]) if size > 0 else np.zeros(3)
            np.testing.assert_allclose(out[0, :, 0], np.tanh(c), rtol=1e-6)
        grads = value_and_grad(
            lambda p, f=layer, a=(*weights, *rest): autodiff.sum(f(p["x"], *a))
        )
        assert np.all(np.isfinite(grads({"x": x})[1]["x"]))


# Attention.


def attention_by_hand(
    x: Array, W: Array, b: Array, Wo: Array, bo: Array, heads: int, causal: bool
) -> Array:
    """Vaswani et al. (2017), eq. 1 and section 3.2.2, one position after the other."""
    batch, time, dim = x.shape
    size = dim // heads
    out = np.empty(x.shape)
    for n in range(batch):
        z = [affine(row, W, b.tolist()) for row in x[n]]
        for i in range(time):
            side_by_side: Vector = []
            seen = range(i + 1 if causal else time)
            for head in range(0, dim, size):
                part = range(head, head + size)
                scores = [
                    math.fsum(z[i][c] * z[j][dim + c] for c in part) / math.sqrt(size)
                    for j in seen
                ]
                weights = [math.exp(s) for s in scores]
                side_by_side += [
                    math.fsum(
                        w * z[j][2 * dim + c]
                        for w, j in zip(weights, seen, strict=True)
                    )
                    / math.fsum(weights)
                    for c in part
                ]
            out[n, i] = affine(side_by_side, Wo, bo.tolist())
    return out


def attention_args(batch: int, time: int, dim: int) -> list[Array]:
    return several((batch, time, dim), (dim, 3 * dim), (3 * dim,), (dim, dim), (dim,))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 6])
def test_attention_by_hand(heads: int, causal: bool) -> None:
    args = attention_args(2, 5, 6)
    found = autodiff.self_attention(*args, heads=heads, causal=causal)
    x, W, b, Wo, bo = args
    expected = attention_by_hand(x, W, b, Wo, bo, heads, causal)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_causal_attention_does_not_see_the_future() -> None:
    x, *weights = attention_args(2, 6, 4)
    changed = x.copy()
    changed[:, 4:] += 1
    before, after = (
        autodiff.self_attention(a, *weights, heads=2, causal=True) for a in (x, changed)
    )
    np.testing.assert_allclose(after[:, :4], before[:, :4], rtol=1e-12)
    assert np.all(np.abs(after[:, 4:] - before[:, 4:]).max(axis=-1) > 1e-6)


def test_attention_does_not_see_the_order() -> None:
    x, *weights = attention_args(2, 6, 4)
    order = [3, 0, 5, 1, 4, 2]
    permuted = autodiff.self_attention(x[:, order], *weights, heads=2)
    found = autodiff.self_attention(x, *weights, heads=2)
    np.testing.assert_allclose(permuted, found[:, order], rtol=1e-11)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("cache", [1, 100])
def test_blocks_of_sequences_change_nothing(
    monkeypatch: pytest.MonkeyPatch, cache: int, causal: bool
) -> None:
    def f(*args: Any) -> Any:
        return autodiff.self_attention(*args, heads=2, causal=causal)

    args = attention_args(5, 4, 4)
    out, grads = f(*args), gradients(f, *args)
    monkeypatch.setattr(attention, "CACHE", cache)
    np.testing.assert_allclose(f(*args), out, rtol=1e-12)
    for k, g in gradients(f, *args).items():
        np.testing.assert_allclose(g, grads[k], rtol=1e-11, atol=1e-12)


def test_a_block_of_scores_is_a_cache_full() -> None:
    full = attention.CACHE
    for batch, size, step in (
        (5, full, 1),
        (5, 9 * full, 1),
        (5, full // 2, 2),
        (3, 1, full),
        (2 * full, 1, full),
        (5, 0, full),
        (0, 3, 1),
    ):
        found = attention._blocks(batch, size)
        assert found == [slice(i, i + step) for i in range(0, batch, step)]


def test_the_scores_of_a_sequence_are_heads_times_time_squared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(
        attention,
        "_blocks",
        lambda *sizes: seen.append(sizes) or [slice(0, sizes[0])],  # type: ignore[func-returns-value]
    )
    autodiff.self_attention(*attention_args(5, 3, 4), heads=2)
    assert seen == [(5, 2 * 3 * 3)]


@pytest.mark.parametrize("sign", [-1, 1])
def test_scores_are_shifted_from_thirty_on(sign: int) -> None:
    """Below, their exponentials are taken as they are: a pass less over memory."""
    below = sign * np.array([[0.0, 1.0, 29.99]])
    found = below.copy()
    attention._exp(found, None)
    np.testing.assert_array_equal(found, np.exp(below))
    for size in (30.0, 31.0):
        beyond = sign * np.array([[0.5, 1.0, size]])
        found = beyond.copy()
        attention._exp(found, None)
        np.testing.assert_array_equal(found, np.exp(beyond - beyond.max()))
    attention._exp(np.zeros((3, 0, 0)), None)


@pytest.mark.parametrize("causal", [False, True])
def test_the_shift_of_large_scores_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, causal: bool
) -> None:
    def f(*args: Any) -> Any:
        return autodiff.self_attention(*args, heads=2, causal=causal)

    args = attention_args(3, 4, 4)
    out, grads = f(*args), gradients(f, *args)
    monkeypatch.setattr(attention, "SAFE", 0.0)
    np.testing.assert_allclose(f(*args), out, rtol=1e-12)
    for k, g in gradients(f, *args).items():
        np.testing.assert_allclose(g, grads[k], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_scores_pick_one_position(dtype: Any) -> None:
    """Scores of 1e4 and -1e4: the softmax is 1 at the largest, without overflow."""
    x = np.array([[[1.0], [-1.0], [0.5]]], dtype)
    W = np.array([[100.0, 100.0, 1.0]], dtype)
    args = (x, W, np.zeros(3, dtype), np.ones((1, 1), dtype), np.zeros(1, dtype))
    out = autodiff.self_attention(*args, heads=1)
    np.testing.assert_array_equal(out[0, :, 0], [1.0, -1.0, 1.0])
    grads = gradients(lambda *a: autodiff.self_attention(*a, heads=1), *args)
    assert all(np.all(np.isfinite(g)) for g in grads.values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_far_below_zero_do_not_underflow(dtype: Any) -> None:
    """All of them -1e4: every weight is 1/3, not 0/0."""
    x = np.ones((1, 3, 1), dtype)
    x[0, :, 0] = [1.0, 1.001, 0.999]
    W = np.array([[0.0, 0.0, 1.0]], dtype)
    b = np.array([100.0, -100.0, 0.0], dtype)
    ones, zero = np.ones((1, 1), dtype), np.zeros(1, dtype)
    out = autodiff.self_attention(x, W, b, ones, zero, heads=1)
    np.testing.assert_allclose(out, 1.0, rtol=1e-6)


# Normalization.


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_layer_norm_by_hand(eps: float) -> None:
    x, g, b = several((2, 3, 5), (5,), (5,))
    found = autodiff.layer_norm(x, g, b, eps=eps)
    for at in np.ndindex(2, 3):
        row = x[at].tolist()
        scale = math.sqrt(statistics.pvariance(row) + eps)
        unit = [(v - statistics.fmean(row)) / scale for v in row]
        np.testing.assert_allclose(found[at], unit * g + b, rtol=1e-11)


def test_layer_norm_does_not_see_shift_and_scale() -> None:
    x, g, b = several((4, 6), (6,), (6,))
    moved = 3 * x + normal(4, 1, seed=5)
    found = autodiff.layer_norm(moved, g, b, eps=0.0)
    np.testing.assert_allclose(found, autodiff.layer_norm(x, g, b, eps=0.0), rtol=1e-11)


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_batch_norm_by_hand(eps: float) -> None:
    x, g, b = several((2, 3, 5), (5,), (5,))
    found = autodiff.batch_norm(x, g, b, eps=eps)
    for c in range(5):
        column = x[..., c].ravel().tolist()
        scale = math.sqrt(statistics.pvariance(column) + eps)
        unit = (x[..., c] - statistics.fmean(column)) / scale
        np.testing.assert_allclose(found[..., c], unit * g[c] + b[c], rtol=1e-11)


def test_batch_norm_with_given_statistics() -> None:
    x, g, b = several((4, 3), (3,), (3,))
    mean, var = normal(3, seed=7), np.array([0.5, 2.0, 1.0])
    found = autodiff.batch_norm(x, g, b, statistics=(mean, var), eps=0.25)
    np.testing.assert_allclose(found, (x - mean) / np.sqrt(var + 0.25) * g + b)
    own = Statistics(x.mean(axis=0), x.var(axis=0))
    found = autodiff.batch_norm(x, g, b, statistics=own)
    np.testing.assert_allclose(found, autodiff.batch_norm(x, g, b), rtol=1e-12)


def test_given_statistics_do_not_promote() -> None:
    x, g, b = (a.astype(np.float32) for a in several((4, 3), (3,), (3,)))
    out = autodiff.batch_norm(x, g, b, statistics=(np.zeros(3), np.ones(3)))
    assert out.dtype == np.float32


def test_running_statistics_are_an_exponential_mean() -> None:
    x, before = (
        normal(4, 2, 3),
        Statistics(normal(3, seed=1), np.array([1.0, 2.0, 3.0])),
    )
    after = running_statistics(x, before, 0.75)
    rows = x.reshape(8, 3)
    mean, var = rows.mean(axis=0), rows.var(axis=0, ddof=1)
    np.testing.assert_allclose(after.mean, 0.75 * before.mean + 0.25 * mean, rtol=1e-12)
    np.testing.assert_allclose(after.var, 0.75 * before.var + 0.25 * var, rtol=1e-12)
    recorded = running_statistics(Var(x, []), before, 0.75)
    np.testing.assert_array_equal(recorded.mean, after.mean)
    by_default = running_statistics(x, before)
    np.testing.assert_allclose(by_default.mean, 0.9 * before.mean + 0.1 * mean)
    two = running_statistics(rows[:2], before, 0)
    np.testing.assert_allclose(two.var, rows[:2].var(axis=0, ddof=1), rtol=1e-12)
    last_alone = running_statistics(x, before, 0)
    np.testing.assert_allclose(last_alone.mean, mean, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "mu", "message"),
    [
        ((4, 2), 0.9, r"running_statistics needs x .*, got \(4, 2\), \(3,\), \(3,\)"),
        ((1, 3), 0.9, r"running_statistics needs two samples or more, .* \(1, 3\)"),
        *[
            ((4, 3), bad, rf"mu must be in \[0, 1\), got {bad}")
            for bad in (-0.1, 1.0, math.nan, None, True)
        ],
    ],
)
def test_running_statistics_of_bad_input(shape: Any, mu: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        running_statistics(normal(*shape), Statistics(np.zeros(3), np.ones(3)), mu)


# Embedding and dropout.


def test_embedding_looks_up_rows() -> None:
    table, ids = normal(5, 3), np.array([[4, 0, 4], [1, 1, 4]])
    np.testing.assert_array_equal(autodiff.embedding(table, ids), table[ids])
    _, grads = value_and_grad(lambda p: autodiff.sum(autodiff.embedding(p["t"], ids)))(
        {"t": table}
    )
    counts = np.bincount(ids.ravel(), minlength=5)
    np.testing.assert_array_equal(grads["t"], np.repeat(counts[:, None], 3, axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cotangents_of_equal_ids_add_up_in_their_order(dtype: Any) -> None:
    """So that a run repeats to the bit, whatever the sort does with equal keys."""
    ids = np.random.default_rng(0).integers(0, 3, 5000)
    table = normal(4, 2).astype(dtype)
    d = (normal(5000, 2, seed=1) * 10.0 ** (ids[:, None] % 7)).astype(dtype)
    _, grads = value_and_grad(
        lambda p: autodiff.sum(autodiff.embedding(p["t"], ids) * d)
    )({"t": table})
    for i in range(3):
        expected = np.add.reduceat(d[ids == i], [0], axis=0)[0]
        np.testing.assert_array_equal(grads["t"][i], expected)
    np.testing.assert_array_equal(grads["t"][3], 0)


def test_dropout_drops_and_scales() -> None:
    x = np.full((300, 400), 2.0)
    out = autodiff.dropout(x, rate=0.3, rng=np.random.default_rng(0))
    assert set(np.unique(out)) == {0.0, 2.0 * (1 / 0.7)}
    assert np.mean(out == 0) == pytest.approx(0.3, abs=0.005)
    assert out.mean() == pytest.approx(2.0, abs=0.02)


def test_dropout_draws_from_the_generator_alone() -> None:
    x = np.ones((20, 30))
    rng = np.random.default_rng(3)
    first, second = (autodiff.dropout(x, rate=0.5, rng=rng) for _ in range(2))
    again = autodiff.dropout(x, rate=0.5, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    single = autodiff.dropout(
        x.astype(np.float32), rate=0.5, rng=np.random.default_rng(3)
    )
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, first)


def test_dropout_does_nothing_in_evaluation() -> None:
    x = normal(3, 4)
    np.testing.assert_array_equal(autodiff.dropout(x, rate=0.5, rng=None), x)
    kept = autodiff.dropout(x, rate=0.0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(kept, x)


# What primitives share.


def test_shared_work_is_done_once_a_cotangent() -> None:
    calls = []

    @Shared
    def work(d: Any) -> Any:
        calls.append(d)
        return 2 * d

    d, other = np.ones(2), np.ones(2)
    assert not work.knows(d)
    assert work(d) is work(d)
    assert work.knows(d)
    assert not work.knows(other)
    assert len(calls) == 1
    work(other)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("wanted", "shapes"),
    [
        ("x (n,)", [(3,)]),
        ("x (n,), y (n,)", [(0,), (0,)]),
        ("x (n, 2*n)", [(3, 6)]),
        ("x (3*n,), y (n,)", [(6,), (2,)]),
        ("x (..., n), y (n,)", [(3,), (3,)]),
        ("x (..., n), y (n,)", [(2, 5, 3), (3,)]),
        ("x (2, n)", [(2, 7)]),
        ("x ()", [()]),
    ],
)
def test_shapes_that_fit(wanted: str, shapes: Any) -> None:
    check_shapes("f", wanted, *(np.zeros(s) for s in shapes))


@pytest.mark.parametrize(
    ("wanted", "shapes"),
    [
        ("x (n,)", [()]),
        ("x (n,)", [(1, 3)]),
        ("x (n,), y (n,)", [(3,), (1,)]),
        ("x (n, 2*n)", [(3, 5)]),
        ("x (3*n,), y (n,)", [(7,), (2,)]),
        ("x (3*n,), y (n,)", [(6,), (3,)]),
        ("x (..., n), y (n,)", [(), (3,)]),
        ("x (..., n), y (n,)", [(3, 2), (3,)]),
        ("x (2, n)", [(3, 7)]),
        ("x (2, n)", [(4, 7)]),
        ("x ()", [(1,)]),
    ],
)
def test_shapes_that_do_not_fit(wanted: str, shapes: Any) -> None:
    with pytest.raises(ValueError, match=r"^f needs x") as caught:
        check_shapes("f", wanted, *(np.zeros(s) for s in shapes))
    got = ", ".join(str(s) for s in shapes)
    assert str(caught.value) == f"f needs {wanted}, got {got}"


def test_every_array_needs_its_shape() -> None:
    with pytest.raises(ValueError, match="longer"):
        check_shapes("f", "x (n,)", np.zeros(2), np.zeros(2))


def plain_attention(q: Array, k: Array, v: Array) -> Array:
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True) @ v)


@pytest.mark.parametrize("block", [1, 3, 8, 64, 100])
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_online_attention_is_attention(block: int, size: float) -> None:
    """Whatever the blocks, also when late scores are far larger than early ones."""
    q, k, v = several((2, 5, 4), (2, 64, 4), (2, 64, 3))
    k *= size * np.linspace(0.1, 3, 64)[:, None]
    found = autodiff.online_attention(q, k, v, block=block)
    np.testing.assert_allclose(found, plain_attention(q, k, v), rtol=1e-11, atol=1e-12)


def test_online_attention_holds_one_block_of_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    q, k, v = several((16, 4), (64, 4), (64, 3))
    seen: list[tuple[int, ...]] = []
    real = np.exp

    def exp(a: Any, **options: Any) -> Any:
        seen.append(np.shape(a))
        return real(a, **options)

    monkeypatch.setattr(np, "exp", exp)
    autodiff.online_attention(q, k, v, block=8)
    assert max(math.prod(shape) for shape in seen) == 16 * 8
    assert seen.count((16, 8)) == 8


def test_online_attention_keeps_float32_and_its_inputs() -> None:
    q, k, v = (a.astype(np.float32) for a in several((3, 4), (7, 4), (7, 2)))
    before = [a.copy() for a in (q, k, v)]
    assert autodiff.online_attention(q, k, v, block=2).dtype == np.float32
    for a, kept in zip((q, k, v), before, strict=True):
        np.testing.assert_array_equal(a, kept)


@pytest.mark.parametrize("block", [0, -1, 2.0, True, None])
def test_online_attention_checks_block(block: Any) -> None:
    with pytest.raises(ValueError, match=f"^block must be an int >= 1, got {block!r}"):
        autodiff.online_attention(*several((3, 4), (7, 4), (7, 2)), block=block)


def test_online_attention_checks_shapes() -> None:
    with pytest.raises(ValueError, match=r"^online_attention needs q .* got \(3, 4\)"):
        autodiff.online_attention(*several((3, 4), (7, 5), (7, 2)), block=2)
