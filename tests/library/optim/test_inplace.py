"""One equation, two speeds: `InPlace` takes the steps of `Optimizer` in its buffers.

Blocks give the very bits of the pure rule. The compiled loop does too, but for a
division by a constant, which it does by the reciprocal: the bias corrections of Adam.
"""

from __future__ import annotations

import copy
import os
import pickle
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepopt_lib import core, optim
from deepopt_lib.core import Array, Params, Rule, flatten
from deepopt_lib.core.optional import numba_is_installed
from deepopt_lib.nn import init_mlp
from deepopt_lib.optim import (
    Adam,
    Checked,
    InPlace,
    Momentum,
    Optimizer,
    OptimizerState,
    WeightDecay,
    chain,
)
from deepopt_lib.optim.inplace import buffers, kernel
from tests.library.registry import rule_classes

DTYPES = (np.float32, np.float64)
WAYS = (False, True) if numba_is_installed() else (False,)


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
DIVIDES = {"Adam", "AMSGrad", "AdamW", "Adam-L2", "muon"}  # by a constant


def assert_same(name: str, compiled: bool, expected: Array, found: Array) -> None:
    """Assert equal bits, or a few roundings of numbers near 1 after a division."""
    assert found.dtype == expected.dtype
    if compiled and name in DIVIDES:
        few = 8 * float(np.finfo(found.dtype).eps)
        np.testing.assert_allclose(found, expected, rtol=few, atol=few)
    else:
        np.testing.assert_array_equal(found, expected)


def draw(params: Params, rng: np.random.Generator) -> Params:
    return {k: rng.standard_normal(w.shape).astype(w.dtype) for k, w in params.items()}


def leaves(params: Params, state: OptimizerState) -> list[Array]:
    return [*params.values(), *flatten(state.rules)]


def assert_agrees(
    name: str, method: Optimizer, start: Params, compiled: bool, threads: int = 1
) -> InPlace:
    """Take four steps both ways and compare all parameters and states."""
    rng = np.random.default_rng(1)
    run = InPlace(method, start, threads, compiled=compiled)
    params, state = start, method.init(start)
    for _ in range(4):
        grads = draw(start, rng)
        params, state = method.step(grads, state, params)
        run.step(grads)
    assert run.state.t == state.t == 4
    assert list(run.params) == list(start)
    found = leaves(run.params, run.state)
    for a, b in zip(leaves(params, state), found, strict=True):
        assert a.shape == b.shape
        assert_same(name, compiled, a, b)
    return run


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=6, deadline=None, derandomize=True)
@given(
    size=st.sampled_from([0, 1, 3, 17, kernel.BLOCK + 1]),
    dtype=st.sampled_from(DTYPES),
    threads=st.sampled_from([1, 2]),
)
def test_loop_is_blocks_is_pure(name: str, size: int, dtype: Any, threads: int) -> None:
    start: Params = {"w": np.random.default_rng(0).standard_normal(size).astype(dtype)}
    for compiled in WAYS:
        method = Optimizer(RULES[name], 0.01)
        assert_agrees(name, method, start, compiled, threads)


