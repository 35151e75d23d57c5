"""Update rules, each written once as in its paper, and what applies them.

A *rule* sees one array: gradient and state in, direction and new state out. `chain`
makes rules of rules. `Optimizer` lifts a rule to named parameters and takes the step
``w <- w - lr(t) * u`` without changing anything; `InPlace` takes the same step in
buffers of its own, at the speed of memory. A schedule is a function from the step to
the learning rate.
"""

from deepopt_lib.optim.adaptive import AdaGrad, Adam, AMSGrad, RMSprop
from deepopt_lib.optim.base import FRACTION, NOT_NEGATIVE, Checked
from deepopt_lib.optim.compose import Chain, MatrixOr, chain
from deepopt_lib.optim.inplace.driver import InPlace
from deepopt_lib.optim.inplace.javascript import javascript
from deepopt_lib.optim.inplace.kernel import loop_source
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
    "FRACTION",
    "NOT_NEGATIVE",
    "AMSGrad",
    "AdaGrad",
    "Adam",
    "Armijo",
    "Chain",
    "Checked",
    "GradientDescent",
    "HyperState",
    "Hypergradient",
    "InPlace",
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
    "inverse_sqrt",
    "inverse_time",
    "javascript",
    "join_schedules",
    "lion",
    "loop_source",
    "momentum",
    "muon",
    "one_cycle",
    "rmsprop",
    "sgd",
    "step_decay",
    "warmup",
]
