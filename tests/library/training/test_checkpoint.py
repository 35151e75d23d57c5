"""Checkpoints: what comes back is what went in, or a sentence that says why not."""

import io
import json
import os
import pickle
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from deepopt_lib import core, optim
from deepopt_lib.core import Array, Params, Rule, files
from deepopt_lib.core.files import FORMAT
from deepopt_lib.optim import (
    Optimizer,
    OptimizerState,
    adam,
    adamw,
    cosine,
    muon,
    sgd,
    step_decay,
    warmup,
)
from deepopt_lib.optim.adaptive import Moments
from deepopt_lib.training.checkpoint import get_generator, load, save, set_generator
from tests.library.optim.test_rules_properties import RULES, leaves, takes

pytestmark = pytest.mark.usefixtures("quick")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def train(
    optimizer: Optimizer, params: Params, state: OptimizerState, steps: int
) -> tuple[Params, OptimizerState]:
    for t in range(state.t, state.t + steps):
        noise = rng(t)
        grads = {
            k: np.asarray(noise.standard_normal(w.shape)).astype(w.dtype)
            for k, w in params.items()
        }
        params, state = optimizer.step(grads, state, params)
    return params, state


def bits(*trees: Any) -> list[Any]:
    """Return everything about arrays that another run could see, down to NaNs."""
    if trees and isinstance(trees[0], dict):
        return [(k, bits(v)) for tree in trees for k, v in tree.items()]
    return [
        (a.dtype.str, a.shape, a.tobytes())
        for tree in trees
        for a in map(np.asarray, leaves(tree))
    ]


def skeleton(state: Any) -> Any:
    """Return the nesting of a state, without its arrays."""
    if isinstance(state, tuple):
        return type(state), [skeleton(part) for part in state]
    return None if state is None else "array"


def shapes(rule: Rule) -> dict[str, tuple[int, ...]]:
    every = {"W": (4, 3), "layer/1.V": (2, 5), "b": (3,), "s": (), "none": (0, 2)}
    return {k: shape for k, shape in every.items() if takes(rule, shape)}


# Round trips.

