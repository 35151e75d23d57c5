"""What a notebook shows besides figures: dot plots, tables, sentences, source code."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import Markdown

from deepopt_lib.book.dots import check_column
from deepopt_lib.book.kept import chapters
from deepopt_lib.core.checks import check_int
from deepopt_lib.trials.verdicts import Claim, Verdict

__all__ = [
    "checks",
    "dots",
    "paper_here",
    "reproduction",
    "sentence",
    "source",
    "table",
]


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


def dots(
    header: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    of: Sequence[str] = (),
    log: Sequence[str] = (),
    bold: int | None = None,
) -> Markdown:
    """Show a dot plot: a line each, and a dot beside each number of some columns.

    A notebook shows a `table`; the site draws the columns ``of`` and ``log``, without
    them all columns of numbers, each on a scale of its own, those in ``log`` by
    magnitude. ``"+0.4 [0.1, 0.7]"`` and ``"97.3 ± 0.2"`` have a bar, too.

    Raises
    ------
    ValueError
        As `table`; if there is no row, if a column is missing or has no number, if its
        units differ, or if one in ``log`` has a number that is not above zero.
    """
    if not rows:
        raise ValueError(f"no row for the columns {list(header)}")
    shown = table(header, rows, bold=bold)
    numbers = [name for i, name in enumerate(header) if _is_number(rows[0][i])]
    drawn = {*of, *log} or {*numbers}
    if missing := sorted(drawn - {*header}):
        raise ValueError(f"no column is named {missing}, only {list(header)}")
    marks = []
    for i, name in enumerate(header):
        if name in drawn:
            check_column(name, [_text(row[i]) for row in rows], name in log)
            marks.append(f"{i} log" if name in log else str(i))
    if not marks:
        raise ValueError(f"no column of {list(header)} has numbers")
    return _markdown(f"{shown.data}\n\n<!-- dots: {', '.join(marks)} -->")


def sentence(text: str) -> Markdown:
    """Show a sentence, in Markdown, with the numbers that a cell has computed.

    Raises
    ------
    ValueError
        If it does not end as a sentence does.
    """
    if not text.rstrip().endswith((".", "?", ":")):
        raise ValueError(f"a sentence ends with a full stop: {text!r}")
    return _markdown(text)


def checks(about: str, claims: Mapping[str, Any]) -> Markdown:
    """Show which claims ``about`` something hold: first those, then the others.

    Raises
    ------
    ValueError
        If there is no claim, or if one is neither true nor false.
    """
    if not claims:
        raise ValueError(f"no claim about {about!r}")
    for claim, holds in claims.items():
        if holds not in (True, False):
            raise ValueError(f"{claim!r} must be true or false, got {holds!r}")
    groups = [("this holds", True), ("this does not", False)]
    lines: list[str] = []
    for name, kind in groups:
        found = [f"- {claim}" for claim, holds in claims.items() if holds == kind]
        if found:
            start = f"{name[0].upper()}{name[1:]}" if lines else f"{about}, {name}"
            lines += [f"{start}:", "", *found, ""]
    return _markdown("\n".join(lines))


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
    path = chapters().parent / "reproductions" / f"{name}.json"
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
