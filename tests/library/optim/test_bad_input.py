"""Bad input: a ValueError that names the thing and its value, before anything changes.

The table holds (what is called, the message as a regular expression). Every hyper-
parameter of every rule is found by itself and tried with every kind of bad value.
"""

import copy
import dataclasses
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from deepopt_lib import optim
from deepopt_lib.compress import Blockwise, Quantized
from deepopt_lib.core import (
    Array,
    Params,
    clip_by_global_norm,
    ravel,
    tree_map,
    unravel,
)
from deepopt_lib.optim import (
    AdaGrad,
    Adam,
    AMSGrad,
    Checked,
    GradientDescent,
    Lion,
    MatrixOr,
    Momentum,
    Optimizer,
    OptimizerState,
    Orthogonalize,
    RMSprop,
    WeightDecay,
    adam,
    adamw,
    chain,
    lion,
    momentum,
    muon,
    sgd,
)
from deepopt_lib.optim.base import Ranges
from tests.library.registry import rule_classes

NAN, INF = math.nan, math.inf
ONE: Params = {"a": np.ones(2)}
NOT_NUMBERS: list[Any] = [None, "0.5", True, [0.5], 0.5 + 0j, np.array(0.5)]

RANGES: dict[str, tuple[str, list[Any]]] = {
    "mu": ("[0, 1)", [-0.1, 1.0, 1, 2.5, NAN, INF, -INF]),
    "b1": ("[0, 1)", [-0.1, 1.0, 1, 2.5, NAN, INF, -INF]),
    "b2": ("[0, 1)", [-0.1, 1.0, 1, 2.5, NAN, INF, -INF]),
    "eps": ("[0, inf)", [-1e-8, NAN, INF, -INF]),
    "lam": ("[0, inf)", [-0.1, NAN, INF, -INF]),
}


def bad_hyper_parameters() -> list[Any]:
    """Return (class, name, bad value, message) for every field of every rule."""
    table = []
    for cls in rule_classes():
        for field in dataclasses.fields(cls):
            name = f"{cls.__name__}.{field.name}"
            values: list[Any]
            if field.type == "float":
                span, values = RANGES[field.name]
                message = f"{name} must be in {span}"
                values = [*values, *NOT_NUMBERS]
            elif field.type == "bool":
                message, values = f"{name} must be True or False", [0, 1, None, "yes"]
            elif field.type == "int":
                message = f"{name} must be an int >= 1"
                values = [0, -3, 2.0, True, NAN, None, "5"]
            elif field.type == "Rule":
                message = f"{name} is not a rule"
                values = [None, "Adam", Adam, 0.1]
            elif field.type == "Codec":
                message = f"{name} is not a codec"
                values = [None, "Blockwise", Blockwise, 8]
            else:
                assert name == "Chain.rules", f"{name}: say what a bad value is"
                continue
            for value in values:
                wanted = re.escape(f"{message}, got {value!r}") + "$"
                label = f"{name}={value!r}"
                table.append(pytest.param(cls, field.name, value, wanted, id=label))
    return table


@pytest.mark.parametrize(("cls", "name", "value", "message"), bad_hyper_parameters())
def test_hyper_parameter(cls: Any, name: str, value: Any, message: str) -> None:
    needed: dict[type, dict[str, Any]] = {
        MatrixOr: {"matrix": Adam(), "other": Adam()},
        Quantized: {"rule": Adam()},
    }
    arguments = needed.get(cls, {})
    with pytest.raises(ValueError, match=message):
        cls(**{**arguments, name: value})


@pytest.mark.parametrize(
    ("cls", "name", "value", "message"),
    [p for p in bad_hyper_parameters() if p.values[2] is None or p.values[2] is NAN],
)
def test_replace_checks_too(cls: Any, name: str, value: Any, message: str) -> None:
    required: dict[Any, dict[str, Any]] = {
        MatrixOr: {"matrix": Adam(), "other": Adam()},
        WeightDecay: {"lam": 0.1},
        Quantized: {"rule": Adam()},
    }
    good = cls(**required.get(cls, {}))
    before = repr(good)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(good, **{name: value})
    assert repr(good) == before