Build = Callable[[Any], Optimizer]
OPTIMIZERS: dict[str, Optimizer] = {
    **{repr(rule): Optimizer(rule, 0.1) for rule in RULES},
    "adamw on a schedule": adamw(warmup(cosine(0.1, 50), 5)),
    "muon": muon(0.02),
    "a chain of chains": Optimizer(
        optim.chain(optim.chain(optim.Adam(), optim.Momentum()), optim.AMSGrad()), 0.1
    ),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_round_trip(name: str, dtype: Any, path: Path) -> None:
    """Every rule: the same bits in the same structure, and the same next steps."""
    optimizer = OPTIMIZERS[name]
    assert isinstance(optimizer.rule, Rule)
    params: Params = {
        k: np.asarray(rng(1).standard_normal(shape)).astype(dtype)
        for k, shape in shapes(optimizer.rule).items()
    }
    start = optimizer.init(params)
    with np.errstate(all="ignore"):  # float16 is narrow
        now, state = train(optimizer, params, start, 3)
        generator, other = rng(5), rng(6)
        save(path, optimizer, now, state, generator)
        back, old, extras = load(path, optimizer, params, other)
        assert extras == {}
        assert list(back) == list(params)
        assert bits(back) == bits(now)
        assert bits(old.rules) == bits(state.rules)
        assert old.t == state.t == 3
        for k, s in start.rules.items():
            assert skeleton(old.rules[k]) == skeleton(s)
        assert other.random() == generator.random()
        assert bits(*train(optimizer, now, state, 2)[0].values()) == bits(
            *train(optimizer, back, old, 2)[0].values()
        )
    for a in [*back.values(), *leaves(tuple(old.rules.values()))]:
        assert a.flags.writeable
        assert a.flags.aligned


def test_round_trip_of_a_policy(path: Path) -> None:
    """A rule for each name, and a type of parameter for each name."""
    policy: dict[str, Rule] = {
        "W": optim.chain(optim.Momentum(0.95), optim.Orthogonalize()),
        "V": optim.MatrixOr(optim.Lion(), optim.Adam()),
        "b": optim.GradientDescent(),
    }
    optimizer = Optimizer(policy, step_decay(0.1, every=2))
    params: Params = {
        "W": rng(1).standard_normal((3, 5)),
        "V": rng(2).standard_normal((4,)).astype(np.float32),
        "b": np.ones((2, 2, 2)),
    }
    now, state = train(optimizer, params, optimizer.init(params), 5)
    save(path, optimizer, now, state, rng())
    back, old, _ = load(path, optimizer, params, rng())
    assert bits(back) == bits(now)
    assert bits(old.rules) == bits(state.rules)
    assert isinstance(old.rules["V"], optim.Adam().init(params["V"]).__class__)
    assert old.rules["b"] is None


class Pair(NamedTuple):
    calls: np.ndarray[Any, Any]
    seen: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Odd:
    """A rule whose state has other types and shapes than its parameter."""

    elementwise: bool = False

    def init(self, w: Array, /) -> Any:
        return (Pair(np.zeros((), np.int64), np.zeros(w.shape, bool)), (), None, w)

    def update(self, g: Array, s: Any, w: Array, t: int, /) -> tuple[Array, Any]:
        pair, empty, none, first = s
        return g, (Pair(pair.calls + 3, g > 0), empty, none, first)


def test_states_of_any_type_and_shape(path: Path) -> None:
    optimizer = Optimizer(Odd(), 0.1)
    params: Params = {"w": rng().standard_normal((3, 2))}
    first = params["w"].copy()
    now, state = train(optimizer, params, optimizer.init(params), 4)
    save(path, optimizer, now, state, rng())
    params["w"].setflags(write=False)
    back, old, _ = load(path, optimizer, params, rng())
    assert bits(old.rules) == bits(state.rules)
    pair, empty, none, anchor = old.rules["w"]
    assert (type(pair), int(pair.calls), empty, none) == (Pair, 12, (), None)
    np.testing.assert_array_equal(anchor, first)
    np.testing.assert_array_equal(params["w"], first)
    assert bits(back) == bits(now)


def test_bits_that_equality_overlooks(path: Path) -> None:
    """NaNs with their payload, signed zeros, infinities, subnormal numbers."""
    words = np.array(
        [0x7FF8000000000001, 0xFFF8DEADBEEF0000, 1 << 63, 0x7FF0000000000000, 1],
        np.uint64,
    )
    params: Params = {"w": words.view(np.float64)}
    optimizer = adam(0.1)
    moments = Moments(-params["w"], params["w"][::-1])
    save(path, optimizer, params, OptimizerState(7, {"w": moments}), rng())
    back, old, _ = load(path, optimizer, params, rng())
    assert bits(back) == bits(params)
    assert bits(old.rules) == bits({"w": moments})


@pytest.mark.parametrize(
    "lay",
    [
        lambda a: np.asfortranarray(a),
        lambda a: a.transpose(2, 0, 1),
        lambda a: a.transpose(1, 2, 0)[::2],
        lambda a: a[..., ::-1],
        lambda a: np.broadcast_to(a[0], a.shape),
        lambda a: a.astype(">f8"),
    ],
    ids=["Fortran", "transposed", "with gaps", "backwards", "repeated", "big-endian"],
)
def test_layouts(lay: Callable[[Array], Array], path: Path) -> None:
    """The values as they are; the order in memory too, since BLAS may round by it."""
    w = lay(rng().standard_normal((4, 6, 3)))
    optimizer = Optimizer(optim.Momentum(), 0.1)
    state = OptimizerState(1, {"w": np.array(w)})
    save(path, optimizer, {"w": w}, state, rng())
    back = load(path, optimizer, {"w": np.ones(w.shape)}, rng())[0]["w"]
    np.testing.assert_array_equal(back, w)
    np.testing.assert_array_equal(load_file(path)["params/w"], w)
    if 0 not in w.strides:
        order = np.argsort(np.abs(w.strides))
        np.testing.assert_array_equal(np.argsort(back.strides), order)


def test_arrays_updated_in_place(path: Path) -> None:
    """The file holds the moment of the call; it shares no memory with a run."""
    optimizer = adam(0.1)
    params: Params = {"w": rng().standard_normal((3, 4))}
    state = optimizer.init(params)
    for a in leaves(state.rules["w"]):
        a += 0.5
    kept = bits(params, state.rules)
    save(path, optimizer, params, state, rng())
    for a in [params["w"], *leaves(state.rules["w"])]:
        a[:] = 9.0
    first, second = (load(path, optimizer, params, rng()) for _ in "ab")
    assert bits(first[0], first[1].rules) == kept
    for a in [first[0]["w"], *leaves(first[1].rules["w"])]:
        a[:] = 7.0
    assert bits(second[0], second[1].rules) == kept
    np.testing.assert_array_equal(params["w"], 9.0)


GENERATORS = ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"]


@pytest.mark.parametrize("name", GENERATORS)
def test_generators(name: str, path: Path) -> None:
    """Each kind, in the middle of a word: half of 64 bits is still to be drawn."""
    kind = getattr(np.random, name)
    generator, other = (np.random.Generator(kind(seed)) for seed in (1, 2))
    generator.integers(0, 100, 7, dtype=np.uint32)
    generator.standard_normal(3)
    json.dumps(get_generator(generator))
    params: Params = {"w": np.ones(2)}
    save(path, sgd(0.1), params, sgd(0.1).init(params), generator)
    load(path, sgd(0.1), params, other)
    third = np.random.Generator(kind(3))
    set_generator(third, get_generator(generator))
    drawn = [
        [g.integers(0, 100, 9, dtype=np.uint32).tolist(), g.random(), g.permutation(9)]
        for g in (generator, other, third)
    ]
    assert repr(drawn[0]) == repr(drawn[1]) == repr(drawn[2])


def test_extras(path: Path) -> None:
    params: Params = {"w": np.ones(2)}
    optimizer = sgd(0.1)
    extras = {
        "loss": np.array([0.1, np.nan, -0.0, np.inf]),
        "labels": np.asfortranarray([[1, 2], [3, 4]]),
        "metrics": [{"a": 0.1 + 0.2, "b": 3, "c": float("inf"), "ü": True}, {}],
        "text": "a/b",
        "none": None,
        "scalar": np.float32(0.1),
    }
    save(path, optimizer, params, optimizer.init(params), rng(), extras)
    _, _, back = load(path, optimizer, params, rng())
    assert back.keys() == extras.keys()
    for k in ("loss", "labels"):
        assert bits(back[k]) == bits(extras[k])
    for k in ("metrics", "text", "none"):
        assert back[k] == extras[k]
    assert back["scalar"] == np.float32(0.1)


def test_the_file_is_plain_safetensors(path: Path) -> None:
    """Another program can read it, and finds each array under its name."""
    params: Params = {"layer1.W": np.ones((2, 3)), "layer1.b": np.zeros(3, np.float32)}
    optimizer = adamw(0.1)
    state = optimizer.init(params)
    save(path, optimizer, params, state, rng(), {"loss": np.zeros(4)})
    found = load_file(path)
    assert sorted(found) == [
        "extras/loss",
        "params/layer1.W",
        "params/layer1.b",
        "state/layer1.W/0/0",
        "state/layer1.W/0/1",
        "state/layer1.b/0/0",
        "state/layer1.b/0/1",
    ]
    assert bits(found["params/layer1.W"]) == bits(params["layer1.W"])


# What cannot be stored.


def attempt(path: Path, params: Any, state: Any, **more: Any) -> None:
    save(path, sgd(0.1), params, OptimizerState(0, state), rng(), **more)


UNSTORABLE: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "one name": (
        {"a": np.ones(1), "a/0": np.ones(1)},
        {"a": (np.ones(1),), "a/0": np.ones(1)},
        {},
        r"one name in the file: \['state/a/0'\]",
    ),
    "a number and its text": (
        {1: np.ones(1), "1": np.ones(1)},
        {},
        {},
        r"one name in the file: \['params/1'\]",
    ),
    "a text in a state": (
        {"a": np.ones(1)},
        {"a": (None, {"m": "m"})},
        {},
        r"^state/a/1/m must be an array or a tuple of them, got 'm'$",
    ),
    "a list for a parameter": (
        {"a": [1.0]},
        {},
        {},
        r"^params/a/0 must be an array or a tuple of them, got 1.0$",
    ),
    "an object in the extras": (
        {"a": np.ones(1)},
        {},
        {"extras": {"f": [test_extras]}},
        r"^a checkpoint holds numbers and texts, got <function",
    ),
    "an array of objects": (
        {"a": np.ones(1)},
        {},
        {"extras": {"f": np.array([None])}},
        r"cannot be written: .*array of references",
    ),
    "long doubles": (
        {"a": np.ones(1, np.longdouble)},
        {},
        {},
        r"cannot be written: .*float",
    ),
}


