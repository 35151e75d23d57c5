"""One equation, two speeds: a rule's own ``update`` as one loop over memory.

`fused` compiles the text of the rule with numba: each array is read once and written
once, whatever the number of rules in a chain. Without numba the same call runs the rule
over blocks that fit into the cache. Both give the numbers of the pure rule (the blocks
to the bit; the loop multiplies by the reciprocal where a rule divides by a constant).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepopt_lib.core.optional import numba_is_installed
from deepopt_lib.core.tree import flatten, unflatten
from deepopt_lib.core.types import Array, Rule, State
from deepopt_lib.optim.inplace.loops import links, loop_source

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["BLOCK", "FusedRule", "fused"]

Loop = Callable[[Array, Array, State], None]
BLOCK = 32768  # elements: a few arrays of them stay in the second-level cache


@dataclass(frozen=True)
class FusedRule:
    """A rule that takes whole steps in place, over flat arrays.

    Attributes
    ----------
    rule : Rule
        The rule, elementwise.
    source : str
        The text of the compiled loop; empty when the blocked NumPy path runs.
    threads : int
        How many threads share a step; each takes a contiguous part of the arrays.
    """

    rule: Rule
    source: str
    threads: int
    _prepare: Callable[[Any, float, int], Loop]

    def init(self, w: Array) -> State:
        """Return the rule's state for the flat array ``w``."""
        return self.rule.init(w)

    def step(self, w: Array, g: Array, s: State, lr: float, t: int) -> None:
        """Do ``w <- w - lr*u`` and advance ``s``, both in place.

        ``w``, ``g`` and the arrays of ``s``: contiguous, one dtype, shape (n,).
        Nothing is allocated that grows with n.
        """
        self.steps([(w, g, self.laid(s))], lr, t)

    def laid(self, s: State) -> State:
        """Return a state as `steps` takes it: its arrays side by side, for a loop."""
        return flatten(s) if self.source else s

    def steps(
        self, pieces: Iterable[tuple[Array, Array, State]], lr: float, t: int
    ) -> None:
        """Do the same for several (w, g, laid s) of one dtype, in the same step."""
        loop = None
        for w, g, s in pieces:
            loop = loop or self._prepare(w.dtype, lr, t)
            if self.threads == 1 or w.size < self.threads * BLOCK:
                loop(w, g, s)
                continue
            edges = np.linspace(0, w.size, self.threads + 1).astype(int)
            spans = [slice(a, b) for a, b in pairwise(edges)]
            jobs = [(w[i], g[i], part(s, i)) for i in spans]
            list(_pool(self.threads).map(loop, *zip(*jobs, strict=True)))


def fused(rule: Rule, *, threads: int = 1, compiled: bool | None = None) -> FusedRule:
    """Compile ``rule`` into one loop, or prepare its blocked run.

    Parameters
    ----------
    rule : Rule
        An elementwise rule, or a chain of such rules.
    threads : int
        Threads that share one step.
    compiled : bool, optional
        True insists on numba, False on NumPy blocks; by default numba if installed.

    Raises
    ------
    ValueError
        If the rule is not elementwise, or its ``update`` cannot become scalar code;
        the message names the rule and the line.
    ImportError
        If ``compiled=True`` and numba is missing.
    """
    if not rule.elementwise:
        raise ValueError(f"{rule!r} is not elementwise and cannot be fused")
    if type(threads) is not int or threads < 1:
        raise ValueError(f"threads must be an int >= 1, got {threads!r}")
    if compiled is None:
        compiled = numba_is_installed()
    if not compiled:
        return FusedRule(rule, "", threads, functools.partial(_blocks, rule))
    source = loop_source(rule)
    constants, loop = _compile(source)
    names = links(rule)

    def prepare(dtype: Any, lr: float, t: int) -> Loop:
        c, rate = np.array(constants(names, t), dtype), dtype.type(lr)
        return lambda w, g, s: loop(w, g, s, rate, c)

    return FusedRule(rule, source, threads, prepare)


def _blocks(rule: Rule, dtype: Any, lr: float, t: int) -> Loop:
    """Run the pure rule over blocks, so that its temporaries never leave the cache."""

    def loop(w: Array, g: Array, s: State) -> None:
        for start in range(0, w.size, BLOCK):
            i = slice(start, start + BLOCK)
            state = part(s, i)
            u, new = rule.update(g[i], state, w[i], t)
            w[i] -= lr * u
            for old, fresh in zip(flatten(state), flatten(new), strict=True):
                old[...] = fresh

    return loop


def part(s: State, i: slice) -> State:
    """Return views of the span ``i`` of every (flat) array of a state."""
    return unflatten(s, (a.reshape(-1)[i] for a in flatten(s)))


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # not for each import of ours

    return ThreadPoolExecutor(threads, thread_name_prefix="fused")


@functools.cache
def _compile(source: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Import the text from a file, so that numba can cache the machine code."""
    import hashlib

    import numba

    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    path = _folder() / f"loop_{digest}.py"
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(source, encoding="utf8")
        temporary.replace(path)
    spec = importlib.util.spec_from_file_location(f"deepopt_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where numba looks when it loads from its cache
    spec.loader.exec_module(module)
    # IEEE arithmetic as NumPy's: no reordering, and x/0 is inf instead of an exception.
    jit = numba.njit(cache=True, nogil=True, error_model="numpy")
    return module.constants, jit(module.loop)


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
    import tempfile

    return Path(tempfile.mkdtemp(prefix="deepopt_lib-"))
