"""Update rules, each written once as in its paper, and what applies them.

A *rule* sees one array: gradient and state in, direction and new state out. `chain`
makes rules of rules. `Optimizer` lifts a rule to named parameters and takes the step
``w <- w - lr(t) * u`` without changing anything; `InPlace` takes the same step in
buffers of its own, at the speed of memory. A schedule is a function from the step to
the learning rate.
"""

from deepopt_lib.optim.adaptive import AdaGrad, Adam, AMSGrad, RMSprop
from deepopt_lib.optim.base import Checked
from deepopt_lib.optim.compose import Chain, MatrixOr, chain
from deepopt_lib.optim.inplace.fused import fused
from deepopt_lib.optim.optimizer import Optimizer, OptimizerState
from deepopt_lib.optim.orthogonalize import Orthogonalize
from deepopt_lib.optim.recipes import (
    adagrad,
    adam,
    adamw,
    lion,
    momentum,
    muon,
    rmsprop,
    sgd,
)
from deepopt_lib.optim.rules import GradientDescent, Lion, Momentum, WeightDecay
from deepopt_lib.optim.schedule_free import ScheduleFree, average
from deepopt_lib.optim.schedules import (
    constant,
    cosine,
    inverse_sqrt,
    inverse_time,
    join_schedules,
    one_cycle,
    step_decay,
    warmup,
)
from deepopt_lib.optim.step_size import Armijo, Hypergradient, HyperState

__all__ = [
    "AMSGrad",
    "AdaGrad",
    "Adam",
    "Armijo",
    "Chain",
    "Checked",
    "GradientDescent",
    "HyperState",
    "Hypergradient",
    "Lion",
    "MatrixOr",
    "Momentum",
    "Optimizer",
    "OptimizerState",
    "Orthogonalize",
    "RMSprop",
    "ScheduleFree",
    "WeightDecay",
    "adagrad",
    "adam",
    "adamw",
    "average",
    "chain",
    "constant",
    "cosine",
    "fused",
    "inverse_sqrt",
    "inverse_time",
    "join_schedules",
    "lion",
    "momentum",
    "muon",
    "one_cycle",
    "rmsprop",
    "sgd",
    "step_decay",
    "warmup",
]