def test_borders_are_allowed() -> None:
    for cls in (Adam, AMSGrad):
        assert cls(b1=0, b2=0, eps=0) == cls(b1=0.0, b2=0.0, eps=0.0)
    assert Momentum(0).mu == 0.0
    assert Lion(0.0, math.nextafter(1.0, 0.0)).b2 < 1.0
    assert WeightDecay(0).lam == 0.0
    assert AdaGrad(0).eps == RMSprop(0.0, 0).eps == 0.0
    assert Orthogonalize(steps=1).steps == 1


def test_numpy_floats_become_python_floats() -> None:
    """A NumPy scalar in an equation would turn float32 arrays into float64."""
    rule = Adam(np.float64(0.9), np.float64(0.99), np.float64(1e-8))
    assert {type(v) for v in dataclasses.astuple(rule)} == {float}
    w = np.ones(3, np.float32)
    u, _ = rule.update(w, rule.init(w), w, 1)
    assert u.dtype == np.float32


def integer_t(bad: Any) -> Callable[[int], Any]:
    return lambda t: bad


def params_with(**changes: Any) -> dict[str, Any]:
    return {"W": np.ones((2, 3)), "b": np.zeros(3), **changes}


def stepped(**changes: Any) -> Callable[[], object]:
    """Return a call of Adam's step in which one argument is replaced."""

    def call() -> object:
        params = params_with()
        optimizer = changes.get("optimizer", adam(0.1))
        arguments = {
            "grads": params_with(),
            "state": optimizer.init(params),
            "params": params,
            **{k: v for k, v in changes.items() if k != "optimizer"},
        }
        return optimizer.step(**arguments)

    return call


WITHOUT_B: Params = {"W": np.ones((2, 3))}
EXTRA = params_with(c=np.ones(1))
Call = Callable[[], object]

