"""What several ranks check together: the work behind test_parallel.py.

mpiexec -n N python -m tests.library.parallel.mpi_worker FOLDER

Each check runs on all ranks, with numbers that differ from rank to rank, and compares
with what plain NumPy makes of the numbers of all.
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from deepopt_lib import optim
from deepopt_lib.autodiff import cross_entropy, value_and_grad
from deepopt_lib.autodiff import sum as tape_sum
from deepopt_lib.core import (
    Array,
    Grads,
    Params,
    Rule,
    checksum,
    flatten,
    nbytes,
    unflatten,
)
from deepopt_lib.nn import init_mlp, mlp
from deepopt_lib.optim import (
    Optimizer,
    OptimizerState,
    adamw,
    chain,
    cosine,
    momentum,
    sgd,
)
from deepopt_lib.parallel import (
    AllReduce,
    DataParallel,
    Exchange,
    Gathered,
    LocalSGD,
    PowerSGD,
    Ranks,
    Run,
    ScaledSign,
    SharedError,
    Strategy,
    TopK,
    ZeRO1,
    fit,
    ring_all_reduce,
    world,
)
from deepopt_lib.parallel.agreement import check_same
from deepopt_lib.training import batches

SHAPES: dict[str, tuple[int, ...]] = {"W": (12, 9), "b": (9,), "K": (3, 3, 4, 6)}


def draw(seed: int) -> Grads:
    rng = np.random.default_rng(seed)
    return {k: rng.standard_normal(shape) for k, shape in SHAPES.items()}


def everyone(ranks: Ranks) -> list[Grads]:
    return [draw(10 + r) for r in ranks]


def mean_of(each: list[Grads]) -> Grads:
    return {k: np.mean([g[k] for g in each], axis=0) for k in each[0]}


def close(found: Params, expected: Params, tolerance: float = 1e-12) -> None:
    assert list(found) == list(expected)
    for k, w in expected.items():
        np.testing.assert_allclose(found[k], w, rtol=tolerance, atol=tolerance)


def refused(f: Callable[[], Any], message: str) -> None:
    try:
        f()
    except SharedError as error:
        assert message in str(error), error
    else:
        raise AssertionError(f"no error: {message}")


def fail(error: Exception) -> None:
    raise error


def check_collectives(ranks: Ranks) -> None:
    n = ranks.size
    each = [np.random.default_rng(r).standard_normal(13) for r in ranks]
    x, expected = each[ranks.rank].copy(), np.mean(each, axis=0)
    np.testing.assert_allclose(ranks.all_reduce_mean(x), expected, rtol=1e-14)
    assert (x == each[ranks.rank]).all()
    assert ranks.sent == 2 * (n - 1) / n * x.nbytes
    part = ranks.reduce_scatter_mean(x)
    np.testing.assert_allclose(part, expected[ranks.span(13)], rtol=1e-14)
    np.testing.assert_allclose(ranks.all_gather_v(part), expected, rtol=1e-14)
    assert ranks.sent == 4 * (n - 1) / n * x.nbytes  # two halves are one all-reduce
    spans = [ranks.span(13, r) for r in ranks]
    assert [s.stop for s in spans[:-1]] == [s.start for s in spans[1:]]
    assert {s.stop - s.start for s in spans} <= {13 // n, -(-13 // n)}
    mine = (
        np.full((2, 3), ranks.rank, np.float32),
        np.array([ranks.rank, 7], np.uint8),
    )
    for r, (a, b) in enumerate(ranks.all_gather_arrays(mine)):
        assert a.dtype == np.float32
        assert (a == np.full((2, 3), r)).all()
        assert b.tolist() == [r, 7]
    assert ranks.all_gather_arrays([]) == [[]] * n
    gaps = np.repeat(x, 2)[::2]  # arrays with gaps, which MPI would not take
    for f in (ranks.all_reduce_mean, ranks.reduce_scatter_mean, ranks.all_gather):
        assert (f(gaps) == f(x)).all()
    assert (ranks.all_gather_v(gaps) == ranks.all_gather(x).ravel()).all()
    assert (ranks.all_gather_arrays([gaps])[0][0] == each[0]).all()
    before = ranks.sent
    ranks.all_gather_arrays(mine)
    assert np.isclose(ranks.sent - before, (n - 1) * (4 * 6 + 2))
    before = ranks.sent
    np.testing.assert_array_equal(ranks.all_gather(x), each)
    assert np.isclose(ranks.sent - before, (n - 1) * x.nbytes)
    before = ranks.sent
    assert ranks.all_gather_texts(f"ü{ranks.rank}" * ranks.rank) == [
        f"ü{r}" * r for r in ranks
    ]
    assert ranks.sent == before
    refused(lambda: ranks.together(lambda: fail(ValueError())), "ValueError")
    assert ranks.together(lambda: ranks.rank) == ranks.rank
    last = n - 1
    for error, said in ((KeyError("W"), "KeyError: 'W'"), (OSError("no disk"), "no")):
        where = f"rank {last}: {said}" if last else said

        def one(error: Exception = error) -> None:
            if ranks.rank == last:
                fail(error)

        refused(lambda: ranks.together(one), where)
    if n > 1:
        refused(
            lambda: ranks.all_gather_arrays([np.zeros(1 + ranks.rank)]),
            "different sizes",
        )


def check_ring(ranks: Ranks) -> None:
    n = ranks.size
    for size in (4 * n, 4 * n + 1, n - 1, 1):
        x = np.random.default_rng(ranks.rank).standard_normal(size)
        kept = x.copy()
        total, sent = ring_all_reduce(ranks.comm, x)
        assert (x == kept).all()
        np.testing.assert_allclose(
            total, n * ranks.all_reduce_mean(x), rtol=1e-12, atol=1e-15
        )
        if size % n == 0:
            assert sent == 2 * (n - 1) / n * x.nbytes
    counted = sum(int(t) for t in ranks.all_gather_texts(str(sent)))
    assert counted == 2 * (n - 1) * x.nbytes  # one number: not even, but no more


def check_exchanges(ranks: Ranks) -> None:
    each = everyone(ranks)
    exact, mine = mean_of(each), each[ranks.rank]
    exchange: Exchange
    for codec in (ScaledSign(), TopK(0.1), TopK(1.0)):
        for feedback in (True, False):
            exchange = Gathered(codec, feedback)
            s = exchange.init(mine)
            errors: list[Params] = [
                {k: np.zeros(SHAPES[k]) for k in "WK"} for _ in each
            ]
            for _ in range(2):
                found, s = exchange.mean(mine, s, ranks)
                sums = [
                    {k: g[k] + e[k] for k in e}
                    for g, e in zip(each, errors, strict=True)
                ]
                said = [{k: codec.round(p[k]) for k in p} for p in sums]
                close(found, mean_of([g | u for g, u in zip(each, said, strict=True)]))
                errors = [
                    {k: (p[k] - u[k]) * feedback for k in p}
                    for p, u in zip(sums, said, strict=True)
                ]
                close(s.error, errors[ranks.rank])
    found, _ = AllReduce().mean(mine, AllReduce().init(mine), ranks)
    close(found, exact)


def check_powersgd(ranks: Ranks) -> None:
    """Against the paper's algorithm for the mean matrix, two steps."""
    each = everyone(ranks)
    mine, exact = each[ranks.rank], mean_of(each)
    for feedback in (True, False):
        exchange = PowerSGD(2, feedback, seed=3)
        s = exchange.init(mine)
        assert list(s.error) == ["W", "K"]
        q = {k: a.copy() for k, a in s.shared.items()}
        errors = [{k: np.zeros(SHAPES[k]) for k in q} for _ in each]
        for _ in range(2):
            before = ranks.sent
            found, s = exchange.mean(mine, s, ranks)
            numbers = 2 * (12 + 9) + 2 * (36 + 6) + 9
            share = (ranks.size - 1) / ranks.size
            assert ranks.sent - before == 2 * share * 8 * numbers
            np.testing.assert_allclose(found["b"], exact["b"], rtol=1e-12)
            for k in q:
                every = [
                    (g[k] + e[k]).reshape(-1, SHAPES[k][-1])
                    for g, e in zip(each, errors, strict=True)
                ]
                M = np.mean(every, axis=0)
                P = np.linalg.qr(M @ q[k])[0]
                q[k] = M.T @ P
                low = P @ P.T @ M
                np.testing.assert_allclose(
                    found[k].reshape(M.shape), low, rtol=1e-10, atol=1e-12
                )
                for e, own in zip(errors, every, strict=True):
                    e[k] = (own - low).reshape(e[k].shape) * feedback
                np.testing.assert_allclose(
                    s.error[k], errors[ranks.rank][k], rtol=1e-10, atol=1e-12
                )


