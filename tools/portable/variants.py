"""The ways to compute that can be tried on one machine, and whether this one can."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.environment import KERNEL_ENV, THREADS
from tools.portable import arm64
from tools.portable.hook import SEED

ROOT = Path(__file__).parents[2]
KERNELS = "OPENBLAS_CORETYPE"
FEATURES = "NPY_DISABLE_CPU_FEATURES"
SITE = Path(__file__).parent / "site"
PROBE = """
import json, numpy, scipy.linalg, threadpoolctl
from numpy._core import _multiarray_umath as umath
a = numpy.random.default_rng(0).random((65, 65), numpy.float32)
assert numpy.isfinite(a @ a).all() and numpy.isfinite(numpy.exp(a)).all()
blas = [x for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas"]
print(json.dumps({
    "kernels": sorted({x.get("architecture", x["internal_api"]) for x in blas}),
    "loops": [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__[name]],
}))
"""


@dataclass(frozen=True)
class Variant:
    """One way to compute.

    Attributes
    ----------
    name, what
        What the command line and the record call it; what is other in it.
    kernels
        The kernels of OpenBLAS, by the processor they were written for; "" is its own
        choice.
    without
        NumPy's loops that are switched off, by the start of their names.
    threads, seed
        Of the BLAS; of `perturb`, if anything is perturbed.
    arm64
        Whether the kernel is emulated (`tools.portable.arm64`).
    folder
        Where the notebooks are, if not all are run.
    """

    name: str
    what: str = ""
    kernels: str = ""
    without: tuple[str, ...] = ()
    threads: int = 1
    seed: int | None = None
    arm64: bool = False
    folder: str = ""

    def environment(self, loops: list[str]) -> dict[str, str]:
        """Return the environment of a kernel; ``loops`` are what NumPy can switch."""
        env = {
            k: v for k, v in os.environ.items() if k not in (KERNELS, FEATURES, SEED)
        }
        env |= KERNEL_ENV | {"PYTHONPATH": str(ROOT)}
        if self.threads > 1:  # ranks of MPI set the first of these to 1 for themselves
            env |= {"OMP_NUM_THREADS": str(self.threads)}
            for library in THREADS[1:]:
                env.pop(f"{library}_NUM_THREADS", None)
        env.pop("MPLBACKEND", None)
        if self.kernels:
            env[KERNELS] = self.kernels
        if self.without:
            env[FEATURES] = ",".join(x for x in loops if x.startswith(self.without))
        if self.seed is not None:
            env |= {SEED: str(self.seed), "PYTHONPATH": f"{SITE}:{ROOT}"}
        if self.arm64:
            env |= arm64.environment()
        return env


AVX512 = ("AVX512", "X86_V4")
AVX2 = (*AVX512, "AVX2", "FMA3", "X86_V3")
DRAWN = "each product, sum and function times 1 + u, the u drawn"
VARIANTS = (
    Variant("native", "the kernels and loops that this processor gets"),
    Variant("Haswell", "kernels of OpenBLAS for AVX2", "Haswell"),
    Variant("SkylakeX", "kernels of OpenBLAS for AVX-512", "SkylakeX"),
    Variant("Zen", "kernels of OpenBLAS for AMD", "Zen"),
    Variant("Nehalem", "kernels of OpenBLAS for SSE", "Nehalem"),
    Variant("no AVX-512", "those for AVX2, loops of NumPy too", "Haswell", AVX512),
    Variant("no AVX2", "those for SSE, loops of NumPy too", "Nehalem", AVX2),
    Variant("two threads", "the sums of BLAS in two parts", threads=2),
    *(Variant(f"perturbed {n}", DRAWN, seed=n) for n in (1, 2, 3)),
    Variant("arm64", "an emulated Cortex-A53", arm64=True, folder="principles"),
)
FOREIGN = "no AVX2"  # the one that `make test` adds: the furthest from a new processor


def probe(
    env: Mapping[str, str], python: Sequence[str] = (sys.executable,)
) -> tuple[dict[str, list[str]], str]:
    """Start NumPy in an environment: what it runs on, or why it does not start."""
    done = subprocess.run(
        [*python, "-c", PROBE],
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return {"kernels": [], "loops": []}, last
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found, ""


def loops() -> list[str]:
    """Return the loops of NumPy that can be switched off here.

    Raises
    ------
    RuntimeError
        If NumPy does not start.
    """
    found, problem = probe(Variant("native").environment([]))
    if problem:
        raise RuntimeError(f"NumPy does not start: {problem}")
    return found["loops"]


def why_not(variant: Variant, loops: list[str]) -> str:
    """Return why this machine cannot run the variant; "" if it can."""
    python = [sys.executable]
    if variant.arm64:
        if platform.machine() in ("aarch64", "arm64"):
            return "this machine is one"
        try:
            python = arm64.prepare()
        except RuntimeError as error:
            return str(error)
    found, problem = probe(variant.environment(loops), python)
    if problem:
        return f"NumPy does not start: {problem}"
    if variant.kernels and found["kernels"] != [variant.kernels]:
        return f"OpenBLAS has no kernels for it here and takes {found['kernels']}"
    if variant.without and not any(x.startswith(variant.without) for x in loops):
        return f"NumPy has no such loops here, only {loops}"
    return ""
