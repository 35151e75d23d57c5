"""Measure all of it, in one run, and write results.json."""

import argparse
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks import compressed, costs, limits, networks, steps
from benchmarks.timing import pin

RESULTS = Path(__file__).with_name("results.json")


def write(results: dict[str, Any]) -> None:
    """Replace the file of results as a whole."""
    temporary = RESULTS.with_name(f"{RESULTS.name}.{os.getpid()}")
    temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf8")
    temporary.replace(RESULTS)


def main() -> None:
    """Measure what the command line asks for; write a file only if that is all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts = ["limits", "rules", "steps", "packed", "networks", "compressed", "costs"]
    parser.add_argument("part", nargs="?", choices=parts, help="measure only this")
    parser.add_argument(
        "--only", default="", help="rules, networks or layers with this name"
    )
    arguments = parser.parse_args()
    pin()
    torch.set_num_threads(1)
    measures: dict[str, Callable[[], Any]] = {
        "limits": limits.limits,
        "packed": steps.measure_packed,
        "networks": lambda: networks.measure(arguments.only),
        "compressed": lambda: compressed.measure(arguments.only),
        "costs": costs.measure,
        "rules": steps.measure_rules,
        "steps": lambda: steps.measure(arguments.only),
    }
    if arguments.part:
        found = measures[arguments.part]()
        if arguments.part == "limits":
            print(json.dumps({"machine": limits.machine(), **found}, indent=1))
        return
    day = datetime.now(tz=UTC).date().isoformat()
    results: dict[str, Any] = {"date": day, "machine": limits.machine()}
    for part, measure in measures.items():
        print(f"-- {part}", flush=True)
        results[part] = measure()
    write(results)
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
