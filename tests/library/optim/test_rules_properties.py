"""What every rule promises, tested for every class of the library.

A new rule is picked up unasked. If it cannot be made without arguments, an entry in
REQUIRED says how; without one, the registry test fails.
"""

import copy
import dataclasses
import itertools
import pickle
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepopt_lib import compress, optim
from deepopt_lib.core import Array, Rule
from deepopt_lib.optim import Optimizer
from deepopt_lib.parallel import ScaledSign
from tests.library.registry import PUBLIC, rule_classes

# Arguments for the rules that have no default for them, one dict for each example.
REQUIRED: dict[str, list[dict[str, Any]]] = {
    "WeightDecay": [{"lam": 0.0}, {"lam": 0.1}],
    "Chain": [
        {"rules": (optim.Adam(), optim.WeightDecay(0.1))},
        {"rules": (optim.WeightDecay(0.1), optim.Momentum(), optim.Lion())},
        {"rules": (optim.Momentum(0.95), optim.Orthogonalize())},
    ],
    "Quantized": [
        {"rule": optim.Adam()},
        {"rule": optim.Momentum(), "smallest": 10**6},
    ],
    "ErrorFeedback": [{"codec": ScaledSign()}],
    "MatrixOr": [
        {"matrix": optim.Orthogonalize(), "other": optim.Adam()},
        {"matrix": optim.Momentum(), "other": optim.Lion()},
    ],
}


def required_fields(cls: type) -> list[str]:
    return [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]


def examples(cls: type) -> Iterator[Rule]:
    """Yield the class with its defaults, and with every setting of its switches."""
    for arguments in REQUIRED.get(cls.__name__, [] if required_fields(cls) else [{}]):
        switches = [f.name for f in dataclasses.fields(cls) if f.type in ("bool", bool)]
        for values in itertools.product([False, True], repeat=len(switches)):
            yield cls(**{**dict(zip(switches, values, strict=True)), **arguments})


RULES = [rule for cls in rule_classes() for rule in examples(cls)]
every_rule = pytest.mark.parametrize("rule", RULES, ids=repr)
modest = settings(max_examples=25, deadline=None, derandomize=True, database=None)


def takes(rule: Rule, shape: tuple[int, ...]) -> bool:
    """Say whether the rule accepts a parameter of this shape."""
    try:
        rule.init(np.zeros(shape))
    except ValueError:
        return False
    return True


def leaves(state: Any) -> list[Array]:
    """Return the arrays in a state, however it is nested."""
    if state is None:
        return []
    if isinstance(state, tuple):
        return [leaf for part in state for leaf in leaves(part)]
    return [state]


@st.composite
def runs(draw: st.DrawFn, rule: Rule) -> tuple[Array, list[Array]]:
    """Draw a parameter and the gradients of three steps, of a shape the rule takes."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
    if not takes(rule, (3,)):
        shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5)
    shape = draw(shapes)
    numbers = st.floats(-1000.0, 1000.0, width=32, allow_subnormal=False)
    arrays = hnp.arrays(dtype, shape, elements=numbers)
    return draw(arrays), [draw(arrays) for _ in range(3)]


def freeze(*arrays: Any) -> None:
    for array in arrays:
        if isinstance(array, np.ndarray):
            array.setflags(write=False)


def same(a: Any, b: Any) -> bool:
    """Say whether two states hold the same types, dtypes and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a is b or (a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True))


def test_registry_is_complete() -> None:
    classes = rule_classes()
    assert len(classes) >= 11
    for cls in classes:
        assert dataclasses.is_dataclass(cls)
        assert list(examples(cls)), (
            f"{cls.__name__} has no default for {required_fields(cls)}: "
            "give an example in REQUIRED"
        )


@every_rule
def test_fits_the_protocol(rule: Rule) -> None:
    assert isinstance(rule, Rule)
    assert isinstance(rule.elementwise, bool)