TABLE: dict[str, tuple[Call, str]] = {
    # Rules made of rules.
    "chain of nothing": (lambda: chain(), "chain needs at least one rule, got none"),
    "chain of a class": (
        lambda: chain(Adam(), Adam),  # type: ignore[arg-type]
        r"chain: rule 1 is not a rule, got <class '.*Adam'>",
    ),
    "chain of a number": (
        lambda: chain(0.1),  # type: ignore[arg-type]
        "chain: rule 0 is not a rule, got 0.1",
    ),
    "a chain with the state of a shorter one": (
        lambda: chain(Adam(), WeightDecay(0.1)).update(
            np.ones(2), chain(Adam()).init(np.ones(2)), np.ones(2), 1
        ),
        r"zip\(\) argument 2 is shorter than argument 1",
    ),
    "weight decay without lam": (
        lambda: adamw(0.1, lam=NAN),
        r"WeightDecay.lam must be in \[0, inf\), got nan",
    ),
    "orthogonalize a vector": (
        lambda: Orthogonalize().init(np.ones(3)),
        r"Orthogonalize needs a matrix, got shape \(3,\): "
        "give this parameter another rule",
    ),
    "orthogonalize a stack": (
        lambda: Optimizer(Orthogonalize(), 0.1).init({"K": np.ones((2, 3, 4))}),
        r"params\['K'\]: Orthogonalize needs a matrix, got shape \(2, 3, 4\): ",
    ),
    # The optimizer itself.
    **{
        f"lr={bad!r}": (
            lambda bad=bad: sgd(bad),  # type: ignore[misc]
            r"Optimizer.lr must be in \[0, inf\), got " + re.escape(repr(bad)),
        )
        for bad in [-0.1, NAN, INF, -INF, *NOT_NUMBERS]
    },
    "a class as the rule": (
        lambda: Optimizer(Adam, 0.1),  # type: ignore[arg-type]
        "Optimizer.rule is not a rule, got <class '.*Adam'>",
    ),
    "a name as the rule": (
        lambda: Optimizer("adam", 0.1),  # type: ignore[arg-type]
        "Optimizer.rule is not a rule, got 'adam'",
    ),
    "a class in the dict of rules": (
        lambda: Optimizer({"W": Adam(), "b": Lion}, 0.1),  # type: ignore[dict-item]
        "Optimizer.rule b is not a rule, got <class '.*Lion'>",
    ),
    "momentum's mu": (lambda: momentum(0.1, 1.0), r"Momentum.mu must .* got 1.0"),
    "lion's lam": (lambda: lion(0.1, -1.0), r"WeightDecay.lam must .* got -1.0"),
    # Parameters.
    "no parameters": (
        lambda: adam(0.1).init({}),
        r"params must be a dict with an array or more, got \{\}",
    ),
    "a list of parameters": (
        lambda: adam(0.1).init([np.ones(2)]),  # type: ignore[arg-type]
        r"params must be a dict with an array or more, got \[array",
    ),
    "an array as the parameters": (
        lambda: adam(0.1).init(np.ones(2)),  # type: ignore[arg-type]
        r"params must be a dict with an array or more, got array",
    ),
    "an integer array": (
        lambda: muon(0.1).init({"W": np.ones((2, 2)), "n": np.arange(3)}),  # type: ignore[dict-item]
        r"params\['n'\] must be a floating-point array, got int64 \(3,\)",
    ),
    "a complex array": (
        lambda: sgd(0.1).init({"z": np.ones(2, complex)}),
        r"params\['z'\] must be a floating-point array, got complex128 \(2,\)",
    ),
    "a boolean array": (
        lambda: sgd(0.1).init({"z": np.ones(2, bool)}),
        r"params\['z'\] must be a floating-point array, got bool \(2,\)",
    ),
    "a list as a parameter": (
        lambda: sgd(0.1).init({"w": [1.0]}),  # type: ignore[dict-item]
        r"params\['w'\] must be a floating-point array, got \[1.0\]",
    ),
    "a number as a parameter": (
        lambda: sgd(0.1).init({"w": 1.0}),  # type: ignore[dict-item]
        r"params\['w'\] must be a floating-point array, got 1.0",
    ),
    "a rule too few": (
        lambda: Optimizer({"W": Adam()}, 0.1).init(params_with()),
        r"Optimizer.rule does not fit params: names differ: "
        r"missing \['b'\], unexpected \[\]",
    ),
    "a rule too many": (
        lambda: Optimizer({"W": Adam(), "b": Adam()}, 0.1).init(WITHOUT_B),
        r"Optimizer.rule does not fit params: .* missing \[\], unexpected \['b'\]",
    ),
    "no rules": (
        lambda: Optimizer({}, 0.1).init(ONE),
        r"Optimizer.rule does not fit params: .* missing \['a'\]",
    ),
    # A step.
    "step without parameters": (
        stepped(params={}, grads={}),
        r"params must be a dict with an array or more, got \{\}",
    ),
    "step on an integer array": (
        stepped(params=params_with(b=np.arange(3))),
        r"params\['b'\] must be a floating-point array, got int64 \(3,\)",
    ),
    "a gradient is missing": (
        stepped(grads=WITHOUT_B),
        r"grads does not fit params: names differ: missing \['b'\], unexpected \[\]",
    ),
    "a gradient too many": (
        stepped(grads=EXTRA),
        r"grads does not fit params: names differ: missing \[\], unexpected \['c'\]",
    ),
    "a gradient under another name": (
        stepped(grads={"W": np.ones((2, 3)), "bias": np.ones(3)}),
        r"grads does not fit .* missing \['b'\], unexpected \['bias'\]",
    ),
    "gradients in a list": (
        stepped(grads=[np.ones((2, 3)), np.ones(3)]),
        r"grads must be a dict, got \[array",
    ),
    "no gradients": (stepped(grads=None), "grads must be a dict, got None"),
    "a gradient of another shape": (
        stepped(grads=params_with(W=np.ones((3, 2)))),
        r"grads\['W'\] must be float64 \(2, 3\) like params\['W'\], "
        r"got float64 \(3, 2\)",
    ),
    "a gradient that would broadcast": (
        stepped(grads=params_with(W=np.ones(3))),
        r"grads\['W'\] must be float64 \(2, 3\) .* got float64 \(3,\)",
    ),
    "a gradient of another dtype": (
        stepped(grads=params_with(b=np.ones(3, np.float32))),
        r"grads\['b'\] must be float64 \(3,\) .* got float32 \(3,\)",
    ),
    "an integer gradient": (
        stepped(grads=params_with(b=np.arange(3))),
        r"grads\['b'\] must be float64 \(3,\) .* got int64 \(3,\)",
    ),
    "a list as a gradient": (
        stepped(grads=params_with(b=[1.0, 2.0, 3.0])),
        r"grads\['b'\] must be float64 \(3,\) .* got \[1.0, 2.0, 3.0\]",
    ),
    "the state of fewer parameters": (
        stepped(state=adam(0.1).init(WITHOUT_B)),
        r"state.rules does not fit params: .* missing \['b'\], unexpected \[\]",
    ),
    "the state of more parameters": (
        stepped(state=adam(0.1).init(EXTRA)),
        r"state.rules does not fit params: .* missing \[\], unexpected \['c'\]",
    ),
    "the state of a smaller parameter": (
        stepped(state=adam(0.1).init({"W": np.ones(3), "b": np.ones(3)})),
        r"state.rules\['W'\] must be float64 \(2, 3\) like .* got float64 \(3,\)",
    ),
    "the state of a float32 parameter": (
        stepped(
            optimizer=Optimizer(Adam(), 0.1),
            state=adam(0.1).init(
                {k: w.astype(np.float32) for k, w in params_with().items()}
            ),
        ),
        r"state.rules\['W'\] must be float64 .* got float32",
    ),
    "the state of a shorter vector": (
        stepped(
            optimizer=Optimizer(muon(0.1).rule, 0.1),
            state=muon(0.1).init(params_with(b=np.ones(1))),
        ),
        r"state.rules\['b'\] must be float64 \(3,\) like .* got float64 \(1,\)",
    ),
    "the state of another rule": (
        stepped(state=momentum(0.1).init(params_with())),
        r"state.rules\['W'\] must be a state of Adam\(.*\), got array",
    ),
    "a tuple for an array": (
        stepped(optimizer=momentum(0.1), state=adam(0.1).init(params_with())),
        r"state.rules\['W'\] must be a state of Momentum\(.*\), got Moments",
    ),
    "a state without states": (
        stepped(state=OptimizerState(0, None)),  # type: ignore[arg-type]
        "state.rules must be a dict, got None",
    ),
    "no state": (stepped(state=None), "state must come from init or step, got None"),
    "the rules' dict as the state": (
        stepped(state=adam(0.1).init(params_with()).rules),
        r"state must come from init or step, got \{'W': Moments",
    ),
    "rules for other parameters": (
        stepped(
            optimizer=Optimizer({"W": Adam(), "b": Adam()}, 0.1),
            params=WITHOUT_B,
            grads=WITHOUT_B,
            state=adam(0.1).init(WITHOUT_B),
        ),
        r"Optimizer.rule does not fit params: .* unexpected \['b'\]",
    ),
    **{
        f"a schedule that returns {bad!r}": (
            stepped(optimizer=adam(integer_t(bad))),
            r"lr\(1\) must be in \[0, inf\), got " + re.escape(repr(bad)),
        )
        for bad in [-0.1, NAN, INF, *NOT_NUMBERS]
    },
    # Trees.
    "tree_map over other names": (
        lambda: tree_map(np.add, {"a": 1, "b": 2}, {"b": 1, "c": 2}),
        r"names differ: missing \['a'\], unexpected \['c'\]",
    ),
    "tree_map over a third tree": (
        lambda: tree_map(max, ONE, ONE, {}),
        r"names differ: missing \['a'\], unexpected \[\]",
    ),
    **{
        f"max_norm={bad!r}": (
            lambda bad=bad: clip_by_global_norm(ONE, bad),  # type: ignore[misc]
            r"max_norm must be in \(0, inf\], got " + re.escape(repr(bad)),
        )
        for bad in [0.0, -1.0, NAN, *NOT_NUMBERS]
    },
    "pack nothing": (lambda: ravel({}), "params is empty: there is nothing to ravel"),
    "pack two dtypes": (
        lambda: ravel({"a": np.ones(2), "b": np.ones(2, np.float32)}),
        r"params must share one dtype, got \{'a': dtype\('float64'\), 'b': "
        r"dtype\('float32'\)\}",
    ),
    "pack a list": (
        lambda: ravel({"a": [1.0, 2.0]}),  # type: ignore[dict-item]
        r"params\['a'\] must be an array, got \[1.0, 2.0\]",
    ),
    "unpack too little": (
        lambda: unravel(np.ones(8), params_with()),
        r"flat must have shape \(9,\), got \(8,\)",
    ),
    "unpack too much": (
        lambda: unravel(np.ones(10), params_with()),
        r"flat must have shape \(9,\), got \(10,\)",
    ),
    "unpack a matrix": (
        lambda: unravel(np.ones((3, 3)), params_with()),
        r"flat must have shape \(9,\), got \(3, 3\)",
    ),
    # Schedules.
    **{
        f"{name}={bad!r}": (
            lambda make=make, bad=bad: make(bad),  # type: ignore[misc]
            rf"{name.split()[1]} must be in \(0, inf\), got "
            + re.escape(repr(bad))
            + "$",
        )
        for name, make in {
            "constant lr": optim.constant,
            "step lr": lambda x: optim.step_decay(x, 5),
            "step every": lambda x: optim.step_decay(0.1, x),
            "step factor": lambda x: optim.step_decay(0.1, 5, x),
            "cosine lr": lambda x: optim.cosine(x, 5),
            "cosine steps": lambda x: optim.cosine(0.1, x),
            "inverse_time lr": lambda x: optim.inverse_time(x),
            "inverse_time t0": lambda x: optim.inverse_time(0.1, x),
            "inverse_sqrt lr": lambda x: optim.inverse_sqrt(x, 5),
            "inverse_sqrt steps": lambda x: optim.inverse_sqrt(0.1, x),
            "warmup steps": lambda x: optim.warmup(lambda t: 0.1, x),
            "one_cycle lr": lambda x: optim.one_cycle(x, 10),
            "one_cycle steps": lambda x: optim.one_cycle(0.1, x),
            "one_cycle rise": lambda x: optim.one_cycle(0.1, 10, x),
            "one_cycle start": lambda x: optim.one_cycle(0.1, 10, 0.3, x),
            "one_cycle end": lambda x: optim.one_cycle(0.1, 10, 0.3, 5.0, x),
        }.items()
        for bad in [0, -1, NAN, INF, *NOT_NUMBERS]
    },
    **{
        f"cosine final={bad!r}": (
            lambda bad=bad: optim.cosine(0.1, 5, bad),  # type: ignore[misc]
            r"final must be in \[0, 0.1\], got " + re.escape(repr(bad)),
        )
        for bad in [-0.01, 0.11, NAN, None, "0", [0.0]]
    },
    **{
        f"one_cycle {steps} steps, rise={rise}": (
            lambda s=steps, r=rise: optim.one_cycle(0.1, s, r),  # type: ignore[misc]
            f"rise must leave steps on both sides, got {rise}",
        )
        for steps, rise in [(10, 1.0), (10, 1.5), (10, 0.1), (2, 0.9)]
    },
    "warm up a number": (
        lambda: optim.warmup(0.1, 5),  # type: ignore[arg-type]
        "schedule must be a function of the step, got 0.1",
    ),
    "join a number": (
        lambda: optim.join_schedules([0.1], []),  # type: ignore[list-item]
        "schedule must be a function of the step, got 0.1",
    ),
    "join with too many ends": (
        lambda: optim.join_schedules([optim.constant(1.0)], [5]),
        "1 schedules need 0 ends",
    ),
    "join with too few ends": (
        lambda: optim.join_schedules([optim.constant(1.0)] * 3, [5]),
        "3 schedules need 2 ends",
    ),
    **{
        f"join with ends {ends}": (
            lambda ends=ends: optim.join_schedules(  # type: ignore[misc]
                [optim.constant(1.0)] * (len(ends) + 1), ends
            ),
            r"ends must increase from 1 on, got " + re.escape(str(ends)),
        )
        for ends in [[5, 3], [5, 5], [0], [-1], [1, 4, 2]]
    },
}


