"""Write torch_nn.json: what PyTorch's layers compute in float64, and their gradients.

The library does not depend on PyTorch, so its results are committed. To write them
again, in a virtual environment of its own (another processor may change last bits):

    python -m pip install torch==2.13.0 numpy==2.4.6
    python tests/golden/make_torch_nn_goldens.py

Every parameter and input is ``filled``, which the test repeats: quotients of small
integers by powers of two, exact in every floating-point format. The gradients are those
of the sum of the output times another such tensor.
"""

import warnings

import torch
from store import store
from torch import nn

CAUSAL = {"attn_mask": nn.Transformer.generate_square_subsequent_mask(4).double()}


def sequence(layer):
    """Call a recurrent layer for all of its hidden states."""
    return lambda x: layer(x)[0]


def attend(layer, **mask):
    """Call an attention on one sequence for all three of its arguments."""
    return lambda x: layer(x, x, x, need_weights=False, **mask)[0]


def itself(layer, **arguments):
    return lambda x: layer(x, **arguments)


# name: (layer, how it is called, its further arguments, shape of the input)
CASES = {
    "conv2d": (nn.Conv2d(2, 3, 3, padding=1), itself, {}, (2, 2, 5, 4)),
    "conv2d_valid": (nn.Conv2d(1, 2, (2, 3)), itself, {}, (2, 1, 4, 5)),
    "conv_layer": (
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        itself,
        {},
        (2, 1, 4, 6),
    ),
    "max_pool": (nn.MaxPool2d(2), itself, {}, (2, 2, 4, 6)),
    "avg_pool": (nn.AvgPool2d(3), itself, {}, (1, 2, 6, 3)),
    "rnn": (nn.RNN(3, 4, batch_first=True), sequence, {}, (2, 5, 3)),
    "lstm": (nn.LSTM(3, 4, batch_first=True), sequence, {}, (2, 5, 3)),
    "lstm_stacked": (nn.LSTM(2, 3, 2, batch_first=True), sequence, {}, (2, 4, 2)),
    "gru": (nn.GRU(3, 4, batch_first=True), sequence, {}, (2, 5, 3)),
    "attention": (
        nn.MultiheadAttention(6, 2, batch_first=True),
        attend,
        {},
        (2, 4, 6),
    ),
    "attention_causal": (
        nn.MultiheadAttention(6, 3, batch_first=True),
        attend,
        CAUSAL,
        (2, 4, 6),
    ),
    "transformer_block": (
        nn.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True),
        itself,
        {},
        (2, 4, 6),
    ),
    "transformer_block_pre_norm": (
        nn.TransformerEncoderLayer(6, 3, 5, 0.0, batch_first=True, norm_first=True),
        itself,
        {"src_mask": CAUSAL["attn_mask"], "is_causal": True},
        (2, 4, 6),
    ),
    "layer_norm": (nn.LayerNorm(5), itself, {}, (2, 3, 5)),
    "layer_norm_eps": (nn.LayerNorm(4, eps=0.25), itself, {}, (3, 4)),
    "batch_norm": (nn.BatchNorm1d(3, momentum=0.2), itself, {}, (5, 3)),
    "batch_norm_images": (nn.BatchNorm2d(2, eps=0.125), itself, {}, (2, 2, 3, 2)),
    "batch_norm_evaluation": (nn.BatchNorm1d(3).eval(), itself, {}, (5, 3)),
    "embedding": (nn.Embedding(5, 3), itself, {}, (2, 4)),
}


def value(i: int, k: int) -> float:
    """Return entry ``i`` of tensor number ``k``, between -0.83 and 0.83."""
    return ((37 * i + 101 * k + 17 * i * k) % 211 - 105) / 128


def filled(shape: tuple[int, ...], k: int) -> torch.Tensor:
    """Return tensor number ``k`` in float64."""
    n = int(torch.tensor(shape).prod())
    flat = torch.tensor([value(i, k) for i in range(n)], dtype=torch.float64)
    return flat.reshape(shape)


def result(name: str) -> dict:
    """Return the output of a case, its gradients, and the buffers after the call."""
    layer, how, arguments, shape = CASES[name]
    layer = layer.double()
    if name == "embedding":
        x = torch.tensor([[1, 0, 1, 4], [1, 4, 2, 2]])
    else:
        x = filled(shape, 0).requires_grad_()
    leaves = {"x": x} if x.is_floating_point() else {}
    with torch.no_grad():
        for k, (key, parameter) in enumerate(layer.named_parameters(), 1):
            parameter.copy_(filled(parameter.shape, k))
            leaves[key] = parameter
        if name == "batch_norm_evaluation":
            layer.running_mean.copy_(filled((3,), 50))
            layer.running_var.copy_(filled((3,), 51).abs())
    out = how(layer, **arguments)(x)
    (out * filled(out.shape, 99)).sum().backward()
    return {
        "shapes": {key: list(leaf.shape) for key, leaf in leaves.items()},
        "output": out.detach().flatten().tolist(),
        "gradients": {k: leaf.grad.flatten().tolist() for k, leaf in leaves.items()},
        "buffers": {
            k: buffer.flatten().tolist()
            for k, buffer in layer.named_buffers()
            if buffer.is_floating_point()
        },
    }


def main() -> None:
    """Write the file next to this script."""
    warnings.simplefilter("error")
    golden = {"torch": torch.__version__, "cases": {k: result(k) for k in CASES}}
    store(golden, "torch_nn.json")


if __name__ == "__main__":
    main()