@every_rule
@modest
@given(data=st.data())
def test_shape_and_dtype_are_kept(rule: Rule, data: st.DataObject) -> None:
    """For odd sizes, empty arrays and single numbers; states are as large as w."""
    w, grads = data.draw(runs(rule))
    s = rule.init(w)
    for t, g in enumerate(grads, start=1):
        for leaf in leaves(s):
            assert (leaf.shape, leaf.dtype) == (w.shape, w.dtype)
        u, s = rule.update(g, s, w, t)
        assert (u.shape, u.dtype) == (w.shape, w.dtype)
        assert np.all(np.isfinite(u))


@every_rule
@modest
@given(data=st.data())
def test_update_is_pure(rule: Rule, data: st.DataObject) -> None:
    """Arguments are read-only, and the same call gives the same bits twice."""
    w, grads = data.draw(runs(rule))
    freeze(w, *grads)
    s = rule.init(w)
    assert same(s, rule.init(w))
    for t, g in enumerate(grads, start=1):
        freeze(*leaves(s))
        first = rule.update(g, s, w, t)
        again = rule.update(g, s, w, t)
        assert same(first[0], again[0])
        assert same(first[1], again[1])
        s = first[1]


@every_rule
def test_state_starts_at_zero_and_is_its_own(rule: Rule) -> None:
    w = np.full((3, 2), 7.0)
    arrays = leaves(rule.init(w))
    for leaf in arrays:
        np.testing.assert_array_equal(leaf, 0.0)
        assert not np.shares_memory(leaf, w)
    for a, b in itertools.combinations(arrays, 2):
        assert not np.shares_memory(a, b)


def test_rules_of_rules_are_elementwise_when_every_part_is() -> None:
    whole, single = optim.Orthogonalize(), optim.Adam()
    assert not whole.elementwise
    for parts in ((whole, single), (single, whole), (whole, whole)):
        assert not optim.chain(*parts).elementwise
        assert not optim.MatrixOr(*parts).elementwise
    assert optim.chain(single, single).elementwise
    assert optim.MatrixOr(single, single).elementwise