@pytest.mark.parametrize("case", TABLE)
def test_message(case: str) -> None:
    call, message = TABLE[case]
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


@pytest.mark.parametrize("cls", [GradientDescent, Momentum, Adam, Lion, Orthogonalize])
def test_unknown_hyper_parameters_are_not_swallowed(cls: Any) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'beta1'"):
        cls(beta1=0.9)


RECIPES = [sgd, adam, muon, momentum, adamw]


@pytest.mark.parametrize("make", RECIPES, ids=lambda f: f.__name__)
def test_recipes_do_not_swallow_keywords(make: Any) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'learning_rate'"):
        make(0.1, learning_rate=0.1)


BROKEN: dict[str, dict[str, Any]] = {
    "missing": {"a": np.ones(2)},
    "extra": {"a": np.ones(2), "z": np.ones(3), "zz": np.ones(3)},
    "shape": {"a": np.ones(2), "z": np.ones(2)},
    "dtype": {"a": np.ones(2), "z": np.ones(3, np.float32)},
}


@pytest.mark.parametrize("kind", [*BROKEN, "rate"])
def test_nothing_changes_before_the_exception(kind: str) -> None:
    """The broken gradient comes last; parameters and state stay as they were."""
    optimizer = adam(lambda t: 0.1 if t < 2 else NAN)
    params: Params = {"a": np.array([1.0, 2.0]), "z": np.array([3.0, 4.0, 5.0])}
    good: Params = {"a": np.ones(2), "z": np.ones(3)}
    grads = BROKEN.get(kind, good)
    state = optimizer.init(params)
    if kind == "rate":
        params, state = optimizer.step(good, state, params)
    objects = dict(params), dict(state.rules)
    before = copy.deepcopy((params, state, grads))
    with pytest.raises(ValueError, match=r"^(grads|lr)"):
        optimizer.step(grads, state, params)
    for was, tree in zip(before, (params, state, grads), strict=True):
        assert repr(was) == repr(tree)
    assert all(params[k] is w for k, w in objects[0].items())
    assert all(state.rules[k] is s for k, s in objects[1].items())
    assert state.t == (1 if kind == "rate" else 0)


