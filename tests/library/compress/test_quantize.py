"""Even grids: half a step, exact bytes, calibration, straight-through training."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepopt_lib.autodiff import sum, value_and_grad
from deepopt_lib.compress import Affine, quantize_params, sqnr, straight_through
from deepopt_lib.compress.quantization.calibrate import RANGES, mse, percentile
from deepopt_lib.core import Array, nbytes

modest = settings(max_examples=40, deadline=None, derandomize=True, database=None)
rng = np.random.default_rng(0)
X = rng.standard_normal((12, 10))


def scalar_affine(values: list[float], bits: int) -> list[float]:
    """Equation 1 of Jacob et al. (2018) on Python floats, asymmetric."""
    low, high = min(*values, 0.0), max(*values, 0.0)
    scale = (high - low) / (2**bits - 1) or 1.0
    zero = round(-low / scale)
    out = []
    for v in values:
        code = min(max(round(v / scale) + zero, 0), 2**bits - 1)
        out.append(scale * (code - zero))
    return out


def scalar_symmetric(values: list[float], bits: int) -> list[float]:
    top = 2 ** (bits - 1) - 1
    scale = max(abs(v) for v in values) / top or 1.0
    return [scale * round(v / scale) for v in values]


@pytest.mark.parametrize("bits", [2, 3, 5, 8, 12, 16])
def test_against_a_transcription_of_the_paper(bits: int) -> None:
    x = X.ravel()
    expected = scalar_affine(x.tolist(), bits)
    np.testing.assert_allclose(Affine(bits).round(x), expected, rtol=1e-12)
    expected = scalar_symmetric(x.tolist(), bits)
    np.testing.assert_allclose(
        Affine(bits, symmetric=True).round(x), expected, rtol=1e-12
    )


def test_one_bit_is_the_sign_times_the_mean() -> None:
    expected = np.where(X >= 0, 1, -1) * np.mean(np.abs(X))
    np.testing.assert_allclose(Affine(1, symmetric=True).round(X), expected)


@modest
@given(data=st.data())
def test_errors_stay_within_half_a_step_and_zero_is_exact(data: st.DataObject) -> None:
    bits = data.draw(st.integers(2, 12))
    symmetric = data.draw(st.booleans())
    shift = data.draw(st.floats(-3, 3))
    seed = data.draw(st.integers(0, 1000))
    x = np.random.default_rng(seed).standard_normal((6, 7)) + shift
    x[0, 0] = 0.0
    for axis, block in ((None, None), (0, None), (1, None), (None, 4)):
        codec = Affine(bits, symmetric, axis, block)
        scale = codec.fit(x).scale
        step = {None: scale.max(), 0: scale, 1: scale.T}[axis]
        error = np.abs(codec.round(x) - x)
        assert np.all(error <= step / 2 * (1 + 1e-9))
        assert codec.round(x)[0, 0] == 0.0


def test_one_bit_has_no_zero_but_a_line_of_zeros_stays_one() -> None:
    """Zeros became minus one half; sign(0) is plus one in the paper."""
    codec = Affine(1, symmetric=True, axis=0)
    x = np.array([[0.0, 0.0, 0.0], [0.0, -1e-30, 3.0], [1e-30, -0.0, -6.0]])
    mean = np.abs(x).mean(axis=1)
    expected = [[0, 0, 0], [mean[1], -mean[1], mean[1]], [mean[2], mean[2], -mean[2]]]
    np.testing.assert_allclose(codec.round(x), expected, rtol=1e-15)
    np.testing.assert_array_equal(codec.decode(codec.encode(x)), codec.round(x))
    assert not np.signbit(codec.round(x)[0]).any()


CODECS = [
    Affine(8),
    Affine(3, axis=1),
    Affine(4, symmetric=True, block=7),
    Affine(1, symmetric=True),
    Affine(5, symmetric=True, range="mse"),
    Affine(4, range="percentile", axis=0),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_the_unit_of_the_numbers_does_not_matter(codec: Affine, dtype: Any) -> None:
    """From the smallest normal numbers to the largest: all the same but for a power."""
    x = X.astype(dtype)
    expected, info = codec.round(x), np.finfo(dtype)
    for power in (info.minexp + 40, -60, 60, info.maxexp - 4):
        unit = dtype(2.0**power)
        np.testing.assert_array_equal(codec.round(x * unit), expected * unit)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_numbers_of_a_type_do_not_overflow(dtype: Any) -> None:
    most = np.finfo(dtype).max
    x = np.array([-most, -most / 3, 0.0, most / 5, most], dtype)
    for codec in (
        *(Affine(b, range=r) for b in (2, 3, 8, 16) for r in RANGES),
        *(Affine(b, symmetric=True) for b in (2, 7, 8, 16)),
    ):
        rounded, scale = codec.round(x), codec.fit(x).scale[0, 0]
        assert np.isfinite(rounded).all()
        np.testing.assert_array_equal(codec.decode(codec.encode(x)), rounded)
        if codec.range == "minmax":
            error = np.abs(rounded / scale - x / scale)
            assert error.max() <= 0.5 + 1e-3
    for symmetric in (False, True):
        with pytest.raises(ValueError, match="x is too large for one bit: a step is"):
            Affine(1, symmetric).round(np.array([most, -most]))


@pytest.mark.parametrize("bits", [1, 2, 3])
@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("symmetric", [False, True])
def test_what_fills_up_the_last_block_does_not_count(
    bits: int, name: str, symmetric: bool
) -> None:
    """Its last entry is an outlier: repeated 57 times it had the range to itself."""
    x = np.append(np.random.default_rng(5).standard_normal(70), 9.0)
    codec = Affine(bits, symmetric, block=64, range=name)
    alone = Affine(bits, symmetric, range=name)
    grid = codec.fit(x)
    for line, part in enumerate((x[:64], x[64:])):
        one = alone.fit(part)
        assert grid.scale[line, 0] == one.scale[0, 0]
        assert grid.zero[line, 0] == one.zero[0, 0]
        assert grid.levels == one.levels
    np.testing.assert_array_equal(codec.round(x)[64:], alone.round(x[64:]))
    few = Affine(bits, symmetric, block=999, range=name).round(x)
    np.testing.assert_array_equal(few, alone.round(x))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_channel_does_not_see_the_others(axis: int) -> None:
    whole = Affine(5, axis=axis).round(X)
    lines = np.moveaxis(X, axis, 0)
    alone = [Affine(5).round(line) for line in lines]
    np.testing.assert_array_equal(np.moveaxis(whole, axis, 0), alone)


def test_lines_of_very_different_size_have_grids_of_their_own() -> None:
    x = np.array([[1e300, -5e299, 2e299], [1e-300, -3e-300, 5e-301]])
    for codec in (Affine(4, axis=0), Affine(4, symmetric=True, axis=0, range="mse")):
        alone = [Affine(4, codec.symmetric, range=codec.range).round(v) for v in x]
        np.testing.assert_array_equal(codec.round(x), alone)


def test_the_range_knows_whether_the_grid_is_symmetric() -> None:
    low, high = mse(X[:1], 3, True)
    grid = Affine(3, symmetric=True, range="mse").fit(X[:1])
    np.testing.assert_allclose(grid.scale, high / 3, rtol=1e-12)
    low, high = mse(X[:1], 3, False)
    grid = Affine(3, range="mse").fit(X[:1])
    np.testing.assert_allclose(grid.scale, (high - low) / 7, rtol=1e-12)


def test_how_many_levels_a_grid_has() -> None:
    for bits, levels in ((1, 2), (2, 3), (3, 7), (8, 255)):
        assert Affine(bits, symmetric=True).fit(X).levels == levels
        assert Affine(bits).fit(X).levels == 2**bits
    for symmetric in (False, True):
        grid = Affine(4, symmetric).fit(np.zeros(3))
        np.testing.assert_array_equal(grid.scale, 1)
    grid = Affine(4, symmetric=True).fit(np.array([-7.0, 7.0]))
    assert grid.codes(np.array([[-99.0, 0.0, 99.0]])).tolist() == [[0, 7, 14]]


def test_blocks_are_consecutive_entries_and_the_last_is_shorter() -> None:
    whole = Affine(4, block=32).round(X)
    parts = [Affine(4).round(X.ravel()[i : i + 32]) for i in range(0, X.size, 32)]
    np.testing.assert_array_equal(whole.ravel(), np.concatenate(parts))


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8, 9, 16])
def test_bytes_are_those_of_the_formula(bits: int) -> None:
    """Codes without gaps, a scale of four bytes and a zero point for each line."""
    x = X.astype(np.float32)
    codes = -(-x.size * bits // 8)
    narrow = 1 if bits <= 8 else 2
    shape = 2 * 4
    assert nbytes(Affine(bits).encode(x)) == codes + 4 + narrow + shape
    assert nbytes(Affine(bits, axis=1).encode(x)) == codes + 10 * (4 + narrow) + shape
    symmetric = Affine(bits, symmetric=True, block=16).encode(x)
    assert nbytes(symmetric) == codes + 8 * 4 + shape


def test_six_decibels_a_bit() -> None:
    x = np.random.default_rng(1).uniform(-1, 1, 20_000)
    found = [sqnr(x, Affine(b).round(x)) for b in range(5, 12)]
    np.testing.assert_allclose(np.diff(found), 20 * np.log10(2), atol=0.2)
    assert sqnr(x, x) == np.inf
    tens = np.array([10.0, -10.0], np.float16)
    assert sqnr(tens, tens - np.float16(1)) == pytest.approx(20)
    large = np.full(3, 6e4, np.float16)  # whose squares overflow
    assert sqnr(large, large / 2) == pytest.approx(20 * np.log10(2))
    with pytest.raises(ValueError, match="x is zero everywhere: there is no signal"):
        sqnr(np.zeros(3), np.ones(3))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_best_range_is_at_least_as_good_as_the_full_one(
    bits: int, symmetric: bool
) -> None:
    x = np.random.default_rng(2).standard_t(3, (4, 200))
    full = Affine(bits, symmetric, axis=0).round(x)
    best = Affine(bits, symmetric, axis=0, range="mse").round(x)
    errors = [((x - y) ** 2).sum(axis=1) for y in (full, best)]
    assert np.all(errors[1] <= errors[0] * (1 + 1e-12))
    assert bits > 4 or errors[1].sum() < errors[0].sum()


def test_the_best_range_is_the_best_of_those_tried() -> None:
    x = np.random.default_rng(3).standard_normal((1, 300))
    low, high = mse(x, 3, False)
    errors = []
    for f in np.linspace(1, 0.2, 81):
        scale = f * (x.max() - x.min()) / 7
        zero = np.rint(-f * x.min() / scale)
        codes = np.clip(np.rint(x / scale) + zero, 0, 7)
        errors.append(np.sum((x - scale * (codes - zero)) ** 2))
    f = np.linspace(1, 0.2, 81)[int(np.argmin(errors))]
    np.testing.assert_allclose([low[0, 0], high[0, 0]], [f * x.min(), f * x.max()])


def test_a_far_outlier_is_cut_down_to_a_quarter() -> None:
    """The sum of squares of the others is worth more than it."""
    x = np.append(np.linspace(-1, 1, 10_001), 3.8)[None]
    low, high = mse(x, 2, True)
    assert high[0, 0] == -low[0, 0]
    tried = [3.8 * f for f in np.linspace(1, 0.2, 81)]
    errors = [np.sum((x - np.clip(np.rint(x / h), -1, 1) * h) ** 2) for h in tried]
    best = tried[int(np.argmin(errors))]
    assert high[0, 0] == pytest.approx(best)
    assert best < 0.25 * 3.8


@pytest.mark.parametrize("value", [0.0, 1.0, -2.0])
def test_lines_of_one_value_have_a_range(value: float) -> None:
    low, high = mse(np.full((1, 5), value), 4, False)
    assert (low[0, 0], high[0, 0]) == (min(value, 0), max(value, 0))


def test_the_percentile_clips_what_is_far_out() -> None:
    x = np.concatenate([np.linspace(-1, 1, 10_000), [50.0]]).reshape(1, -1)
    low, high = percentile(x, 8, False)
    assert high[0, 0] < 1.01
    assert low[0, 0] > -1.01
    assert sqnr(x[:, :-1], Affine(8, range="percentile").round(x)[:, :-1]) > 40


def test_the_percentile_clips_a_thousandth_at_each_end() -> None:
    """Of 0, 1, ..., 1000 all below 999 and above 1 stay."""
    low, high = percentile(np.arange(1001.0)[None] - 500, 8, False)
    np.testing.assert_allclose([low[0, 0], high[0, 0]], [-499, 499])
    lines = np.vstack([np.arange(1001.0) - 500, np.arange(1001.0) * 2 - 1000])
    low, high = percentile(lines, 8, False)  # each line has its own
    np.testing.assert_allclose([low, high], [[[-499], [-998]], [[499], [998]]])


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranges_hold_zero_and_keep_the_dtype(name: str, dtype: Any) -> None:
    x = (np.random.default_rng(4).random((3, 50)) + 1).astype(dtype)
    low, high = RANGES[name](x, 4, False)
    assert low.dtype == high.dtype == dtype
    assert np.all(low <= 0)
    assert np.all(high >= 0)


def test_straight_through_rounds_forward_and_not_backward() -> None:
    codec = Affine(2, symmetric=True, axis=1)

    def loss(params: Any, target: Array) -> Any:
        error = straight_through(params["W"], codec) - target
        return (error * error).sum() if isinstance(error, np.ndarray) else _sum(error)

    def _sum(error: Any) -> Any:

        return sum(error * error)

    target = np.zeros_like(X)
    value, grads = value_and_grad(loss)({"W": X}, target)
    rounded = codec.round(X)
    assert value == pytest.approx(np.sum(rounded**2))
    np.testing.assert_allclose(grads["W"], 2 * rounded)  # at the rounded point
    np.testing.assert_allclose(straight_through(X, codec), rounded, atol=1e-15)


def test_only_named_parameters_are_rounded() -> None:
    params = {"a": X, "b": X + 1}
    out = quantize_params(params, {"a": Affine(3)})
    assert out["b"] is params["b"]
    np.testing.assert_allclose(out["a"], Affine(3).round(X), atol=1e-15)
    with pytest.raises(ValueError, match=r"no parameter is named \['c'\]"):
        quantize_params(params, {"c": Affine(3)})
