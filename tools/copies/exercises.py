"""The exercises of a notebook, and the code of their solutions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FENCE = re.compile(
    r"^:::+\{(exercise|solution-start|solution-end)\}[^\n]*$(?:\n:label: *(\S+))?",
    re.MULTILINE,
)
START = re.compile(r":::+\{solution-start\} *(\S+)")


@dataclass
class Exercise:
    """One exercise: its label, the page's code before it, that of its solution."""

    label: str
    before: tuple[str, ...] = ()
    solution: list[str] = field(default_factory=list)


def of_notebook(path: Path) -> list[Exercise]:
    """Return the exercises of a notebook in their order.

    Raises
    ------
    ValueError
        If a solution is that of no exercise, or does not end.
    """
    found: dict[str, Exercise] = {}
    page: list[str] = []
    within = ""
    for kind, text in parts(path):
        if kind == "exercise":
            found[text] = Exercise(text)
        elif kind == "solution-start":
            if text not in found:
                raise ValueError(f"{path.name}: a solution of {text}, no exercise")
            found[text].before, within = tuple(page), text
        elif kind == "solution-end":
            within = ""
        elif within:
            found[within].solution.append(text)
        else:
            page.append(text)
    if within:
        raise ValueError(f"{path.name}: the solution of {within} does not end")
    return list(found.values())


def parts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what counts here: exercises and solutions by label, and cells of code."""
    for cell in json.loads(path.read_text("utf8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            yield "code", text
            continue
        for match in FENCE.finditer(text):
            start = START.match(match[0])
            yield match[1], start[1] if start else match[2] or ""
