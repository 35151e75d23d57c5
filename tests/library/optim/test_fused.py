"""One equation, two speeds: pure, blocked and compiled give the same numbers.

Blocks give the very bits of the pure rule. The compiled loop does too, but for a
division by a constant, which it does by the reciprocal: the bias corrections of Adam.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepopt_lib import optim
from deepopt_lib.autodiff import cross_entropy
from deepopt_lib.core import Array, Params, Rule, flatten, ravel
from deepopt_lib.core.optional import numba_is_installed
from deepopt_lib.nn import conv_net, init_conv_net, init_mlp
from deepopt_lib.optim import (
    Adam,
    Checked,
    Momentum,
    Optimizer,
    Orthogonalize,
    WeightDecay,
    chain,
    fused,
)
from deepopt_lib.optim.inplace.fused import BLOCK, FusedRule, _folder, _pool
from deepopt_lib.optim.optimizer import FusedState
from deepopt_lib.training import History, fit
from tests.library.registry import rule_classes

DTYPES = (np.float32, np.float64)


def elementwise() -> dict[str, Rule]:
    """Return every elementwise rule of the library, its variants and two chains."""
    found: dict[str, Rule] = {}
    for cls in rule_classes():
        if issubclass(cls, Checked):
            rule: Any = cls(0.01) if cls is WeightDecay else cls()
            if rule.elementwise:
                found[cls.__name__] = rule
    return found | {
        "Nesterov": Momentum(nesterov=True),
        "EMA": Momentum(ema=True),
        "EMA-Nesterov": Momentum(nesterov=True, ema=True),
        "AdamW": chain(Adam(), WeightDecay(0.01)),
        "Adam-L2": chain(WeightDecay(0.01), chain(Adam(), Momentum())),
    }


RULES = elementwise()
DIVIDES = {"Adam", "AMSGrad", "AdamW", "Adam-L2"}  # by a constant


def assert_same(name: str, compiled: bool, expected: Array, found: Array) -> None:
    """Assert equal bits, or the last few of them where a division was replaced."""
    assert found.dtype == expected.dtype
    if compiled and name in DIVIDES:
        few = 8 * float(np.finfo(found.dtype).eps)
        np.testing.assert_allclose(found, expected, rtol=few, atol=0.1 * few)
    else:
        np.testing.assert_array_equal(found, expected)


def run(step: FusedRule, w: Array, grads: list[Array]) -> list[Array]:
    w = w.copy()
    state = step.init(w)
    for t, g in enumerate(grads, 1):
        step.step(w, g, state, 0.01, t)
    return [w, *flatten(state)]


def pure(rule: Rule, w: Array, grads: list[Array]) -> list[Array]:
    method = Optimizer(rule, 0.01)
    params: Params = {"w": w}
    state = method.init(params)
    for g in grads:
        params, state = method.step({"w": g}, state, params)
    return [params["w"], *flatten(state.rules["w"])]


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    size=st.sampled_from([0, 1, 3, 17, BLOCK + 1]),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
    threads=st.sampled_from([1, 2]),
)
def test_fused_is_blocked_is_pure(
    name: str, size: int, dtype: Any, seed: int, threads: int
) -> None:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(size).astype(dtype)
    grads = [rng.standard_normal(size).astype(dtype) for _ in range(4)]
    expected = pure(RULES[name], w, grads)
    for compiled in (False, True) if numba_is_installed() else (False,):
        found = run(fused(RULES[name], threads=threads, compiled=compiled), w, grads)
        for a, b in zip(expected, found, strict=True):
            assert_same(name, compiled, a, b)


@pytest.mark.parametrize("compiled", [False, True])
def test_two_threads_share_the_arrays_and_give_the_same_bits(compiled: bool) -> None:
    if compiled and not numba_is_installed():
        return
    rng = np.random.default_rng(0)
    w, g = rng.standard_normal((2, 5 * BLOCK + 3))
    one = run(fused(RULES["AdamW"], compiled=compiled), w, [g, -g])
    two = run(fused(RULES["AdamW"], threads=2, compiled=compiled), w, [g, -g])
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert _pool.cache_info().currsize >= 1


@pytest.mark.parametrize("name", RULES)
def test_nan_and_inf_pass_through_as_in_the_pure_rule(name: str) -> None:
    g = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0])
    with np.errstate(all="ignore"):
        expected = pure(RULES[name], np.ones(5), [g, g])
        for compiled in (False, True) if numba_is_installed() else (False,):
            found = run(fused(RULES[name], compiled=compiled), np.ones(5), [g, g])
            for a, b in zip(expected, found, strict=True):
                assert_same(name, compiled, a, b)


@pytest.mark.parametrize("name", [*RULES, "muon"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_optimizer_in_place_is_the_pure_optimizer(
    name: str, packed: bool, dtype: Any
) -> None:
    rule = optim.muon(0.1).rule if name == "muon" else RULES[name]
    rng = np.random.default_rng(0)
    start = init_mlp(rng, [5, 7, 3], dtype=dtype)
    lr = optim.inverse_time(0.1)
    slow, quick = Optimizer(rule, lr), Optimizer(rule, lr, fused=True)
    a = {k: w.copy() for k, w in start.items()}
    b = ravel(start)[1] if packed else {k: w.copy() for k, w in start.items()}
    s, q = slow.init(a), quick.init(b)
    for _ in range(5):
        g = {k: rng.standard_normal(w.shape).astype(dtype) for k, w in start.items()}
        a, s = slow.step(g, s, a)
        same, q = quick.step(ravel(g)[1] if packed else g, q, b)
        assert same is b and q.t == s.t
    # muon's vectors get Adam
    known = "Adam" if name == "muon" else name
    for k in a:
        assert_same(known, numba_is_installed(), a[k], b[k])
    assert isinstance(q, FusedState)
    assert q.layout
    assert len(q.layout.groups) == (1 if packed and name != "muon" else 4)


@pytest.mark.parametrize("kept", [False, True])
def test_fit_leaves_the_start_alone_and_ends_where_the_pure_one_does(
    kept: bool, tmp_path: Any
) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 4, 4, 1)), rng.integers(0, 3, 12)
    start = init_conv_net(rng, (4, 4, 1), (2,), 3)
    before = {k: w.copy() for k, w in start.items()}

    def train(method: Optimizer, epochs: int, path: Any = None) -> History:
        def loss(p: Any, x: Array, y: Any) -> Any:
            return cross_entropy(conv_net(p, x), y)

        shuffle = np.random.default_rng(1)
        sizes: Any = {"epochs": epochs, "batch_size": 5, "rng": shuffle}
        return fit(loss, start, method, x, y, **sizes, checkpoint=path)

    expected = train(Optimizer(Momentum(), 0.1), 4).params
    quick, path = Optimizer(Momentum(), 0.1, fused=True), tmp_path / "run"
    if kept:
        train(quick, 2, path)
    history = train(quick, 4, path if kept else None)
    found = history.params
    assert isinstance(history.state, FusedState)
    assert history.state.layout
    assert len(history.state.layout.groups) == 1  # one loop, after a resumption too
    for k in start:
        np.testing.assert_array_equal(start[k], before[k])
        np.testing.assert_array_equal(found[k], expected[k])


def test_a_copied_state_steps_like_its_original() -> None:
    method = Optimizer(Adam(), 0.1, fused=True)
    g: Params = {"w": np.ones(3)}
    a: Params = {"w": np.zeros(3)}
    b: Params = {"w": np.zeros(3)}
    s = method.init(a)
    for _ in range(3):
        a, s = method.step(g, s, a)
        s = copy.deepcopy(s._replace(t=s.t))
    t = method.init(b)
    for _ in range(3):
        b, t = method.step(g, t, b)
    np.testing.assert_array_equal(a["w"], b["w"])


def test_a_chain_is_one_loop() -> None:
    if numba_is_installed():
        assert fused(RULES["AdamW"]).source.count("for i in range") == 1


@dataclass(frozen=True)
class Branching(Checked):
    """A rule with an if: not scalar straight-line code."""

    def init(self, w: Array, /) -> None:
        return None

    def update(self, g: Array, s: None, w: Array, t: int, /) -> tuple[Array, None]:
        if t > 1:
            g = -g
        return g, s


@dataclass(frozen=True)
class Sorting(Branching):
    """A rule that looks at all elements at once, whatever it says of itself."""

    def update(self, g: Array, s: None, w: Array, t: int, /) -> tuple[Array, None]:
        return np.sort(g), s


@dataclass(frozen=True)
class Clipping(Branching):
    """A rule with a choice between arrays, and a constant of NumPy's."""

    def update(self, g: Array, s: None, w: Array, t: int, /) -> tuple[Array, None]:
        return np.where(np.abs(g) > np.pi, np.sign(g), np.minimum(g, 1.0)), s


