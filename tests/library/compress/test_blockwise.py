"""Uneven grids, and rules whose state is stored in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepopt_lib import optim
from deepopt_lib.compress import Affine, Blockwise, BlockwiseCode, Quantized, table
from deepopt_lib.compress.quantization.blockwise import _borders, _nearest
from deepopt_lib.core import Array, Rule, nbytes
from deepopt_lib.optim import Optimizer
from deepopt_lib.training.checkpoint import load, save

modest = settings(max_examples=30, deadline=None, derandomize=True, database=None)
GRIDS = [("dynamic", 8), ("dynamic", 4), ("normal", 4), ("linear", 8), ("linear", 3)]
LINEAR = [("linear", 8), ("linear", 3)]

# Dettmers et al. (2023), appendix E, in four decimals.
NF4 = [-1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0]
NF4 += [0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1.0]


def test_nf4_has_the_published_values() -> None:
    np.testing.assert_allclose(table("normal", 4), NF4, atol=5.1e-5)


def test_linear_tables_are_even_and_no_table_goes_beyond_one() -> None:
    np.testing.assert_allclose(table("linear", 3), np.arange(-3, 4) / 3, rtol=1e-15)
    even = table("linear", 3, False)
    np.testing.assert_allclose(even, np.arange(8) / 7, rtol=1e-15)
    for bits in range(2, 9):
        for grid in ("dynamic", "normal", "linear"):
            assert max(table(grid, bits)) == 1
        assert min(table("normal", bits)) == -1


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize(("grid", "bits"), [("dynamic", 8), ("normal", 4), *LINEAR])
def test_next_to_every_border(grid: str, bits: int, signed: bool) -> None:
    """Of two values equally near the lower one, and no border is off by a bit."""
    borders = _borders(grid, bits, signed)[0][:-1]
    values = np.array(table(grid, bits, signed))
    np.testing.assert_allclose(borders, (values[:-1] + values[1:]) / 2, rtol=1e-7)
    ends = (np.nextafter(borders, np.float32(s)) for s in (-2, 2))
    unit = np.concatenate([borders, *ends])
    found = _nearest(unit, grid, bits, signed)
    np.testing.assert_array_equal(found, np.searchsorted(borders, unit))
    assert _borders(grid, bits, signed)[1].shape == (2**16,)


def test_zero_is_not_negative() -> None:
    assert not Blockwise().encode(np.array([0.0, 0.5, 1.0])).signed


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_dynamic_code_halves_its_values_from_decade_to_decade(bits: int) -> None:
    for signed in (True, False):
        values = np.array(table("dynamic", bits, signed))
        assert len(set(values)) == 2**bits
        assert values[-1] == 1
        positive = values[(values > 0) & (values < 1)]
        counts = [
            int(np.sum((positive > 10.0 ** -(e + 1)) & (positive < 10.0**-e)))
            for e in range(bits - 1)
        ]
        first = 2 ** (bits - 2) * (1 if signed else 2)
        assert counts == [first >> e for e in range(bits - 1)]
        if signed:
            np.testing.assert_array_equal(-positive[::-1], values[values < 0])
        top = positive[positive > 0.1]
        if len(top) > 1:  # the middles of equal parts of (0.1, 1)
            np.testing.assert_allclose(np.diff(top), 0.9 / first)
            np.testing.assert_allclose(top[0], 0.1 + 0.45 / first)


@pytest.mark.parametrize(("grid", "bits"), GRIDS)
@modest
@given(seed=st.integers(0, 10_000), spread=st.integers(0, 6))
def test_every_entry_gets_the_nearest_value(
    grid: str, bits: int, seed: int, spread: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(67) * 10.0 ** -rng.integers(0, spread + 1, 67)
    if seed % 3 == 0:
        x = np.abs(x)
    rounded = Blockwise(grid, bits, 16).round(x)
    signed = bool(x.min() < 0) or grid == "normal"
    for i in range(0, 67, 16):
        block = x[i : i + 16]
        largest = max(block, key=abs)
        scale = largest if grid == "dynamic" else abs(largest)
        values = np.array(table(grid, bits, signed)) * scale
        nearest = np.abs(block[:, None] - values).min(axis=1)
        found = np.abs(block - rounded[i : i + 16])
        np.testing.assert_allclose(found, nearest, atol=1e-6 * np.abs(block).max())


def test_bytes_are_codes_scales_sign_and_shape() -> None:
    x = np.random.default_rng(0).standard_normal((100, 50)).astype(np.float32)
    assert nbytes(Blockwise().encode(x)) == 5000 + 4 * 20 + 1 + 8
    assert nbytes(Blockwise("normal", 4, 64).encode(x)) == 2500 + 4 * 79 + 1 + 8


def test_an_outlier_spoils_its_own_block_only() -> None:
    x = np.random.default_rng(1).standard_normal(512)
    x[0] = 1e4
    small, large = (
        np.abs(x - Blockwise("linear", 8, b).round(x))[256:].max() for b in (256, 512)
    )
    assert small < 0.02 < 0.9 < large


class Exact:
    """A codec that loses nothing."""

    def encode(self, x: Array, /) -> tuple[Array]:
        return (x.copy(),)

    def decode(self, code: Any, /) -> Array:
        return np.array(code[0])


STATEFUL: list[Rule] = [
    optim.Momentum(),
    optim.Adam(),
    optim.AMSGrad(),
    optim.Lion(),
    optim.chain(optim.Adam(), optim.WeightDecay(0.1)),
    optim.chain(optim.Momentum(0.95), optim.Orthogonalize()),
]


def steps(rule: Rule, n: int = 5, shape: tuple[int, int] = (8, 6)) -> list[Array]:
    rng = np.random.default_rng(0)
    w = rng.standard_normal(shape)
    s, out = rule.init(w), []
    for t in range(1, n + 1):
        u, s = rule.update(rng.standard_normal(shape), s, w, t)
        out.append(u)
        w = w - 0.1 * u
    return out


@pytest.mark.parametrize("rule", STATEFUL, ids=repr)
def test_with_a_lossless_codec_it_is_the_rule(rule: Rule) -> None:
    for a, b in zip(
        steps(rule), steps(Quantized(rule, Exact(), smallest=1)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rule", STATEFUL, ids=repr)
def test_the_first_direction_is_exact_and_later_ones_are_close(rule: Rule) -> None:
    plain, coded = steps(rule, 4), steps(Quantized(rule, smallest=1), 4)
    np.testing.assert_array_equal(plain[0], coded[0])  # decoded first, coded last
    if not isinstance(rule, optim.Lion):  # whose direction is a sign
        error = np.linalg.norm(plain[1] - coded[1]) / np.linalg.norm(plain[1])
        assert 0 < error < 0.1


def test_small_arrays_keep_their_state() -> None:
    rule = Quantized(optim.Adam(), smallest=49)
    for a, b in zip(steps(optim.Adam()), steps(rule), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not Quantized(optim.Adam()).elementwise
    w = np.ones((8, 6))
    rule = Quantized(optim.Momentum(), smallest=48)
    (code,) = rule.init(w)  # as large as the smallest: coded
    assert isinstance(code, BlockwiseCode)
    assert isinstance(rule.update(w, (code,), w, 1)[1][0], BlockwiseCode)


def test_the_state_takes_a_little_more_than_a_quarter() -> None:
    params = {"W": np.ones((196, 100), np.float32), "b": np.ones(100, np.float32)}
    plain = nbytes(Optimizer(optim.Adam(), 0.1).init(params).rules)
    coded = nbytes(Optimizer(Quantized(optim.Adam()), 0.1).init(params).rules)
    whole = 2 * (19_600 + 4 * 77 + 9) + 2 * 400
    assert coded == whole < 0.28 * plain


def run(rule: Rule, n: int = 60) -> Any:
    rng = np.random.default_rng(0)
    params = {"W": rng.standard_normal((20, 30)).astype(np.float32)}
    method = Optimizer(rule, 0.01)
    state = method.init(params)
    for _ in range(n):
        g = rng.standard_normal((20, 30)) * 10.0 ** rng.uniform(-4, 0, (20, 30))
        params, state = method.step({"W": g.astype(np.float32)}, state, params)
    return params, state


def test_a_linear_second_moment_rounds_to_zero_and_the_step_explodes() -> None:
    """The dynamic code takes nearly the exact step."""
    params, _ = run(Quantized(optim.Adam(), smallest=1))
    assert np.isfinite(params["W"]).all()
    linear = Quantized(optim.Adam(), Blockwise("linear"), smallest=1)
    w = np.zeros(256)
    g = np.full(256, 0.02)
    g[0] = 1.0  # a code of 8 bits holds a fiftieth, but not its square
    largest = {}
    for rule in (linear, optim.Adam(), Quantized(optim.Adam(), smallest=1)):
        _, s = rule.update(g, rule.init(w), w, 1)
        u, _ = rule.update(np.zeros(256), s, w, 2)
        largest[repr(rule)] = np.abs(u[1:]).max()
    exploded, exact, dynamic = largest.values()
    assert exploded > 1e5 > 1 > exact
    assert dynamic == pytest.approx(exact, rel=0.05)


def test_a_state_that_is_not_finite_is_named() -> None:
    rule = Quantized(optim.Momentum(), smallest=1)
    w = np.ones(3)
    with pytest.raises(ValueError, match=r"the state of Momentum\(.*\) has no code: x"):
        rule.update(np.array([1.0, np.inf, 0.0]), rule.init(w), w, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Quantized(3), "Quantized.rule is not a rule, got 3"),  # type: ignore[arg-type]
        (lambda: Quantized(optim.Adam(), Blockwise), "Quantized.codec is not a codec"),  # type: ignore[arg-type]
        (lambda: Quantized(optim.Adam(), smallest=0), "Quantized.smallest must be"),
    ],
)
def test_bad_arguments(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("codec", [Blockwise(), Affine(4, block=32)])
def test_a_coded_state_survives_a_checkpoint(
    codec: Any, tmp_path: Path, quick: None
) -> None:
    method = Optimizer(Quantized(optim.Adam(), codec, smallest=1), 0.01)
    params, state = run(method.rule, 3)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    save(tmp_path / "run", method, params, state, rng)
    back, again, _ = load(tmp_path / "run", method, params, rng)
    g = {"W": np.ones((20, 30), np.float32)}
    one, other = method.step(g, state, params), method.step(g, again, back)
    np.testing.assert_array_equal(one[0]["W"], other[0]["W"])
    for a, b in zip(one[1].rules["W"], other[1].rules["W"], strict=True):
        for p, q in zip(a, b, strict=True):
            np.testing.assert_array_equal(p, q)
