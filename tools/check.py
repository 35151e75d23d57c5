"""Run the named checks one after another, all of them, and sum up at the end.

    python tools/check.py lint types library notebooks nbval html site

Each prints its own report as it runs; the last lines say what passed, what failed and
how long it took. The exit status is 1 when anything failed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tools.report import describe, notebooks

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "-q"]
TWO = ["-n", "2", "--dist", "loadfile"]
NOTEBOOKS = [str(p) for p in notebooks()]
# They time something, or start processes of their own: nothing runs beside them.
ALONE = [p for p in NOTEBOOKS if describe(Path(p))["exempt"]]
CHECKS: dict[str, tuple[str, list[list[str]]]] = {
    "lint": (
        "ruff",
        [
            [str(BIN / "ruff"), "check", "-q"],
            [str(BIN / "ruff"), "format", "--check", "-q"],
        ],
    ),
    "types": ("mypy", [[str(BIN / "mypy")]]),
    "library": ("library tests", [[*PYTEST, "tests/library", "-n", "2"]]),
    "notebooks": ("notebook rules", [[*PYTEST, "tests/notebooks"]]),
    "nbval": (
        "notebooks, executed",
        [
            [*PYTEST, "--nbval", *sorted(set(NOTEBOOKS) - set(ALONE)), *TWO],
            [*PYTEST, "--nbval", *ALONE],
        ],
    ),
    "html": ("build of the book", [["make", "--no-print-directory", "html"]]),
    "site": (
        "site in a browser",
        [[*PYTEST, "tests/site", "-n", "2"]],
    ),
}


def run(name: str) -> tuple[bool, float]:
    """Run one check: whether it passed, and its seconds."""
    title, commands = CHECKS[name]
    print(f"── {title} " + "─" * (76 - len(title)), flush=True)
    start = time.perf_counter()
    codes = [subprocess.call(command, cwd=ROOT) for command in commands]
    return not any(codes), time.perf_counter() - start


def main() -> int:
    """Run what the command line names; return 1 when anything failed."""
    names = sys.argv[1:] or list(CHECKS)
    if unknown := set(names) - set(CHECKS):
        raise SystemExit(
            f"unknown check {unknown.pop()!r}; there are {', '.join(CHECKS)}"
        )
    results = {name: run(name) for name in names}
    print("─" * 80)
    for name, (passed, seconds) in results.items():
        print(
            f"{'passed' if passed else 'FAILED'}  {seconds:6.1f} s  {CHECKS[name][0]}"
        )
    print(f"        {sum(s for _, s in results.values()):6.1f} s  in all")
    return 0 if all(passed for passed, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
