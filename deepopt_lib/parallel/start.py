"""Start ranks from a notebook or a test: ``mpiexec -n N python -m MODULE ...``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deepopt_lib.core.checks import check_int
from deepopt_lib.parallel.errors import MISSING

__all__ = ["command", "launch", "report"]


def command(n: int, module: str, *arguments: object) -> list[str]:
    """Return the words that start ``n`` ranks of a module of Python.

    ``mpiexec`` is the one beside this Python, where the package ``mpich`` puts it, or
    else the first one on the path.

    Raises
    ------
    ValueError
        If ``n`` is not an int >= 1.
    FileNotFoundError
        If there is no ``mpiexec``; the sentence says what brings it.
    """
    n = check_int("n", n)
    beside = Path(sys.executable).parent
    mpiexec = shutil.which("mpiexec", path=str(beside)) or shutil.which("mpiexec")
    if mpiexec is None:
        raise FileNotFoundError(MISSING)
    return [mpiexec, "-n", str(n), sys.executable, "-m", module, *map(str, arguments)]


def launch(n: int, module: str, *arguments: object, timeout: float = 60.0) -> str:
    """Run ``n`` ranks of a module to their end; return what they print.

    One thread each, without progress bars.

    Raises
    ------
    RuntimeError
        If the job fails; with what it wrote to its error stream.
    subprocess.TimeoutExpired
        If it takes longer than ``timeout`` seconds.
    """
    quiet = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONPATH": _path()}
    quiet["PYTHONDONTWRITEBYTECODE"] = ""  # or every rank compiles every module again
    done = subprocess.run(
        command(n, module, *arguments),
        env={**os.environ, **quiet},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} on {n} ranks failed: {done.stderr.strip()}")
    return done.stdout


def report(n: int, module: str, *arguments: object, timeout: float = 60.0) -> Any:
    """Run ``n`` ranks of a module that writes a ``--report``; return what it says.

    Raises
    ------
    RuntimeError, subprocess.TimeoutExpired
        As `launch`.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        launch(n, module, *arguments, "--report", path, timeout=timeout)
        return json.loads(path.read_text())


def _path() -> str:
    """Return a path on which the ranks find this very library."""
    parts = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(filter(None, parts))
