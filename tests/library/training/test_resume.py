"""A run of `fit` that stops and goes on ends like one that did not stop, to the bit.

Here a run stops by an exception in its loss; test_kill.py kills processes.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepopt_lib.autodiff import cross_entropy
from deepopt_lib.core import Array, Grads, Params, clip_by_global_norm, files
from deepopt_lib.core.files import Arrays
from deepopt_lib.nn import init_mlp, mlp
from deepopt_lib.optim import (
    Adam,
    Lion,
    MatrixOr,
    Momentum,
    Optimizer,
    OptimizerState,
    adam,
    adamw,
    cosine,
    muon,
    sgd,
    warmup,
)
from deepopt_lib.training import History, checkpoint, fit
from deepopt_lib.training.checkpoint import load
from tests.library.optim.test_rules_properties import leaves

pytestmark = pytest.mark.usefixtures("quick")

X = np.random.default_rng(1).standard_normal((23, 4))
Y = np.random.default_rng(2).integers(0, 3, 23)
EPOCHS, STEPS = 3, 15  # of 5 batches each: 5, 5, 5, 5 and 3 samples


class Stopped(Exception):  # noqa: N818
    """Takes the place of a kill."""


class Run:
    """A training run that may stop in the loss of its ``stop``-th step.

    The loss draws a dropout mask, and the evaluation noise, from the generator that
    shuffles.
    """

    def __init__(self, path: Path | None, **changes: Any) -> None:
        self.rng = np.random.default_rng(7)
        self.params = init_mlp(np.random.default_rng(0), [4, 6, 3])
        self.stop = -1
        self.calls = 0
        self.arguments: dict[str, Any] = {
            "optimizer": adamw(warmup(cosine(0.05, 12), 3)),
            "x": X,
            "y": Y,
            "epochs": EPOCHS,
            "batch_size": 5,
            "evaluate": self.evaluate,
            "transform": lambda grads: clip_by_global_norm(grads, 1.0)[0],
            "checkpoint": path,
            "every": 1,
            **changes,
        }

    def loss(self, params: Any, x: Array, y: Any) -> Any:
        self.calls += 1
        if self.calls == self.stop:
            raise Stopped
        mask = (self.rng.random(x.shape) < 0.8) / 0.8
        return cross_entropy(mlp(params, x * mask.astype(x.dtype)), y)

    def evaluate(self, params: Params) -> dict[str, float]:
        noise = self.rng.standard_normal(X.shape)
        return {"total": float(mlp(params, X + noise).sum()), "one": 1}

    def __call__(self, stop: int = -1, **changes: Any) -> History:
        self.stop, self.calls = stop, 0
        arguments = {**self.arguments, **changes}
        rng = arguments.pop("rng", self.rng)
        params = arguments.pop("params", self.params)
        return fit(self.loss, params, rng=rng, **arguments)


def bits(history: History) -> list[Any]:
    """Return all that a run leaves behind, in a form that compares exactly."""
    arrays = [*history.params.values(), *leaves(tuple(history.state.rules.values()))]
    return [
        list(history.params),
        [(a.dtype.str, a.shape, a.tobytes()) for a in arrays],
        history.state.t,
        [value.hex() for value in history.loss],
        [{k: float(v).hex() for k, v in m.items()} for m in history.metrics],
    ]


# Stopping and going on.

CASES: dict[str, dict[str, Any]] = {
    "adamw on a schedule": {},
    "muon": {"optimizer": muon(0.02)},
    "a rule for each name": {
        "optimizer": Optimizer(
            {
                "layer1.W": MatrixOr(Momentum(), Adam()),
                "layer1.b": Lion(),
                "layer2.W": Adam(),
                "layer2.b": Momentum(nesterov=True),
            },
            0.02,
        )
    },
    "without evaluation": {"evaluate": None},
    "single precision": {
        "params": init_mlp(np.random.default_rng(0), [4, 6, 3], dtype=np.float32),
        "x": X.astype(np.float32),
    },
    "the whole set a step": {"batch_size": 23, "epochs": 4},
    "one sample a step": {"x": X[:4], "y": Y[:4], "batch_size": 1},
    "another generator": {},
    "in place": {"in_place": True},
    "in place, with what no loop serves": {"in_place": True, "optimizer": muon(0.02)},
}


def make(path: Path | None, case: str) -> Run:
    run = Run(path, **{"epochs": 2, **CASES[case]})
    if case == "another generator":
        run.rng = np.random.Generator(np.random.MT19937(3))
    return run


@pytest.mark.parametrize("case", CASES)
def test_resumed_is_uninterrupted(case: str, path: Path) -> None:
    """Stopped in every step in turn, at a checkpoint and between two."""
    whole = case == "adamw on a schedule"
    plain = make(None, case)
    expected = bits(plain())
    drawn = repr(plain.rng.bit_generator.state)
    steps = plain.calls
    for every in (1, 3) if whole else (3,):
        for stop in range(1, steps + 1, 1 if whole else 3):
            with pytest.raises(Stopped):
                make(path, case)(stop, every=every)
            again = make(path, case)
            assert bits(again(every=every)) == expected
            assert repr(again.rng.bit_generator.state) == drawn
            assert again.calls == steps - (stop - 1) // every * every
            assert os.listdir(path.parent) == [path.name]
            path.unlink()


@pytest.mark.parametrize("every", [1, 2, 4])
def test_stopped_again_and_again(every: int, path: Path) -> None:
    """A run that never gets further than ``every`` steps arrives all the same."""
    expected = bits(Run(None)())
    stops = 0
    while True:
        try:
            history = Run(path)(every + 1, every=every)
            break
        except Stopped:
            stops += 1
            assert stops < 2 * STEPS
    assert bits(history) == expected
    assert stops == (STEPS - 1) // every


def test_the_cell_run_again_after_an_interrupt(path: Path) -> None:
    """In a notebook: the same objects, with a generator that has moved on."""
    expected = bits(Run(None)())
    run = Run(path)
    for stop in (4, 3, 5):
        with pytest.raises(Stopped):
            run(stop)
    assert bits(run()) == expected


def test_a_checkpoint_changes_nothing(path: Path) -> None:
    plain, kept = Run(None), Run(path)
    before = {k: w.copy() for k, w in kept.params.items()}
    assert bits(plain()) == bits(kept())
    assert plain.rng.bit_generator.state == kept.rng.bit_generator.state
    for k, w in before.items():
        np.testing.assert_array_equal(kept.params[k], w)


def test_a_finished_run_is_read_and_not_repeated(path: Path) -> None:
    expected = bits(Run(path)())
    content, inode = path.read_bytes(), path.stat().st_ino
    again = Run(path)
    assert bits(again()) == expected
    assert again.calls == 0
    assert (path.read_bytes(), path.stat().st_ino) == (content, inode)


def test_more_epochs_prolong_a_run(path: Path) -> None:
    """Under a learning rate that does not depend on the number of epochs."""
    expected = bits(Run(None)(epochs=5))
    for epochs in (0, 1, 1, 3, 5):
        history = Run(path)(epochs=epochs)
        assert history.state.t == 5 * epochs
        assert len(history.metrics) == epochs + 1
    assert bits(history) == expected


def stopping(run: Run, calls: int) -> Callable[[Params], dict[str, float]]:
    """Return an evaluation that raises after so many calls."""
    left = iter(range(calls))

    def evaluate(params: Params) -> dict[str, float]:
        if next(left, None) is None:
            raise Stopped
        return run.evaluate(params)

    return evaluate


def test_the_evaluation_that_a_stop_prevented_is_made_up_for(path: Path) -> None:
    """Stopped between an epoch's last step and its evaluation, and at the start."""
    expected = bits(Run(None)())
    for broken in range(EPOCHS + 1):
        run = Run(path)
        with pytest.raises(Stopped):
            run(evaluate=stopping(run, broken))
        history = load(path, run.arguments["optimizer"], run.params, run.rng)
        assert (history[1].t, len(history[2]["metrics"])) == (5 * broken, broken)
        assert bits(Run(path)()) == expected
        path.unlink()


