"""Run every notebook as the tests do, and store what the appendix shows of that run.

    python -m tools.report           one notebook at a time: its time alone
    python -m tools.report --jobs 2  two at a time: done earlier, each takes longer
    python -m tools.report chapters/faq.ipynb  only this one; the other rows stay

Writes chapters/appendix/test_run.json and executes the page that reads it. When a
notebook fails, its cells are named, the exit status is 1 and the old record stays.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

from benchmarks import limits
from deepopt_lib.core import write_bytes
from tools.environment import prepare_environment
from tools.execute import run
from tools.notebooks import CHAPTERS, PAGE, ROOT, describe, name, notebooks

RECORD = CHAPTERS / "appendix" / "test_run.json"
EXTRAS = ("fast", "parallel", "book", "dev")
PROMISED = 20.0  # seconds a notebook may take alone
STARTS_RANKS = {"outlook/parallel_and_distributed.ipynb": 40.0}  # processes of MPI
TRIES = 3  # a shared machine adds time and takes none away: the shortest counts
TIMEOUT = 300  # seconds a whole notebook may take here


def promised(name: str) -> float:
    """Return the seconds that a notebook, named as in the record, may take."""
    return STARTS_RANKS.get(name, PROMISED)


def measure(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Run nbval on one notebook: its row of the record, and the cells that failed.

    One that takes longer than promised is run again; the shortest run is kept.
    """
    limit, best = promised(os.path.relpath(path, CHAPTERS)), None
    for runs in range(1, TRIES + 1):
        row, failed = _measure(path)
        if failed:
            return {**row, "runs": runs}, failed
        best = min(best or row, row, key=lambda each: float(each["seconds"]))
        if best["seconds"] < limit:
            break
    return {**(best or {}), "runs": runs}, []


def _measure(path: Path) -> tuple[dict[str, Any], list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "run.xml"
        command = [sys.executable, "-m", "pytest", "-q", "--nbval", str(path)]
        command += ["-o", f"cache_dir={folder}", f"--junit-xml={xml}"]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            failed, took = [f"not done after {TIMEOUT} s"], float(TIMEOUT)
        else:
            failed, took = _read(xml, done)
    row = {**describe(path), "seconds": round(took, 1), "passed": not failed}
    return row, failed


def _read(xml: Path, done: subprocess.CompletedProcess[str]) -> tuple[list[str], float]:
    """Return the cells that failed, and the seconds of the kernel and all cells."""
    cases = list(ElementTree.parse(xml).iter("testcase")) if xml.is_file() else []
    failed = [
        case.get("name", "")
        for case in cases
        if any(child.tag in ("failure", "error") for child in case)
    ]
    if done.returncode and not failed:
        failed = [(done.stdout + done.stderr).strip()[-500:]]
    return failed, sum(float(case.get("time", 0)) for case in cases)


def packages() -> dict[str, dict[str, str | None]]:
    """Return the installed versions of what pyproject.toml asks for, by its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    asked = {"core": project["dependencies"]}
    asked |= {extra: project["optional-dependencies"][extra] for extra in EXTRAS}
    found = {}
    for extra, lines in asked.items():
        names = [match[0] for line in lines if (match := re.match(r"[\w.-]+", line))]
        found[extra] = {name: _version(name) for name in names}
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Describe the processor, the system, Python, and the BLAS that NumPy loads."""
    kept = ("processor", "cores", "vectors", "system", "python")
    described = limits.machine()
    blas = [x for x in threadpool_info() if x["user_api"] == "blas"][:1]
    told = ("internal_api", "version", "architecture")
    return {key: described[key] for key in kept} | {
        "blas": {key: x.get(key) for x in blas for key in told}
    }


def write(record: dict[str, Any]) -> None:
    """Replace the record as a whole."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    write_bytes(str(RECORD), f"{text}\n".encode())


def main() -> int:
    """Run all, store the record, execute the page; return 1 when anything failed.

    With names of notebooks only these run, and the rows of the others are kept.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1, help="notebooks at a time")
    parser.add_argument("notebooks", nargs="*", type=Path, help="only these")
    arguments = parser.parse_args()
    jobs, some = arguments.jobs, {path.resolve() for path in arguments.notebooks}
    prepare_environment()
    day, start = datetime.now(tz=UTC).date().isoformat(), time.perf_counter()
    rows: dict[str, Any] = {}
    if some:
        rows = json.loads(RECORD.read_text(encoding="utf8"))["notebooks"]
        rows.pop(PAGE.relative_to(CHAPTERS).as_posix(), None)
    problems: list[str] = []

    def note(path: Path, row: dict[str, Any], failed: list[str]) -> None:
        mark = "FAILED" if failed else "passed"
        print(f"{row['seconds']:6.1f} s  {mark}  {name(path)}", flush=True)
        rows[path.relative_to(CHAPTERS).as_posix()] = row
        problems.extend(f"{name(path)}: {what}" for what in failed)

    *paths, page = notebooks()
    if unknown := some - {path.resolve() for path in (*paths, page)}:
        parser.error(f"no notebook of the book: {', '.join(map(str, unknown))}")
    paths = [path for path in paths if not some or path.resolve() in some]
    with ThreadPoolExecutor(jobs) as pool:
        for path, (row, failed) in zip(paths, pool.map(measure, paths), strict=True):
            note(path, row, failed)
    if not problems:
        took = sum(row["seconds"] for row in rows.values())
        record = {"date": day, "jobs": jobs, "seconds": round(took, 1)}
        record |= {"machine": machine(), "packages": packages(), "notebooks": rows}
        write(record)
        _, text, problem = run(page)
        if problem:
            problems.append(problem)
        else:
            write_bytes(str(page), text.encode())
            note(page, *measure(page))
            write(record)
    print(f"{time.perf_counter() - start:6.1f} s  in all")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