@pytest.mark.parametrize("case", UNSTORABLE)
def test_what_cannot_be_stored(case: str, path: Path) -> None:
    params, state, more, message = UNSTORABLE[case]
    path.write_bytes(b"the last good one")
    if case == "long doubles" and np.dtype(np.longdouble).itemsize == 8:
        pytest.skip("here a long double is a double")
    with pytest.raises(ValueError, match=message):
        attempt(path, params, state, **more)
    assert path.read_bytes() == b"the last good one"
    assert os.listdir(path.parent) == [path.name]


# Files that are not whole, not ours, or of something else.

PARAMS: Params = {"W": np.arange(6.0).reshape(2, 3), "b": np.ones(3)}


def written(path: Path) -> bytes:
    optimizer = adamw(0.1)
    now, state = train(optimizer, PARAMS, optimizer.init(PARAMS), 2)
    save(path, optimizer, now, state, rng(), {"loss": np.ones(2)}, {"samples": 23})
    return path.read_bytes()


def refused(path: Path, message: str, **changes: Any) -> None:
    """Check that ``load`` refuses the file in one sentence, and changes nothing."""
    arguments: dict[str, Any] = {
        "optimizer": adamw(0.1),
        "params": PARAMS,
        "rng": rng(),
    }
    arguments |= changes
    before = path.read_bytes(), bits(arguments["params"])
    generator = get_generator(arguments["rng"])
    with pytest.raises(ValueError, match=message) as caught:
        load(path, **arguments)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert (path.read_bytes(), bits(arguments["params"])) == before
    assert get_generator(arguments["rng"]) == generator


