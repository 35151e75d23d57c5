"""Optimizer steps: every elementwise rule, from a thousand parameters to 10**8."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from scipy.linalg.blas import saxpy

from benchmarks.limits import Moves, fastest, movers
from benchmarks.timing import interleave, ratios, summary
from deepopt_lib.core import Grads, Params, Rule, flatten
from deepopt_lib.nn import init_mlp, init_transformer_block
from deepopt_lib.optim import (
    AdaGrad,
    Adam,
    AMSGrad,
    GradientDescent,
    InPlace,
    Lion,
    Momentum,
    Optimizer,
    RMSprop,
    WeightDecay,
    chain,
)

LR = 1e-3
SIZES = (1_000, 17_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
BIG = 10_000_000  # beyond it only those take part who have a chance, to save memory
Step = Callable[[], Any]


class Contest(NamedTuple):
    """A rule of ours and the same rule of the others."""

    rule: Rule
    torch: Callable[..., Any] | None
    optax: Any
    has_fused: bool = True  # whether PyTorch has a fused kernel of it


T = torch.optim
RULES: dict[str, Contest] = {
    "SGD": Contest(GradientDescent(), lambda p, **k: T.SGD(p, LR, **k), optax.sgd(LR)),
    "momentum": Contest(
        Momentum(),
        lambda p, **k: T.SGD(p, LR, momentum=0.9, **k),
        optax.sgd(LR, momentum=0.9),
    ),
    "AdaGrad": Contest(
        AdaGrad(),
        lambda p, **k: T.Adagrad(p, LR, **k),
        optax.adagrad(LR, initial_accumulator_value=0.0, eps=1e-10),
    ),
    "RMSprop": Contest(
        RMSprop(),
        lambda p, **k: T.RMSprop(p, LR, **k),
        optax.rmsprop(LR, decay=0.99, eps=1e-8, eps_in_sqrt=False),
        has_fused=False,
    ),
    "Adam": Contest(Adam(), lambda p, **k: T.Adam(p, LR, **k), optax.adam(LR)),
    "AMSGrad": Contest(
        AMSGrad(),
        lambda p, **k: T.Adam(p, LR, amsgrad=True, **k),
        optax.amsgrad(LR),
    ),
    "AdamW": Contest(
        chain(Adam(), WeightDecay(0.01)),
        lambda p, **k: T.AdamW(p, LR, weight_decay=0.01, **k),
        optax.adamw(LR, weight_decay=0.01),
    ),
    "Lion": Contest(Lion(), None, optax.lion(LR, weight_decay=0.0)),
}


def ours(
    rule: Rule, params: Params, grads: Grads, compiled: bool | None = None
) -> Step:
    """Return a step in place; in NumPy blocks, as without numba, if not compiled."""
    run = InPlace(Optimizer(rule, LR), params, compiled=compiled)
    return functools.partial(run.step, grads)


def pure(rule: Rule, params: Params, grads: Grads) -> Step:
    """Return a step of the rule as it is written."""
    optimizer = Optimizer(rule, LR)
    kept = [params, optimizer.init(params)]

    def step() -> None:
        kept[:] = optimizer.step(grads, kept[1], kept[0])  # type: ignore[arg-type]

    return step


def torch_step(
    make: Callable[..., Any], params: Params, grads: Grads, **how: Any
) -> Step:
    """Return a step of PyTorch, on copies that begin where PyTorch lets them begin."""
    leaves = []
    for name, w in params.items():
        leaf = torch.from_numpy(w).clone().requires_grad_()
        leaf.grad = torch.from_numpy(grads[name]).clone()
        leaves.append(leaf)
    compiled = how.pop("compile", False)
    optimizer = make(leaves, **how)
    step: Step = optimizer.step
    return torch.compile(step) if compiled else step  # type: ignore[no-any-return]


def optax_step(transform: Any, w: Any, g: Any) -> Step:
    """Return a step of optax, compiled, writing over its arguments."""

    def update(w: Any, state: Any, g: Any) -> Any:
        u, state = transform.update(g, state, w)
        return optax.apply_updates(w, u), state

    compiled = jax.jit(update, donate_argnums=(0, 1))
    grad = jnp.asarray(g)
    kept = [jnp.array(w), transform.init(jnp.array(w))]

    def step() -> None:
        kept[:] = jax.block_until_ready(compiled(*kept, grad))

    return step


def contestants(name: str, n: int, only: str = "") -> dict[str, Step]:
    """Return a step of everybody who takes part at this size, ours first."""
    contest = RULES[name]
    rng = np.random.default_rng(0)
    w, g = rng.standard_normal((2, n), dtype=np.float32)
    params, grads, rule = {"w": w}, {"w": g}, contest.rule

    def saxpy_step(x: Any) -> Step:
        return lambda: saxpy(g, x, a=-LR)

    def torch_with(**how: Any) -> Callable[[], Step]:
        assert contest.torch
        return functools.partial(torch_step, contest.torch, params, grads, **how)

    makers: dict[str, Callable[[], Step]] = {
        "deepopt": lambda: ours(rule, params, grads)
    }
    if contest.torch and contest.has_fused:
        makers["torch fused"] = torch_with(fused=True)
    if contest.torch and not (n > BIG and contest.has_fused):
        makers["torch foreach"] = torch_with(foreach=True)
    if contest.torch and n <= BIG:
        makers["torch"] = torch_with()
    if name == "Adam" and n in (17_000, 1_000_000, 10_000_000):
        makers["torch compile"] = torch_with(compile=True)
    if n <= BIG:
        makers |= {
            "optax jit": lambda: optax_step(contest.optax, w, g),
            "deepopt blocks": lambda: ours(rule, params, grads, compiled=False),
            "deepopt pure": lambda: pure(rule, params, grads),
        }
        if name == "SGD":
            makers["scipy saxpy"] = lambda: saxpy_step(w.copy())
    return {who: make() for who, make in makers.items() if only in ("", who)}


def floors(rule: Rule, found: Moves) -> dict[str, float]:
    """Return the µs that moving the bytes of a step takes as a copy, and in place.

    It reads parameters, gradients and states, and writes all but the gradients.
    """
    states = len(flatten(rule.init(np.zeros(1, np.float32))))
    us = {k: 1e6 * t * (3 + 2 * states) / 2 for k, t in found._asdict().items()}
    return {k: float(f"{t:.4g}") for k, t in us.items()}


def measure(only: str = "", sizes: tuple[int, ...] = SIZES) -> list[dict[str, Any]]:
    """Return a row for each rule, size and contestant."""
    warnings.filterwarnings("ignore", module="torch")
    rows: list[dict[str, Any]] = []
    for name, contest in RULES.items():
        if only.lower() not in name.lower():
            continue
        for n in sizes:
            rounds = 15 if n <= BIG else 5
            steps = contestants(name, n)
            times = interleave(steps | movers(n), rounds)
            floor = floors(contest.rule, fastest(times))
            for who in steps:
                values = times[who]
                rows.append(
                    {
                        "rule": name,
                        "n": n,
                        "who": who,
                        "us": summary([1e6 * t for t in values]),
                        "ratio": ratios(times["deepopt"], values),
                        "floor_us": floor,
                    }
                )
                report(f"{name} {n:,}", rows[-1])
    return rows


def measure_rules(n: int = 10_000_000) -> list[dict[str, Any]]:
    """Return a row for each rule of ours, all in the same rounds, with the limits."""
    rng = np.random.default_rng(0)
    w, g = rng.standard_normal((2, n), dtype=np.float32)
    runs = movers(n)
    for name, contest in RULES.items():
        runs[name] = ours(contest.rule, {"w": w}, {"w": g})
    times = interleave(runs, rounds=11)
    rows: list[dict[str, Any]] = []
    for name, contest in RULES.items():
        us, floor = [1e6 * t for t in times[name]], floors(contest.rule, fastest(times))
        ratio = {k: summary([t / f for t in us], digits=3) for k, f in floor.items()}
        rows.append({"rule": name, "n": n, "us": summary(us), "by_floor": ratio})
        print(f"{name:9} {n:,} {rows[-1]['us']['median']:10,.0f} us {ratio}")
    return rows


def models() -> dict[str, Params]:
    """Return networks of several arrays: few, many of all sizes, many small ones."""
    rng = np.random.default_rng(0)
    small = np.float32
    blocks = [init_transformer_block(rng, 128, 512, dtype=small) for _ in range(5)]
    return {
        "6 arrays": init_mlp(rng, [64, 128, 64, 10], dtype=small),
        "60 arrays": {
            f"{i}.{k}": w for i, b in enumerate(blocks) for k, w in b.items()
        },
        "100 arrays": {f"w{i}": np.ones(172, small) for i in range(100)},
    }


def measure_arrays() -> list[dict[str, Any]]:
    """Return rows for Adam on networks, each gradient in an array of its own."""
    rows: list[dict[str, Any]] = []
    adam = RULES["Adam"].torch
    assert adam
    for label, params in models().items():
        grads = {k: np.ones_like(w) for k, w in params.items()}
        steps = {"deepopt": ours(Adam(), params, grads)}
        for how in ("", "foreach", "fused"):
            flags = {how: True} if how else {}
            steps[f"torch {how}".rstrip()] = torch_step(adam, params, grads, **flags)
        times = interleave(steps)
        for who, values in times.items():
            rows.append(
                {
                    "arrays": label,
                    "n": sum(w.size for w in params.values()),
                    "who": who,
                    "us": summary([1e6 * t for t in values]),
                    "ratio": ratios(times["deepopt"], values),
                }
            )
            report(f"Adam, {label}", rows[-1])
    return rows


def report(what: str, row: dict[str, Any]) -> None:
    ratio = row["ratio"]
    print(
        f"{what:24} {row['who']:26} {row['us']['median']:12,.1f} us "
        f"{ratio['median']:6.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})",
        flush=True,
    )
