"""Networks beside PyTorch's: forward and backward passes, train steps, epochs.

Each pair starts from the same weights on the same data, and before anything is timed
the losses must agree to 1e-4: those of three training steps, which checks gradients
too. Ours trains as a reader would, with Adam in place; PyTorch as usual, with its
other ways to take Adam's step, and compiled. The claims are about its fastest.
"""

from __future__ import annotations

import abc
import copy
import shutil
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn as tnn
from torch.nn import functional

from benchmarks.timing import interleave, ratios, summary
from deepopt_lib import nn
from deepopt_lib.autodiff import cross_entropy, mean, value_and_grad
from deepopt_lib.core import Params
from deepopt_lib.data import digits, mnist5k
from deepopt_lib.optim import InPlace, adam
from deepopt_lib.training import batches

Loss = Callable[..., Any]
CLASSES = 10
LR = 1e-3
BATCH = 64


class Epochs(abc.ABC):
    """What both do with their data, once they have batches and can take a step."""

    @abc.abstractmethod
    def batches(self) -> Iterator[tuple[Any, Any]]: ...

    @abc.abstractmethod
    def step(self, *batch: Any) -> float: ...

    def gather(self) -> None:
        for _ in self.batches():
            pass

    def epoch(self) -> None:
        for batch in self.batches():
            self.step(*batch)


class Ours(Epochs):
    """A loss with its gradient, a step of the optimizer, an epoch.

    ``batch`` is what a step sees, ``data`` what an epoch does, if there is more.
    """

    def __init__(self, loss: Loss, params: Params, *batch: Any, data: Any = None):
        self.value_and_grad = value_and_grad(loss)
        self.optimizer = InPlace(adam(LR), params)
        self.batch, self.data = batch, data
        self.rng = np.random.default_rng(0)

    def gradient(self) -> float:
        params = self.optimizer.params
        value, self.grads = self.value_and_grad(params, *self.batch)
        return value

    def optimize(self) -> None:
        self.optimizer.step(self.grads)

    def step(self, *batch: Any) -> float:
        params = self.optimizer.params
        value, grads = self.value_and_grad(params, *(batch or self.batch))
        self.optimizer.step(grads)
        return value

    @property
    def steps(self) -> float:
        """Batches of an epoch, the last one in proportion to its size."""
        return len(self.data[0]) / len(self.batch[1])

    def batches(self) -> Iterator[tuple[Any, Any]]:
        x, y = self.data
        for i in batches(len(x), len(self.batch[1]), self.rng):
            yield x[i], y[i]


class Peer(Epochs):
    """The same of a PyTorch module; ``inputs`` are trained along with it."""

    def __init__(
        self,
        loss: Loss,
        module: tnn.Module,
        *inputs: torch.Tensor,
        batch: tuple[torch.Tensor, ...] = (),
        data: Any = None,
    ):
        self.loss, self.batch, self.data = loss, batch, data
        self.optimizer = torch.optim.Adam([*module.parameters(), *inputs], lr=LR)

    def variants(self) -> dict[str, Peer]:
        """Return the same training, of the same weights, in PyTorch's other ways."""
        ways = {"foreach Adam": {"foreach": True}, "fused Adam": {"fused": True}}
        found = {name: copy.copy(self) for name in ways}
        leaves = self.optimizer.param_groups[0]["params"]
        for name, options in ways.items():
            found[name].optimizer = torch.optim.Adam(leaves, lr=LR, **options)
        if compiler():
            # Its step of Adam reaches the fused kernel at no size (`steps`).
            found["compiled, fused Adam"] = copy.copy(found["fused Adam"])
            found["compiled, fused Adam"].loss = torch.compile(self.loss, dynamic=False)
        return found

    def gradient(self, *batch: torch.Tensor) -> float:
        self.optimizer.zero_grad()
        value = self.loss(*(batch or self.batch))
        value.backward()
        return float(value.item())

    def step(self, *batch: torch.Tensor) -> float:
        value = self.gradient(*batch)
        self.optimizer.step()
        return value

    def optimize(self) -> None:
        self.optimizer.step()

    def batches(self) -> Iterator[tuple[Any, Any]]:
        x, y = self.data
        order = torch.randperm(len(x))
        for i in order.split(len(self.batch[1])):
            yield x[i], y[i]


class Pair(NamedTuple):
    """One workload; ``bound`` is the largest promised ratio to the fastest peer.

    The first peer is PyTorch as it is usually written; all have their `variants`.
    """

    name: str
    ours: Ours
    peers: dict[str, Peer]
    bound: float | None
    compared: int = 3  # training steps that must have equal losses


