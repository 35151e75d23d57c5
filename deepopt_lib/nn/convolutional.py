"""A convolutional network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from deepopt_lib.autodiff.ops.arithmetic import linear
from deepopt_lib.autodiff.ops.arrays import reshape
from deepopt_lib.autodiff.ops.convolution import conv_layer
from deepopt_lib.core.checks import check_int
from deepopt_lib.core.shapes import check_shapes
from deepopt_lib.core.types import Params
from deepopt_lib.nn.params import check_sizes, draw_linear, prefixed

__all__ = ["conv_net", "init_conv_net"]


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
    if len(image) != 3:
        raise ValueError(f"image must be (height, width, c), got {list(image)}")
    check_sizes("image", image, at_least=3)
    check_sizes("channels", channels, at_least=1)
    check_int("classes", classes)
    check_int("kernel", kernel)
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
