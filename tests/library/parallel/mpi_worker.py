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
from deepopt_lib.autodiff import cross_entropy
from deepopt_lib.autodiff import sum as tape_sum
from deepopt_lib.core import Array, Grads, Params, Rule, flatten, nbytes
from deepopt_lib.nn import init_mlp, mlp
from deepopt_lib.optim import Optimizer, adamw, chain, momentum, sgd
from deepopt_lib.parallel import (
    AllReduce,
    DataParallel,
    Exchange,
    Gathered,
    LocalSGD,
    PowerSGD,
    Ranks,
    ScaledSign,
    SharedError,
    Strategy,
    TopK,
    ZeRO1,
    fit,
    ring_all_reduce,
    world,
)
from deepopt_lib.parallel.ranks import check_same

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


def fail() -> None:
    raise ValueError


def check_collectives(ranks: Ranks) -> None:
    n = ranks.size
    each = [np.random.default_rng(r).standard_normal(13) for r in ranks]
    x, expected = each[ranks.rank].copy(), np.mean(each, axis=0)
    np.testing.assert_allclose(ranks.mean(x), expected, rtol=1e-14)
    assert (x == each[ranks.rank]).all()
    part = ranks.mean_part(x)
    np.testing.assert_allclose(part, expected[ranks.span(13)], rtol=1e-14)
    np.testing.assert_allclose(ranks.join(part), expected, rtol=1e-14)
    assert ranks.sent == 4 * (n - 1) / n * x.nbytes  # two halves are one all-reduce
    spans = [ranks.span(13, r) for r in ranks]
    assert [s.stop for s in spans[:-1]] == [s.start for s in spans[1:]]
    assert {s.stop - s.start for s in spans} <= {13 // n, -(-13 // n)}
    mine = (
        np.full((2, 3), ranks.rank, np.float32),
        np.array([ranks.rank, 7], np.uint8),
    )
    for r, (a, b) in enumerate(ranks.gather(mine)):
        assert a.dtype == np.float32
        assert (a == np.full((2, 3), r)).all()
        assert b.tolist() == [r, 7]
    assert ranks.gather([]) == [[]] * n
    before = ranks.sent
    np.testing.assert_array_equal(ranks.each(x), each)
    assert np.isclose(ranks.sent - before, (n - 1) * x.nbytes)
    before = ranks.sent
    assert ranks.texts(f"ü{ranks.rank}" * ranks.rank) == [f"ü{r}" * r for r in ranks]
    assert ranks.sent == before
    refused(lambda: ranks.together(fail), "ValueError")  # even without a message
    if n > 1:
        refused(lambda: ranks.gather([np.zeros(1 + ranks.rank)]), "different sizes")


def check_ring(ranks: Ranks) -> None:
    n = ranks.size
    for size in (4 * n, 4 * n + 1, n - 1, 1):
        x = np.random.default_rng(ranks.rank).standard_normal(size)
        kept = x.copy()
        total, sent = ring_all_reduce(ranks.comm, x)
        assert (x == kept).all()
        np.testing.assert_allclose(total, n * ranks.mean(x), rtol=1e-12, atol=1e-15)
        if size % n == 0:
            assert sent == 2 * (n - 1) / n * x.nbytes
    counted = sum(int(t) for t in ranks.texts(str(sent)))
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
        held, full = s.nbytes, sum(map(nbytes, map(flatten, state.rules.values())))
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
        for step in range(3):
            if step and ranks.size > 1:
                refused(lambda: c.collect(s, params, ranks), "between two averages")  # noqa: B023
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


def train(ranks: Ranks, strategy: Strategy, **changes: Any) -> Params:
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
    return fit(loss, ranks=ranks, **arguments).params


def check_fused(ranks: Ranks) -> None:
    """An optimizer that writes in place trains a copy, to the same numbers."""
    start = init_mlp(np.random.default_rng(0), [4, 6, 3])
    plain, fused = (
        train(ranks, DataParallel(Optimizer(optim.Adam(), 0.01, fused=f)), params=start)
        for f in (False, True)
    )
    close(fused, plain)
    close(start, init_mlp(np.random.default_rng(0), [4, 6, 3]), 0)


def check_bad_jobs(ranks: Ranks) -> None:
    def bad(message: str, **changes: Any) -> None:
        refused(lambda: train(ranks, DataParallel(adamw(0.01)), **changes), message)

    n, last = ranks.size, ranks.rank == ranks.size - 1
    bad("epochs must be", epochs=-1)
    bad("batch_size must be", batch_size=31)
    bad("differ in length", y=Y[1:])
    bad("every must be", checkpoint="x", every=0)
    bad("cannot write the checkpoint", checkpoint="no/such/folder/x.safetensors")
    check_same(ranks, {"a": 1})
    if n == 1:
        return
    bad("more ranks than samples", x=X[: n - 1], y=Y[: n - 1], batch_size=1)
    bad("a batch needs a sample for each rank", batch_size=n - 1)
    bad("differ in the data", x=X + last)
    bad("differ in the data", y=Y[::-1] if last else Y)
    names = init_mlp(np.random.default_rng(0), [4, 6, 6, 3])
    bad("differ in the names", **({"params": names} if last else {}))
    other = init_mlp(np.random.default_rng(5), [4, 6, 3])
    bad("differ in the first parameters", **({"params": other} if last else {}))
    bad("differ in epochs", epochs=2 + last)
    refused(
        lambda: train(ranks, DataParallel(adamw(0.02 if last else 0.01))), "strategy"
    )
    refused(
        lambda: check_same(ranks, {"versions": f"9.{last}"}), f"rank {n - 1} has 9.True"
    )

    def nan_on_the_last(params: Any, x: Array, y: Any) -> Any:
        value = cross_entropy(mlp(params, x), y)
        return value * np.nan if last else value

    bad(f"NaN or infinite on rank {n - 1}", loss=nan_on_the_last)

    def slope_without_number(params: Any, x: Array, y: Any) -> Any:
        value = cross_entropy(mlp(params, x), y)
        root = tape_sum(params["layer2.b"] ** 0.5)  # of zeros: finite, its slope is not
        return value + 0.0 * root if last else value

    with np.errstate(all="ignore"):
        bad(f"layer2.b is NaN or infinite on rank {n - 1}", loss=slope_without_number)


def check_resumed(ranks: Ranks, folder: str) -> None:
    """A run that stops and goes on ends with the same bits; feedback and parts too."""
    strategies: list[Strategy] = [
        DataParallel(adamw(0.01)),
        ZeRO1(adamw(0.01)),
        LocalSGD(momentum(0.01), 5),
        DataParallel(momentum(0.01), PowerSGD(1)),
        DataParallel(momentum(0.01), Gathered(TopK(0.2))),
    ]
    for i, strategy in enumerate(strategies):
        straight = train(ranks, strategy, epochs=4)
        path = Path(folder) / f"{ranks.size}-{i}.safetensors"
        train(ranks, strategy, checkpoint=path, every=5, epochs=2)
        again = train(ranks, strategy, checkpoint=path, every=5, epochs=4)
        for k, w in straight.items():
            assert (again[k] == w).all(), (strategy, k)
        other: Strategy = DataParallel(sgd(0.01))
        if i == 2:
            other = LocalSGD(momentum(0.01), 2)
        refused(lambda: train(ranks, other, checkpoint=path), "belongs to another run")  # noqa: B023


CHECKS = [
    check_collectives,
    check_ring,
    check_exchanges,
    check_powersgd,
    check_fused,
    check_zero,
    check_local,
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
