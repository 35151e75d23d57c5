"""Compress one's own weights: the command ``python -m deepopt_lib.compress``.

``compress weights.safetensors --bits 4 --out model.dcz`` prunes, shares and codes every
floating-point matrix or kernel of a file, ``evaluate model.dcz`` says what became of
it, and ``restore model.dcz --out weights.safetensors`` makes plain arrays of it again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save as to_bytes
from tqdm import tqdm

from deepopt_lib import data
from deepopt_lib.compress.deep_compression import compress, decompress, is_matrix
from deepopt_lib.compress.masks import apply_masks
from deepopt_lib.compress.model_file import read_model, write_model
from deepopt_lib.compress.prune import global_masks, layer_masks
from deepopt_lib.compress.sparse_code import Model, SparseCode
from deepopt_lib.compress.weights import layers, predict, read_weights
from deepopt_lib.core.checks import check_array, check_int, check_number
from deepopt_lib.core.files import write_bytes
from deepopt_lib.core.products import norm
from deepopt_lib.core.tree import nbytes
from deepopt_lib.core.types import Params
from deepopt_lib.nn.losses import accuracy

__all__ = ["main"]

LARGE = 0.2
"""A relative error that is reported. On the network of the tests, trained to 88.9 %,
nothing below it costs more than half a point, and most of what is above three or more:
90 % of the entries cut away without training leave an error of 0.78, and 11.6 %."""

USAGE = """\
python -m deepopt_lib.compress WEIGHTS --prune SPARSITY --bits BITS --out MODEL
       python -m deepopt_lib.compress evaluate MODEL [--against WEIGHTS] [--data NAME]
       python -m deepopt_lib.compress restore MODEL --out WEIGHTS"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 after a sentence on what is wrong."""
    words = list(sys.argv[1:] if argv is None else argv)
    commands = {"evaluate": _evaluate, "restore": _restore}
    name = words[0] if words and words[0] in commands else "compress"
    try:
        if name == "compress":
            _compress(words)
        else:
            commands[name](words[1:])
    except (OSError, ValueError) as error:
        print(f"deepopt_lib.compress: {error}", file=sys.stderr)
        return 2
    return 0


def _parser(description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser("compress", usage=USAGE, description=description)


def _compress(words: list[str]) -> None:
    parser = _parser("Prune, share and code every floating-point matrix of a file.")
    parser.add_argument("weights", help="a safetensors file")
    parser.add_argument(
        "--prune",
        type=float,
        default=0.0,
        metavar="SPARSITY",
        help="share of the entries that go, those closest to zero: 0.9 keeps a tenth",
    )
    parser.add_argument(
        "--bits", type=int, default=4, help="bits of a shared value, 1 to 12 (4)"
    )
    parser.add_argument(
        "--global",
        action="store_true",
        dest="together",
        help="one threshold for all matrices, not one for each",
    )
    parser.add_argument("--out", required=True, help="the file to write")
    options = parser.parse_args(words)
    check_number("--prune", options.prune, 0, 1)
    check_int("--bits", options.bits, 1, 12)
    _check_out(options.out, options.weights)
    params = read_weights(options.weights)
    matrices = [k for k, w in params.items() if is_matrix(w)]
    if not matrices:
        raise ValueError(f"{options.weights} has no floating-point matrix or kernel")
    for k in matrices:
        check_array(k, params[k])
    pruned = params
    if options.prune:
        choose = global_masks if options.together else layer_masks
        pruned = apply_masks(params, choose(params, options.prune, matrices))
    model = compress(pruned, options.bits, progress=lambda k: tqdm(k, "compress"))
    size, before = write_model(options.out, model), os.path.getsize(options.weights)
    print(
        f"{options.weights}: {before:,} bytes\n"
        f"{options.out}: {size:,} bytes, {before / size:.1f} times smaller"
    )
    _warn(params, decompress(model), matrices)


def _check_out(out: str, source: str) -> None:
    """Refuse to write over what is read, under whatever name or link."""
    if os.path.exists(out) and os.path.samefile(out, source):
        raise ValueError(f"--out {out} is the file that is read, which would be lost")


def _warn(params: Params, shared: Params, names: list[str]) -> None:
    """Name the arrays that lost so much that the network needs training, or more bits.

    The relative error of a matrix is, on average over inputs without a preferred
    direction, that of its output.
    """
    for k in names:
        if (error := _error(shared[k], params[k])) > LARGE:
            print(
                f"deepopt_lib.compress: warning: {k} is off by {error:.0%}, more than "
                f"{LARGE:.0%}: prune less, take more bits, or train what is left",
                file=sys.stderr,
            )


def _error(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Return ``|found - wanted| / |wanted|``."""
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    return norm(a - b) / (norm(b) or 1.0)


def _evaluate(words: list[str]) -> None:
    parser = _parser("Say what a compressed model holds and how good it is.")
    parser.add_argument("model", help="a file written by this command")
    parser.add_argument(
        "--against", metavar="WEIGHTS", help="the arrays it was made of"
    )
    parser.add_argument(
        "--data",
        choices=["mnist5k", "digits"],
        help="test accuracy, if the arrays are a relu MLP for these images in [0, 1]",
    )
    options = parser.parse_args(words)
    model = read_model(options.model)
    params = decompress(model)
    others = read_weights(options.against) if options.against else {}
    _report(model, params, others)
    size, before = os.path.getsize(options.model), nbytes(params)
    print(f"file {size:,} bytes, arrays {before:,} bytes: {before / size:.1f} to 1")
    if options.data:
        for name, arrays in {options.model: params, options.against: others}.items():
            if arrays:
                found = _accuracy(arrays, options.data)
                print(f"test accuracy of {name}: {found:.2%}")


def _report(model: Model, params: Params, others: Params) -> None:
    print(
        f"{'array':24}{'shape':>14}{'kept':>8}{'bytes':>10}{'bits/entry':>12}", end=""
    )
    print(f"{'error':>8}" if others else "")
    for name, w in params.items():
        size = nbytes(model[name])
        kept = f"{np.count_nonzero(w) / max(w.size, 1):.1%}"
        bits = f"{8 * size / max(w.size, 1):.2f}"
        shape = "x".join(map(str, w.shape)) or "-"
        line = f"{name:24}{shape:>14}{kept:>8}{size:>10,}{bits:>12}"
        if name in others and others[name].shape == w.shape:
            line += f"{_error(w, others[name]):>8.3f}"
        print(line + ("" if isinstance(model[name], SparseCode) else "  as it was"))


def _accuracy(params: Params, name: str) -> float:
    _, first, _ = layers(params)[0]
    pools = {((28 // k) ** 2,): k for k in (1, 2, 4, 7)}
    pool = pools.get(first.shape[:1], 1)
    split = data.digits() if name == "digits" else data.mnist5k(pool)
    return float(accuracy(predict(params, split.x_test), split.y_test))


def _restore(words: list[str]) -> None:
    parser = _parser("Write the arrays of a compressed model to a safetensors file.")
    parser.add_argument("model", help="a file written by this command")
    parser.add_argument("--out", required=True, help="the file to write")
    options = parser.parse_args(words)
    _check_out(options.out, options.model)
    params: dict[str, NDArray[Any]] = decompress(read_model(options.model))
    try:
        content = to_bytes(params)
    except SafetensorError as error:
        raise ValueError(f"{options.out} cannot be written: {error}") from None
    write_bytes(options.out, content)
    print(f"{options.out}: {nbytes(params):,} bytes of arrays")
