"""Write torch_language.json: the language model in PyTorch's own operations, float64.

RMSNorm, scaled dot product attention with shared keys, SiLU and cross entropy are those
of PyTorch; rotations are complex numbers. To write the file again, in a virtual
environment of its own (another processor may change last bits):

    python -m pip install torch==2.13.0 numpy==2.4.6
    python tests/golden/make_torch_language_goldens.py

Every parameter is ``filled``, which the test repeats: quotients of small integers by
powers of two, exact in every floating-point format.
"""

import torch
from store import store
from torch.nn import functional

SYMBOLS, DIM, LAYERS, HEADS, GROUPS, HIDDEN = 7, 8, 2, 4, 2, 6
IDS = [[0, 1, 2, 3, 4, 5], [6, 5, 5, 0, 3, 1]]
D = DIM // HEADS
SHAPES = {"table": (SYMBOLS, DIM)}
for i in range(LAYERS):
    SHAPES |= {
        f"layer{i}.norm1.g": (DIM,),
        f"layer{i}.attention.W": (DIM, DIM + 2 * GROUPS * D),
        f"layer{i}.attention.Wo": (DIM, DIM),
        f"layer{i}.norm2.g": (DIM,),
        f"layer{i}.mlp.W": (DIM, 2 * HIDDEN),
        f"layer{i}.mlp.Wo": (HIDDEN, DIM),
    }
SHAPES["norm.g"] = (DIM,)


def filled(shape: tuple[int, ...], start: int) -> torch.Tensor:
    """Return entries from -1 to 1, of another phase for each parameter."""
    count = torch.arange(torch.Size(shape).numel())
    return ((((count + start) * 37) % 65 - 32).double() / 32).reshape(shape)


def turned(x: torch.Tensor) -> torch.Tensor:
    """Rotate (batch, parts, time, D) by its positions, as complex numbers."""
    half = D // 2
    frequency = 10_000.0 ** (-torch.arange(half).double() / half)
    angle = torch.arange(x.shape[2]).double()[:, None] * frequency
    point = torch.complex(x[..., :half], x[..., half:])
    point = point * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([point.real, point.imag], dim=-1)


def logits(w: dict[str, torch.Tensor], ids: torch.Tensor) -> torch.Tensor:
    """Return (batch, time, symbols)."""
    norm = functional.rms_norm
    x = w["table"][ids]
    for i in range(LAYERS):
        layer = {k: w[f"layer{i}.{k}"] for k in ("norm1.g", "norm2.g")}
        z = norm(x, (DIM,), layer["norm1.g"], 1e-5) @ w[f"layer{i}.attention.W"]
        z = z.unflatten(-1, (HEADS + 2 * GROUPS, D)).transpose(1, 2)
        q, k, v = z.split([HEADS, GROUPS, GROUPS], dim=1)
        seen = functional.scaled_dot_product_attention(
            turned(q), turned(k), v, is_causal=True, enable_gqa=True
        )
        x = x + seen.transpose(1, 2).flatten(2) @ w[f"layer{i}.attention.Wo"]
        wide = norm(x, (DIM,), layer["norm2.g"], 1e-5) @ w[f"layer{i}.mlp.W"]
        gate, value = wide.split(HIDDEN, dim=-1)
        x = x + (functional.silu(gate) * value) @ w[f"layer{i}.mlp.Wo"]
    return norm(x, (DIM,), w["norm.g"], 1e-5) @ w["table"].T


def main() -> None:
    """Compute logits, loss and gradients, and write them."""
    w = {
        name: filled(shape, start).requires_grad_()
        for start, (name, shape) in enumerate(SHAPES.items())
    }
    ids = torch.tensor(IDS)
    found = logits(w, ids[:, :-1])
    loss = functional.cross_entropy(found.flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    golden = {
        "torch": torch.__version__.split("+")[0],
        "logits": found.detach().flatten(0, 1).tolist(),
        "loss": loss.item(),
        "grads": {name: p.grad.tolist() for name, p in w.items()},
    }
    store(golden, "torch_language.json")


if __name__ == "__main__":
    main()
