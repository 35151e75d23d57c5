"""Measure all of it, in one run, and write results.json."""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks import (
    alignment,
    compressed,
    costs,
    limits,
    networks,
    steps,
    timing,
)
from deepopt_lib.core import write_bytes

RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    """Measure what the command line asks for; write a file only if that is all."""
    only = ""
    measures: dict[str, Callable[[], Any]] = {
        "limits": limits.limits,
        "alignment": alignment.measure,
        "arrays": steps.measure_arrays,
        "networks": lambda: networks.measure(only),
        "compressed": lambda: compressed.measure(only),
        "costs": costs.measure,
        "rules": steps.measure_rules,
        "steps": lambda: steps.measure(only),
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "part", nargs="?", choices=[*measures], help="measure only this"
    )
    parser.add_argument(
        "--only", default="", help="rules, networks or layers with this name"
    )
    parser.add_argument("--rounds", type=int, help="at most so many: a quick look")
    parser.add_argument("--out", type=Path, help="write here, not to results.json")
    arguments = parser.parse_args()
    only, part, out = arguments.only, arguments.part, arguments.out
    if arguments.rounds is not None:
        if arguments.rounds < 2:
            parser.error(f"--rounds must be at least 2, got {arguments.rounds}")
        if not part and not out:
            parser.error("--rounds is for a part, or for a file of its own: --out")
        timing.most = arguments.rounds
    timing.pin()
    torch.set_num_threads(1)
    if part:
        found = measures[part]()
        if part == "limits":
            print(json.dumps({"machine": limits.machine(), **found}, indent=1))
        return
    day = datetime.now(tz=UTC).date().isoformat()
    results: dict[str, Any] = {"date": day, "machine": limits.machine()}
    for name, measure in measures.items():
        print(f"-- {name}", flush=True)
        results[name] = measure()
    results["parts"] = networks.parts(results["networks"])
    results["compiler"] = networks.compiler()  # without one nothing was compiled
    out = out or RESULTS
    write_bytes(str(out), (json.dumps(results, indent=1) + "\n").encode())
    print(f"written to {out}")


if __name__ == "__main__":
    main()
