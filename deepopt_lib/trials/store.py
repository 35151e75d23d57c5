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

    def save(self, *, whole: bool = True) -> None:
        """Write what was used, and nothing that no run asks for any longer.

        Before the ``whole`` of the comparison is done, all of it is kept.
        """
        if self.path is None:
            return
        asked = self.used if whole else self.entries
        kept = {k: self.entries[k] for k in sorted(self.entries) if k in asked}
        text = json.dumps({"runs": kept}, indent=1, ensure_ascii=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(str(self.path), f"{text}\n".encode())


def folder() -> Path | None:
    """Return ``chapters/trials`` if the working directory lies in ``chapters``."""
    here = Path.cwd()
    root = next((p for p in (here, *here.parents) if p.name == "chapters"), None)
    return root and root / "trials"


def pack(scores: Any) -> str:
    """Return scores as text: a bit each if they are booleans, else four bytes.

    A single number, the whole score of a run, keeps its eight.
    """
    array = np.asarray(scores)
    if array.dtype == bool:
        content = np.packbits(array).tobytes()
        return f"bits {array.size} {base64.b64encode(content).decode()}"
    kind, form = ("floats", "<f4") if array.size > 1 else ("float", "<f8")
    content = array.astype(form).tobytes()
    return f"{kind} {array.size} {base64.b64encode(content).decode()}"


def unpack(text: str) -> NDArray[Any]:
    """Return what `pack` was given, numbers in float64.

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
    form = {"floats": "<f4", "float": "<f8"}.get(kind)
    if form and len(decoded) == np.dtype(form).itemsize * int(size):
        return np.frombuffer(decoded, form).astype(float)
    raise ValueError(f"no scores: {text[:40]!r}")
