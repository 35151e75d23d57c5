"""Few bits: LeNet-300-100 with weights of 8, 4, 3, 2 bits, of three values and of two.

Rounded after training in three ways: each weight to the nearest value of a grid from
the smallest to the largest weight of its output, to that of a grid whose range was
searched for the least squared error, and by GPTQ (Frantar et al. 2023) on that grid,
with 2000 images. Then trained with rounded weights and the gradients passed straight
through to unrounded ones: BinaryConnect (Courbariaux et al. 2015), whose Table 2 says
for MNIST that two values are as good as all of float32, 1.29 and 1.30 %.

What differs: BinaryConnect is three layers of 1024 with batch normalization, a squared
hinge loss and 1000 epochs, on weights +1 and -1; here it is LeNet-300-100 and 20 epochs
from the trained network on, on a grid of its own for each output, that of the start.
All three layers are rounded, the biases are not. Three values are a symmetric grid of
2 bits. Bytes are those of the packed codes, with all scales and zero points.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepopt_lib import compress, core, data, trials
from reproductions import lenet, rounding
from reproductions.common import Report, Runs, rights, span
from reproductions.fitting import climb
from reproductions.store import WHOLE
from reproductions.wording import MARGIN, ahead, percent, shown

PAPER = {
    "error, float32 (percent)": 1.30,
    "error, two values, trained (percent)": 1.29,
    "error, two values drawn at random, trained (percent)": 1.18,
}
SEEDS = (0, 1, 2)
PIECES = ()

TUNED = {  # rates of training with rounded weights, by `tune`
    "4 bits": 1e-3,
    "2 bits": 8e-3,
    "three values": 4e-3,
    "two values": 8e-3,
}
LONG = 3e-3  # the rate of training on in float32
IMAGES = 2000  # which GPTQ sees


def run(piece: str, seed: int, report: Report) -> dict[str, Any]:
    """Round the trained network in every way; train it rounded; train it on."""
    split = lenet.images()
    dense = lenet.dense(seed, split, span(report, 0, 0.15))
    found: dict[str, Any] = {
        "float32": {"bytes": core.nbytes(dense), "net": lenet.score(dense, split)}
    }
    for name in rounding.WIDTHS:
        widest, searched = (rounding.codec(name, way) for way in ("minmax", "mse"))
        x = split.x_train[:IMAGES]
        for way, c, codes in (
            ("nearest", widest, rounding.nearest(dense, widest)),
            ("searched", searched, rounding.nearest(dense, searched)),
            (
                "GPTQ",
                searched,
                rounding.by_gptq(dense, searched, x),
            ),
        ):
            found[f"{name}, {way}"] = scored(dense, c, codes, split)
    for i, (name, lr) in enumerate(TUNED.items()):
        part, c = span(report, 0.2 + 0.17 * i, 0.37 + 0.17 * i), codec(name)
        params, codes = rounding.trained(dense, c, split, seed, part, lr)
        found[f"{name}, trained"] = scored(params, c, codes, split)
    long = lenet.fit(
        dense,
        split,
        np.random.default_rng([seed, 2]),
        epochs=rounding.EPOCHS,
        lr=LONG,
        decay=lenet.DECAY,
        report=span(report, 0.88, 1),
    )
    return {**found, "float32, as long": {"net": lenet.score(long, split)}}


def scored(
    params: core.Params,
    codec: compress.Affine,
    codes: rounding.Codes,
    split: data.Split,
) -> dict[str, Any]:
    """Score what the codes stand for; count their bytes and those of the biases."""
    biases = {k: w for k, w in params.items() if k not in codes}
    net = {k: codec.decode(codes[k]) if k in codes else w for k, w in params.items()}
    return {
        "bytes": core.nbytes(biases) + sum(core.nbytes(c) for c in codes.values()),
        "net": lenet.score(net, split),
    }


def claims(runs: Runs) -> list[trials.Claim]:
    """Compare with the papers."""
    names = runs[f"{WHOLE}/{SEEDS[0]}"]
    net = {
        k: rights(runs, WHOLE, (k, "net"), SEEDS) for k, v in names.items() if _net(v)
    }
    whole, long = net["float32"], net["float32, as long"]
    found = []
    for name, paper in {"two values": "1.30 → 1.29 %", "three values": "-"}.items():
        few = net[f"{name}, trained"]
        lead = ahead(few, long)
        found.append(
            trials.Claim(
                f"trained with {name} it errs no more than in float32",
                paper,
                f"{percent(long)} → {percent(few)}, ahead {shown(lead)}",
                trials.no_worse(lead, MARGIN),
            )
        )
    eight = ahead(net["8 bits, nearest"], whole)
    found.append(
        trials.Claim(
            "rounded to 8 bits after training it errs no more",
            "within 2 points (Krishnamoorthi 2018)",
            f"ahead {shown(eight)}",
            trials.no_worse(eight, MARGIN),
        )
    )
    for name in ("3 bits", "2 bits"):
        lead = ahead(net[f"{name}, GPTQ"], net[f"{name}, searched"])
        found.append(
            trials.Claim(
                f"GPTQ is better than rounding to the nearest, {name}",
                "yes (Frantar et al. 2023)",
                f"ahead {shown(lead)}",
                trials.gain(lead, 0),
            )
        )
    lead = ahead(net["2 bits, trained"], net["2 bits, GPTQ"])
    found.append(
        trials.Claim(
            "training is better than any rounding after it, 2 bits",
            "yes (Nagel et al. 2021)",
            f"ahead {shown(lead)}",
            trials.gain(lead, 0),
        )
    )
    return found


def _net(found: Any) -> bool:
    return isinstance(found, Mapping) and "net" in found


def tune(report: Report) -> dict[str, Any]:
    """Try rates by factors of two around `TUNED`, at full length."""
    split, seed = lenet.images(validation=5000), 100
    dense = lenet.dense(seed, split, span(report, 0, 0.1))
    tried: dict[str, dict[str, float]] = {}
    for i, (name, start) in enumerate(TUNED.items(), 1):
        c = codec(name)

        def error(lr: float, c: compress.Affine = c) -> float:
            params, codes = rounding.trained(dense, c, split, seed, lambda _: None, lr)
            net = params | {k: c.decode(codes[k]) for k in codes}
            return round(lenet.error(net, split), 2)

        tried[name] = climb(error, start)
        report(0.1 + 0.9 * i / len(TUNED))
    whole = round(lenet.error(dense, split), 2)
    return {"seed": seed, "float32": whole, "validation error": tried}


def codec(name: str) -> compress.Affine:
    """Return a grid for each output, whose range has the least squared error."""
    return rounding.codec(name, "mse")
