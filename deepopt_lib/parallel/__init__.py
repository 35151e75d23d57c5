"""Training on several processes: ranks, collectives, strategies, and their cost.

`Ranks` are the processes of MPI. An *exchange* turns the gradients of all ranks into
their mean, exactly or in fewer bytes; a *strategy* says when they talk and who holds
which state; `fit` is the loop of `deepopt_lib.training` under it. The cost model
predicts what a message takes. ``python -m deepopt_lib.parallel`` is the command.
"""

from deepopt_lib.parallel.cost_model import Link, halving_time, ring_time
from deepopt_lib.parallel.errors import SharedError
from deepopt_lib.parallel.exchange import (
    AllReduce,
    Exchange,
    ExchangeState,
    Gathered,
    PowerSGD,
)
from deepopt_lib.parallel.feedback import ErrorFeedback, encode_with_feedback
from deepopt_lib.parallel.gradient_codes import ScaledSign, Signs, Top, TopK
from deepopt_lib.parallel.job import world
from deepopt_lib.parallel.local_sgd import LocalSGD
from deepopt_lib.parallel.loop import fit
from deepopt_lib.parallel.ranks import Ranks
from deepopt_lib.parallel.ring import ring_all_reduce
from deepopt_lib.parallel.start import command, launch, report
from deepopt_lib.parallel.strategies import (
    DataParallel,
    Strategy,
    StrategyState,
)
from deepopt_lib.parallel.worker import Run
from deepopt_lib.parallel.zero import ZeRO1

__all__ = [
    "AllReduce",
    "DataParallel",
    "ErrorFeedback",
    "Exchange",
    "ExchangeState",
    "Gathered",
    "Link",
    "LocalSGD",
    "PowerSGD",
    "Ranks",
    "Run",
    "ScaledSign",
    "SharedError",
    "Signs",
    "Strategy",
    "StrategyState",
    "Top",
    "TopK",
    "ZeRO1",
    "command",
    "encode_with_feedback",
    "fit",
    "halving_time",
    "launch",
    "report",
    "ring_all_reduce",
    "ring_time",
    "world",
]
