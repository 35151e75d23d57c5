"""The record of the variants: what it holds, what it says of a cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.notebooks import CHAPTERS, code_cells, is_exempt
from tools.printed import Text, difference, texts

RECORD = CHAPTERS / "appendix" / "portability.json"
MOST = 12  # pairs of numbers that are kept of a cell


def load_record() -> dict[str, Any]:
    """Read the record; an empty one where there is none yet."""
    if not RECORD.is_file():
        return {"variants": {}, "notebooks": {}}
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf8"))
    return record


def compared(path: Path) -> list[int]:
    """Return which cells of code are compared: they print, and are not exempt."""
    return [
        i
        for i, cell in enumerate(code_cells(path))
        if not is_exempt(cell) and texts(cell["outputs"])
    ]


def compare(path: Path, fresh: Sequence[Sequence[Text]]) -> dict[str, Any]:
    """Return what moved, by the number of the cell of code: nothing for the others.

    A timing is no number of the record: two notebooks run at a time, some of them on
    threads that the claims do not speak of. ``pytest --nbval`` judges it.
    """
    rows: dict[str, Any] = {}
    for i, (cell, new) in enumerate(zip(code_cells(path), fresh, strict=True)):
        old = texts(cell["outputs"])
        found = difference(old, new)
        failed = [text for kind, text in new if kind == "error"]
        if is_exempt(cell):
            continue
        if failed:
            rows[str(i)] = {"failed": failed[0]}
        elif found.words:
            rows[str(i)] = {"words": first_line(old, new)}
        elif found.moved:
            moved = [list(pair) for pair in found.moved[:MOST]]
            rows[str(i)] = {"spread": str(found.spread), "moved": moved}
    return rows


def first_line(old: Sequence[Text], new: Sequence[Text]) -> list[str]:
    """Return the first line that differs in two versions of a cell, in both."""
    lines = [[x for _, text in t for x in text.splitlines()] for t in (old, new)]
    for a, b in zip(*lines, strict=False):
        if a != b:
            return [a[:300], b[:300]]
    return [f"{len(lines[0])} lines", f"{len(lines[1])} lines"]


def summary(record: Mapping[str, Any]) -> str:
    """Return the table of the variants: cells that moved, failed, or said otherwise."""
    lines = [f"{'variant':14}{'cells moved':>12}{'other words':>12}{'failed':>8}"]
    for variant, told in record["variants"].items():
        if told["skipped"]:
            lines.append(f"{variant:14}skipped: {told['skipped']}")
            continue
        rows = [
            row
            for runs in record["notebooks"].values()
            for row in runs.get(variant, {}).values()
        ]
        counts = (
            sum(key in row for row in rows) for key in ("spread", "words", "failed")
        )
        lines.append(f"{variant:14}{next(counts):12}{next(counts):12}{next(counts):8}")
    return "\n".join(lines)
