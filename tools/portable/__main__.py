"""Run every notebook under every variant of arithmetic; store which numbers moved.

    python -m tools.portable                             all notebooks, all variants
    python -m tools.portable chapters/faq.ipynb          only this one
    python -m tools.portable --variant Nehalem           only this variant
    python -m tools.portable --list                      say what can run here

Writes chapters/appendix/portability.json; what was not run again keeps its rows. A
variant that this machine cannot run is named there with the reason.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deepopt_lib.core import write_bytes
from tools.execute import run
from tools.notebooks import CHAPTERS, PAGE, ROOT, name, notebooks
from tools.portable.record import RECORD, compare, load_record, summary
from tools.portable.variants import VARIANTS, Variant, probe, why_not
from tools.printed import Text

JOBS = 2


def fresh(path: Path, env: dict[str, str]) -> tuple[list[list[Text]], str]:
    """Run a notebook in an environment: its texts, or what went wrong."""
    command = [sys.executable, "-m", "tools.portable.runs", str(path)]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return [], (done.stderr.strip().splitlines() or ["no output"])[-1]
    cells = json.loads(done.stdout)
    return [[(kind, text) for kind, text in cell] for cell in cells], ""


def try_variant(
    variant: Variant, loops: list[str], paths: list[Path], record: dict[str, Any]
) -> list[str]:
    """Run the notebooks in one variant and put their rows into the record."""
    env, problems = variant.environment(loops), []

    def one(path: Path) -> tuple[Path, list[list[Text]], str]:
        return (path, *fresh(path, env))

    with ThreadPoolExecutor(JOBS) as pool:
        for path, cells, problem in pool.map(one, paths):
            key = path.relative_to(CHAPTERS).as_posix()
            rows = record["notebooks"].setdefault(key, {})
            if problem:
                problems.append(f"{name(path)}, {variant.name}: {problem}")
                rows.pop(variant.name, None)
                continue
            rows[variant.name] = compare(path, cells)
            moved = ", ".join(rows[variant.name])
            print(f"    {name(path)}: {moved or 'nothing moved'}", flush=True)
    return problems


def store(record: dict[str, Any], machine: dict[str, list[str]]) -> list[str]:
    """Write the record, then execute the page that shows it: it read the old one."""
    told = record["variants"]  # those that were never run are not told of
    record["variants"] = {v.name: told[v.name] for v in VARIANTS if v.name in told}
    record |= {"date": datetime.now(tz=UTC).date().isoformat(), "machine": machine}
    text = json.dumps(record, indent=1, ensure_ascii=False)
    write_bytes(str(RECORD), f"{text}\n".encode())
    _, page, problem = run(PAGE)
    if not problem:
        write_bytes(str(PAGE), page.encode())
    return [problem] if problem else []


def main() -> int:
    """Run what the command line names, write the record, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="only these")
    parser.add_argument("--variant", action="append", help="only this (repeat: these)")
    parser.add_argument("--list", action="store_true", help="say what can run here")
    arguments = parser.parse_args()
    known = {variant.name: variant for variant in VARIANTS}
    if unknown := set(arguments.variant or ()) - set(known):
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {[*known]}")
    paths = [path.resolve() for path in arguments.notebooks] or notebooks()
    if missing := [str(path) for path in paths if path not in notebooks()]:
        parser.error(f"no notebook of the book: {', '.join(missing)}")
    machine, problem = probe(Variant("native").environment([]))
    if problem:
        parser.error(problem)
    record, problems = load_record(), []
    for variant in (known[key] for key in arguments.variant or known):
        reason = why_not(variant, machine["loops"])
        told = {"what": variant.what, "skipped": reason, "folder": variant.folder}
        record["variants"][variant.name] = told
        print(f"{variant.name}: {reason or 'runs here'}", flush=True)
        if reason or arguments.list:
            continue
        start = time.perf_counter()
        inside = [path for path in paths if variant.folder in path.parts]
        some = inside if variant.folder else paths
        problems += try_variant(variant, machine["loops"], some, record)
        print(f"    {time.perf_counter() - start:.0f} s", flush=True)
    if not arguments.list:
        problems += store(record, machine)
    print(summary(record))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