@pytest.mark.parametrize("name", [*RULES, "muon"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_network_in_place_is_the_network(name: str, dtype: Any) -> None:
    rule = optim.muon(0.1).rule if name == "muon" else RULES[name]
    start = init_mlp(np.random.default_rng(0), [5, 7, 3], dtype=dtype)
    start["a number"] = np.array(0.5, dtype)
    start["nothing"] = np.zeros((0, 3), dtype)
    start["other axes"] = np.ones((4, 3), dtype, order="F")
    start["every second"] = np.ones((4, 6), dtype)[:, ::2]
    for compiled in WAYS:
        assert_agrees(name, Optimizer(rule, optim.inverse_time(0.1)), start, compiled)


def test_a_rule_for_each_name_and_two_dtypes() -> None:
    start: Params = {
        "a": np.ones(3, np.float32),
        "b": np.ones(2),
        "c": np.zeros(4, np.float32),
        "m": np.ones((3, 2)),
    }
    rules: dict[str, Rule] = {
        "a": Momentum(),
        "b": Momentum(),
        "c": optim.Lion(),
        "m": chain(Momentum(), optim.Orthogonalize()),
    }
    for compiled in WAYS:
        assert_agrees("both", Optimizer(rules, 0.1), start, compiled)


def test_nan_and_inf_pass_through_as_in_the_pure_rule() -> None:
    g = {"w": np.array([np.nan, np.inf, -np.inf, 0.0, 1.0])}
    for name, rule in RULES.items():
        method = Optimizer(rule, 0.1)
        with np.errstate(all="ignore"):
            params: Params = {"w": np.ones(5)}
            state = method.init(params)
            runs = [InPlace(method, params, compiled=c) for c in WAYS]
            for _ in range(2):
                params, state = method.step(g, state, params)
                for run in runs:
                    run.step(g)
        for compiled, run in zip(WAYS, runs, strict=True):
            found = leaves(run.params, run.state)
            for a, b in zip(leaves(params, state), found, strict=True):
                assert_same(name, compiled, a, b)


def test_two_threads_share_long_arrays_and_give_the_same_bits() -> None:
    start: Params = {
        "w": np.random.default_rng(0).standard_normal(5 * buffers.SHARE + 3)
    }
    for compiled in WAYS:
        method = Optimizer(RULES["AdamW"], 0.1)
        one = assert_agrees("AdamW", method, start, compiled)
        two = assert_agrees("AdamW", method, start, compiled, threads=2)
        np.testing.assert_array_equal(one.params["w"], two.params["w"])
    assert buffers._pool.cache_info().currsize >= 1


def test_a_step_after_a_fork_finds_its_own_threads() -> None:
    w: Params = {"w": np.zeros(3 * buffers.SHARE)}
    run = InPlace(optim.sgd(0.1), w, threads=2)
    g: Params = {"w": np.ones(3 * buffers.SHARE)}
    run.step(g)
    child = os.fork()
    if child == 0:
        run.step(g)
        os._exit(int(run.params["w"][-1] != -0.2))
    for _ in range(400):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.025)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise AssertionError("the child waits for threads that it does not have")
    assert status == 0


COPIES: dict[str, Callable[[InPlace], InPlace]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda run: pickle.loads(pickle.dumps(run)),
    "resumed": lambda run: InPlace(
        run.optimizer, run.params, state=run.state, compiled=run.compiled
    ),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", ["AdamW", "muon", "Quantized"])
def test_a_copy_goes_on_by_itself_to_the_same_bits(way: str, name: str) -> None:
    from deepopt_lib.compress import Quantized

    rules: dict[str, Any] = {
        "AdamW": RULES["AdamW"],
        "muon": optim.muon(0.1).rule,
        "Quantized": Quantized(Adam(), smallest=8),
    }
    rng = np.random.default_rng(0)
    start = init_mlp(rng, [5, 7, 3])
    first, second, third = (draw(start, rng) for _ in range(3))
    for compiled in WAYS:
        run = InPlace(Optimizer(rules[name], 0.1), start, compiled=compiled)
        run.step(first)
        other = COPIES[way](run)
        assert other.compiled is compiled
        before = copy.deepcopy(leaves(run.params, run.state))
        other.step(second)
        for a, b in zip(before, leaves(run.params, run.state), strict=True):
            np.testing.assert_array_equal(a, b)  # the original has not moved
        assert any(np.any(other.params[k] != run.params[k]) for k in start)
        other.step(third)
        run.step(second)
        run.step(third)
        assert other.state.t == run.state.t == 3
        found = leaves(other.params, other.state)
        for a, b in zip(leaves(run.params, run.state), found, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_copied_pair_goes_on_with_pure_steps() -> None:
    start: Params = {"w": np.zeros(3)}
    g: Params = {"w": np.array([1.0, -2.0, 3.0])}
    run = InPlace(optim.momentum(0.1), start)
    run.step(g)
    params, state = copy.deepcopy((run.params, run.state))
    assert type(state) is OptimizerState
    for _ in range(3):
        params, state = run.optimizer.step(g, state, params)
        run.step(g)
    np.testing.assert_array_equal(params["w"], run.params["w"])
    assert params["w"].any()
    pickle.dumps(state)


def test_the_start_is_copied_and_what_is_shown_is_read_only() -> None:
    start: Params = {"w": np.zeros(3), "m": np.ones((2, 2))}
    rule = optim.muon(0.1).rule
    run = InPlace(Optimizer(rule, 0.1), start)
    run.step({"w": np.ones(3), "m": np.eye(2)})
    assert not start["w"].any()
    np.testing.assert_array_equal(start["m"], 1)
    for a in leaves(run.params, run.state):
        with pytest.raises(ValueError, match="read-only"):
            a[...] = 0


def test_the_optimizer_itself_never_writes() -> None:
    """Nothing of a run in place is left in what it shows: a pure step is pure."""
    run = InPlace(optim.momentum(0.1), {"w": np.zeros(3)})
    g: Params = {"w": np.ones(3)}
    run.step(g)
    before = copy.deepcopy(leaves(run.params, run.state))
    stronger = optim.momentum(0.1, 0.5)
    params, _ = stronger.step(g, run.state, run.params)
    np.testing.assert_allclose(params["w"], -0.1 - 0.1 * 1.5)
    for a, b in zip(before, leaves(run.params, run.state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_in_the_memory_of_the_parameters_are_read_first() -> None:
    start: Params = {"a": np.array([1.0, 2.0]), "b": np.array([10.0, 20.0])}
    for compiled in WAYS:
        run = InPlace(optim.sgd(0.1), start, compiled=compiled)
        run.step({"a": run.params["b"], "b": run.params["a"]})
        np.testing.assert_allclose(run.params["a"], [0.0, 0.0])
        np.testing.assert_allclose(run.params["b"], [9.9, 19.8])
        run.step(run.params)
        np.testing.assert_allclose(run.params["b"], [8.91, 17.82])


def test_a_state_may_be_the_gradient_that_its_caller_uses_again() -> None:
    class Last:
        elementwise = False

        def init(self, w: Array, /) -> Array:
            return np.zeros_like(w)

        def update(self, g: Array, s: Array, w: Array, t: int, /) -> Any:
            return s, g

    run = InPlace(Optimizer(Last(), 1.0), {"w": np.zeros(2)})
    g = np.ones(2)
    run.step({"w": g})
    g[...] = 7
    run.step({"w": g})
    np.testing.assert_array_equal(run.params["w"], -1)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("rule", {"optimizer": Adam()}, r"^optimizer must be an Optimizer, got Adam"),
    ("empty", {"params": {}}, r"^params must be a dict with an array or more, got {}"),
    ("int", {"params": {"w": np.arange(3)}}, r"^params\['w'\] must be a floating"),
    *(
        (
            kind,
            {"params": {"w": np.zeros(2, kind)}},
            rf"^params\['w'\] must be .*{kind}",
        )
        for kind in ("<f2", "<f16", ">f4")
    ),
    ("threads", {"threads": 0}, r"^threads must be an int >= 1, got 0"),
    ("threads", {"threads": True}, r"^threads must be an int >= 1, got True"),
    ("state", {"state": (0, {})}, r"^state must come from init or step, got \(0"),
    (
        "another rule's state",
        {"state": optim.momentum(0.1).init({"w": np.zeros(3)})},
        r"^state\.rules\['w'\] must be a state of Adam\(",
    ),
    (
        "another shape",
        {"state": optim.adam(0.1).init({"w": np.zeros(4)})},
        r"^state\.rules\['w'\] must be float64 \(3,\) like .*, got .* \(4,\)",
    ),
    (
        "another name",
        {"state": optim.adam(0.1).init({"v": np.zeros(3)})},
        r"^state\.rules does not fit params: names differ: missing \['w'\]",
    ),
]


@pytest.mark.parametrize(("name", "change", "message"), BAD)
def test_bad_arguments(name: str, change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"optimizer": optim.adam(0.1), "params": {"w": np.zeros(3)}}
    with pytest.raises(ValueError, match=message):
        InPlace(**{**good, **change})


def test_integers_of_numpy_are_welcome() -> None:
    run = InPlace(optim.adam(np.float32(0.1)), {"w": np.zeros(3)}, np.int64(2))  # type: ignore[arg-type]
    assert run.threads == 2


def test_bad_gradients_change_nothing() -> None:
    start: Params = {"v": np.zeros(2), "w": np.zeros(3)}
    run = InPlace(optim.momentum(lambda t: 0.1 if t < 2 else float("nan")), start)
    good: Params = {"v": np.ones(2), "w": np.ones(3)}
    run.step(good)
    before = copy.deepcopy(leaves(run.params, run.state))
    bad: list[tuple[Params, str]] = [
        ({"v": np.ones(2)}, r"grads does not fit .* missing \['w'\]"),
        ({**good, "x": np.ones(1)}, r"unexpected \['x'\]"),
        ({**good, "w": np.ones(4)}, r"grads\['w'\] must be float64 \(3,\)"),
        ({**good, "w": np.ones(3, np.float32)}, r"grads\['w'\] must be float64"),
        (good, r"lr\(2\) must be in \[0, inf\), got nan"),
    ]
    for grads, message in bad:
        with pytest.raises(ValueError, match=message):
            run.step(grads)
        for a, b in zip(before, leaves(run.params, run.state), strict=True):
            np.testing.assert_array_equal(a, b)
        assert run.state.t == 1


def test_a_rule_that_fails_leaves_the_others_where_they_were() -> None:
    class Fails:
        elementwise = False

        def init(self, w: Array, /) -> None:
            return None

        def update(self, g: Array, s: None, w: Array, t: int, /) -> Any:
            raise ValueError("no")

    start: Params = {"a": np.zeros(2), "b": np.zeros(2)}
    run = InPlace(Optimizer({"a": Momentum(), "b": Fails()}, 0.1), start)
    with pytest.raises(ValueError, match=r"^no$"):
        run.step({"a": np.ones(2), "b": np.ones(2)})
    assert not run.params["a"].any()
    assert run.state.t == 0


def test_a_rule_without_a_hash_has_a_loop_too() -> None:
    class Unhashable(Momentum):
        __hash__ = None  # type: ignore[assignment]

    for compiled in WAYS:
        start: Params = {"w": np.ones(3), "v": np.ones(2)}
        assert_agrees("", Optimizer(Unhashable(), 0.1), start, compiled)


def test_columns_begin_on_cache_lines() -> None:
    for n in (1, 1000, 4096):
        block, columns = buffers._aligned(3, n, np.dtype(np.float32))
        places = [c.ctypes.data for c in columns]
        assert all(place % 64 == 0 for place in places)
        assert block.size <= 3 * (4 * n + 64) + 64
        assert len(set(places)) == 3
        assert all(c.size == n and np.may_share_memory(c, block) for c in columns)


def test_small_neighbors_share_a_call_and_large_arrays_have_their_own() -> None:
    assert buffers._runs([3, 5, buffers.SMALL, 7, 2]) == [(0, 2), (2, 3), (3, 5)]
    assert buffers._runs([buffers.SMALL, buffers.SMALL + 1]) == [(0, 1), (1, 2)]
    assert buffers._runs([buffers.SMALL - 1, 1, 1]) == [(0, 2), (2, 3)]


def test_a_long_array_is_shared_by_whole_cache_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If there is enough of it for each thread; else nobody else is started."""
    monkeypatch.setattr(buffers, "SHARE", 64)
    for threads, n, sizes in (
        (1, 1000, [1000]),
        (2, 127, [127]),
        (2, 129, [64, 65]),
        (3, 191, [191]),
        (3, 192, [64, 64, 64]),
        (3, 200, [64, 64, 72]),
    ):
        seen: list[tuple[str, int]] = []

        def loop(w: Array, g: Array, states: Any, seen: Any = seen) -> None:
            assert w.size == g.size == states[0].size
            seen.append((threading.current_thread().name, w.size))

        mine = buffers.Buffers([(np.zeros(n), np.zeros(n))])
        mine.run(loop, [np.zeros(n)], threads)
        assert sorted(size for _, size in seen) == sizes
        alone = {name == threading.current_thread().name for name, _ in seen}
        assert alone == {len(sizes) == 1}
        assert all(name.startswith("deepopt") for name, _ in seen) != alone.pop()


def test_a_large_array_needs_no_room_for_its_gradient() -> None:
    sizes = [buffers.SMALL, buffers.SMALL + 1]
    mine = buffers.Buffers([(np.zeros(n),) for n in sizes])
    grads, seen = [np.ones(n) for n in sizes], []
    mine.run(lambda w, g, states: seen.append(g), grads, 1)
    assert all(np.shares_memory(a, b) for a, b in zip(seen, grads, strict=True))


def test_gradients_of_the_caller_are_not_copied() -> None:
    mine = buffers.Buffers([(np.zeros(3),)])
    own = np.ones(3)
    for g in (own, buffers.read_only(own)):
        assert mine.take([g])[0] is g
    (shown,) = mine.views[0]
    assert not np.may_share_memory(mine.take([shown])[0], shown)


def test_equal_rules_share_a_loop() -> None:
    start: Params = {"a": np.ones(2), "b": np.ones(3), "c": np.ones(3, np.float32)}
    rules: dict[str, Rule] = {k: Momentum() for k in start}
    run = InPlace(Optimizer(rules, 0.1), start)
    assert [group.names for group in run._groups] == [["a", "b"], ["c"]]
    assert run.threads == 1


def test_small_gradients_are_joined_where_there_is_room_for_them() -> None:
    g: Params = {"a": np.ones(10_000), "b": np.ones(10_000)}
    run = InPlace(optim.momentum(0.1), g)
    run.step(g)  # compiles
    tracemalloc.start()
    run.step(g)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80_000 * (1 if numba_is_installed() else 9)


def test_a_step_allocates_nothing_that_grows() -> None:
    peaks = []
    for size in (200_000, 800_000):
        g: Params = {"w": np.ones(size)}
        run = InPlace(optim.adam(0.1), {"w": np.ones(size)})
        run.step(g)  # compiles
        tracemalloc.start()
        run.step(g)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 10_000


def test_many_small_arrays_are_no_matter_of_minutes() -> None:
    start: Params = {f"w{i}": np.zeros((3, 4)) for i in range(20_000)}
    with core.Watch() as machine:
        began = time.perf_counter()
        run = InPlace(optim.adam(0.1), start)
        seconds = time.perf_counter() - began
    with core.when_quiet(machine):
        assert seconds < 5  # 0.3 s where nothing else runs
    run.step(start)
    assert len(run.params) == 20_000


def test_numba_is_insisted_on_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "numba_is_installed", lambda: False)
    run = InPlace(optim.adam(0.1), {"w": np.ones(3)})
    run.step({"w": np.ones(3)})
    np.testing.assert_allclose(run.params["w"], 0.9)


def test_the_cache_folder_can_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    for _ in range(2):
        assert kernel._folder() == tmp_path / "new" / "deepopt_lib"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert kernel._folder().is_dir()
    assert kernel._folder().name.startswith("deepopt_lib-")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kernel._folder() == tmp_path / ".cache" / "deepopt_lib"


@pytest.mark.skipif(not numba_is_installed(), reason="numba is not installed")
def test_a_loop_is_written_once_and_compiled_as_numpy_computes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import numba

    seen: list[dict[str, Any]] = []

    def njit(**words: Any) -> Any:
        seen.append(words)
        return lambda f: f

    monkeypatch.setattr(numba, "njit", njit)
    monkeypatch.setattr(kernel, "_folder", lambda: tmp_path)
    source = "def loop(x):\n    return 2 * x\n"
    compile_ = kernel._compile.__wrapped__
    assert compile_(source)(3) == 6
    (path,) = tmp_path.glob("*.py")
    assert path.read_text() == source
    path.write_text("def loop(x):\n    return 34 * x\n")  # found, and taken as it is
    assert compile_(source)(3) == 102
    assert seen == 2 * [{"cache": True, "nogil": True, "error_model": "numpy"}]
