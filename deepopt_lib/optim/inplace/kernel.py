"""A rule as one loop over flat arrays: compiled by numba, or in blocks of NumPy.

The compiled loop reads each array once and writes it once, whatever the number of rules
in a chain. Without numba the rule itself runs over blocks that stay in the cache.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from deepopt_lib.core.files import write_bytes
from deepopt_lib.core.optional import numba_is_installed
from deepopt_lib.core.tree import flatten, unflatten
from deepopt_lib.core.types import Array, Rule
from deepopt_lib.optim.inplace.trace import trace

__all__ = ["BLOCK", "Kernel", "loop_source", "make_kernel"]

Loop = Callable[[Array, Array, Sequence[Array]], None]
"""Steps the flat arrays w (in place), g (read), and those of the state (in place)."""

Kernel = Callable[[float, int], Loop]
"""From the learning rate and the step to the loop of this step."""

BLOCK = 32768  # entries: a few arrays of them stay in the second-level cache


def loop_source(rule: Rule, dtype: Any = np.float32) -> str:
    """Return the text of the loop that an elementwise rule becomes.

    Raises
    ------
    ValueError
        If the rule does something else than arithmetic on entries; with the line.
    """
    return trace(rule, dtype).source


def make_kernel(rule: Rule, dtype: Any, compiled: bool | None = None) -> Kernel:
    """Return the kernel of an elementwise rule for arrays of ``dtype``.

    ``compiled``: True insists on numba, False on NumPy; by default numba if installed.

    Raises
    ------
    ValueError
        As `loop_source`, whatever the kernel is made of.
    ImportError
        If ``compiled`` is True and numba is missing.
    """
    program = trace(rule, dtype)
    if compiled is None:
        compiled = numba_is_installed()
    if not compiled:
        return functools.partial(_blocks, rule)
    loop = _compile(program.source)

    fixed, changing = np.array(program.fixed, dtype), program.changing

    def kernel(lr: float, t: int) -> Loop:
        c, rate = fixed.copy(), dtype.type(lr)
        for j, number in changing:
            c[j] = number(t)
        return lambda w, g, states: loop(w, g, states, rate, c)

    return kernel


def _blocks(rule: Rule, lr: float, t: int) -> Loop:
    def loop(w: Array, g: Array, states: Sequence[Array]) -> None:
        like = rule.init(w[:0])
        for start in range(0, w.size, BLOCK):
            i = slice(start, start + BLOCK)
            old = [a[i] for a in states]
            u, new = rule.update(g[i], unflatten(like, old), w[i], t)
            # All is computed before anything is written: a state may be w, or another.
            fresh = [np.array(a) for a in flatten(new)]
            w[i] -= lr * u
            for place, a in zip(old, fresh, strict=True):
                place[...] = a

    return loop


@functools.cache
def _compile(source: str) -> Callable[..., None]:
    """Import the text from a file, so that numba can cache the machine code."""
    import hashlib

    import numba

    digest = hashlib.sha256(source.encode()).hexdigest()
    path = _folder() / f"loop_{digest}.py"
    if not path.exists():
        write_bytes(str(path), source.encode())
    spec = importlib.util.spec_from_file_location(f"deepopt_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where numba looks when it loads from its cache
    spec.loader.exec_module(module)
    # IEEE arithmetic as NumPy's: no reordering, and x/0 is inf instead of an exception.
    jit = numba.njit(cache=True, nogil=True, error_model="numpy")
    loop: Callable[..., None] = jit(module.loop)
    return loop


def _folder() -> Path:
    """Return the cache folder of this user, or a temporary one where there is none."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "deepopt_lib"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    import tempfile  # and shutil with it: a tenth of the import of the package

    return Path(tempfile.mkdtemp(prefix="deepopt_lib-"))
