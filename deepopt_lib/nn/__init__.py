"""Networks and losses: an ``init_*`` draws parameters, a pure function uses them.

Parameters are a flat dict such as ``{"layer1.W": ..., "layer1.b": ...}``; inputs are
(batch, features). A network maps both to logits, a loss maps logits and labels to one
number. All of it is made of the primitives of `deepopt_lib.autodiff`, and runs on plain
arrays too.
"""

from deepopt_lib.nn.convolutional import conv_net, init_conv_net
from deepopt_lib.nn.dense import init_mlp, mlp
from deepopt_lib.nn.losses import accuracy, distillation, mse
from deepopt_lib.nn.params import draw_linear, part, prefixed
from deepopt_lib.nn.recurrent import gru, init_gru, init_lstm, init_rnn, lstm, rnn
from deepopt_lib.nn.transformer import (
    attention,
    init_attention,
    init_transformer_block,
    transformer_block,
)

__all__ = [
    "accuracy",
    "attention",
    "conv_net",
    "distillation",
    "draw_linear",
    "gru",
    "init_attention",
    "init_conv_net",
    "init_gru",
    "init_lstm",
    "init_mlp",
    "init_rnn",
    "init_transformer_block",
    "lstm",
    "mlp",
    "mse",
    "part",
    "prefixed",
    "rnn",
    "transformer_block",
]