def test_written_at_the_start_every_few_steps_and_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[int, int]] = []
    original = files.write_arrays

    def write(path: str, arrays: Arrays, text: str) -> None:
        note = json.loads(text)
        written.append((note["t"], len(note["extras"]["metrics"])))
        original(path, arrays, text)

    monkeypatch.setattr(checkpoint, "write_arrays", write)
    Run(path)(every=4)
    assert written == [(0, 0), (4, 1), (8, 2), (12, 3), (15, 4)]
    written.clear()
    path.unlink()
    Run(path)(every=1000)
    assert written == [(0, 0), (15, 4)]
    path.unlink()
    written.clear()
    Run(path)(every=5, evaluate=None)
    assert written == [(0, 0), (5, 0), (10, 0), (15, 0)]


def test_metrics_that_numpy_made(path: Path) -> None:
    """They come back as Python's numbers, of the same value."""

    def evaluate(params: Params) -> dict[str, Any]:
        w = params["layer1.W"]
        return {"a": w.sum(dtype=np.float32), "b": np.int64(3), "c": np.nan, "d": -0.0}

    expected = bits(Run(None)(evaluate=evaluate))
    with pytest.raises(Stopped):
        Run(path)(8, evaluate=evaluate)
    assert bits(Run(path)(evaluate=evaluate)) == expected