@every_rule
@modest
@given(data=st.data())
def test_elementwise_rules_are(rule: Rule, data: st.DataObject) -> None:
    """Entry i of every step, alone, reordered or reshaped, is what it was in w."""
    if not rule.elementwise:
        return
    n = data.draw(st.integers(1, 7))
    order = data.draw(st.permutations(range(n)))
    one = data.draw(st.integers(0, n - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    w = rng.standard_normal(n)
    views: list[Any] = [order, slice(one, one + 1), slice(None, None, -1)]
    s = rule.init(w)
    states = [rule.init(w[view]) for view in views]
    for t in range(1, 4):
        g = rng.standard_normal(n)
        u, s = rule.update(g, s, w, t)
        for i, view in enumerate(views):
            seen, states[i] = rule.update(g[view], states[i], w[view], t)
            np.testing.assert_array_equal(seen, u[view])
            for a, b in zip(leaves(states[i]), leaves(s), strict=True):
                np.testing.assert_array_equal(a, b[view])
        w = w - 0.1 * u


@every_rule
def test_rules_that_say_they_are_not_elementwise_are_not(rule: Rule) -> None:
    if rule.elementwise or isinstance(rule, compress.Quantized):
        return  # the latter are, for arrays as small as these
    g = np.random.default_rng(0).standard_normal((4, 3))
    whole, _ = rule.update(g, rule.init(g), g, 1)
    other = g.copy()
    other[3, 2] += 1.0
    changed, _ = rule.update(other, rule.init(g), g, 1)
    assert np.all(np.abs(changed[:3, :2] - whole[:3, :2]) > 1e-6)


@every_rule
def test_float32_follows_float64(rule: Rule) -> None:
    rng = np.random.default_rng(5)
    w = rng.standard_normal((4, 3))
    w32 = w.astype(np.float32)
    s, s32 = rule.init(w), rule.init(w32)
    for t in range(1, 6):
        g = rng.standard_normal((4, 3))
        u, s = rule.update(g, s, w, t)
        u32, s32 = rule.update(g.astype(np.float32), s32, w32, t)
        np.testing.assert_allclose(u32, u, rtol=2e-4, atol=1e-5)
        w, w32 = w - 0.01 * u, w32 - 0.01 * u32


@every_rule
def test_zero_gradients_from_the_start_go_nowhere(rule: Rule) -> None:
    """No rule divides zero by zero, and none moves a parameter that is at zero."""
    w = np.zeros((3, 2), np.float32)
    s = rule.init(w)
    for t in range(1, 4):
        u, s = rule.update(np.zeros_like(w), s, w, t)
        np.testing.assert_array_equal(u, 0.0)


@every_rule
def test_is_frozen(rule: Any) -> None:
    for field in dataclasses.fields(rule):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(rule, field.name, getattr(rule, field.name))
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        rule.unheard_of = 1


@every_rule
def test_equality_repr_and_replace(rule: Any) -> None:
    values = {f.name: getattr(rule, f.name) for f in dataclasses.fields(rule)}
    twin = type(rule)(**values)
    assert twin == rule
    assert hash(twin) == hash(rule)
    assert dataclasses.replace(rule) == rule
    assert eval(repr(rule), {**PUBLIC}) == rule
    assert rule != object()
    for name, value in values.items():
        if isinstance(value, bool):
            other: Any = not value
        elif isinstance(value, float):
            other = value / 2 + 1e-3
        elif isinstance(value, int):
            other = value + 1
        else:
            continue
        changed = dataclasses.replace(rule, **{name: other})
        assert changed != rule
        assert getattr(changed, name) == other
        assert f"{name}={other!r}" in repr(changed)


@every_rule
def test_no_two_examples_are_equal(rule: Rule) -> None:
    assert sum(rule == other for other in RULES) == 1


@every_rule
def test_copies_and_pickles(rule: Any) -> None:
    w = np.random.default_rng(0).standard_normal((3, 2))
    _, s = rule.update(w, rule.init(w), w, 1)
    for twin in (copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))):
        assert twin == rule
    for state in (copy.deepcopy(s), pickle.loads(pickle.dumps(s))):
        assert same(state, s)


@every_rule
@modest
@given(data=st.data())
def test_optimizer_lifts_every_rule(rule: Rule, data: st.DataObject) -> None:
    """Three steps on read-only arrays: w - lr*u, with the dtype and shape of w."""
    w, grads = data.draw(runs(rule))
    optimizer = Optimizer(rule, 0.1)
    params = {"w": w}
    state = optimizer.init(params)
    s = rule.init(w)
    for t, g in enumerate(grads, start=1):
        freeze(params["w"], g, *leaves(state.rules["w"]))
        u, s = rule.update(g, s, params["w"], t)
        expected = params["w"] - 0.1 * u
        params, state = optimizer.step({"w": g}, state, params)
        assert isinstance(params["w"], np.ndarray)
        assert (params["w"].shape, params["w"].dtype) == (w.shape, w.dtype)
        np.testing.assert_array_equal(params["w"], expected)
        assert same(state.rules["w"], s)
        assert state.t == t


@pytest.mark.parametrize(
    "cls", [cls for cls in rule_classes() if not required_fields(cls)]
)
def test_docstring_counts_the_state(cls: type) -> None:
    """Bytes of state a parameter are part of what a rule costs: the page says them."""
    said = re.search(
        r"(no|one|two|three) (?:arrays? of )?state", cls.__doc__ or "", re.I
    )
    assert said, f"{cls.__name__}'s docstring does not say how large its state is"
    for rule in examples(cls):
        count = len(leaves(rule.init(np.ones((3, 2)))))
        assert count == ["no", "one", "two", "three"].index(said[1].lower())
