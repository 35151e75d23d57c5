"""What a notebook shows besides figures: tables, verdicts and source code."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from IPython.display import Markdown

from deepopt_lib.core.checks import check_int
from deepopt_lib.trials.verdicts import Claim, Verdict

__all__ = ["paper_here", "reproduction", "source", "stored", "table"]

GLUED = "application/papermill.record/text/plain"  # where glue keeps a value's repr


def source(thing: Any) -> Markdown:
    """Show the source of a function or class of the library, as it runs."""
    code = textwrap.dedent(inspect.getsource(thing)).strip()
    return _markdown(f"```python\n{code}\n```")


def table(
    header: Sequence[str], rows: Sequence[Sequence[Any]], *, bold: int | None = None
) -> Markdown:
    """Show a table: text to the left, numbers to the right, row ``bold`` in bold.

    A float is shown with three significant digits; give a string for other formats. A
    ``|`` is shown as it is, a line break as a blank.

    Raises
    ------
    ValueError
        If a row is not as long as the header, a column has no name, or ``bold`` is no
        row.
    """
    if not all(name.strip() for name in header):
        raise ValueError(f"every column needs a name, got {list(header)}")
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"row {list(row)} does not fit the header {list(header)}")
    if bold is not None:
        check_int("bold", bold, 0, len(rows) - 1)
    first = rows[0] if rows else header
    rule = ["--:" if _is_number(cell) else ":--" for cell in first]
    lines = [[_text(name) for name in header], rule]
    for i, row in enumerate(rows):
        cells = [_text(cell) for cell in row]
        lines.append([f"**{cell}**" for cell in cells] if i == bold else cells)
    return _markdown("\n".join(f"| {' | '.join(cells)} |" for cells in lines))


def paper_here(rows: Sequence[Claim]) -> Markdown:
    """Show what a paper reports beside what this page measured, and the verdict.

    Raises
    ------
    ValueError
        If a verdict is no `trials.Verdict`: it follows from a rule, nobody types it.
    """
    for claim, _, _, verdict in rows:
        if not isinstance(verdict, Verdict):
            raise ValueError(f"{claim!r}: verdict must be computed, got {verdict!r}")
    shown = [(*row[:3], f"*{row[3]}*") for row in rows]
    return table(("claim", "paper", "here", "verdict"), shown)


def reproduction(name: str) -> Markdown:
    """Show what an experiment of ``make reproduce`` found beside what its paper says.

    ``reproductions/<name>.json`` beside the folder ``chapters`` has the claims, judged
    by `trials` when its last run was done, the seeds and the seconds.

    Raises
    ------
    ValueError
        If there is no such experiment, or not all of it has been run.
    """
    path = _chapters().parent / "reproductions" / f"{name}.json"
    found = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    if not found.get("claims"):
        raise ValueError(f"{name!r} was not run to its end: make reproduce RUN={name}")
    seeds = {key.rpartition("/")[2] for key in found["runs"]}
    minutes = sum(run["seconds"] for run in found["runs"].values()) / 60
    rows = [[*claim[:3], f"*{claim[3]}*"] for claim in found["claims"]]
    shown = table(("at the paper's scale", "paper", "here", "verdict"), rows).data
    return _markdown(
        f"{shown}\n\n{len(seeds)} seeds, {minutes:.0f} minutes of one core; "
        f"`make reproduce RUN={name}` runs it again."
    )


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
    root = _chapters()
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


def _chapters() -> Path:
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


def _markdown(text: str) -> Markdown:
    return Markdown(text)  # type: ignore[no-untyped-call]


def _is_number(cell: Any) -> bool:
    """Tell "8", "−0.3 ± 0.1", "2 to 3 ms" from text, also from "8 of them differ"."""
    text = _text(cell)
    starts = text.replace("−", "-").lstrip("-+<>~ ")[:1].isdigit()
    return starts and not re.search("[a-z]{4}", text, re.IGNORECASE)


def _text(cell: Any) -> str:
    """Return what stands in a cell; a bare ``|`` or line break would end it."""
    text = f"{cell:.3g}" if isinstance(cell, float) else str(cell)
    return re.sub(r"\s*\n\s*", " ", text).replace("|", r"\|")
