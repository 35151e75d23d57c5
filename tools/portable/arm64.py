"""An arm64 Python with the pinned packages, emulated by QEMU where there is no arm64.

`prepare` unpacks Debian's Python and the wheels of ``constraints.txt`` into a folder;
nothing is installed and no root is needed. `kernelspec` lets notebooks run in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["FOLDER", "environment", "kernelspec", "prepare"]

TOP = Path(__file__).parents[2]
FOLDER = TOP / ".cache" / "arm64"
CONSTRAINTS = TOP / "constraints.txt"
SYSTEM = ("python3", "libstdc++6")  # Debian packages, with what they depend on
PACKAGES = (
    *("numpy", "scipy", "numba", "safetensors", "tqdm"),  # of the library
    *("matplotlib", "contourpy", "myst-nb", "psutil"),  # of the pages
    *("ipykernel", "ipywidgets", "threadpoolctl"),  # of the kernel, and of the probe
)
WHEELS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")
# One that exists, and whose kernels add in another order than those of x86. For QEMU's
# own, with SME, OpenBLAS has kernels that set flags no number has earned.
PROCESSOR = "cortex-a53"


def prepare(folder: Path = FOLDER) -> list[str]:
    """Return the command that starts the emulated Python; make it first if need be.

    Parameters
    ----------
    folder
        Where it is kept, about 0.9 GB. It is made again when the versions change.

    Raises
    ------
    RuntimeError
        If a program is missing or a step fails: names it, and its last words.
    """
    emulator = _find(*EMULATORS, package="qemu-user-static")
    root, complete = folder / "root", folder / "complete"
    wanted = hashlib.sha256(repr((SYSTEM, PACKAGES, WHEELS)).encode())
    wanted.update(CONSTRAINTS.read_bytes())
    if not complete.is_file() or complete.read_text() != wanted.hexdigest():
        complete.unlink(missing_ok=True)
        for stale in (root, folder / "apt"):
            shutil.rmtree(stale, ignore_errors=True)
        _unpack_system(root, folder / "apt")
        _unpack_packages(root)
        complete.write_text(wanted.hexdigest())
    python = root / "usr" / "bin" / "python3"
    return [emulator, "-cpu", PROCESSOR, "-L", str(root), str(python)]


def kernelspec(command: Sequence[str], folder: Path = FOLDER) -> Path:
    """Write the kernel ``python3`` that runs ``command``; return its JUPYTER_PATH."""
    spec = folder / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    argv = [*command, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = {"argv": argv, "display_name": "Python 3 (arm64)", "language": "python"}
    spec.write_text(json.dumps(text))
    return folder / "jupyter"


def environment(folder: Path = FOLDER) -> dict[str, str]:
    """Prepare all; return what the environment of a notebook's client needs besides.

    Raises
    ------
    RuntimeError
        Like `prepare`.
    """
    return {"JUPYTER_PATH": str(kernelspec(prepare(folder), folder))}


def _unpack_system(root: Path, apt: Path) -> None:
    """Unpack Debian's Python for arm64, out of lists and archives of our own."""
    for needed in ("state/lists/partial", "cache/archives/partial"):
        (apt / needed).mkdir(parents=True)
    status = apt / "status"  # empty: what is installed here is for another processor
    status.touch()
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Install-Recommends": "false",
        "Debug::NoLocking": "true",
        "Dir::State": apt / "state",
        "Dir::State::status": status,
        "Dir::Cache": apt / "cache",
    }
    get = [_find("apt-get"), "-y", *(f"-o{key}={x}" for key, x in options.items())]
    _run("apt-get update (arm64)", *get, "update")
    _run("apt-get install", *get, "--download-only", "install", *SYSTEM)
    unpack = _find("dpkg")
    for archive in sorted((apt / "cache" / "archives").glob("*.deb")):
        _run(f"dpkg -x {archive.name}", unpack, "-x", str(archive), str(root))
    shutil.rmtree(apt)


def _unpack_packages(root: Path) -> None:
    """Unpack the wheels where this Python looks for packages, and compile all of it."""
    python = (root / "usr" / "bin" / "python3").resolve().name
    library = root / "usr" / "lib"
    wheels = [f"--platform={wheel}_aarch64" for wheel in WHEELS]
    _run(
        "pip install (arm64)",
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-input"),
        *("--disable-pip-version-check", "--no-compile", "--only-binary=:all:"),
        *("--implementation=cp", f"--python-version={python.removeprefix('python')}"),
        *(*wheels, f"--constraint={CONSTRAINTS}"),
        *(f"--target={library / 'python3' / 'dist-packages'}", *PACKAGES),
    )
    # Emulated, this would take ten times as long; of use where the versions agree.
    command = [sys.executable, "-m", "compileall", "-q", str(library)]
    subprocess.run(command, capture_output=True, check=False)


def _find(*programs: str, package: str = "") -> str:
    for program in programs:
        if found := shutil.which(program):
            return found
    hint = f" (apt-get install {package})" if package else ""
    raise RuntimeError(f"arm64: there is no {' or '.join(programs)} here{hint}")


def _run(step: str, *command: str) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        last = said[-1] if said else f"status {done.returncode}"
        raise RuntimeError(f"arm64: {step} failed: {last}")