def test_where_and_constants_are_scalar_code() -> None:
    g = np.array([-4.0, -1.0, 0.5, 2.0, 4.0])
    expected = pure(Clipping(), np.ones(5), [g])
    found = run(fused(Clipping()), np.ones(5), [g])
    np.testing.assert_array_equal(found[0], expected[0])


def test_what_cannot_be_compiled_names_rule_and_line() -> None:
    if not numba_is_installed():
        return
    with pytest.raises(ValueError, match=r"Sorting.update, line \d+: 'np.sort'"):
        fused(Sorting())
    with pytest.raises(ValueError, match=r"Branching.update, line \d+: 'if t > 1"):
        fused(Branching())
    with pytest.raises(ValueError, match="the unfused path works"):
        fused(Branching())


def test_refusals() -> None:
    with pytest.raises(ValueError, match="not elementwise"):
        fused(Orthogonalize())
    with pytest.raises(ValueError, match="not elementwise"):
        Optimizer(Orthogonalize(), 0.1, fused=True)
    with pytest.raises(ValueError, match="threads must be"):
        fused(Adam(), threads=0)


def whole() -> Array:
    return np.zeros((4, 6))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"w": whole()[:, ::2]}, r"params\['w'\] is not contiguous"),
        ({"a": (x := np.zeros(6))[:4], "b": x[2:]}, "overlap in memory"),
    ],
)
def test_arrays_that_cannot_be_written(params: Params, message: str) -> None:
    before = {k: w.copy() for k, w in params.items()}
    with pytest.raises(ValueError, match=message):
        Optimizer(Adam(), 0.1, fused=True).init(params)
    for k, w in params.items():
        np.testing.assert_array_equal(w, before[k])


