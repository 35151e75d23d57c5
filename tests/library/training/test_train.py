"""The training loop: what a reader would write by hand, with a record of it."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from deepopt_lib.autodiff import cross_entropy, mean, relu, sum, value_and_grad
from deepopt_lib.core import (
    Array,
    Grads,
    Params,
    clip_by_global_norm,
    flatten,
    global_norm,
)
from deepopt_lib.data import digits
from deepopt_lib.nn import accuracy, init_mlp, mlp
from deepopt_lib.optim import Optimizer, adam, momentum, sgd
from deepopt_lib.training import (
    History,
    Problem,
    batches,
    bowl,
    descend,
    fit,
    noisy,
    quadratic,
    rosenbrock,
)
from deepopt_lib.training.plan import Plan


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


X = rng(1).standard_normal((23, 4))
Y = rng(2).integers(0, 3, 23)


def loss(params: Any, x: Array, y: Any) -> Any:
    return cross_entropy(mlp(params, x), y)


def start() -> Params:
    return init_mlp(rng(), [4, 6, 3])


def run(**changes: Any) -> History:
    arguments: dict[str, Any] = {
        "loss": loss,
        "params": start(),
        "optimizer": adam(0.05),
        "x": X,
        "y": Y,
        "epochs": 3,
        "batch_size": 5,
        "rng": rng(7),
    }
    return fit(**{**arguments, **changes})


def equal(a: Params, b: Params) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


# Batches.


@pytest.mark.parametrize(
    ("n", "size", "lengths"),
    [(6, 2, [2, 2, 2]), (7, 3, [3, 3, 1]), (4, 4, [4]), (3, 1, [1, 1, 1]), (1, 1, [1])],
)
def test_batches_hold_every_index_once(n: int, size: int, lengths: list[int]) -> None:
    found = list(batches(n, size, rng()))
    assert [len(batch) for batch in found] == lengths
    assert sorted(np.concatenate(found).tolist()) == list(range(n))


def test_batches_are_shuffled_by_the_generator() -> None:
    a, b, c = (np.concatenate(list(batches(50, 8, rng(s)))) for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert not np.array_equal(a, np.arange(50))
    generator = rng()
    first = np.concatenate(list(batches(50, 8, generator)))
    second = np.concatenate(list(batches(50, 8, generator)))
    assert not np.array_equal(first, second)


BAD_SIZES: list[Any] = [0, -1, 24, 2.0, 1.5, True, None, "5", float("nan")]


@pytest.mark.parametrize("size", BAD_SIZES)
def test_batches_complain_at_once(size: Any) -> None:
    """When they are made, not when the first one is drawn."""
    with pytest.raises(
        ValueError, match=r"^batch_size must be an int in \[1, 23\], got"
    ):
        batches(23, size, rng())


# The loop.


def test_fit_is_the_loop_by_hand() -> None:
    history = run()
    generator, params, optimizer = rng(7), start(), adam(0.05)
    state = optimizer.init(params)
    gradient = value_and_grad(loss)
    losses = []
    for _ in range(3):
        order = generator.permutation(23)
        for i in range(0, 23, 5):
            batch = order[i : i + 5]
            value, grads = gradient(params, X[batch], Y[batch])
            params, state = optimizer.step(grads, state, params)
            losses.append(value)
    assert equal(history.params, params)
    assert history.loss == losses
    assert history.state.t == state.t == 15
    assert repr(history.state) == repr(state)
    assert history.metrics == []


def test_fit_is_deterministic_given_the_generator() -> None:
    a, b, c = run(), run(), run(rng=rng(8))
    assert equal(a.params, b.params)
    assert a.loss == b.loss
    assert not equal(a.params, c.params)


def test_fit_leaves_its_arguments_alone() -> None:
    params = start()
    for w in params.values():
        w.setflags(write=False)
    x, y = X.copy(), Y.copy()
    x.setflags(write=False)
    y.setflags(write=False)
    before = dict(params)
    run(params=params, x=x, y=y)
    assert equal(params, start())
    assert all(params[k] is before[k] for k in before)


def test_a_full_batch_is_gradient_descent() -> None:
    history = run(optimizer=sgd(0.1), batch_size=23, epochs=4)
    params = start()
    for value in history.loss:
        now, grads = value_and_grad(loss)(params, X, Y)
        assert value == pytest.approx(now, rel=1e-12)
        params = {k: w - 0.1 * grads[k] for k, w in params.items()}
    for k, w in params.items():
        np.testing.assert_allclose(history.params[k], w, rtol=1e-10, atol=1e-13)


def test_evaluation_at_the_start_and_after_each_epoch() -> None:
    seen: list[Params] = []

    def evaluate(params: Params) -> dict[str, float]:
        seen.append(params)
        return {"accuracy": accuracy(mlp(params, X), Y), "call": float(len(seen))}

    history = run(evaluate=evaluate)
    assert len(history.metrics) == 4
    assert equal(seen[0], start())
    assert equal(seen[-1], history.params)
    np.testing.assert_array_equal(history.metric("call"), [1.0, 2.0, 3.0, 4.0])
    assert history.metric("accuracy")[-1] == accuracy(mlp(history.params, X), Y)
    assert equal(history.params, run().params)
    with pytest.raises(KeyError, match="precision"):
        history.metric("precision")


def test_no_epoch_changes_nothing() -> None:
    history = run(epochs=0, evaluate=lambda params: {"one": 1.0})
    assert equal(history.params, start())
    assert history.loss == []
    assert history.metrics == [{"one": 1.0}]
    assert history.state.t == 0


def test_transform_sees_all_gradients_of_every_step() -> None:
    norms = []

    def clip(grads: Grads) -> Grads:
        clipped, norm = clip_by_global_norm(grads, 0.1)
        norms.append((norm, global_norm(clipped)))
        return clipped

    history = run(transform=clip, optimizer=sgd(1.0))
    assert len(norms) == len(history.loss) == 15
    assert all(after <= 0.1 + 1e-12 for _, after in norms)
    assert any(before > 0.2 for before, _ in norms)
    assert not equal(history.params, run(optimizer=sgd(1.0)).params)


def test_a_schedule_and_a_policy_reach_the_loop() -> None:
    asked = []

    def schedule(t: int) -> float:
        asked.append(t)
        return 0.1 / t

    optimizer = Optimizer({k: sgd(0.1).rule for k in start()}, schedule)  # type: ignore[misc]
    run(optimizer=optimizer)
    assert asked == list(range(1, 16))


def test_labels_may_be_anything_that_indexes() -> None:
    """Regression on a second array: y is handed to the loss, batch by batch."""
    target = X @ np.ones((4, 1))

    def squares(params: Any, x: Array, y: Array) -> Any:
        residual = x @ params["w"] - y
        return mean(sum(residual * residual, axis=-1))

    history = run(
        loss=squares,
        params={"w": np.zeros((4, 1))},
        y=target,
        optimizer=momentum(0.05),
        epochs=120,
    )
    np.testing.assert_allclose(history.params["w"], 1.0, atol=1e-6)


def test_training_learns_digits() -> None:
    split = digits()
    history = fit(
        lambda params, x, y: cross_entropy(mlp(params, x, relu), y),
        init_mlp(rng(), [64, 32, 10]),
        adam(0.01),
        split.x_train,
        split.y_train,
        epochs=8,
        batch_size=64,
        rng=rng(),
        evaluate=lambda params: {
            "train": accuracy(mlp(params, split.x_train), split.y_train),
            "test": accuracy(mlp(params, split.x_test), split.y_test),
        },
    )
    assert np.mean(history.loss[:5]) > 1.8
    assert np.mean(history.loss[-20:]) < 0.2
    assert history.metric("test")[0] < 0.3
    assert history.metric("test")[-1] > 0.93
    assert history.metric("train").shape == (9,)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"epochs={bad!r}": ({"epochs": bad}, r"^epochs must be an int >= 0, got ")
        for bad in (-1, 2.0, 1.5, True, None, "3", float("nan"))
    },
    **{
        f"batch_size={bad!r}": (
            {"batch_size": bad},
            r"^batch_size must be an int in \[1, 23\], got ",
        )
        for bad in BAD_SIZES
    },
    "fewer labels": ({"y": Y[:-1]}, r"^x and y differ in length: 23 and 22"),
    "more labels": ({"y": [*Y, 0]}, r"^x and y differ in length: 23 and 24"),
    "no parameters": ({"params": {}}, r"^params must be a dict with an array or more"),
    "a loss that is no number": (
        {"loss": lambda p, x, y: mlp(p, x)},
        r"^the loss must be one number, got shape \(5, 3\)",
    ),
    "a rule too few": (
        {"optimizer": Optimizer({"layer1.W": adam(0.1).rule}, 0.1)},  # type: ignore[dict-item]
        r"^Optimizer.rule does not fit params",
    ),
    "a transform that drops a name": (
        {"transform": lambda grads: {}},
        r"^grads does not fit params",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    changes, message = BAD[case]
    generator = rng(7)
    with pytest.raises(ValueError, match=message):
        run(**{"rng": generator, **changes})


@pytest.mark.parametrize("case", [k for k in BAD if k.startswith(("epochs", "batch"))])
def test_bad_numbers_stop_before_anything_is_drawn(case: str) -> None:
    generator = rng(7)
    called: list[Params] = []
    with pytest.raises(ValueError, match="must be an int"):
        run(**{"rng": generator, "evaluate": called.append, **BAD[case][0]})
    assert called == []
    assert generator.random() == rng(7).random()


def test_numpys_whole_numbers_are_welcome() -> None:
    history = run(epochs=np.int64(3), batch_size=np.uint8(5))
    assert equal(history.params, run().params)
    plan = Plan(np.int64(23), np.uint8(5), np.int32(3))  # type: ignore[arg-type]
    assert type(plan.epochs) is type(plan.batch_size) is int
    assert (plan.length, plan.steps) == (5, 15)
    assert len(descend(bowl(np.int64(2)), sgd(0.1), np.int8(4))) == 5  # type: ignore[arg-type]


# In place.


def test_steps_in_place_are_those_of_the_optimizer() -> None:
    before = start()
    params = start()
    pure, found = run(), run(params=params, in_place=True)
    assert equal(params, before)
    for k, w in pure.params.items():
        np.testing.assert_allclose(found.params[k], w, rtol=1e-12)
    np.testing.assert_allclose(found.loss, pure.loss, rtol=1e-12)
    assert found.state.t == pure.state.t == 15
    for a, b in zip(flatten(found.state.rules), flatten(pure.state.rules), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_what_a_run_in_place_leaves_behind_is_its_own() -> None:
    """Arrays to be written to, that share no memory; the evaluation sees views."""
    seen: list[Params] = []

    def evaluate(params: Params) -> dict[str, float]:
        seen.append(params)
        return {"sum": float(params["layer1.W"].sum())}

    history = run(in_place=True, evaluate=evaluate)
    assert len(set(history.metric("sum"))) == 4
    assert history.metrics[-1] == {"sum": float(history.params["layer1.W"].sum())}
    left = flatten((history.params, history.state.rules))
    for i, a in enumerate(left):
        assert a.flags.writeable
        assert not any(np.shares_memory(a, w) for w in seen[-1].values())
        assert not any(np.shares_memory(a, b) for b in left[:i])


@pytest.mark.parametrize("bad", [1, None, "yes"])
def test_in_place_is_true_or_false(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"^in_place must be True or False, got "):
        run(in_place=bad)


# The progress bar.


def test_silent_when_tqdm_is_disabled(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")
    run()
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown_otherwise(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    run()
    out, err = capfd.readouterr()
    assert out == ""
    assert "epochs" in err
    assert "3/3" in err


def test_silent_in_a_process_of_its_own() -> None:
    """As a notebook's kernel starts: with the variable set before the import."""
    code = (
        "import numpy as np\n"
        "from deepopt_lib.autodiff import sum\n"
        "from deepopt_lib.optim import sgd\n"
        "from deepopt_lib.training import fit\n"
        "fit(lambda p, x, y: sum(p['w'] * x), {'w': np.ones(2)}, sgd(0.1),\n"
        "    np.ones((4, 2)), np.ones(4), epochs=2, batch_size=2,\n"
        "    rng=np.random.default_rng(0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Problems.


def test_descend_is_the_loop_by_hand() -> None:
    problem = rosenbrock()
    path = descend(problem, momentum(1e-4, 0.9), 20)
    x, v = problem.x0, np.zeros(2)
    expected = [x]
    for _ in range(20):
        v = 0.9 * v + problem.grad(x)
        x = x - 1e-4 * v
        expected.append(x)
    assert path.shape == (21, 2)
    np.testing.assert_allclose(path, expected, rtol=1e-13)
    np.testing.assert_array_equal(path[0], rosenbrock().x0)


def test_descend_leaves_the_problem_alone() -> None:
    problem = bowl(3)
    path = descend(problem, sgd(0.1), 3)
    path[:] = 9.0
    np.testing.assert_array_equal(problem.x0, np.ones(3))
    problem.x0.setflags(write=False)
    descend(problem, adam(0.1), 3)


def test_descend_takes_another_gradient() -> None:
    problem = quadratic([1.0, 2.0])
    quiet = descend(problem, sgd(0.1), 5, grad=noisy(problem, 0.0, 1, rng()))
    np.testing.assert_array_equal(quiet, descend(problem, sgd(0.1), 5))
    a, b = (
        descend(problem, sgd(0.1), 5, grad=noisy(problem, 1.0, 1, rng(3))) for _ in "ab"
    )
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, quiet)


