"""The model: its parts against their formulas, its gradient, what it may not see."""

from __future__ import annotations

import numpy as np
import pytest

from deepopt_lib import language
from deepopt_lib.autodiff import cross_entropy, value_and_grad
from deepopt_lib.autodiff.ops.llama import rms_norm, swiglu
from deepopt_lib.autodiff.ops.rotary import rotary_attention, rotate

SMALL = language.LanguageModel(
    symbols=11, context=6, dim=8, layers=2, heads=4, groups=2, hidden=10
)
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 11, (3, 6))


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def attended(z: np.ndarray, time: int, heads: int, groups: int) -> np.ndarray:
    """Transcribe the papers: rotations as complex numbers, a loop over positions."""
    d = z.shape[1] // (heads + 2 * groups)
    by_head = z.reshape(-1, time, heads + 2 * groups, d)
    out = np.zeros((len(by_head), time, heads, d))
    turn = 10_000.0 ** (-np.arange(d // 2) / (d // 2))

    def turned(x: np.ndarray, position: int) -> np.ndarray:
        point = (x[: d // 2] + 1j * x[d // 2 :]) * np.exp(1j * position * turn)
        return np.concatenate([point.real, point.imag])

    for b, text in enumerate(by_head):
        for h in range(heads):
            group = h // (heads // groups)
            for i in range(time):
                q = turned(text[i, h], i)
                keys = [turned(text[j, heads + group], j) for j in range(i + 1)]
                scores = np.array([q @ k for k in keys]) / np.sqrt(d)
                p = np.exp(scores) / np.exp(scores).sum()
                values = text[: i + 1, heads + groups + group]
                out[b, i, h] = p @ values
    return out.reshape(-1, heads * d)


@pytest.mark.parametrize(("heads", "groups"), [(4, 4), (4, 2), (4, 1), (1, 1)])
def test_attention_is_that_of_the_papers(heads: int, groups: int) -> None:
    z = draw(2 * 5, (heads + 2 * groups) * 6)
    found = rotary_attention(z, time=5, heads=heads, groups=groups)
    np.testing.assert_allclose(found, attended(z, 5, heads, groups), atol=1e-12)


def test_norm_and_gate_are_those_of_the_papers() -> None:
    x, g = draw(3, 4), draw(4)
    size = np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(rms_norm(x, g), g * x / size, atol=1e-14)
    a, b = draw(3, 5), draw(2, 3, 5)[0]
    silu = a / (1 + np.exp(-a))
    found = swiglu(np.concatenate([a, b], axis=1))
    np.testing.assert_allclose(found, silu * b, atol=1e-14)


def test_a_product_of_rotated_ones_depends_on_their_distance() -> None:
    q, k = draw(1, 8), draw(2, 1, 8)[1]
    near, far = (rotate(q, start + 3) @ rotate(k, start).T for start in (0, 50))
    np.testing.assert_allclose(near, far, atol=1e-12)
    np.testing.assert_allclose(rotate(rotate(q, 7), 7, back=True), q, atol=1e-14)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_gradients_are_those_of_differences(groups: int) -> None:
    model = SMALL._replace(groups=groups)
    params = model.init(np.random.default_rng(1), dtype=np.float64)
    params["table"] *= 50  # of small ones a difference is not the slope

    def loss(p: dict[str, np.ndarray]) -> object:
        return cross_entropy(model.logits(p, IDS[:, :-1]), IDS[:, 1:].ravel())

    _, grads = value_and_grad(loss)(params)
    assert grads.keys() == params.keys() == model.shapes().keys()
    rng, step = np.random.default_rng(2), 1e-6
    for name, w in params.items():
        along = rng.standard_normal(w.shape)
        ends = [loss(params | {name: w + s * step * along}) for s in (1, -1)]
        slope = (float(ends[0]) - float(ends[1])) / (2 * step)  # type: ignore[arg-type]
        assert slope == pytest.approx(float((grads[name] * along).sum()), abs=1e-7)


def test_a_prediction_does_not_see_what_comes_after() -> None:
    params = SMALL.init(np.random.default_rng(1))
    other = IDS.copy()
    other[:, 3:] = (other[:, 3:] + 1) % 11
    here, there = (
        SMALL.logits(params, ids).reshape(3, 6, 11)[:, :3] for ids in (IDS, other)
    )
    np.testing.assert_allclose(here, there, atol=1e-5)


def test_it_starts_without_a_guess() -> None:
    model = SMALL._replace(symbols=80, dim=64, heads=4, hidden=96)
    params = model.init(np.random.default_rng(0))
    assert all(w.dtype == np.float32 for w in params.values())
    text = RNG.integers(0, 80, 400)
    bits = language.bits_per_byte(model, params, text)
    assert bits == pytest.approx(np.log2(80), abs=0.15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 3}, "groups must divide heads = 4, got 3"),
        ({"heads": 8, "groups": 8}, r"2\*heads must divide dim = 8"),
        ({"layers": 0}, "layers must be an int >= 1"),
        ({"hidden": 2.5}, "hidden"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    change: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL._replace(**change).init(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[0, 11]], "11"),
        ([[-1]], "-1"),
        ([[0.5]], "int"),
        ([0, 1], r"ids must be \(batch, 1..6\) in shape, got \(2,\)"),
        (np.zeros((1, 7), int), r"got \(1, 7\)"),
        (np.zeros((1, 0), int), r"got \(1, 0\)"),
    ],
)
def test_what_is_no_text_is_refused(ids: object, message: str) -> None:
    params = SMALL.init(np.random.default_rng(0))
    with pytest.raises((ValueError, TypeError), match=message):
        SMALL.logits(params, np.asarray(ids))


def test_parts_refuse_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"z \(batch\*5, 2\*half\*8\), got \(9, 48\)"):
        rotary_attention(draw(9, 48), time=5, heads=4, groups=2)
    with pytest.raises(ValueError, match="groups must divide heads = 4, got 3"):
        rotary_attention(draw(5, 60), time=5, heads=4, groups=3)
    with pytest.raises(ValueError, match="rms_norm needs"):
        rms_norm(draw(2, 3), draw(4))
    with pytest.raises(ValueError, match="swiglu needs"):
        swiglu(draw(2, 3))
    with pytest.raises(ValueError, match="rotate needs"):
        rotate(draw(2, 3))


def test_small_numbers_are_computed_in_float32() -> None:
    for out in (
        rms_norm(draw(2, 4).astype(np.float16), np.ones(4, np.float16)),
        rotary_attention(draw(4, 16).astype(np.float16), time=2, heads=2, groups=1),
    ):
        assert out.dtype == np.float16 and np.isfinite(out).all()


def test_what_many_branches_add_keeps_its_size() -> None:
    model = SMALL._replace(dim=256, hidden=400, layers=8)
    params = model.init(np.random.default_rng(0))
    wanted = {
        "table": 0.02,
        "layer3.attention.W": 1 / 16,
        "layer3.attention.Wo": 1 / 16 / 4,
        "layer7.mlp.W": 1 / 16,
        "layer7.mlp.Wo": 1 / 20 / 4,
    }
    for name, spread in wanted.items():
        assert params[name].std() == pytest.approx(spread, rel=0.05), name