@dataclass(frozen=True)
class Overwriting(Optimizer):
    """An optimizer that writes the new parameters and states over the old ones."""

    def step(
        self, grads: Grads, state: OptimizerState, params: Params
    ) -> tuple[Params, OptimizerState]:
        new, after = super().step(grads, state, params)
        for k, w in params.items():
            w[...] = new[k]
            old = leaves(state.rules[k])
            for a, b in zip(old, leaves(after.rules[k]), strict=True):
                a[...] = b
        return params, OptimizerState(after.t, state.rules)


def test_an_optimizer_that_writes_over_its_arguments(path: Path) -> None:
    optimizer = Overwriting(adamw(0.1).rule, 0.1)
    expected = bits(Run(None)(optimizer=optimizer))
    assert expected == bits(Run(None)(optimizer=adamw(0.1)))
    for stop in range(2, STEPS + 1, 3):
        with pytest.raises(Stopped):
            Run(path)(stop, optimizer=optimizer)
        assert bits(Run(path)(optimizer=optimizer)) == expected
        path.unlink()


# Files of another run.


def other_y() -> Any:
    return np.where(np.arange(23) == 11, (Y + 1) % 3, Y)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another batch size": ({"batch_size": 6}, "batch_size is 5 there, 6 here"),
    "fewer samples": (
        {"x": X[:-1], "y": Y[:-1]},
        "samples is 23 there, 22 here",
    ),
    "other inputs": ({"x": X + 1e-15}, "checksum of x is "),
    "one other label": ({"y": other_y()}, "checksum of y is "),
    "no evaluation": ({"evaluate": None}, "evaluate is True there, False here"),
    "another start": (
        {"params": init_mlp(np.random.default_rng(1), [4, 6, 3])},
        "checksum of the first params is ",
    ),
    "another network": (
        {"params": init_mlp(np.random.default_rng(0), [4, 7, 3])},
        r"params/layer1.W is float64 \(4, 6\) there, float64 \(4, 7\) here",
    ),
    "a deeper network": (
        {"params": init_mlp(np.random.default_rng(0), [4, 6, 3, 3])},
        r"params/layer3.W is missing there, float64 \(3, 3\) here",
    ),
    "another precision": (
        {"params": init_mlp(np.random.default_rng(0), [4, 6, 3], dtype=np.float32)},
        r"params/layer1.W is float64 \(4, 6\) there, float32 \(4, 6\) here",
    ),
    "another optimizer": (
        {"optimizer": adam(0.05)},
        r"rule is Chain\(.*\) there, Adam\(.*\) here",
    ),
    "another rate": (
        {"optimizer": adamw(0.05)},
        r"lr\(1\) is 0\.016.* there, 0\.05 here",
    ),
    "another class of optimizer": (
        {"optimizer": Overwriting(adamw(0.1).rule, warmup(cosine(0.05, 12), 3))},
        "optimizer is Optimizer there, Overwriting here",
    ),
    "steps in place": (
        {"in_place": True},
        "optimizer is Optimizer there, InPlace here",
    ),
    "another generator": (
        {"rng": np.random.Generator(np.random.SFC64(7))},
        "rng is PCG64 there, SFC64 here",
    ),
    "fewer epochs": ({"epochs": 1}, "is beyond this run: it is at step 7 of 5"),
    "no epoch": ({"epochs": 0}, "is beyond this run: it is at step 7 of 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_of_another_run_is_refused(case: str, path: Path) -> None:
    """Before anything happens; the file stays, and its own run goes on from it."""
    changes, message = REFUSED[case]
    with pytest.raises(Stopped):
        Run(path)(8)
    content = path.read_bytes()
    run = Run(path)
    rng = changes.get("rng", run.rng)
    before = repr(rng.bit_generator.state)
    seen: list[Params] = []

    def evaluate(params: Params) -> dict[str, float]:
        seen.append(params)
        return {}

    with pytest.raises(ValueError, match=message) as caught:
        run(**{"evaluate": evaluate, **changes})
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert (run.calls, seen) == (0, [])
    assert repr(rng.bit_generator.state) == before
    assert path.read_bytes() == content
    assert bits(Run(path)()) == bits(Run(None)())


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_damaged_file_is_refused_and_stays(length: int, path: Path) -> None:
    with pytest.raises(Stopped):
        Run(path)(8)
    content = path.read_bytes()[:length]
    path.write_bytes(content)
    run = Run(path)
    with pytest.raises(
        ValueError, match=r"run\.safetensors is not a whole safetensors"
    ):
        run()
    assert run.calls == 0
    assert path.read_bytes() == content


def test_labels_that_are_no_array(path: Path) -> None:
    """Whatever indexes may be a label; what is no array is not compared."""

    class Labels:
        def __len__(self) -> int:
            return len(Y)

        def __getitem__(self, i: Any) -> Any:
            return Y[i]

    expected = bits(Run(None)())
    with pytest.raises(Stopped):
        Run(path)(8, y=Labels())
    assert bits(Run(path)(y=Labels())) == expected


# What cannot be written.


@pytest.mark.parametrize("where", ["absent/run", "file/run"])
def test_a_bad_place_is_found_before_the_training(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    seen: list[Params] = []
    run = Run(tmp_path / where)
    with pytest.raises(OSError, match="cannot write the checkpoint: .*" + where):
        run(evaluate=lambda params: {"n": float(len(seen))})
    assert run.calls == 0


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(OSError, match=re.escape(str(tmp_path))):
        run()
    assert run.calls == 0


def test_a_place_that_has_gone_bad_is_found_before_going_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stopped):
        Run(path)(8)
    content = path.read_bytes()
    run = Run(path)
    with monkeypatch.context() as patch:
        patch.setattr(files, "open", full(0), raising=False)
        with pytest.raises(OSError, match="No space left on device"):
            run()
    assert run.calls == 0
    assert path.read_bytes() == content


def full(writes: int) -> Callable[..., Any]:
    """Return an ``open`` for a disk that is full after so many new files."""
    left = iter(range(writes))

    def opens(name: str, mode: str) -> Any:
        if mode == "xb" and next(left, None) is None:
            raise OSError(28, "No space left on device")
        return open(name, mode)

    return opens


def test_a_disk_that_fills_up_stops_the_run_and_not_for_good(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "open", full(6), raising=False)
        with pytest.raises(OSError, match="No space left on device"):
            Run(path)()
    assert os.listdir(path.parent) == [path.name]
    run = Run(path)
    assert bits(run()) == bits(Run(None)())
    assert run.calls == STEPS - 5


# The arguments.


@pytest.mark.parametrize("every", [0, -1, 1.0, 2.5, True, None, "3", float("nan")])
def test_every_is_a_count(every: Any, path: Path) -> None:
    run = Run(path)
    before = repr(run.rng.bit_generator.state)
    with pytest.raises(ValueError, match=r"^every must be an int >= 1, got "):
        run(every=every)
    assert run.calls == 0
    assert repr(run.rng.bit_generator.state) == before
    assert not path.exists()


def test_a_name_may_be_text_or_a_path(path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(path.parent)
    expected = bits(Run(Path("a"))())
    assert bits(Run(None)(checkpoint="b")) == expected
    assert sorted(os.listdir()) == ["a", "b"]
    with pytest.raises(TypeError, match="PathLike"):
        Run(None)(checkpoint=3)


def test_the_progress_bar_starts_where_the_run_does(
    path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    with pytest.raises(Stopped):
        Run(path)(12)
    capfd.readouterr()
    Run(path)()
    _, err = capfd.readouterr()
    assert "2/3" in err
    assert "3/3" in err
    assert "0/" not in err


def test_sgd_has_no_state_to_keep(path: Path) -> None:
    with pytest.raises(Stopped):
        Run(path)(9, optimizer=sgd(0.1))
    history = Run(path)(optimizer=sgd(0.1))
    assert bits(history) == bits(Run(None)(optimizer=sgd(0.1)))
    assert set(history.state.rules.values()) == {None}
