"""Run the papers' experiments: ``python -m reproductions [names] [--jobs 2]``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# One thread in each process, before NumPy is imported: the processes share the cores.
for _library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"
os.environ["VECLIB_MAXIMUM_THREADS"] = "1"

from reproductions import runner, store, table  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing of the named experiments, or of all; print what they say."""
    parser = argparse.ArgumentParser(
        prog="python -m reproductions", description=__doc__
    )
    parser.add_argument("names", nargs="*", help="experiments; all if none is named")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--tune", action="store_true", help="tune, and run nothing")
    parser.add_argument("--list", action="store_true", help="say what there is to run")
    parser.add_argument(
        "--out",
        type=Path,
        default=store.FOLDER,
        help="another folder for the results: what is not there yet is run",
    )
    given = parser.parse_args(arguments)
    there = store.experiments()
    if unknown := sorted(set(given.names) - set(there)):
        parser.error(f"no experiment is named {', '.join(unknown)}; there are {there}")
    if given.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {given.jobs}")
    names = list(dict.fromkeys(given.names)) or there
    todo = runner.missing(names, given.out)
    if given.tune:
        todo = [store.Task(n, store.TUNING, 100) for n in names if store.tunable(n)]
    if given.list:
        for name in names:
            left = [task.key for task in todo if task.name == name]
            print(f"{name}: {len(left)} of {len(store.tasks(name))} to run", *left)
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    failed = runner.run_all(todo, given.jobs, given.out)
    for name in [] if given.tune else names:
        print("\n".join(table.lines(name, given.out)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
