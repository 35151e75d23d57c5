"""What is paid once, or in memory: imports, the first call, the peak of a step.

Each is measured in processes of their own.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.timing import summary

IMPORTS = {
    "nothing": "pass",
    "numpy": "import numpy",
    "deepopt_lib": "import deepopt_lib",
    "deepopt_lib.optim": "import deepopt_lib.optim",
    "deepopt_lib.nn": "import deepopt_lib.nn",
    "deepopt_lib.training": "import deepopt_lib.training",
    "torch": "import torch",
}
FIRST_STEP = """
import time
start = time.perf_counter()
import numpy as np
from deepopt_lib.optim import InPlace, adam
imported = time.perf_counter()
run = InPlace(adam(1e-3), {"w": np.zeros(10, np.float32)})
run.step({"w": np.ones(10, np.float32)})
print(imported - start, time.perf_counter() - imported)
"""
# Memory is counted in arrays of the parameters' size, from the moment when parameters,
# gradients and states exist. Linux keeps the peak; writing 5 makes it forget.
PEAK = """
import sys
import benchmarks
from benchmarks import steps
from pathlib import Path

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

rule, who, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
for size in (1000, n):
    made = steps.contestants(rule, size, who)
    step = made.pop(who)
    made.clear()
    step()
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    for _ in range(3):
        step()
print((status("VmHWM") - before) / (4 * n))
"""


def python(code: str, *arguments: str, **env: str) -> str:
    """Run a program in a process of its own; return what it prints."""
    around = {**os.environ, **env}
    around.pop("PYTHONDONTWRITEBYTECODE", None)  # imports find compiled files
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env=around,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def children() -> float:
    """Return the processor seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def imports(rounds: int = 11) -> list[dict[str, Any]]:
    """Return what each import takes, beyond the start of Python itself, in ms."""
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(rounds + 1):
        for name, code in IMPORTS.items():
            before = children()
            python(code)
            times[name].append(children() - before)
    base = statistics.median(times.pop("nothing")[1:])
    ms = {
        name: [1e3 * (t - base) for t in values[1:]] for name, values in times.items()
    }
    peer = statistics.median(ms["numpy"])
    return [
        {
            "import": name,
            "ms": summary(values),
            "ratio": round(statistics.median(values) / peer, 3),
        }
        for name, values in ms.items()
    ]


def first_call() -> dict[str, float]:
    """Return the seconds of a first step in place: with an empty cache, and later."""
    with tempfile.TemporaryDirectory() as folder:
        found = [python(FIRST_STEP, XDG_CACHE_HOME=folder).split() for _ in range(2)]
    return {
        "compiled_s": round(float(found[0][1]), 3),
        "from_cache_s": round(float(found[1][1]), 3),
    }


def memory(n: int = 10_000_000) -> list[dict[str, Any]]:
    """Return the temporary memory of a step of Adam, in arrays of n floats."""
    who = ["deepopt", "deepopt blocks", "deepopt pure"]
    who += ["torch", "torch foreach", "torch fused", "optax jit"]
    found = {name: float(python(PEAK, "Adam", name, str(n))) for name in who}
    return [{"who": name, "arrays": round(peak, 2)} for name, peak in found.items()]


def measure() -> dict[str, Any]:
    """Measure all of it."""
    found = {"imports": imports(), "first_call": first_call(), "memory": memory()}
    print(json.dumps(found, indent=1))
    return found
