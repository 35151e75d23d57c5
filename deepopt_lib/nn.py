"""Networks: an ``init_*`` that draws parameters, and a pure function that uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from deepopt_lib.convolution import conv_layer
from deepopt_lib.dropout import dropout
from deepopt_lib.embedding import embedding
from deepopt_lib.normalization import batch_norm, layer_norm, running_statistics
from deepopt_lib.params import check_sizes, draw_linear, part, prefixed
from deepopt_lib.primitives import linear, relu, reshape
from deepopt_lib.sequence import gru, init_gru, init_lstm, init_rnn, lstm, rnn
from deepopt_lib.shapes import check_shapes
from deepopt_lib.transformer import (
    attention,
    init_attention,
    init_transformer_block,
    transformer_block,
)
from deepopt_lib.types import Params

__all__ = [
    "attention",
    "batch_norm",
    "conv_net",
    "dropout",
    "embedding",
    "gru",
    "init_attention",
    "init_conv_net",
    "init_gru",
    "init_lstm",
    "init_mlp",
    "init_rnn",
    "init_transformer_block",
    "layer_norm",
    "lstm",
    "mlp",
    "part",
    "prefixed",
    "rnn",
    "running_statistics",
    "transformer_block",
]


def init_mlp(
    rng: np.random.Generator,
    sizes: Sequence[int],
    *,
    gain: float = 2.0,
    dtype: Any = np.float64,
) -> Params:
    """Draw the parameters of a multilayer perceptron.

    ``"layer1.W"`` of shape (sizes[0], sizes[1]) with entries N(0, gain/sizes[0]), and
    ``"layer1.b"`` of zeros, and so on. ``gain=2`` is He et al. (2015), eq. 10, for
    relu; ``gain=1`` suits tanh.

    Raises
    ------
    ValueError
        If there are fewer than two sizes, or one is not a positive int.
    """
    check_sizes("sizes", sizes, at_least=2)
    params: Params = {}
    for i, (n_in, n_out) in enumerate(pairwise(sizes), 1):
        params |= prefixed(f"layer{i}", draw_linear(rng, n_in, n_out, gain, dtype))
    return params


def mlp(params: Any, x: Any, activation: Callable[[Any], Any] = relu) -> Any:
    """Return the logits of a multilayer perceptron: x (batch, n_in) -> (batch, n_out).

    ``activation`` follows every layer but the last. Works on arrays and on the tape.
    """
    depth = len(params) // 2
    for i in range(1, depth + 1):
        x = linear(x, params[f"layer{i}.W"], params[f"layer{i}.b"])  # (batch, n_i)
        if i < depth:
            x = activation(x)
    return x


def init_conv_net(
    rng: np.random.Generator,
    image: Sequence[int],
    channels: Sequence[int],
    classes: int,
    *,
    kernel: int = 3,
    dtype: Any = np.float64,
) -> Params:
    """Draw the parameters of a convolutional network for images (height, width, c).

    ``"conv1.W"`` (kernel, kernel, c, channels[0]) with entries N(0, 2/(kernel**2 * c)),
    ``"conv1.b"`` of zeros, and so on; ``"out.W"`` and ``"out.b"`` map what is left of
    the image, halved by each layer, to the classes. He et al. (2015), eq. 10.

    Raises
    ------
    ValueError
        If a size is not a positive int, ``image`` does not have three of them,
        ``kernel`` is even, or height or width cannot be halved that often.
    """
    check_sizes("image", image, at_least=3)
    check_sizes("channels", channels, at_least=1)
    check_sizes("classes and kernel", [classes, kernel], at_least=2)
    if len(image) != 3:
        raise ValueError(f"image must be (height, width, c), got {list(image)}")
    if kernel % 2 == 0:
        raise ValueError(f"kernel must be odd, got {kernel}")
    height, width, c = image
    halvings = 2 ** len(channels)
    if height % halvings or width % halvings:
        raise ValueError(
            f"height and width must be multiples of {halvings} for {len(channels)} "
            f"layers, got {list(image)}"
        )
    params: Params = {}
    for i, (c_in, c_out) in enumerate(pairwise([c, *channels]), 1):
        conv = draw_linear(rng, kernel * kernel * c_in, c_out, 2.0, dtype)
        conv["W"] = conv["W"].reshape(kernel, kernel, c_in, c_out)
        params |= prefixed(f"conv{i}", conv)
    features = height * width * channels[-1] // halvings**2
    return params | prefixed("out", draw_linear(rng, features, classes, 1.0, dtype))


def conv_net(params: Any, x: Any) -> Any:
    """Return the logits of a convolutional network, after LeCun et al. (1998).

    Each layer is a convolution that keeps the size, a maximum over 2 x 2 pixels and a
    relu, one primitive. x (batch, height, width, c) -> (batch, classes).

    Raises
    ------
    ValueError
        If the shape of the images is not the one that the parameters were drawn for.
    """
    check_shapes("conv_net", "x (batch, height, width, c)", getattr(x, "value", x))
    i = 1
    while f"conv{i}.W" in params:
        W, b = params[f"conv{i}.W"], params[f"conv{i}.b"]
        x = conv_layer(x, W, b, pad=W.shape[0] // 2)  # (batch, height/2, width/2, c_i)
        i += 1
    x = reshape(x, shape=(x.shape[0], -1))  # (batch, features)
    return linear(x, params["out.W"], params["out.b"])
