"""Write torch_optim.json: what PyTorch's optimizers and schedules compute in float64.

The library does not depend on PyTorch, so its results are committed. To write them
again, byte for byte, in a virtual environment of its own:

    python -m pip install torch==2.13.0 numpy==2.4.6
    python tests/golden/make_torch_goldens.py

Start values and gradients come from ``start`` and ``noise``, which the test repeats:
quotients of small integers by powers of two, exact in every floating-point format.
"""

import warnings

import torch
from store import store

STEPS = 50
KEPT = [*range(1, 11), *range(15, STEPS + 1, 5)]  # steps whose parameters are stored
SHAPES = {"W": (3, 2), "b": (3,)}
# A gradient this large makes the 1e-7 that Muon's two codes treat differently vanish.
MUON_SCALE = 2.0**24

# name: (class, keyword arguments)
OPTIMIZERS = {
    "sgd": ("SGD", {"lr": 0.05}),
    "sgd_weight_decay": ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    "momentum": ("SGD", {"lr": 0.02, "momentum": 0.9}),
    "nesterov": ("SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True}),
    "nesterov_weight_decay": (
        "SGD",
        {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    ),
    # PyTorch's dampening spares the first step, so the EMA is the scaled heavy ball.
    "ema": ("SGD", {"lr": 0.03, "momentum": 0.7}),
    "adagrad": ("Adagrad", {"lr": 0.1}),
    "adagrad_eps": ("Adagrad", {"lr": 0.1, "eps": 0.25}),
    "rmsprop": ("RMSprop", {"lr": 0.02}),
    "rmsprop_eps": ("RMSprop", {"lr": 0.02, "alpha": 0.8, "eps": 0.25}),
    "adam": ("Adam", {"lr": 0.05}),
    "adam_eps": ("Adam", {"lr": 0.05, "betas": [0.7, 0.95], "eps": 0.25}),
    "adam_l2": ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    "amsgrad": ("Adam", {"lr": 0.05, "amsgrad": True}),
    "amsgrad_eps": (
        "Adam",
        {"lr": 0.05, "betas": [0.7, 0.8], "eps": 0.25, "amsgrad": True},
    ),
    "adamw": ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
    "adamw_defaults": ("AdamW", {}),
    "muon_tall": ("Muon", {"lr": 0.02, "weight_decay": 0.0}),
    "muon_wide": ("Muon", {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.8}),
}
MUON_SHAPES = {"muon_tall": {"W": (4, 2)}, "muon_wide": {"W": (2, 3)}}

# name: (class, base rate or None, keyword arguments, number of steps stored)
SCHEDULES = {
    "cosine": ("CosineAnnealingLR", 0.4, {"T_max": 20}, 21),
    "cosine_final": ("CosineAnnealingLR", 0.4, {"T_max": 25, "eta_min": 0.02}, 26),
    "step": ("StepLR", 0.3, {"step_size": 7, "gamma": 0.5}, 30),
    "step_default": ("StepLR", 1.0, {"step_size": 10}, 30),
    "one_cycle": ("OneCycleLR", None, {"max_lr": 0.5, "total_steps": 30}, 30),
    "one_cycle_arguments": (
        "OneCycleLR",
        None,
        {
            "max_lr": 0.2,
            "total_steps": 23,
            "pct_start": 0.45,
            "div_factor": 10.0,
            "final_div_factor": 50.0,
        },
        23,
    ),
    "linear": ("LinearLR", 0.3, {"start_factor": 0.1, "total_iters": 9}, 20),
}


def start(i: int) -> float:
    """Return the start value of entry ``i`` of a parameter."""
    return ((29 * i + 7) % 64 - 32) / 16


def noise(t: int, i: int) -> float:
    """Return what the gradient's entry ``i`` has at step ``t`` besides ``w/4``."""
    return ((37 * t + 101 * i + 17 * t * i) % 211 - 105) / 64


def filled(shape: tuple[int, ...], value) -> torch.Tensor:
    """Return a float64 tensor whose entry number ``i`` is ``value(i)``."""
    n = int(torch.tensor(shape).prod())
    flat = torch.tensor([value(i) for i in range(n)], dtype=torch.float64)
    return flat.reshape(shape)


def trajectory(name: str) -> dict[str, list[list[float]]]:
    """Return the parameters, flattened, after each of the steps that are kept."""
    cls, arguments = OPTIMIZERS[name]
    shapes = MUON_SHAPES.get(name, SHAPES)
    params = {k: filled(s, start).requires_grad_() for k, s in shapes.items()}
    optimizer = getattr(torch.optim, cls)(list(params.values()), **arguments)
    kept = {k: [] for k in params}
    for t in range(1, STEPS + 1):
        for p in params.values():
            g = filled(p.shape, lambda i, t=t: noise(t, i))
            p.grad = g * MUON_SCALE if cls == "Muon" else g + p.detach() / 4
        optimizer.step()
        if t in KEPT:
            for k, p in params.items():
                kept[k].append(p.detach().flatten().tolist())
    return kept


def rates(name: str) -> list[float]:
    """Return the learning rate of each step, the first step first."""
    cls, base, arguments, steps = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base or 1.0)
    if cls == "OneCycleLR":
        arguments = {**arguments, "cycle_momentum": False}
    schedule = getattr(torch.optim.lr_scheduler, cls)(optimizer, **arguments)
    found = []
    for t in range(steps):
        found.append(float(optimizer.param_groups[0]["lr"]))
        if t < steps - 1:
            optimizer.step()
            schedule.step()
    return found


def main() -> None:
    """Write the file next to this script."""
    warnings.simplefilter("error")
    # PyTorch's Muon rounds to bfloat16 for speed; here its formula counts.
    torch.Tensor.bfloat16 = lambda self: self.clone()
    golden = {
        "torch": torch.__version__,
        "steps": STEPS,
        "kept": KEPT,
        "muon_scale": MUON_SCALE,
        "optimizers": {
            name: {
                "class": cls,
                "arguments": arguments,
                "shapes": MUON_SHAPES.get(name, SHAPES),
                "params": trajectory(name),
            }
            for name, (cls, arguments) in OPTIMIZERS.items()
        },
        "schedules": {
            name: {
                "class": cls,
                "lr": base,
                "arguments": arguments,
                "rates": rates(name),
            }
            for name, (cls, base, arguments, _) in SCHEDULES.items()
        },
    }
    store(golden, "torch_optim.json")


if __name__ == "__main__":
    main()