def test_read_only_parameters_and_bad_gradients_are_refused() -> None:
    method, w = Optimizer(Adam(), 0.1, fused=True), np.zeros((4, 3))
    state = method.init({"w": w})
    with pytest.raises(ValueError, match=r"grads\['w'\] is not contiguous"):
        method.step({"w": np.zeros((3, 4)).T}, state, {"w": w})
    both: Params = {"v": np.zeros(3), "w": w}
    good: Params = {"v": np.ones(3), "w": np.ones((4, 3))}
    bad = np.zeros((3, 4)).T
    started = method.step(good, method.init(both), both)[1]
    before = {k: a.copy() for k, a in both.items()}
    with pytest.raises(ValueError, match=r"grads\['w'\] is not contiguous"):
        method.step({"v": -good["v"], "w": bad}, started, both)
    for k in both:  # not the first of them either
        np.testing.assert_array_equal(both[k], before[k])
    w[...] = 0
    with pytest.raises(ValueError, match=r"grads\['w'\] must be float64"):
        method.step({"w": np.zeros((4, 3), np.float32)}, state, {"w": w})
    assert not w.any()
    w.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        method.init({"w": w})


def test_a_gradient_in_the_memory_of_another_parameter_is_refused() -> None:
    params: Params = {"a": np.array([1.0, 2.0]), "b": np.array([10.0, 20.0])}
    method = Optimizer(optim.GradientDescent(), 0.1, fused=True)
    state = method.init(params)
    a, b = params.values()
    for grads in ({"a": b, "b": a}, {"a": np.ones(2), "b": a}):
        with pytest.raises(ValueError, match="overlaps the parameters in memory"):
            method.step(grads, state, params)
    np.testing.assert_array_equal(a, [1, 2])
    method.step({"a": a, "b": b}, state, params)  # its own is no danger
    np.testing.assert_allclose(b, [9, 18])
    memory = bytearray(16)
    one, two = np.frombuffer(memory), np.frombuffer(memory, offset=8)
    with pytest.raises(ValueError, match="overlaps the parameters in memory"):
        w: Params = {"v": one[:1], "w": two}
        again = np.frombuffer(memory, count=1)
        method.step({"v": np.ones(1), "w": again}, method.init(w), w)


def test_views_of_a_buffer_of_bytes() -> None:
    buffer = np.zeros(32, np.uint8)
    params = {"a": buffer[:16].view("f4"), "b": buffer[16:].view("f4")}
    method = Optimizer(optim.GradientDescent(), 0.5, fused=True)
    grads = {k: np.ones_like(w) for k, w in params.items()}
    method.step(grads, method.init(params), params)
    np.testing.assert_array_equal(buffer.view("f4"), np.full(8, -0.5))


def test_a_step_allocates_nothing_that_grows() -> None:
    import tracemalloc

    peaks = []
    for size in (200_000, 800_000):
        w, g = np.ones(size), np.ones(size)
        method = Optimizer(Adam(), 0.1, fused=True)
        state = method.init({"w": w})
        _, state = method.step({"w": g}, state, {"w": w})  # compiles
        tracemalloc.start()
        method.step({"w": g}, state, {"w": w})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 10_000


def test_the_cache_folder_can_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    assert _folder() == tmp_path / "new" / "deepopt_lib"
