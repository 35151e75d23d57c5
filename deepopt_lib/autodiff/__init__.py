"""Reverse-mode automatic differentiation on one small tape.

A *primitive* (`ops`) computes its output with NumPy and says, for each argument, how a
change of the output pulls back to that argument (the vector-Jacobian product, vjp). The
`tape` records which primitives ran; `backward` walks it once, from the end (Rumelhart,
Hinton, Williams 1986; Baydin et al. 2018): a loss goes in, its gradient by every named
parameter comes out.
"""

from deepopt_lib.autodiff.backward import value_and_grad
from deepopt_lib.autodiff.curvature import hvp, top_eigenvalue
from deepopt_lib.autodiff.gradcheck import check_grads
from deepopt_lib.autodiff.ops.arithmetic import (
    add,
    div,
    exp,
    linear,
    log,
    matmul,
    mul,
    neg,
    power,
    relu,
    sigmoid,
    sub,
    tanh,
)
from deepopt_lib.autodiff.ops.arrays import mean, reshape, sum, take, transpose
from deepopt_lib.autodiff.ops.attention import online_attention, self_attention
from deepopt_lib.autodiff.ops.convolution import conv2d, conv_layer
from deepopt_lib.autodiff.ops.depthwise import depthwise2d
from deepopt_lib.autodiff.ops.dropout import dropout
from deepopt_lib.autodiff.ops.embedding import embedding
from deepopt_lib.autodiff.ops.gated import gru_layer, lstm_layer
from deepopt_lib.autodiff.ops.normalization import (
    Statistics,
    batch_norm,
    layer_norm,
    running_statistics,
)
from deepopt_lib.autodiff.ops.pooling import avg_pool, max_pool
from deepopt_lib.autodiff.ops.recurrent import rnn_layer
from deepopt_lib.autodiff.ops.softmax import cross_entropy, log_softmax
from deepopt_lib.autodiff.tape import PRIMITIVES, Var, primitive

__all__ = [
    "PRIMITIVES",
    "Statistics",
    "Var",
    "add",
    "avg_pool",
    "batch_norm",
    "check_grads",
    "conv2d",
    "conv_layer",
    "cross_entropy",
    "depthwise2d",
    "div",
    "dropout",
    "embedding",
    "exp",
    "gru_layer",
    "hvp",
    "layer_norm",
    "linear",
    "log",
    "log_softmax",
    "lstm_layer",
    "matmul",
    "max_pool",
    "mean",
    "mul",
    "neg",
    "online_attention",
    "power",
    "primitive",
    "relu",
    "reshape",
    "rnn_layer",
    "running_statistics",
    "self_attention",
    "sigmoid",
    "sub",
    "sum",
    "take",
    "tanh",
    "top_eigenvalue",
    "transpose",
    "value_and_grad",
]
