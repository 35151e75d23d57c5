"""Data-parallel training: ``mpiexec -n 4 python -m deepopt_lib.parallel --model mlp``.

The same command runs on one machine or, under the MPI of a cluster, on many.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepopt_lib import autodiff, data, nn, optim
from deepopt_lib.core.files import checksum
from deepopt_lib.core.products import norm
from deepopt_lib.core.tree import nbytes
from deepopt_lib.core.types import Params
from deepopt_lib.optim import recipes
from deepopt_lib.parallel.errors import SharedError
from deepopt_lib.parallel.exchange import AllReduce, Exchange, Gathered, PowerSGD
from deepopt_lib.parallel.gradient_codes import ScaledSign, TopK
from deepopt_lib.parallel.job import check_place, run_command, write_report
from deepopt_lib.parallel.local_sgd import LocalSGD
from deepopt_lib.parallel.loop import fit
from deepopt_lib.parallel.ranks import Ranks
from deepopt_lib.parallel.strategies import DataParallel, Strategy
from deepopt_lib.parallel.worker import Run
from deepopt_lib.parallel.zero import ZeRO1

__all__ = ["main"]

OPTIMIZERS: dict[str, Callable[[float], optim.Optimizer]] = {
    name: getattr(optim, name) for name in recipes.__all__
}
EXCHANGES: dict[str, Callable[[argparse.Namespace], Exchange]] = {
    "allreduce": lambda o: AllReduce(),
    "powersgd": lambda o: PowerSGD(o.rank, not o.no_feedback),
    "topk": lambda o: Gathered(TopK(o.keep), not o.no_feedback),
    "sign": lambda o: Gathered(ScaledSign(), not o.no_feedback),
}
DATA: dict[str, Callable[[], data.Split]] = {
    "digits": data.digits,
    "mnist5k": lambda: data.mnist5k(pool=2),
}


SENT = "bytes a rank by the ring formula"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on this rank; return 0, or 2 after a sentence on what is wrong.

    An error that only this rank has ends the whole job: the others would wait for it
    forever.
    """
    options = _parser().parse_args(argv)
    return run_command("deepopt_lib.parallel", lambda ranks: _train(options, ranks))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m deepopt_lib.parallel",
        description="Train a network on all ranks that mpiexec -n N has started.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", choices=["mlp", "conv"], default="mlp", help="the network")
    add("--hidden", type=int, nargs="*", default=[128, 128], help="units or channels")
    add("--data", choices=[*DATA], default="mnist5k", help="the data set")
    add("--optimizer", choices=[*OPTIMIZERS], default="adamw", help="the rule")
    add("--lr", type=float, default=1e-3, help="learning rate")
    add("--epochs", type=int, default=5, help="passes over the data")
    add("--batch-size", type=int, default=128, help="samples a step, of all ranks")
    add("--seed", type=int, nargs="+", default=[0], help="one run for each")
    add("--dtype", choices=["float64", "float32"], default="float64", help="numbers")
    add("--exchange", choices=[*EXCHANGES], default="allreduce", help="of gradients")
    add("--rank", type=int, default=2, help="of PowerSGD's factors")
    add("--keep", type=float, default=0.01, help="share that top-k sends")
    add("--no-feedback", action="store_true", help="forget what a code leaves out")
    add("--zero", action="store_true", help="ZeRO-1: share out the optimizer's state")
    add("--local-steps", type=int, default=1, help="local SGD: steps between averages")
    add("--checkpoint", help="a safetensors file: written, and taken up if it exists")
    add("--every", type=int, default=100, help="steps between two checkpoints")
    add("--report", help="a JSON file for what rank 0 can tell")
    return parser


def _train(options: argparse.Namespace, ranks: Ranks) -> None:
    strategy = ranks.together(lambda: _strategy(options))
    split = ranks.together(DATA[options.data])
    if options.checkpoint and len(options.seed) > 1:
        raise SharedError(f"one checkpoint is of one seed, got {options.seed}")
    check_place(ranks, options.report)
    runs = []
    for seed in options.seed:
        start = time.perf_counter()
        ranks.sent = 0.0
        run = _fit(options, ranks, strategy, split, seed)
        runs.append(_report(run, ranks, seed, time.perf_counter() - start))
    if ranks.rank == 0:
        for said in runs:
            print(
                f"ranks {ranks.size}, seed {said['seed']}: test accuracy "
                f"{said['accuracy'][-1]:.2%}, {said['sent']:,.0f} {SENT}, "
                f"{max(said['state_bytes']):,} bytes of state, params {said['params']}"
            )
    if options.report:
        told = {"ranks": ranks.size, "sent is": SENT, "runs": runs}
        write_report(ranks, options.report, told)


def _strategy(options: argparse.Namespace) -> Strategy:
    rule = OPTIMIZERS[options.optimizer](options.lr)
    plain = options.exchange == "allreduce"
    if options.zero + (options.local_steps != 1) + (not plain) > 1:
        raise ValueError("--zero, --local-steps and --exchange exclude each other")
    if options.zero:
        return ZeRO1(rule)
    if options.local_steps != 1:
        return LocalSGD(rule, options.local_steps)
    return DataParallel(rule, EXCHANGES[options.exchange](options))


def _fit(
    options: argparse.Namespace,
    ranks: Ranks,
    strategy: Strategy,
    split: data.Split,
    seed: int,
) -> Run:
    network = {"mlp": nn.mlp, "conv": nn.conv_net}[options.model]
    inputs = [a.astype(options.dtype) for a in split[::2]]
    if options.model == "conv":
        side = round(inputs[0].shape[1] ** 0.5)
        inputs = [a.reshape(-1, side, side, 1) for a in inputs]
    x, x_val, x_test = inputs

    def start() -> Params:
        rng = np.random.default_rng(seed)
        if options.model == "mlp":
            sizes = [x.shape[1], *options.hidden, 10]
            return nn.init_mlp(rng, sizes, dtype=options.dtype)
        return nn.init_conv_net(
            rng, x.shape[1:], options.hidden, 10, dtype=options.dtype
        )

    def loss(params: Any, x: Any, y: Any) -> Any:
        return autodiff.cross_entropy(network(params, x), y)

    def evaluate(params: Params) -> dict[str, float]:
        found = {"accuracy": float(nn.accuracy(network(params, x_test), split.y_test))}
        if len(x_val):
            score = nn.accuracy(network(params, x_val), split.y_val)
            found["validation"] = float(score)
        return found

    return fit(
        loss,
        ranks.together(start),
        strategy,
        x,
        split.y_train,
        ranks=ranks,
        epochs=options.epochs,
        batch_size=options.batch_size,
        rng=np.random.default_rng(seed + 1000),
        evaluate=evaluate,
        checkpoint=options.checkpoint,
        every=options.every,
    )


def _report(run: Run, ranks: Ranks, seed: int, seconds: float) -> dict[str, Any]:
    held = ranks.all_gather_texts(str(nbytes(run.state.optimizer.rules)))
    return {
        "seed": seed,
        **{k: run.metric(k).tolist() for k in run.metrics[0]},
        "loss": run.loss,
        "sent": ranks.sent,
        "state_bytes": [int(text) for text in held],
        "parameter_bytes": nbytes(run.params),
        "params": f"{checksum(run.params):08x}",
        "norms": {k: norm(w) for k, w in run.params.items()},
        "seconds": seconds,
    }
