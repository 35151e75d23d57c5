"""Change the library one place at a time: a test must fail, or too little is tested.

    python -m tools.mutate                      rules, primitives, compress, parallel
    python -m tools.mutate deepopt_lib/optim    one folder, or one module
    python -m tools.mutate --sample 0.1         one change in ten, drawn with --seed

Every change (`changes`) is made in a copy, never in the tree itself. First all tests
run unchanged, to learn how long each takes and which functions it enters, in its own
process or in others that it starts. A change is then shown to the tests that enter the
changed function, those that noticed others first; if they pass, to all of its package
that enter its module. What stands outside of all functions is shown to the whole
package, and to all that enter the module. One process has imported NumPy and pytest,
and forks for each change. A test that hangs has noticed.

What no test can notice stands in tools/mutate/equivalent.txt, each with its reason.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import random
import signal
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from tools.environment import prepare_environment
from tools.mutate.changes import changes
from tools.mutate.judge import Judge, Lines, Result
from tools.mutate.runner import Job, Runner

ROOT = Path(__file__).parents[2]
AREAS = [f"deepopt_lib/{a}" for a in ("optim", "autodiff/ops", "compress", "parallel")]
ENOUGH = 0.95  # of the changes must be noticed
TIMED = ("test_layout.py",)  # measures the machine, and reads texts
WARM = ["IPython.display", "matplotlib.pyplot", "numba", "numpy.testing", "psutil"]
WARM += ["safetensors.numpy", "scipy.linalg", "scipy.sparse", "scipy.special"]


def equivalent(path: Path) -> dict[Lines, str]:
    """Read the changes that no test can notice, each with its reason.

    An entry is three lines: ``file: reason``, ``- line before``, ``+ line after``.
    """
    text = path.read_text("utf-8") if path.exists() else ""
    lines = [x for x in text.splitlines() if x.strip() and not x.startswith("#")]
    found = {}
    for head, *both in zip(*3 * [iter(lines)], strict=True):
        file, _, reason = head.partition(": ")
        if [x[:2] for x in both] != ["- ", "+ "] or not reason.strip():
            raise SystemExit(
                f"{path.name}: an entry needs a reason and two lines: {head}"
            )
        found[file, both[0][2:].strip(), both[1][2:].strip()] = reason
    return found


def report(results: Sequence[Result], known: int) -> float:
    """Print the table and what survived; return the share that was noticed."""
    rows = Counter(r.path for r in results)
    noticed = Counter(r.path for r in results if r.noticed)
    width = max(map(len, [*rows, "in all"]))
    print(f"{'module':{width}}  changes  killed  survived   share")
    for path, n in [*sorted(rows.items()), ("in all", len(results))]:
        k = noticed[path] if path in rows else noticed.total()
        print(f"{path:{width}} {n:8d} {k:7d} {n - k:9d} {k / max(n, 1):7.1%}")
    hung = sum(r.hung for r in results)
    print(f"{hung} of the killed never ended; {known} equivalent ones were left out.")
    for r in results:
        if not r.noticed:
            print(f"\n{r.path}:{r.change.line}\n- {r.lines[1]}\n+ {r.lines[2]}")
    return noticed.total() / max(len(results), 1)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutate")
    add = parser.add_argument
    add("paths", nargs="*", default=AREAS, help="folders or modules to change")
    add("--sample", type=float, default=1.0, help="share of the changes, at random")
    add("--seed", type=int, default=0, help="which share")
    add("--jobs", type=int, default=2, help="processes at a time")
    add("--root", type=Path, default=ROOT, help="the tree that is copied")
    add("--tests", default="tests/library", help="folder of the tests, below the root")
    add("--patience", type=float, default=15.0, help="seconds until a test hangs")
    options = parser.parse_args(arguments)
    if not 0 < options.sample <= 1:
        parser.error(f"--sample must be in (0, 1], got {options.sample}")
    return options


def find(root: Path, options: argparse.Namespace) -> tuple[list[Result], int]:
    """Return the changes to judge, and how many are known to be equivalent."""
    listed = root / "tools/mutate/equivalent.txt"
    known, results = equivalent(listed), list[Result]()
    stale: set[Lines] = set()
    for path in sorted({p for name in options.paths for p in sources(root / name)}):
        name, source = path.relative_to(root).as_posix(), path.read_bytes()
        found = [Result(c, (name, *c.diff(source))) for c in changes(name, source)]
        stale |= {x for x in known if x[0] == name} - {r.lines for r in found}
        results += [r for r in found if r.lines not in known]
    if stale:
        raise SystemExit(f"{listed.name}: no such change: {stale}")
    drawn = random.Random(options.seed)
    share = round(options.sample * len(results)) or 1
    chosen = sorted(drawn.sample(range(len(results)), share))
    return [results[i] for i in chosen], len(known)


def sources(path: Path) -> list[Path]:
    """Return the modules of a folder, or the one that is named."""
    found = [path] if path.is_file() else sorted(path.rglob("*.py"))
    if not found:
        raise SystemExit(f"no module at {path}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return 1 when too little is noticed."""
    options = parse(arguments)
    prepare_environment()
    tqdm.monitor_interval = 0  # no thread may run where processes fork
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # what is there now, no child has to look through
    with tempfile.TemporaryDirectory() as home:
        runner = Runner(
            Path(home), options.root.resolve(), options.jobs, options.patience
        )
        try:
            return run(runner, options)
        finally:
            runner.end()


def run(runner: Runner, options: argparse.Namespace) -> int:
    """Learn what the tests do, then judge every change."""
    results, known = find(runner.kept, options)
    files = [
        path.relative_to(runner.kept).as_posix()
        for path in sorted((runner.kept / options.tests).rglob("test_*.py"))
        if path.name not in TIMED
    ]
    judge = Judge({}, options.tests, options.patience)
    runner.run((Job(judge.trace(file)) for file in files), "unchanged")
    runner.share()
    used = judge.files(r.change for r in results)
    runner.run((Job(judge.control(file)) for file in used), "once more")
    if left_out := set(judge.tests) - set(judge.passing()):
        print("Left out, since they fail unchanged:", *sorted(left_out), sep="\n  ")
    text = {r.path: (runner.kept / r.path).read_bytes() for r in results}
    changed = (
        Job(judge.judge(r), r.path, r.change.apply(text[r.path])) for r in results
    )
    try:
        runner.run(changed, "changed")
    except KeyboardInterrupt:
        print("Interrupted: what has been judged until now.")
        results = [r for r in results if r.judged]
    return int(report(results, known) < ENOUGH)


if __name__ == "__main__":
    raise SystemExit(main())
