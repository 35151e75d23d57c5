"""Find the notebooks of the book, and say what is in them, without running any.

    python -m tools.notebooks  name them all, the one that takes longest first

Reads JSON and nothing else, so that a command line can ask for names.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CHAPTERS = ROOT / "chapters"
PAGE = CHAPTERS / "appendix" / "reproducibility.ipynb"
NARROW = "application/vnd.deepopt.narrow+svg"  # a figure again, for a phone
# Not compared: how a picture is drawn is not the same with another font or version.
PICTURES = ("image/png", "image/jpeg", "image/svg+xml", NARROW)
NUMBER = re.compile(r"(?<![\w./])-?\d+\.\d+(?:e[+-]?\d+)?(?![./]?\w)")


def notebooks() -> list[Path]:
    """Find the notebooks of the book; the page that shows the record comes last."""
    found = CHAPTERS.rglob("*.ipynb")
    kept = (p for p in found if ".ipynb_checkpoints" not in p.parts)
    return sorted(kept, key=lambda p: (p == PAGE, p))


def name(path: Path) -> str:
    """Return the path as one would type it at the top of the repository."""
    return os.path.relpath(path, ROOT)


def code_cells(path: Path) -> list[dict[str, Any]]:
    """Return the cells of code of a notebook, as they are stored."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def is_exempt(cell: Mapping[str, Any]) -> bool:
    """Say whether a cell times something, so that its output is not compared."""
    return "nbval-ignore-output" in cell["metadata"].get("tags", [])


def describe(path: Path) -> dict[str, Any]:
    """Count a notebook's cells: all, compared, those with numbers, and the exempt."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    title = "".join(cells[0]["source"]).partition("\n")[0].lstrip("# ")
    code = code_cells(path)
    exempt = [
        {"cell": i, "asserts": asserts("".join(cell["source"]))}
        for i, cell in enumerate(code)
        if is_exempt(cell)
    ]
    left_out = {found["cell"] for found in exempt}
    compared = [
        list(texts(c["outputs"])) for i, c in enumerate(code) if i not in left_out
    ]
    outputs = [output for cell in code for output in cell["outputs"]]
    return {
        "title": title,
        "cells": len(code),
        "compared": sum(map(bool, compared)),
        "numbers": sum(len(NUMBER.findall(t)) for found in compared for t in found),
        "figures": sum(map(is_figure, outputs)),
        "exempt": exempt,
    }


def is_figure(output: Mapping[str, Any]) -> bool:
    """Say whether an output of a cell is a picture."""
    return not {*PICTURES}.isdisjoint(output.get("data", {}))


def texts(outputs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield each text of a cell that nbval compares."""
    for output in outputs:
        data = {"stream": output.get("text", ""), **output.get("data", {})}
        for kind, content in data.items():
            if content and kind not in PICTURES:
                yield content if isinstance(content, str) else "".join(content)


def asserts(source: str) -> list[str]:
    """Return the conditions that a cell asserts, as they are written there."""
    found = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Assert)]
    return [ast.unparse(n.test) for n in sorted(found, key=lambda n: n.lineno)]


def longest_first() -> list[Path]:
    """Return the notebooks by the seconds of the stored run; a new one comes first."""
    record = CHAPTERS / "appendix" / "test_run.json"
    rows = json.loads(record.read_text(encoding="utf8"))["notebooks"]
    took = {name: float(row["seconds"]) for name, row in rows.items()}
    return sorted(
        notebooks(),
        key=lambda p: -took.get(p.relative_to(CHAPTERS).as_posix(), float("inf")),
    )


if __name__ == "__main__":
    print(*map(name, longest_first()))
