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

CORES = 2


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


def try_all(
    tried: list[Variant], paths: list[Path], record: dict[str, Any]
) -> list[str]:
    """Run the notebooks in each variant; store the record after each."""
    problems: list[str] = []
    for variant in tried:
        print(f"{variant.name}:", flush=True)
        start = time.perf_counter()
        inside = [p for p in paths if not variant.folder or variant.folder in p.parts]
        problems += try_variant(variant, inside, record)
        record["date"] = datetime.now(tz=UTC).date().isoformat()
        text = json.dumps(record, indent=1, ensure_ascii=False)
        write_bytes(str(RECORD), f"{text}\n".encode())
        print(f"    {time.perf_counter() - start:.0f} s", flush=True)
    return problems


def try_variant(
    variant: Variant, paths: list[Path], record: dict[str, Any]
) -> list[str]:
    """Run the notebooks in one variant and put their rows into the record."""
    env, problems = variant.environment(record["machine"]["loops"]), []

    def one(path: Path) -> tuple[Path, list[list[Text]], str]:
        return (path, *fresh(path, env))

    with ThreadPoolExecutor(max(1, CORES // variant.threads)) as pool:
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


def choose(names: list[str], record: dict[str, Any]) -> list[Variant]:
    """Return which variants can run here; say why the others cannot, and record it."""
    tried, told = [], record["variants"]
    for variant in VARIANTS:
        if variant.name in names:
            reason = why_not(variant, record["machine"]["loops"])
            told[variant.name] = {
                "what": variant.what,
                "skipped": reason,
                "folder": variant.folder,
            }
            print(f"{variant.name}: {reason or 'runs here'}", flush=True)
            tried += [] if reason else [variant]
    record["variants"] = {v.name: told[v.name] for v in VARIANTS if v.name in told}
    return tried


def main() -> int:
    """Run what the command line names, write the record, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="only these")
    parser.add_argument("--variant", action="append", help="only this (repeat: these)")
    parser.add_argument("--list", action="store_true", help="say what can run here")
    arguments = parser.parse_args()
    known = [variant.name for variant in VARIANTS]
    names = arguments.variant or known
    if unknown := set(names) - set(known):
        parser.error(f"no variant {', '.join(sorted(unknown))}; there are {known}")
    paths = [path.resolve() for path in arguments.notebooks] or notebooks()
    if missing := [str(path) for path in paths if path not in notebooks()]:
        parser.error(f"no notebook of the book: {', '.join(missing)}")
    record = load_record()
    record["machine"], problem = probe(Variant("native").environment([]))
    if problem:
        parser.error(problem)
    tried = choose(names, record)
    if arguments.list:
        return 0
    problems = try_all(tried, [path for path in paths if path != PAGE], record)
    _, page, problem = run(PAGE)  # it shows the record, but not its own rows
    if problem:
        problems.append(problem)
    else:
        write_bytes(str(PAGE), page.encode())
        problems += try_all(tried, [path for path in paths if path == PAGE], record)
    print(summary(record))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
