"""Deep Compression: a pruned network with shared values in a fortieth of the bytes.

Han et al. (2016), section 5.1, Tables 1 and 2, LeNet-300-100: pruned to 8, 9 and 26 %
of the layers, 6 bits for which value a weight shares, 5 bits for the gap to the next
one (32 times smaller with the tables of values), both Huffman-coded (40 times); the
error goes from 1.64 to 1.58 %.

Here the network is that of `reproductions.pruning`. k-means starts from evenly spaced
values, the values are then trained, and the network is scored as it is read from the
file, whose bytes are all that is counted: a header, Huffman's tables, the shared values
and the biases in float32 are in it. The same once more with 4 bits a value.

What differs: the training, as in `reproductions.pruning`; the gaps of the file have for
each layer the width that makes it smallest, those of the stage before have 5 bits.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from deepopt_lib import compress, core, data, trials
from reproductions import lenet, rounds, sharing
from reproductions.common import Report, Runs, rights, span
from reproductions.store import WHOLE
from reproductions.wording import MARGIN, ahead, percent, shown

PAPER = {
    "error dense (percent)": 1.64,
    "error compressed (percent)": 1.58,
    "bytes dense": 1_070_000,
    "bytes compressed": 27_000,
    "times fewer weights": 12,
    "times smaller, shared": 32,
    "times smaller, Huffman-coded": 40,
    "bits of a value, Huffman-coded, by layer": [4.4, 4.4, 4.3],
    "bits of a gap, Huffman-coded, by layer": [3.7, 4.3, 3.2],
    "percent of its size, by layer": [2.32, 3.04, 12.70],
}
SEEDS = (0, 1, 2)
PIECES = ()

GAP = 5  # bits, before Huffman's code
BITS = (6, 4)
EPOCHS, RATE = 3, 1e-3  # of training the shared values


def run(piece: str, seed: int, report: Report) -> dict[str, Any]:
    """Train, prune, share, code; score what is read back."""
    split = lenet.images()
    dense = lenet.dense(seed, split, span(report, 0, 0.2))
    pruned = rounds.in_rounds(dense, split, seed, span(report, 0.2, 0.6))
    left = {k: int(np.count_nonzero(pruned[k])) for k in lenet.MATRICES}
    rows = [compress.to_format(pruned[k], "CSR") for k in lenet.MATRICES]
    biases = _biases(pruned)
    found: dict[str, Any] = {
        "dense": {"bytes": core.nbytes(dense), "net": lenet.score(dense, split)},
        "pruned": {
            "weights": left,
            "bytes, weights alone": 4 * sum(left.values()) + biases,
            "bytes, CSR": biases + sum(sum(compress.storage(r).values()) for r in rows),
            "net": lenet.score(pruned, split),
        },
    }
    for i, bits in enumerate(BITS):
        part = span(report, 0.6 + 0.2 * i, 0.8 + 0.2 * i)
        found[f"{bits} bits"] = coded(pruned, bits, split, seed, part)
    return found


def coded(
    params: core.Params, bits: int, split: data.Split, seed: int, report: Report
) -> dict[str, Any]:
    """Share values, train them, write a file; count its bytes, and score it."""
    values, places = sharing.share(params, bits)
    first = sharing.joined(params, values, places)
    rng = np.random.default_rng([seed, 3])
    tuned = sharing.train(
        params, values, places, split, rng, epochs=EPOCHS, lr=RATE, report=report
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.dcz")
        size = compress.write_model(path, compress.compress(tuned, bits))
        model = compress.read_model(path)
    loaded = compress.decompress(model)
    layers = {k: layer(tuned[k], model[k], bits) for k in lenet.MATRICES}
    return {
        "layers": layers,
        "bytes, shared": _biases(tuned)
        + sum(x["bytes, shared"] for x in layers.values()),
        "bytes, file": size,
        "as written": all(np.array_equal(loaded[k], tuned[k]) for k in tuned),
        "values not trained": lenet.score(first, split),
        "net": lenet.score(loaded, split),
    }


def layer(w: core.Array, code: Any, bits: int) -> dict[str, Any]:
    """Count a layer: its symbols, the bits of each, and its bytes in both stages."""
    symbols = compress.to_gaps(np.flatnonzero(w), GAP)[0].size
    values = 4 * (2**bits - 1)
    n = int(code.gaps.n_symbols[0])
    return {
        "weights": w.size,
        "left": int(np.count_nonzero(w)),
        "symbols of 5 bits": symbols,
        "bytes, shared": -(-symbols * (GAP + bits) // 8) + values,
        "symbols in the file": n,
        "bits of a value": 8 * code.labels.packed.size / n,
        "bits of a gap": 8 * code.gaps.packed.size / n,
        "bytes, coded": core.nbytes(code),
    }


def claims(runs: Runs) -> list[trials.Claim]:
    """Compare with the paper; of the sizes, the worst seed counts."""
    whole = [runs[f"{WHOLE}/{seed}"] for seed in SEEDS]
    names = ("dense", *(f"{bits} bits" for bits in BITS))
    net = {k: rights(runs, WHOLE, (k, "net"), SEEDS) for k in names}
    found = []
    for bits in BITS:
        name = f"{bits} bits"
        shared, file = (
            min(run["dense"]["bytes"] / run[name][f"bytes, {stage}"] for run in whole)
            for stage in ("shared", "file")
        )
        lead = ahead(net[name], net["dense"])
        found += [
            trials.Claim(
                f"times smaller in the end, {name} a value",
                "40",
                f"{file:.1f}",
                trials.factor(file, 40),
            ),
            trials.Claim(
                f"times smaller before Huffman's code, {name} a value",
                "32",
                f"{shared:.1f}",
                trials.factor(shared, 32),
            ),
            trials.Claim(
                f"no more errors than before, {name} a value",
                "1.64 → 1.58 %",
                f"{percent(net['dense'])} → {percent(net[name])}, {shown(lead)}",
                trials.no_worse(lead, MARGIN),
            ),
        ]
    return found


def tune(report: Report) -> dict[str, Any]:
    """Try rates for the shared values."""
    split, seed = lenet.images(validation=5000), 100
    dense = lenet.dense(seed, split, span(report, 0, 0.2))
    pruned = rounds.in_rounds(dense, split, seed, span(report, 0.2, 0.6))
    found = {"pruned": lenet.error(pruned, split)}
    for bits in BITS:
        values, places = sharing.share(pruned, bits)
        for i, lr in enumerate(rates := (3e-4, 1e-3, 3e-3)):
            rng = np.random.default_rng([seed, 3])
            net = sharing.train(
                pruned, values, places, split, rng, epochs=EPOCHS, lr=lr
            )
            found[f"{bits} bits, rate {lr:g}"] = lenet.error(net, split)
            report(0.6 + 0.4 * (BITS.index(bits) + i / len(rates)) / len(BITS))
    return found


def _biases(params: core.Params) -> int:
    """Return the bytes of what is not coded."""
    return sum(int(w.nbytes) for k, w in params.items() if k not in lenet.MATRICES)
