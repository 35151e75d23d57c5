"""What other pages of the book have found: the values in their stored outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

__all__ = ["chapters", "stored"]

GLUED = "application/papermill.record/text/plain"  # where glue keeps a value's repr


def stored(chapter: str, *names: str) -> dict[str, Any]:
    """Return values that another page of the book has glued, by name.

    ``chapter`` is its path in the folder ``chapters`` ("practice/momentum"), which the
    working directory is or lies in. Without ``names`` all of them. Nothing is run:
    these are stored outputs, which the tests compare with a fresh run.

    Raises
    ------
    ValueError
        If the folder, the notebook or a name is missing.
    """
    root = chapters()
    path = root / f"{chapter.removesuffix('.ipynb')}.ipynb"
    if not path.is_file():
        raise ValueError(f"there is no notebook {chapter!r} in {root}")
    values = {}
    for cell in json.loads(path.read_text(encoding="utf8"))["cells"]:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name and GLUED in output["data"]:
                values[name] = _value("".join(output["data"][GLUED]))
    if missing := [name for name in names if name not in values]:
        raise ValueError(f"{chapter!r} glues no {missing}, only {sorted(values)}")
    return {name: values[name] for name in names or values}


def chapters() -> Path:
    """Return the folder of the pages, which the working directory is or lies in."""
    here = Path.cwd()
    root = next((p for p in (here, *here.parents) if p.name == "chapters"), None)
    if root is None:
        raise ValueError(f"no folder 'chapters' at or above {here}")
    return root


def _value(text: str) -> Any:
    """Return what a repr stands for, or the repr itself."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text