def test_truncated_anywhere(path: Path) -> None:
    whole = written(path)
    size = len(whole)
    for length in [*range(64), *range(64, size - 64, 13), *range(size - 64, size)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r" is not a whole safetensors file: "):
            load(path, adamw(0.1), PARAMS, rng())
    path.write_bytes(whole + b"\0")
    refused(path, " is not a whole safetensors file: ")


def test_a_flipped_bit_anywhere(path: Path) -> None:
    """In the header, the text or the tensors: refused, or what was stored after all."""
    whole = written(path)
    stored = bits(load(path, adamw(0.1), PARAMS, rng())[0])
    noise, harmless = rng(3), 0
    for i in [*range(64), *range(64, len(whole), 5)]:
        damaged = bytearray(whole)
        damaged[i] ^= 1 << int(noise.integers(8))
        path.write_bytes(damaged)
        try:
            back, _, _ = load(path, adamw(0.1), PARAMS, rng())
        except ValueError as error:
            assert str(path) in str(error)
        else:
            harmless += 1
            assert bits(back) == stored
    assert harmless <= 8  # the blanks that fill up the header


def test_every_bit_of_a_tensor_counts(path: Path) -> None:
    whole = written(path)
    for bit in range(8 * 16):
        damaged = bytearray(whole)
        damaged[-1 - bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r" is damaged: its checksum does not "):
            load(path, adamw(0.1), PARAMS, rng())