def array(tensor: torch.Tensor) -> np.ndarray:
    return np.array(tensor.detach().numpy(), order="C")


def linear_params(name: str, module: tnn.Linear) -> Params:
    """Return a linear layer's parameters as ours, (n_in, n_out)."""
    return {f"{name}.W": array(module.weight.T), f"{name}.b": array(module.bias)}


def noise(*shape: int) -> tuple[Any, Any]:
    """Return inputs in [0, 1) and labels."""
    rng = np.random.default_rng(0)
    x = rng.random(shape, dtype=np.float32)
    return x, rng.integers(0, CLASSES, shape[0])


def images(side: int) -> tuple[Any, Any]:
    """Return the training images of the digits (8) or of MNIST-5k (28), flat."""
    split = digits() if side == 8 else mnist5k()
    return split.x_train.astype(np.float32), split.y_train


def classifier(network: Loss, params: Params, x: Any, y: Any, size: int) -> Ours:
    def loss(p: Params, x: Any, y: Any) -> Any:
        return cross_entropy(network(p, x), y)

    return Ours(loss, params, x[:size], y[:size], data=(x, y))


def classifying_peer(module: tnn.Module, x: Any, y: Any, size: int) -> Peer:
    labels = torch.from_numpy(y)

    def loss(x: Any, y: Any) -> Any:
        return functional.cross_entropy(module(x), y)

    return Peer(loss, module, batch=(x[:size], labels[:size]), data=(x, labels))


def mlp(name: str, sizes: list[int], bound: float) -> Pair:
    x, y = images(int(sizes[0] ** 0.5))
    linears = [tnn.Linear(a, b) for a, b in pairwise(sizes)]
    layers = [part for linear in linears for part in (linear, tnn.ReLU())]
    module = tnn.Sequential(*layers[:-1])
    peer = classifying_peer(module, torch.from_numpy(x), y, BATCH)
    params: Params = {}
    for i, linear in enumerate(linears, 1):
        params |= linear_params(f"layer{i}", linear)
    return Pair(name, classifier(nn.mlp, params, x, y, BATCH), {"torch": peer}, bound)


def conv_net(side: int, bound: float) -> Pair:
    """Conv 3x3x16, relu, pool, conv 3x3x32, relu, pool, linear; batch 64.

    The peer is written as usual, and again with the relu after the pool, which gives
    the same numbers from a quarter of the work: ours does that.
    """
    x, y = images(side)
    x = x.reshape(-1, side, side, 1)
    small = side // 4

    def module(*between: tnn.Module) -> tnn.Sequential:
        torch.manual_seed(0)
        return tnn.Sequential(
            *(tnn.Conv2d(1, 16, 3, padding=1), *between),
            *(tnn.Conv2d(16, 32, 3, padding=1), *between),
            *(tnn.Flatten(), tnn.Linear(small * small * 32, CLASSES)),
        )

    relu, pool = tnn.ReLU(), tnn.MaxPool2d(2)
    default, reordered = module(relu, pool), module(pool, relu)
    last = module(pool, relu).to(memory_format=torch.channels_last)
    params: Params = {}
    for i, conv in enumerate((default[0], default[3]), 1):
        params[f"conv{i}.W"] = array(conv.weight.permute(2, 3, 1, 0))
        params[f"conv{i}.b"] = array(conv.bias)
    params |= linear_params("out", default[7])
    by_channel = params["out.W"].reshape(32, small, small, CLASSES)
    params["out.W"] = by_channel.transpose(1, 2, 0, 3).reshape(-1, CLASSES).copy()
    nchw = torch.from_numpy(x).permute(0, 3, 1, 2)
    nhwc = nchw.contiguous(memory_format=torch.channels_last)
    nchw = nchw.contiguous()
    peers = {
        "torch": classifying_peer(default, nchw, y, BATCH),
        "torch, pool first": classifying_peer(reordered, nchw, y, BATCH),
        "torch, pool first, channels last": classifying_peer(last, nhwc, y, BATCH),
    }
    name = f"CNN {side}x{side}"
    return Pair(name, classifier(nn.conv_net, params, x, y, BATCH), peers, bound)


class LastState(tnn.Module):
    """A recurrent layer, and a linear one on its last state."""

    def __init__(self, layer: tnn.Module, n: int) -> None:
        super().__init__()
        self.layer, self.out = layer, tnn.Linear(n, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.layer(x)[0][:, -1])


