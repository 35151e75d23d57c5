"""Which experiments there are, what was run of them, and by which code."""

from __future__ import annotations

import json
import platform
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from deepopt_lib.core import write_bytes
from deepopt_lib.trials import Claim
from reproductions.digest import definitions, digest

__all__ = [
    "FOLDER",
    "TUNING",
    "WHOLE",
    "Task",
    "add",
    "experiments",
    "held",
    "judge",
    "read",
    "tasks",
    "tunable",
]

FOLDER = Path(__file__).parent
"""Where the experiments are, and their results."""

WHOLE = "all"  # the one piece of an experiment that has no others
TUNING = "tuning"  # what `tune` tried, beside the runs


class Task(NamedTuple):
    """A piece of an experiment under a seed: what one process does."""

    name: str
    piece: str
    seed: int

    @property
    def key(self) -> str:
        """Its name in the file of the experiment."""
        return f"{self.piece}/{self.seed}"


def experiments() -> list[str]:
    """Return the names of all modules that define `PIECES`, in order."""
    paths = sorted(FOLDER.glob("*.py"))
    return [p.stem for p in paths if "PIECES" in definitions(p)]


def tasks(name: str) -> list[Task]:
    """Return every piece of an experiment under each of its seeds."""
    module = import_module(f"reproductions.{name}")
    pieces = module.PIECES or (WHOLE,)
    return [Task(name, piece, seed) for seed in module.SEEDS for piece in pieces]


def tunable(name: str) -> bool:
    """Say whether an experiment defines `tune`."""
    return "tune" in definitions(FOLDER / f"{name}.py")


def read(name: str, folder: Path) -> dict[str, Any]:
    """Return what a folder holds of an experiment; of none, a file without runs."""
    path = folder / f"{name}.json"
    if not path.exists():
        return {"experiment": name, "runs": {}}
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def held(name: str, folder: Path) -> dict[str, dict[str, Any]]:
    """Return the runs that the present code has made, by key."""
    code = digest(FOLDER, name)
    runs = read(name, folder)["runs"]
    return {key: run for key, run in runs.items() if run["code"] == code}


def add(task: Task, folder: Path, found: dict[str, Any]) -> None:
    """Write what a task has found into the file of its experiment.

    The new file takes the place of the old one when all of it is on the disk.
    """
    file = read(task.name, folder)
    if task.piece == TUNING:
        file[TUNING] = found
    else:
        file["runs"] = dict(sorted({**file["runs"], task.key: found}.items()))
    file["paper"] = import_module(f"reproductions.{task.name}").PAPER
    file["machine"] = machine()
    file.pop("claims", None)  # were judged without this run
    _write(task.name, folder, file)


def judge(name: str, folder: Path) -> list[Claim]:
    """Return what is claimed of an experiment, and write it into its file.

    Nothing is judged before all of its runs are there.
    """
    runs = held(name, folder)
    if any(task.key not in runs for task in tasks(name)):
        return []
    claims: list[Claim] = import_module(f"reproductions.{name}").claims(runs)
    rows = [[c.claim, c.paper, c.here, str(c.verdict)] for c in claims]
    file = read(name, folder)
    if file.get("claims") != rows:
        _write(name, folder, {**file, "claims": rows})
    return claims


def _write(name: str, folder: Path, file: dict[str, Any]) -> None:
    order = ("experiment", "paper", "claims", TUNING, "runs", "machine")
    file = {key: file[key] for key in order if key in file}
    text = json.dumps(file, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(str(folder / f"{name}.json"), text.encode())


def machine() -> dict[str, str]:
    """Describe the processor and the versions that a run depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return {
        "processor": models[0] if models else platform.processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "deepopt_lib")},
    }
