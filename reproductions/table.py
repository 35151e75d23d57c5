"""The table at the end: what the runs of each experiment say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reproductions import store

__all__ = ["lines"]


def lines(name: str, folder: Path) -> list[str]:
    """Return a line for each network, and one for each claim if all runs are there.

    A network's is the mean of its error over the seeds, and the range. The claims are
    written into the file of the experiment too, where the pages find them.
    """
    runs = store.held(name, folder)
    whole = store.tasks(name)
    there = [task for task in whole if task.key in runs]
    errors: dict[str, list[float]] = {}
    for task in there:
        for network, error in _errors(runs[task.key]):
            errors.setdefault(f"{task.piece}: {network}", []).append(error)
    head = f"{name}: {len(there)} of {len(whole)} runs"
    rows = [_row(network, found) for network, found in errors.items()]
    if len(there) == len(whole):
        for claim in store.judge(name, folder):
            rows.append(f"  {claim.verdict}: {claim.claim}")
            rows.append(f"      paper: {claim.paper}; here: {claim.here}")
    return [head, *rows]


def _errors(value: Any, path: str = "") -> list[tuple[str, float]]:
    """Return what was scored, wherever it is in a result, by its path."""
    if not isinstance(value, Mapping):
        return []
    if "right" in value and "error" in value:
        return [(path, float(value["error"]))]
    return [
        found
        for key, inner in value.items()
        for found in _errors(inner, f"{path} {key}".strip())
    ]


def _row(network: str, errors: list[float]) -> str:
    mean, n = sum(errors) / len(errors), len(errors)
    return (
        f"  {network:50} {mean:6.2f} %  ({min(errors):.2f} to {max(errors):.2f}, {n})"
    )