def test_descend_stops_when_near_enough() -> None:
    """On the bowl with lr = 1/4 each step halves the distance, which starts at 1."""
    path = descend(bowl(1), sgd(0.25), 100, tol=1e-3)
    assert path.shape == (11, 1)
    assert abs(path[-1, 0]) < 1e-3 <= abs(path[-2, 0])
    assert descend(bowl(1), sgd(0.25), 100).shape == (101, 1)
    assert descend(bowl(1), sgd(0.25), 5, tol=1e-3).shape == (6, 1)


def test_descend_measures_the_distance_to_the_minimum() -> None:
    three = np.array([3.0])
    problem = Problem(
        lambda x: float((x[0] - 3) ** 2), lambda x: 2 * (x - 3), np.array([4.0]), three
    )
    assert descend(problem, sgd(0.25), 100, tol=1e-3).shape == (11, 1)


def test_descend_of_no_step_is_the_start() -> None:
    np.testing.assert_array_equal(descend(bowl(2), sgd(0.1), 0), np.ones((1, 2)))


@pytest.mark.parametrize("steps", [-1, 2.0, 1.5, True, None, "3", float("nan")])
def test_descend_wants_a_count(steps: Any) -> None:
    with pytest.raises(ValueError, match=r"^steps must be an int >= 0, got "):
        descend(bowl(), sgd(0.1), steps)


def test_history_starts_empty_and_shares_nothing() -> None:
    a = History(start(), adam(0.1).init(start()))
    b = History(start(), adam(0.1).init(start()))
    a.loss.append(1.0)
    a.metrics.append({"x": 1.0})
    assert b.loss == []
    assert b.metrics == []
