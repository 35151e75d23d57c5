"""Run the notebooks again and store their outputs, byte for byte reproducible.

    python -m tools.execute                    all notebooks of chapters/
    python -m tools.execute chapters/faq.ipynb one of them
    python -m tools.execute --check            compare with the stored, write nothing

A notebook runs in its own folder, in a fresh kernel, and is replaced only after its
last cell has succeeded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from deepopt_lib.core import write_bytes
from tools.environment import prepare_environment
from tools.notebooks import name, notebooks

TIMEOUT = 300  # seconds a cell may take, as in the tests: more is no slowness
# These read what the other pages have stored, and so run after them.
LAST = ("faq", "references", "reproducibility", "solve", "source_errata")
FAILURES = (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def load(path: Path) -> Any:
    """Read a notebook; a cell without an id gets one that will not change."""
    raw = json.loads(path.read_text(encoding="utf8"))
    for i, cell in enumerate(raw["cells"]):
        cell.setdefault("id", f"cell-{i}")
    raw["nbformat_minor"] = max(5, raw["nbformat_minor"])
    return nbformat.reads(json.dumps(raw), as_version=4)


def dump(notebook: Any) -> str:
    """Serialize a notebook without anything that differs between two runs."""
    kept = {k: v for k, v in notebook.metadata.items() if k != "widgets"}
    notebook.metadata = nbformat.from_dict({**kept, **METADATA})
    for cell in notebook.cells:
        for noise in ("execution", "collapsed", "scrolled"):
            cell.metadata.pop(noise, None)
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def client(notebook: Any, path: Path, **options: Any) -> NotebookClient:
    """Return what runs a notebook as all others run: in the folder of its file."""
    return NotebookClient(
        notebook,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
        **options,
    )


def run(path: Path) -> tuple[float, str, str]:
    """Execute one notebook: its seconds, its new text, and what went wrong, if so."""
    prepare_environment()
    start, at = time.perf_counter(), 0

    def remember(cell: Any, cell_index: int) -> None:
        nonlocal at
        at = cell_index

    notebook = load(path)
    executor = client(notebook, path, timeout=TIMEOUT, on_cell_start=remember)
    try:
        executor.execute(stderr=subprocess.DEVNULL)  # the kernel's own log
    except FAILURES as error:
        last = str(error).strip().splitlines()[-1]
        problem = f"{name(path)}, cell {at} (counted from 0): {last}"
        return time.perf_counter() - start, "", problem
    return time.perf_counter() - start, dump(notebook), ""


def difference(stored: str, fresh: str) -> str:
    """Say in which cell two versions of a notebook differ first."""
    old, new = json.loads(stored), json.loads(fresh)
    for i, (a, b) in enumerate(zip(old["cells"], new["cells"], strict=True)):
        if a != b:
            keys = [key for key in sorted(a | b) if a.get(key) != b.get(key)]
            return f"cell {i} (counted from 0) differs in {', '.join(keys)}"
    return "its cells agree, its metadata or its layout does not"


def main() -> int:
    """Run what the command line names and print a table of seconds."""
    parser = argparse.ArgumentParser(description="Run notebooks and store the outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    paths = [p.resolve() for p in args.notebooks] or notebooks()
    if missing := [str(p) for p in paths if not p.is_file()]:
        parser.error("there is no " + ", ".join(missing))
    problems, total = [], time.perf_counter()
    first = [p for p in paths if p.stem not in LAST]
    with ProcessPoolExecutor(2) as pool:
        for path, (took, text, problem) in chain(
            zip(first, pool.map(run, first), strict=True),
            ((p, pool.submit(run, p).result()) for p in paths if p.stem in LAST),
        ):
            stored = path.read_text(encoding="utf8")
            if not problem and text != stored:
                if args.check:
                    problem = f"{name(path)}: {difference(stored, text)}"
                else:
                    write_bytes(str(path), text.encode())
            note = "FAILED" if problem else "same" if text == stored else "written"
            print(f"{took:6.1f} s  {note:8}{name(path)}", flush=True)
            problems += [problem] if problem else []
    print(f"{time.perf_counter() - total:6.1f} s  in all")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