@dataclass(frozen=True)
class Switched(Checked):
    """Its annotations are types and no strings, as those of a class in a notebook."""

    flag: bool = True
    steps: int = 1


@pytest.mark.parametrize("wrong", [{"flag": "no"}, {"steps": 0}, {"steps": True}])
def test_fields_are_checked_without_postponed_annotations(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"Switched.{next(iter(wrong))}"):
        Switched(**wrong)


@dataclasses.dataclass(frozen=True)
class Mine(Checked):
    """A rule of a user, with names that the library does not know."""

    ranges: ClassVar[Ranges] = {"beta": (0.5, 2.0)}

    beta: float = 1.0
    free: float = 0.0
    count: int = 1

    def init(self, w: Array, /) -> None:
        return None

    def update(self, g: Array, s: None, w: Array, t: int, /) -> tuple[Array, None]:
        return self.beta * g, s


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": NAN}, r"Mine.beta must be in \[0.5, 2\), got nan"),
        ({"beta": 2.0}, r"Mine.beta must be in \[0.5, 2\), got 2.0"),
        ({"free": NAN}, "Mine.free must be a finite number, got nan"),
        ({"free": INF}, "Mine.free must be a finite number, got inf"),
        ({"count": 0}, "Mine.count must be an int >= 1, got 0"),
    ],
)
def test_a_rule_of_a_user_declares_its_ranges(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Mine(**change)


def test_numbers_of_numpy_are_welcome_and_become_those_of_python() -> None:
    rule = Momentum(np.float32(0.5), np.bool_(True))  # type: ignore[arg-type]
    assert type(rule.mu) is float
    assert type(rule.nesterov) is bool
    assert rule == Momentum(0.5, nesterov=True)
    assert type(Orthogonalize(np.int64(3)).steps) is int  # type: ignore[arg-type]
    u, _ = rule.update(np.ones(2, np.float32), np.ones(2, np.float32), np.ones(2), 1)
    assert u.dtype == np.float32