ZERO: list[Rule] = [
    optim.GradientDescent(),
    optim.Momentum(0.9),
    optim.AdaGrad(),
    optim.RMSprop(),
    chain(optim.Adam(), optim.WeightDecay(0.1)),
    optim.AMSGrad(),
    optim.Lion(),
]


def check_zero(ranks: Ranks) -> None:
    n = sum(np.prod(shape) for shape in SHAPES.values())
    for rule in ZERO:
        one = Optimizer(rule, 0.01)
        whole, parts = draw(0), draw(0)
        zero = ZeRO1(one)
        state, s = one.init(whole), zero.init(parts, ranks)
        for step in range(4):
            each = [draw(100 * step + r) for r in ranks]
            before = ranks.sent
            parts, s = zero.step(each[ranks.rank], s, parts, ranks)
            assert ranks.sent - before == 2 * (ranks.size - 1) / ranks.size * 8 * n
            whole, state = one.step(mean_of(each), state, whole)
        close(parts, whole)
        held, full = nbytes(s.optimizer.rules), nbytes(state.rules)
        assert held <= full * 1.05 / ranks.size + 8
        joined = zero.collect(s, parts, ranks)
        assert joined.t == state.t == 4
        for k, old in state.rules.items():
            for a, b in zip(flatten(joined.rules[k]), flatten(old), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
        again = zero.divide(joined, parts, ranks)
        for a, b in zip(
            flatten(again.rules["part"]),
            flatten(s.optimizer.rules["part"]),
            strict=True,
        ):
            assert (a == b).all()


def check_local(ranks: Ranks) -> None:
    each = everyone(ranks)
    mine = each[ranks.rank]
    for optimizer in (sgd(0.1), momentum(0.1)):
        a, b = LocalSGD(optimizer, 1), DataParallel(optimizer)
        pa, _ = a.step(mine, a.init(draw(0), ranks), draw(0), ranks)
        pb, _ = b.step(mine, b.init(draw(0), ranks), draw(0), ranks)
        close(pa, pb)
        c = LocalSGD(optimizer, 3)
        params, s = draw(0), c.init(draw(0), ranks)
        alone = [(draw(0), optimizer.init(draw(0))) for _ in ranks]
        for _ in range(3):
            params, s = c.step(mine, s, params, ranks)
            alone = [
                optimizer.step(g, old, w)
                for g, (w, old) in zip(each, alone, strict=True)
            ]
        close(params, mean_of([w for w, _ in alone]))
        for k in params:
            for i, found in enumerate(flatten(s.optimizer.rules[k])):
                expected = np.mean(
                    [flatten(old.rules[k])[i] for _, old in alone], axis=0
                )
                np.testing.assert_allclose(found, expected, rtol=1e-12)


X = np.random.default_rng(1).standard_normal((30, 4))
Y = np.random.default_rng(2).integers(0, 3, 30)


def train(ranks: Ranks, strategy: Strategy, **changes: Any) -> Run:
    start = init_mlp(np.random.default_rng(0), [4, 6, 3])
    arguments: dict[str, Any] = {
        "x": X,
        "y": Y,
        "params": start,
        "epochs": 3,
        "batch_size": 7,
    }
    arguments |= {"rng": np.random.default_rng(7), "strategy": strategy, **changes}
    loss = arguments.pop("loss", lambda params, x, y: cross_entropy(mlp(params, x), y))
    return fit(loss, ranks=ranks, **arguments)


def alone(ranks: Ranks, optimizer: Optimizer, period: int, epochs: int) -> Any:
    """Return what local SGD of all ranks comes to, written out for one process.

    Parameters at the end, and the mean of the ranks after each epoch.
    """
    n, rng = ranks.size, np.random.default_rng(7)
    gradient = value_and_grad(lambda params, x, y: cross_entropy(mlp(params, x), y))
    start = init_mlp(np.random.default_rng(0), [4, 6, 3])
    w, s = [start] * n, [optimizer.init(start)] * n
    seen = []
    for _ in range(epochs):
        for batch in batches(len(X), 7, rng):
            for r in ranks:
                i = batch[ranks.span(len(batch), r)]
                grads = {k: np.zeros_like(a) for k, a in start.items()}
                if len(i):
                    share = len(i) * n / len(batch)
                    grads = {
                        k: share * g for k, g in gradient(w[r], X[i], Y[i])[1].items()
                    }
                w[r], s[r] = optimizer.step(grads, s[r], w[r])
            if s[0].t % period == 0:
                w = [mean_of(w)] * n
                mean = [
                    np.mean(each, axis=0)
                    for each in zip(*(flatten(old.rules) for old in s), strict=True)
                ]
                s = [OptimizerState(s[0].t, unflatten(s[0].rules, mean))] * n
        seen.append(mean_of(w))
    return mean_of(w), seen


def check_local_runs(ranks: Ranks) -> None:
    """Fifteen steps with averages after every four: the ranks end alike all the same.

    What is evaluated after an epoch is the average too.
    """
    seen: list[Params] = []

    def evaluate(params: Params) -> dict[str, float]:
        seen.append(params)
        return {"sum": float(params["layer1.W"].sum())}

    optimizer = momentum(0.1)
    for period in (4, 5, 100):
        seen.clear()
        before = ranks.sent
        run = train(ranks, LocalSGD(optimizer, period), evaluate=evaluate)
        averages = 15 // period + (15 % period > 0)
        share = 2 * (ranks.size - 1) / ranks.size
        assert ranks.sent - before == averages * share * 2 * nbytes(run.params)
        ends = ranks.all_gather_texts(f"{checksum(run.params)} {run.metrics}")
        assert len(set(ends)) == 1
        expected, evaluated = alone(ranks, optimizer, period, 3)
        close(run.params, expected)
        for found, mean in zip(seen[1:], evaluated, strict=True):
            close(found, mean)


def check_bad_jobs(ranks: Ranks) -> None:
    def bad(message: str, **changes: Any) -> None:
        refused(lambda: train(ranks, DataParallel(adamw(0.01)), **changes), message)

    bad("epochs must be", epochs=-1)
    bad("batch_size must be", batch_size=31)
    bad("differ in length", y=Y[1:])
    bad("every must be", checkpoint="x", every=0)
    bad("cannot write the checkpoint", checkpoint="no/such/folder/x.safetensors")
    check_same(ranks, {"a": 1})
    with np.errstate(all="ignore"):
        bad("step 1: the gradient of layer1.W is NaN or infinite on", x=X * np.nan)
    n, last = ranks.size, ranks.rank == ranks.size - 1
    if n > 1:
        bad("more ranks than samples", x=X[: n - 1], y=Y[: n - 1], batch_size=1)
        bad("a batch needs a sample for each rank", batch_size=n - 1)
        check_what_differs(ranks, last)
        check_what_fails(ranks, last)


def check_what_differs(ranks: Ranks, last: bool) -> None:
    """What one rank has otherwise than the others is named before the first step."""
    n = ranks.size
    other: dict[str, list[dict[str, Any]]] = {
        "the data": [{"x": X + 1}, {"y": Y[::-1]}],
        "the names of the parameters": [
            {"params": init_mlp(np.random.default_rng(0), [4, 6, 6, 3])}
        ],
        "the first parameters": [
            {"params": init_mlp(np.random.default_rng(5), [4, 6, 3])}
        ],
        "epochs": [{"epochs": 2}],
        "batch_size": [{"batch_size": 6}],
        "every": [{"every": 2}],
        "evaluate": [{"evaluate": lambda params: {}}],
        "the generator": [{"rng": np.random.default_rng(8)}],
        "rng": [{"rng": np.random.Generator(np.random.MT19937(7))}],
        "checkpoint": [{"checkpoint": "/no/such/folder/x"}],
        "strategy": [
            {"strategy": DataParallel(adamw(0.02))},
            {"strategy": DataParallel(adamw(0.01), PowerSGD())},
            {"strategy": ZeRO1(adamw(0.01))},
        ],
        "lr(2)": [{"strategy": DataParallel(adamw(lambda t: 0.01 / max(1, t - 1)))}],
    }
    for name, each in other.items():
        for changes in each:
            rate = (lambda t: 0.01 / t) if name == "lr(2)" else 0.01
            usual = {"strategy": DataParallel(adamw(rate))}
            arguments = {**usual, **(changes if last else {})}
            refused(lambda: train(ranks, **arguments), f"the ranks differ in {name}: ")  # noqa: B023
    refused(
        lambda: check_same(ranks, {"versions": f"9.{last}"}), f"rank {n - 1} has 9.True"
    )
    refused(lambda: check_same(ranks, {"a": 1} if last else {}), "rank 0 has nothing")


def check_what_fails(ranks: Ranks, last: bool) -> None:
    """An error of one rank in a loss or an evaluation is an error of all."""
    n = ranks.size

    def bad(message: str, **changes: Any) -> None:
        refused(lambda: train(ranks, DataParallel(adamw(0.01)), **changes), message)

    def no_such_name(params: Any, x: Array, y: Any) -> Any:
        return cross_entropy(mlp(params, x), y) + (params["no"] if last else 0.0)

    def no_such_metric(params: Params) -> dict[str, float]:
        return {"a": {"b": 1.0}["c" if last else "b"]}

    bad(f"rank {n - 1}: KeyError: 'no'", loss=no_such_name)
    bad(f"rank {n - 1}: KeyError: 'c'", evaluate=no_such_metric)

    def nan_on_the_last(params: Any, x: Array, y: Any) -> Any:
        return cross_entropy(mlp(params, x), y) + (np.nan if last else 0.0)

    bad(f"step 1: the loss is NaN or infinite on rank {n - 1}", loss=nan_on_the_last)

    def slope_without_number(params: Any, x: Array, y: Any) -> Any:
        value = cross_entropy(mlp(params, x), y)
        root = tape_sum(params["layer2.b"] ** 0.5)  # of zeros: finite, its slope is not
        return value + 0.0 * root if last else value

    with np.errstate(all="ignore"):
        bad(f"layer2.b is NaN or infinite on rank {n - 1}", loss=slope_without_number)
    rng = np.random.default_rng(7)

    def dropout(params: Any, x: Array, y: Any) -> Any:
        return cross_entropy(mlp(params, x * (rng.random(x.shape) < 0.9)), y)

    bad("have drawn other batches", loss=dropout, rng=rng)


def check_resumed(ranks: Ranks, folder: str) -> None:
    """A run that stops and goes on ends with the same bits; feedback and parts too.

    Stopped in an epoch by a loss that fails, and at the end of a shorter run.
    """
    strategies: list[Strategy] = [
        DataParallel(adamw(0.01)),
        ZeRO1(adamw(cosine(0.01, 20))),
        LocalSGD(momentum(0.01), 4),
        DataParallel(momentum(0.01), PowerSGD(1)),
        DataParallel(momentum(0.01), Gathered(TopK(0.2))),
    ]

    def evaluate(params: Params) -> dict[str, float]:
        return {"sum": float(params["layer1.W"].sum())}

    for i, strategy in enumerate(strategies):
        straight = train(ranks, strategy, epochs=4, evaluate=evaluate)
        calls = iter(range(6))

        def stops(params: Any, x: Array, y: Any, calls: Any = calls) -> Any:
            next(calls)
            return cross_entropy(mlp(params, x), y)

        path = Path(folder) / f"{ranks.size}-{i}.safetensors"
        keep = {"checkpoint": path, "every": 3, "evaluate": evaluate}
        train(ranks, strategy, epochs=2, **keep)
        refused(
            lambda: train(ranks, strategy, epochs=4, loss=stops, **keep),  # noqa: B023
            "StopIteration",
        )
        again = train(ranks, strategy, epochs=4, **keep)
        assert again.loss == straight.loss
        assert again.metrics == straight.metrics
        assert again.state.t == straight.state.t == 20
        for k, w in straight.params.items():
            assert (again.params[k] == w).all(), (strategy, k)
        other: Strategy = DataParallel(sgd(0.01))
        if i == 2:
            other = LocalSGD(momentum(0.01), 2)
        refused(lambda: train(ranks, other, checkpoint=path), "belongs to another run")  # noqa: B023


CHECKS = [
    check_collectives,
    check_ring,
    check_exchanges,
    check_powersgd,
    check_zero,
    check_local,
    check_local_runs,
    check_bad_jobs,
]


def main(folder: str) -> None:
    ranks = world()
    try:
        for check in CHECKS:
            check(Ranks(ranks.comm))
        check_resumed(ranks, folder)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        ranks.comm.Abort(1)


if __name__ == "__main__":
    main(sys.argv[1])