def recurrent(kind: str, n: int, bound: float | None) -> Pair:
    """50 steps, batch 32, as many inputs as units; 512 sequences are an epoch.

    PyTorch adds two biases that move alike, ours is their sum: the first step is
    compared, the next differ by what the second bias moved.
    """
    x, y = noise(512, 50, n)
    layer = getattr(tnn, kind.upper())(n, n, batch_first=True)
    module = LastState(layer, n)
    b_in, b_state = array(layer.bias_ih_l0), array(layer.bias_hh_l0)
    params = {
        "layer1.W": array(layer.weight_ih_l0.T),
        "layer1.U": array(layer.weight_hh_l0.T),
        "layer1.b": b_in + b_state,
        **linear_params("out", module.out),
    }
    if kind == "gru":  # this one is not a sum: the reset gate multiplies b_state
        params["layer1.b"][2 * n :] = b_in[2 * n :]
        params["layer1.b_new"] = b_state[2 * n :]
    peers = {f"nn.{kind.upper()}": classifying_peer(module, torch.from_numpy(x), y, 32)}
    ours = classifier(getattr(nn, kind), params, x, y, 32)
    return Pair(f"{kind.upper()}, {n} units", ours, peers, bound, compared=1)


class Attention(tnn.Module):
    """Multi-head self-attention around the fused kernel."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.qkv, self.out, self.heads = (
            tnn.Linear(dim, 3 * dim),
            tnn.Linear(dim, dim),
            heads,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, time, dim = x.shape
        parts = self.qkv(x).view(batch, time, 3, self.heads, dim // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        o = functional.scaled_dot_product_attention(q, k, v)
        return self.out(o.transpose(1, 2).reshape(x.shape))


def against_target(
    network: Loss, params: Params, modules: dict[str, Any], shape: tuple[int, ...]
) -> tuple[Ours, dict[str, Peer]]:
    """Fit a random target; the input is a parameter, as if a layer came before it."""
    x, _ = noise(*shape)
    target = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)

    def loss(p: Params, target: np.ndarray) -> Any:
        return mean(network(p, p["x"]) * target)

    def peer(module: tnn.Module, call: Any) -> Peer:
        inputs = torch.from_numpy(x.copy()).requires_grad_()
        goal = torch.from_numpy(target)
        return Peer(lambda: (call(inputs) * goal).mean(), module, inputs)

    ours = Ours(loss, params | {"x": x}, target)
    return ours, {k: peer(module, call) for k, (module, call) in modules.items()}


def attention(batch: int, time: int, dim: int, heads: int, bound: float) -> Pair:
    fused = Attention(dim, heads)
    module = tnn.MultiheadAttention(dim, heads, batch_first=True)
    with torch.no_grad():
        module.in_proj_weight.copy_(fused.qkv.weight)
        module.in_proj_bias.copy_(fused.qkv.bias)
        module.out_proj.weight.copy_(fused.out.weight)
        module.out_proj.bias.copy_(fused.out.bias)
    inside, outside = linear_params("", fused.qkv), linear_params("", fused.out)
    params = {
        **{"W": inside[".W"], "b": inside[".b"]},
        **{"Wo": outside[".W"], "bo": outside[".b"]},
    }
    modules = {
        "scaled_dot_product_attention": (fused, fused),
        "nn.MultiheadAttention": (
            module,
            lambda x: module(x, x, x, need_weights=False)[0],
        ),
    }
    ours, peers = against_target(
        lambda p, x: nn.attention(p, x, heads=heads),
        params,
        modules,
        (batch, time, dim),
    )
    return Pair(f"attention {batch}x{time}x{dim}", ours, peers, bound)


def transformer_block(batch: int, time: int, dim: int, heads: int) -> Pair:
    layer = tnn.TransformerEncoderLayer(dim, heads, 4 * dim, 0.0, batch_first=True)
    inside = layer.self_attn
    params = {
        "attention.W": array(inside.in_proj_weight.T),
        "attention.b": array(inside.in_proj_bias),
        "attention.Wo": array(inside.out_proj.weight.T),
        "attention.bo": array(inside.out_proj.bias),
        **linear_params("mlp.layer1", layer.linear1),
        **linear_params("mlp.layer2", layer.linear2),
    }
    for i, norm in enumerate((layer.norm1, layer.norm2), 1):
        params |= {f"norm{i}.g": array(norm.weight), f"norm{i}.b": array(norm.bias)}
    ours, peers = against_target(
        lambda p, x: nn.transformer_block(p, x, heads=heads),
        params,
        {"nn.TransformerEncoderLayer": (layer, layer)},
        (batch, time, dim),
    )
    return Pair(f"transformer block {batch}x{time}x{dim}", ours, peers, None)


PAIRS: dict[str, Callable[[], Pair]] = {
    "mlp digits": lambda: mlp("digits MLP 64-128-64-10", [64, 128, 64, 10], 0.45),
    "mlp mnist": lambda: mlp("MNIST-5k MLP 784-256-10", [784, 256, 10], 0.6),
    "cnn 8": lambda: conv_net(8, 0.6),
    "cnn 28": lambda: conv_net(28, 1.15),
    "rnn 64": lambda: recurrent("rnn", 64, None),
    "gru 64": lambda: recurrent("gru", 64, 0.65),
    "gru 128": lambda: recurrent("gru", 128, 0.65),
    "lstm 64": lambda: recurrent("lstm", 64, 1.0),
    "lstm 128": lambda: recurrent("lstm", 128, 1.0),
    "attention small": lambda: attention(64, 8, 64, 4, 0.75),
    "attention": lambda: attention(16, 64, 128, 4, 0.75),
    "transformer": lambda: transformer_block(16, 64, 128, 4),
}


def check(pair: Pair) -> None:
    """Raise unless the losses of the first steps agree."""
    found = [pair.ours.step() for _ in range(pair.compared)]
    for name, peer in pair.peers.items():
        expected = [peer.step() for _ in range(pair.compared)]
        if not np.allclose(found, expected, rtol=1e-4, atol=1e-6):
            raise SystemExit(f"{pair.name}: {found} differs from {name}'s {expected}")


def compiler() -> str | None:
    """Return the C++ compiler that ``torch.compile`` needs, or None."""
    return next(filter(None, map(shutil.which, ("g++", "clang++"))), None)


WHATS = ("gradient", "optimize", "gather", "step", "epoch")


def measure(only: str = "") -> list[dict[str, Any]]:
    """Return a row for each workload, peer and what is done.

    An epoch is as many steps as it has batches; ``gather`` is what cuts all of them.
    """
    warnings.filterwarnings("ignore", module="torch")
    torch.manual_seed(0)
    rows = []
    for key, build in PAIRS.items():
        if only not in key:
            continue
        pair = build()
        check(pair)
        peers = dict(pair.peers)
        for name, peer in pair.peers.items():
            peers |= {f"{name}, {way}": p for way, p in peer.variants().items()}
        everyone = {"deepopt": pair.ours} | peers
        for what in WHATS:
            if what in ("gather", "epoch") and pair.ours.data is None:
                continue
            runs = {who: getattr(one, what) for who, one in everyone.items()}
            epoch = what == "epoch"
            times = interleave(runs, 9 if epoch else 21, 0.06 if epoch else 0.02)
            ms = {who: summary([1e3 * t for t in v]) for who, v in times.items()}
            fastest = min(peers, key=lambda who: ms[who]["median"])
            for who, values in times.items():
                rows.append(
                    {
                        "name": pair.name,
                        "what": what,
                        "who": who,
                        "ms": ms[who],
                        "ratio": ratios(times["deepopt"], values),
                        "bound": pair.bound,
                        "fastest": who == fastest,
                        "steps": pair.ours.steps if epoch else 1,
                    }
                )
                show(rows[-1])
    return rows


def parts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a step or an epoch is made of, for us and for the fastest peer.

    In units of the fastest peer's whole time, so that our parts add up to our ratio;
    ``rest`` is what is left of the whole: calls, and caches that another part has used.
    """
    ms = {(r["name"], r["what"], r["who"]): r["ms"]["median"] for r in rows}
    whole = {r["name"]: r["what"] for r in rows if r["what"] in ("step", "epoch")}
    best = [r for r in rows if r["fastest"] and whole[r["name"]] == r["what"]]
    found = []
    for r in best:
        name, what, steps = r["name"], r["what"], r["steps"]
        unit = ms[name, what, r["who"]]
        for who in ("deepopt", r["who"]):
            part = {
                "gradient": steps * ms[name, "gradient", who] / unit,
                "optimizer": steps * ms[name, "optimize", who] / unit,
                "batches": ms.get((name, "gather", who), 0.0) / unit,
            }
            total = ms[name, what, who] / unit
            part |= {"rest": total - sum(part.values()), "total": total}
            rounded = {k: round(v, 3) for k, v in part.items()}
            found.append({"name": name, "what": what, "who": who, **rounded})
    return found


def show(row: dict[str, Any]) -> None:
    ratio = row["ratio"]
    print(
        f"{row['name']:28} {row['what']:9} {row['who']:44} {row['ms']['median']:9.3f} "
        f"ms {ratio['median']:6.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})",
        flush=True,
    )
