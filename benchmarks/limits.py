"""What the machine is, and what it can do at most: nobody is faster than that."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import binding as llvm  # type: ignore[import-untyped]

from benchmarks.timing import Times, interleave, summary

PACKAGES = ("numpy", "scipy", "numba", "torch", "optax", "jax")
KINDS = {"L1d": "LEVEL1_DCACHE", "L2": "LEVEL2_CACHE", "L3": "LEVEL3_CACHE"}
VECTORS = {  # feature of the processor: its name, and the bits of a vector
    "avx512f": ("AVX-512", 512),
    "avx2": ("AVX2", 256),
    "sse2": ("SSE2", 128),
    "neon": ("NEON", 128),
}


def machine() -> dict[str, Any]:
    """Describe the processor, its caches, the system and the packages."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    features = llvm.get_host_cpu_features()  # numba compiles for these
    has = (VECTORS[name] for name in VECTORS if features.get(name))
    vectors, bits = next(has, ("none", 0))
    return {
        "processor": models[0] if models else platform.processor(),
        "architecture": llvm.get_host_cpu_name(),
        "cores": len(models) or os.cpu_count(),
        "caches": {name: _cache(kind) for name, kind in KINDS.items()},
        "vectors": vectors,
        "vector_bits": bits,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "threads": 1,
    }


def _cache(kind: str) -> int | None:
    """Return a cache's size in bytes, if the system tells it."""
    try:
        done = subprocess.run(
            ["getconf", f"{kind}_SIZE"], capture_output=True, text=True, check=True
        )
        return int(done.stdout) or None
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@numba.njit(cache=True)
def copy_loop(a: Any, b: Any) -> None:
    for i in range(a.size):
        a[i] = b[i]


@numba.njit(cache=True)
def scale_loop(a: Any, c: Any) -> None:
    for i in range(a.size):
        a[i] = c * a[i]


@numba.njit(cache=True, error_model="numpy")
def divide_loop(a: Any, b: Any, eps: Any) -> None:
    """The end of every adaptive rule: one square root, one quotient."""
    for i in range(a.size):
        a[i] = b[i] / (np.sqrt(b[i]) + eps)


class Moves(NamedTuple):
    """Seconds of two ways to read four bytes and write four, ``n`` times."""

    copy: float  # into another array, by memcpy or by a loop if that is faster
    in_place: float  # over themselves: what is written need not be fetched first


def movers(n: int) -> dict[str, Callable[[], Any]]:
    """Return what can be timed: memcpy, a copying loop, a loop in place."""
    a, b, one = np.ones(n, np.float32), np.ones(n, np.float32), np.float32(1)
    return {
        "memcpy": lambda: np.copyto(a, b),
        "loop": lambda: copy_loop(a, b),
        "in place": lambda: scale_loop(a, one),
    }


def fastest(times: Times) -> Moves:
    """Return the medians of `movers`, the faster of the two copies."""
    found = {k: statistics.median(times[k]) for k in ("memcpy", "loop", "in place")}
    return Moves(min(found["memcpy"], found["loop"]), found["in place"])


def moves(n: int, rounds: int = 9) -> Moves:
    """Measure both."""
    return fastest(interleave(movers(n), rounds))


def limits() -> dict[str, Any]:
    """Measure the rates of copying, of a matrix product and of the divider."""
    sizes = (17_000, 1_000_000, 10_000_000)
    n = 1024
    rng = np.random.default_rng(0)
    a, b = rng.random((2, n, n), dtype=np.float32)
    out = np.empty_like(a)
    small, quotient = rng.random((2, sizes[0]), dtype=np.float32)
    eps = np.float32(1e-8)
    times = interleave(
        {
            "matmul": lambda: np.matmul(a, b, out=out),
            "divide": lambda: divide_loop(quotient, small, eps),
        }
    )
    found = {str(k): (k, moves(k)) for k in sizes}
    return {
        "copy_gb_per_s": {
            s: round(8e-9 * k / m.copy, 2) for s, (k, m) in found.items()
        },
        "in_place_gb_per_s": {
            s: round(8e-9 * k / m.in_place, 2) for s, (k, m) in found.items()
        },
        "matmul_gflop_per_s": summary([2e-9 * n**3 / t for t in times["matmul"]]),
        # a square root and a quotient of each number, in the second-level cache
        "divide_ns": summary([1e9 * t / small.size for t in times["divide"]]),
    }
