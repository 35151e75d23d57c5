"""Checkpoints: what a run needs to go on, in one safetensors file.

Tensors named ``params/layer1.W``, ``state/layer1.W/0`` and ``extras/loss``, and a JSON
text with the step, the generator's state and what must not have changed since. Reading
it runs nothing, unlike a pickle.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.files import Arrays, read_arrays, write_arrays
from deepopt_lib.core.tree import named_leaves, unflatten
from deepopt_lib.core.types import Params
from deepopt_lib.optim.optimizer import Optimizer, OptimizerState

__all__ = ["get_generator", "identity", "load", "printed", "save", "set_generator"]


def save(
    path: str | os.PathLike[str],
    optimizer: Optimizer,
    params: Params,
    state: OptimizerState,
    rng: np.random.Generator,
    extras: Mapping[str, Any] | None = None,
    same: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint; until it is on the disk, the one that was there stays.

    Parameters
    ----------
    path : str or path
        A name in a folder that exists.
    optimizer, params, state, rng
        What the next step needs; nothing is changed.
    extras : dict, optional
        What else the run needs: arrays, and whatever JSON can hold.
    same : dict, optional
        Numbers and texts for `load` to compare with its own.

    Raises
    ------
    ValueError
        If something cannot be stored, or two arrays would have one name.
    OSError
        If the file cannot be written: no folder, no permission, no space.
    """
    extras = extras or {}
    tensors = {k: v for k, v in extras.items() if isinstance(v, np.ndarray)}
    tree = {"params": params, "state": state.rules, "extras": tensors}
    arrays = _named(tree)
    note = {
        "t": state.t,
        "rng": get_generator(rng),
        "same": {**identity(optimizer, state.t, rng), **(same or {})},
        "axes": {k: _axes(a) for k, a in arrays.items() if not a.flags.c_contiguous},
        "extras": {k: v for k, v in extras.items() if k not in tensors},
    }
    write_arrays(os.fspath(path), arrays, json.dumps(note, default=_plain))


def load(
    path: str | os.PathLike[str],
    optimizer: Optimizer,
    params: Params,
    rng: np.random.Generator,
    same: Mapping[str, Any] | None = None,
) -> tuple[Params, OptimizerState, dict[str, Any]]:
    """Return a checkpoint's parameters, state and extras, and set ``rng`` to its own.

    ``params`` and ``optimizer.init(params)`` say which arrays there have to be; they
    are not changed. The optimizer is the same if its rules print the same and if its
    learning rates are equal at the steps 1, 2, 4, 8, ... and at the last one taken.
    Whatever is in ``same`` must have been there, with the same value, for `save`.

    Raises
    ------
    ValueError
        If the file is damaged, is something else, or belongs to another network,
        optimizer or run. Nothing has changed then.
    OSError
        If there is no such file or it cannot be read.
    """
    arrays, text = read_arrays(os.fspath(path))
    note = json.loads(text)
    extras = {k[7:]: arrays.pop(k) for k in list(arrays) if k.startswith("extras/")}
    like = {"params": params, "state": optimizer.init(params).rules}
    wanted = _named(like)
    now = {
        **identity(optimizer, note["t"], rng),
        **_kinds(wanted),
        **(same or {}),
    }
    then = {**note["same"], **_kinds(arrays)}
    for k in [*now, *arrays]:
        if then.get(k) != now.get(k):
            was, here = then.get(k, "missing"), now.get(k, "missing")
            raise ValueError(
                f"{path} belongs to another run: {k} is {was} there, {here} here"
            )
    for k, axes in note["axes"].items():
        if k in arrays:
            arrays[k] = arrays[k].transpose(axes).copy().transpose(np.argsort(axes))
    found = unflatten(like, (arrays[name] for name in wanted))
    set_generator(rng, note["rng"])
    state = OptimizerState(note["t"], found["state"])
    return found["params"], state, {**note["extras"], **extras}


def get_generator(rng: np.random.Generator) -> Any:
    """Return the state of a generator in numbers, texts, lists and dicts, for JSON."""
    return json.loads(json.dumps(rng.bit_generator.state, default=_plain))


def set_generator(rng: np.random.Generator, stored: Any) -> None:
    """Set a generator to what `get_generator` returned for one of the same kind."""

    def as_in(now: Any, then: Any) -> Any:
        if isinstance(now, dict):
            return {k: as_in(v, then[k]) for k, v in now.items()}
        return np.array(then, now.dtype) if isinstance(now, np.ndarray) else then

    rng.bit_generator.state = as_in(rng.bit_generator.state, stored)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise ValueError(f"a checkpoint holds numbers and texts, got {value!r}")


def _axes(a: NDArray[Any]) -> list[int]:
    """Return the axes from the slowest in memory on: BLAS may round by their order."""
    return sorted(range(a.ndim), key=lambda i: -abs(a.strides[i]))


def identity(optimizer: Optimizer, t: int, rng: np.random.Generator) -> dict[str, Any]:
    """Say what an optimizer is: its rules as they print, and its rates up to t."""
    said: dict[str, Any] = {"optimizer": type(optimizer).__name__}
    for f in fields(optimizer):
        if f.name != "lr" and f.repr:
            value = getattr(optimizer, f.name)
            each = value if isinstance(value, dict) else {"": value}
            said |= {f"{f.name} {k}".rstrip(): printed(v) for k, v in each.items()}
    steps = sorted({1, max(t, 1), *(2**i for i in range(t.bit_length()))})
    rates = {f"lr({i})": optimizer.lr_at(i) for i in steps}
    return {**said, **rates, "rng": type(rng.bit_generator).__name__}


def printed(value: Any) -> str:
    """Return what a value prints as, without addresses: they say nothing."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _named(tree: Any) -> dict[str, NDArray[Any]]:
    """Return the arrays of a tree by their names in a file: the paths to them."""
    pairs = list(named_leaves(tree))
    named = dict(pairs)
    if len(named) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"two arrays would have one name in the file: {twice}")
    return named


def _kinds(arrays: Arrays) -> dict[str, str]:
    return {k: f"{a.dtype.name} {a.shape}" for k, a in arrays.items()}
