"""Results of runs on disk: computed once, and again if what they rest on changes."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepopt_lib.core.files import write_bytes
from deepopt_lib.core.types import Array

__all__ = ["Result", "Store", "folder", "pack", "unpack"]


class Result(NamedTuple):
    """Scores of a run (items,), what it cost, and what else it reported."""

    scores: Any
    cost: float
    notes: dict[str, float]

    def rank(self, higher: bool) -> float:
        """Return the mean, where more is better; a run that failed is the worst."""
        mean = float(np.mean(self.scores))
        if not math.isfinite(mean):
            return -math.inf
        return mean if higher else -mean

    def finite(self, worst: float) -> tuple[Array, bool]:
        """Return scores with ``worst`` for those that are none, and if any are."""
        scores = np.asarray(self.scores, float)
        broken = ~np.isfinite(scores)
        return np.where(broken, worst, scores), bool(broken.any())


class Store:
    """Results by key in one JSON file, or in memory if there is no folder.

    Raises
    ------
    ValueError
        If the file is damaged.
    """

    def __init__(self, place: Path | None, name: str) -> None:
        self.path = place and place / f"{name}.json"
        self.entries: dict[str, Any] = {}
        self.used: set[str] = set()
        if self.path and self.path.is_file():
            try:
                self.entries = json.loads(self.path.read_text(encoding="utf8"))["runs"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{self.path} is damaged: {error!r}") from error

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def __getitem__(self, key: str) -> Result:
        """Return a result, which from now on counts as used."""
        self.used.add(key)
        entry = self.entries[key]
        return Result(unpack(entry["scores"]), entry["cost"], entry["notes"])

    def put(self, key: str, label: str, result: Result) -> None:
        """Keep a result; ``label`` is for the reader of the file."""
        self.entries[key] = {
            "run": label,
            "cost": float(result.cost),
            "notes": {k: float(v) for k, v in result.notes.items()},
            "scores": pack(result.scores),
        }

    def save(self) -> None:
        """Write what was used, and nothing that no run asks for any longer."""
        kept = {k: v for k, v in self.entries.items() if k in self.used}
        if self.path is None:
            return
        text = json.dumps({"runs": kept}, indent=1, ensure_ascii=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(str(self.path), f"{text}\n".encode())


def folder() -> Path | None:
    """Return ``chapters/trials`` if the working directory lies in ``chapters``."""
    here = Path.cwd()
    root = next((p for p in (here, *here.parents) if p.name == "chapters"), None)
    return root and root / "trials"


def pack(scores: Any) -> str:
    """Return scores as text: a bit each if they are booleans, else eight bytes."""
    array = np.asarray(scores)
    if array.dtype == bool:
        content = np.packbits(array).tobytes()
        return f"bits {array.size} {base64.b64encode(content).decode()}"
    content = array.astype("<f8").tobytes()
    return f"floats {array.size} {base64.b64encode(content).decode()}"


def unpack(text: str) -> NDArray[Any]:
    """Return what `pack` was given.

    Raises
    ------
    ValueError
        If the text is not what `pack` writes.
    """
    kind, size, content = (*text.split(" "), "", "")[:3]
    decoded = base64.b64decode(content, validate=True)
    if kind == "bits" and len(decoded) == (int(size) + 7) // 8:
        bits = np.unpackbits(np.frombuffer(decoded, np.uint8), count=int(size))
        return bits.astype(bool)
    if kind == "floats" and len(decoded) == 8 * int(size):
        return np.frombuffer(decoded, "<f8").astype(float)
    raise ValueError(f"no scores: {text[:40]!r}")