@pytest.mark.parametrize(
    ("old", "new"), [(b'"w":', b'"v":'), (b'"F32"', b'"I32"'), (b"[2,3]", b"[3,2]")]
)
def test_the_checksum_covers_names_types_and_shapes(
    old: bytes, new: bytes, path: Path
) -> None:
    """Damage to the header that leaves a whole file with the same bytes of tensors."""
    core.write_arrays(str(path), {"w": np.ones((2, 3), np.float32)}, "")
    whole = path.read_bytes()
    assert whole.count(old) == 1
    path.write_bytes(whole.replace(old, new))
    with pytest.raises(ValueError, match=r" is damaged: its checksum does not "):
        core.read_arrays(str(path))


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("a file was executed",))


def foreign_type(dtype: str, size: int) -> bytes:
    header = {
        "__metadata__": {"format": FORMAT},
        "a": {"dtype": dtype, "shape": [8], "data_offsets": [0, size]},
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


FOREIGN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a whole safetensors file"),
    "zeros": (bytes(1000), "not a whole safetensors file"),
    "ones": (b"\xff" * 1000, "not a whole safetensors file"),
    "text": (b"loss = 0.1\n" * 20, "not a whole safetensors file"),
    "noise": (rng().bytes(5000), "not a whole safetensors file"),
    "a pickle": (pickle.dumps(Bomb()), "not a whole safetensors file"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(64), "not a whole safetensors file"),
    "a zip": (b"PK\x03\x04" + bytes(64), "not a whole safetensors file"),
    "a deep header": (
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        "not a whole safetensors file",
    ),
    "a promise of much": (
        struct.pack("<Q", 1 << 60) + b"{}",
        "not a whole safetensors file",
    ),
    "another program's": (
        to_bytes({"params/W": np.ones(2)}, {"format": "pt"}),
        "no checkpoint: its format is 'pt', not 'deepopt_lib 1'",
    ),
    "without a format": (
        to_bytes({"params/W": np.ones(2)}),
        "no checkpoint: its format is None, not 'deepopt_lib 1'",
    ),
    "a later version's": (
        to_bytes({"params/W": np.ones(2)}, {"format": "deepopt_lib 2"}),
        "no checkpoint: its format is 'deepopt_lib 2', not 'deepopt_lib 1'",
    ),
    "without a seal": (
        to_bytes({"params/W": np.ones(2)}, {"format": "deepopt_lib 1"}),
        "damaged: its checksum does not match",
    ),
    "a type NumPy has not": (foreign_type("BF16", 16), "not a whole safetensors file"),
    "a type of eight bits": (foreign_type("F8_E4M3", 8), "not a whole safetensors"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_files(case: str, path: Path) -> None:
    content, message = FOREIGN[case]
    path.write_bytes(content)
    refused(path, f" is {message}")


def test_files_that_cannot_be_read(path: Path) -> None:
    """The operating system's own errors, with the name."""
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        load(path, adamw(0.1), PARAMS, rng())
    path.mkdir()
    with pytest.raises(OSError, match=re.escape(str(path))):
        load(path, adamw(0.1), PARAMS, rng())


def changed(k: str, w: Any) -> Params:
    return {**PARAMS, k: w}


OTHER: dict[str, tuple[dict[str, Any], str]] = {
    "a wider layer": (
        {"params": changed("W", np.ones((2, 4)))},
        r"params/W is float64 \(2, 3\) there, float64 \(2, 4\) here$",
    ),
    "as many numbers": (
        {"params": changed("W", np.ones((3, 2)))},
        r"params/W is float64 \(2, 3\) there, float64 \(3, 2\) here$",
    ),
    "single precision": (
        {"params": changed("b", np.ones(3, np.float32))},
        r"params/b is float64 \(3,\) there, float32 \(3,\) here$",
    ),
    "one more": (
        {"params": changed("c", np.ones(1))},
        r"params/c is missing there, float64 \(1,\) here$",
    ),
    "one less": (
        {"params": {"W": PARAMS["W"]}},
        r"params/b is float64 \(3,\) there, missing here$",
    ),
    "another name": (
        {"params": {"W": PARAMS["W"], "bias": PARAMS["b"]}},
        r"params/bias is missing there, float64 \(3,\) here$",
    ),
    "another rule": (
        {"optimizer": Optimizer(optim.Adam(), 0.1)},
        r"rule is Chain\(.*WeightDecay\(.*\) there, Adam\(.*\) here$",
    ),
    "the other order": (
        {"optimizer": Optimizer(optim.chain(optim.WeightDecay(0.01), optim.Adam()), 1)},
        r"rule is Chain\(.*\) there, Chain\(.*\) here$",
    ),
    "another decay": (
        {"optimizer": adamw(0.1, lam=0.02)},
        r"rule is .*lam=0\.01.* there, .*lam=0\.02.* here$",
    ),
    "a policy": (
        {"optimizer": Optimizer(dict.fromkeys(PARAMS, adamw(0.1).rule), 0.1)},  # type: ignore[arg-type]
        r"rule W is missing there, Chain\(.*\) here$",
    ),
    "another learning rate": (
        {"optimizer": adamw(0.2)},
        r"lr\(1\) is 0\.1 there, 0\.2 here$",
    ),
    "another schedule": (
        {"optimizer": adamw(step_decay(0.1, every=1, factor=0.5))},
        r"lr\(2\) is 0\.1 there, 0\.05 here$",
    ),
    "another kind of generator": (
        {"rng": np.random.Generator(np.random.MT19937(0))},
        r"rng is PCG64 there, MT19937 here$",
    ),
    "other data": (
        {"same": {"samples": 24}},
        r"samples is 23 there, 24 here$",
    ),
    "something it does not know": (
        {"same": {"batch_size": 5}},
        r"batch_size is missing there, 5 here$",
    ),
}


@pytest.mark.parametrize("case", OTHER)
def test_files_of_another_run(case: str, path: Path) -> None:
    written(path)
    changes, message = OTHER[case]
    refused(path, " belongs to another run: " + message, **changes)
    load(path, adamw(0.1), PARAMS, rng(), {"samples": 23})


@pytest.mark.parametrize("name", ["params/b", "state/W/0/1"])
def test_a_tensor_too_few_or_too_many(name: str, path: Path) -> None:
    """With a checksum that is right: the names are compared all the same."""
    written(path)
    arrays, text = core.read_arrays(str(path))
    core.write_arrays(str(path), {k: a for k, a in arrays.items() if k != name}, text)
    refused(path, f"{name} is missing there, float64 ")
    core.write_arrays(str(path), {**arrays, "state/c": np.ones(2)}, text)
    refused(path, r"state/c is float64 \(2,\) there, missing here")
    core.write_arrays(
        str(path), {**arrays, name: arrays[name].astype(np.float32)}, text
    )
    refused(path, f"{name} is float32 .* there, float64 .* here")


class Nameless:
    """A rule that prints as an address, which is another one in every process."""

    elementwise = True

    def init(self, w: Array, /) -> None:
        return None

    def update(self, g: Array, s: None, w: Array, t: int, /) -> tuple[Array, None]:
        return g, s


def test_a_rule_without_a_repr_is_known_by_its_name(path: Path) -> None:
    one, two = Nameless(), Nameless()
    assert repr(one) != repr(two)
    state = Optimizer(one, 0.1).init(PARAMS)
    save(path, Optimizer(one, 0.1), PARAMS, state, rng())
    load(path, Optimizer(two, 0.1), PARAMS, rng())
    refused(path, r"rule is <.*Nameless object> there, Gradient", optimizer=sgd(0.1))


def test_a_schedule_may_change_what_is_still_to_come(path: Path) -> None:
    """What counts is that the steps taken would have been the same."""
    optimizer = adamw(lambda t: 0.1)
    now, state = train(optimizer, PARAMS, optimizer.init(PARAMS), 6)
    save(path, optimizer, now, state, rng())
    load(path, adamw(lambda t: 0.1 if t <= 6 else 0.01), PARAMS, rng())
    for t in (1, 2, 4, 6):
        late = adamw(lambda step, t=t: 0.1 if step != t else 0.2)  # type: ignore[misc]
        refused(path, rf"lr\({t}\) is 0\.1 there, 0\.2 here$", optimizer=late)


# Written whole, or not at all.


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record what is done to files, in order."""
    made: list[str] = []
    replace = os.replace

    def fsync(handle: int) -> None:
        made.append("fsync " + Path(f"/proc/self/fd/{handle}").resolve().name)

    def rename(a: str, b: str) -> None:
        made.append(f"replace {os.path.basename(a)} {os.path.basename(b)}")
        replace(a, b)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    yield made


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="asks Linux for names")
def test_synced_before_the_rename_and_after(path: Path, calls: list[str]) -> None:
    written(path)
    first, second, third = calls
    temporary = first.removeprefix("fsync ")
    assert re.fullmatch(r"run\.safetensors\.[0-9a-f]{8}\.tmp", temporary)
    assert second == f"replace {temporary} run.safetensors"
    assert third == f"fsync {path.parent.name}"


def fail_at(monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException) -> None:
    """Let one of the steps of a write raise; of the data, a part has been written."""

    def raises(*arguments: Any) -> Any:
        raise error

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(data[:100])
            raise error

    if place == "write":
        monkeypatch.setattr(files, "open", Full, raising=False)
    else:
        monkeypatch.setattr(os, place, raises)


@pytest.mark.parametrize("place", ["listdir", "write", "fsync", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), MemoryError()]
)
def test_a_failed_write_keeps_the_last_good_file(
    place: str, error: BaseException, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = written(path)
    optimizer = adamw(0.1)
    with monkeypatch.context() as patch:
        fail_at(patch, place, error)
        with pytest.raises(type(error)) as caught:
            save(path, optimizer, PARAMS, optimizer.init(PARAMS), rng())
    if isinstance(error, OSError):
        assert isinstance(caught.value, OSError)
        assert caught.value.errno == 28
        assert str(caught.value) == (
            f"[Errno 28] cannot write the checkpoint: No space left on device: '{path}'"
        )
    assert path.read_bytes() == whole
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("where", ["absent/run", "file/run", "folder"])
def test_places_that_cannot_be_written(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    optimizer, target = sgd(0.1), tmp_path / where
    with pytest.raises(OSError, match="cannot write the checkpoint: .*" + where):
        save(target, optimizer, PARAMS, optimizer.init(PARAMS), rng())
    assert sorted(tmp_path.rglob("*")) == before


def test_leftovers_are_cleaned_up_and_nothing_else(path: Path) -> None:
    """The temporary files of killed writers, of this very checkpoint."""
    mine = ["run.safetensors.0123abcd.tmp", "run.safetensors.ffffffff.tmp"]
    others = [
        "run.safetensors.tmp",
        "run.safetensors.0123abcd",
        "run.safetensors.backup01.tmp",
        "xrun.safetensors.0123abcd.tmp",
        "runxsafetensors.0123abcd.tmp",
        "run2.safetensors.0123abcd.tmp",
        "run.safetensors.0123ABCD.tmp",
    ]
    for name in [*mine, *others]:
        (path.parent / name).write_bytes(b"part of a file")
    written(path)
    assert sorted(os.listdir(path.parent)) == sorted([path.name, *others])
    load(path, adamw(0.1), PARAMS, rng())


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    path.symlink_to(tmp_path / "disk" / "real")
    for _ in range(2):
        written(path)
        assert path.is_symlink()
        assert os.listdir(tmp_path / "disk") == ["real"]


def test_names_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ["a", "ä b.(x)+[1].safetensors", "a.tmp"]:
        optimizer = sgd(0.1)
        params: Params = {"schräg": np.ones(2)}
        save(name, optimizer, params, optimizer.init(params), rng())
        assert bits(load(name, optimizer, params, rng())[0]) == bits(params)
    assert len(os.listdir(tmp_path)) == 3


def test_the_file_has_the_permissions_of_any_other(path: Path) -> None:
    written(path)
    (path.parent / "other").write_text("text")
    assert path.stat().st_mode == (path.parent / "other").stat().st_mode
