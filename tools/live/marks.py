"""Marks in a built page: the number of its cell at each code and each output.

A page shows an output first and the code after it, folded with that of other cells.
So code is found by its text; an output beside code is of that cell, and those that
stand alone are in the order of the notebook. If anything is left over, the page is not
of this notebook, and nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from bs4 import BeautifulSoup, Tag

from tools.notebooks import is_exempt

__all__ = ["mark", "stored", "with_head"]

INPUT, OUTPUT = "div.cell_input", "div.cell_output"
SHOWN = ("text/markdown", "text/html", "image/svg+xml", "text/plain")
NOT_SHOWN = ("remove-cell", "remove-output")
GLUED = "application/papermill.record/text/plain"


def stored(cell: dict[str, Any]) -> dict[str, Any]:
    """Return code and outputs of a cell as the session of the browser would.

    A picture is kept without its text: it is not compared.
    """
    outputs = [shown for output in cell["outputs"] for shown in _shown(output)]
    found = {"source": "".join(cell["source"]), "outputs": outputs}
    return found | ({"timing": True} if is_exempt(cell) else {})


def _shown(output: dict[str, Any]) -> Iterator[dict[str, str]]:
    if output["output_type"] == "stream":
        yield {"kind": "stream", "text": "".join(output["text"])}
        return
    data = output["data"]
    if GLUED in data:
        name = output["metadata"]["scrapbook"]["name"]
        yield {"kind": "glue", "name": name, "text": "".join(data[GLUED])}
        return
    kind = next(kind for kind in SHOWN if kind in data)
    is_picture = kind == "image/svg+xml"
    yield {"kind": kind, "text": "" if is_picture else "".join(data[kind])}


def mark(html: str, cells: Sequence[dict[str, Any]], page: str) -> str:
    """Return a page with ``data-cell`` at code and ``data-output`` at outputs.

    Raises
    ------
    ValueError
        If the page does not show the code and the outputs of these cells.
    """
    body = BeautifulSoup(html, "html.parser")
    inputs: dict[int, Tag] = {}
    for tag in body.select(INPUT):
        inputs[_cell_of(tag, cells, inputs, page)] = tag
    beside = {id(tag.parent): i for i, tag in inputs.items()}
    tags = body.select(OUTPUT)
    outputs = {beside[id(t.parent)]: t for t in tags if id(t.parent) in beside}
    alone = [t for t in tags if id(t.parent) not in beside]
    rest = [i for i, c in enumerate(cells) if i not in outputs and _has_output(c)]
    if len(rest) != len(alone):
        raise ValueError(
            f"{page} shows {len(tags)} outputs, its notebook has "
            f"{len(rest) + len(outputs)}: build the book again"
        )
    outputs |= dict(zip(rest, alone, strict=True))
    places = [(tag, f' data-cell="{i}"') for i, tag in inputs.items()]
    places += [(tag, f' data-output="{i}"') for i, tag in outputs.items()]
    return _insert(html, places)


def _has_output(cell: dict[str, Any]) -> bool:
    kinds = [output["kind"] for output in stored(cell)["outputs"]]
    tags = cell["metadata"].get("tags", [])
    return any(k != "glue" for k in kinds) and not {*tags} & {*NOT_SHOWN}


def _cell_of(
    tag: Tag, cells: Sequence[dict[str, Any]], known: dict[int, Tag], page: str
) -> int:
    """Return the first cell with the code of a tag that no other tag has."""
    text = _plain(tag.get_text())
    for i, cell in enumerate(cells):
        if i not in known and _plain("".join(cell["source"])) == text:
            return i
    raise ValueError(
        f"{page} has code that is not in its notebook: {text[:60]!r}: build the book"
    )


def _plain(code: str) -> str:
    """Return code without blanks and empty lines at its ends, as a page shows it."""
    return "\n".join(line.rstrip() for line in code.strip().splitlines())


def _insert(html: str, places: Sequence[tuple[Tag, str]]) -> str:
    """Return a page with a text at the end of the names of some tags."""
    starts = [0]
    for line in html.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    found = []
    for tag, text in places:
        assert tag.sourceline is not None and tag.sourcepos is not None
        at = starts[tag.sourceline - 1] + tag.sourcepos + len(f"<{tag.name}")
        found.append((at, text))
    for at, text in sorted(found, reverse=True):
        html = html[:at] + text + html[at:]
    return html


def with_head(html: str, page: str, lines: str) -> str:
    """Return a page with some lines at the end of its head.

    Raises
    ------
    ValueError
        If it has no head.
    """
    before, end, after = html.partition("</head>")
    if not end:
        raise ValueError(f"{page} has no head")
    return f"{before}{lines}{end}{after}"


def head_lines(page: str, why_not: str, size: str) -> str:
    """Return what the head of a page says: where the script is, or why not to run.

    ``size`` is what a reader loads, in MB.
    """
    root = "../" * page.count("/")
    name, value = ("not", why_not) if why_not else ("size", size)
    return (
        f'<meta name="run-page" content="{escape(page)}" />\n'
        f'<meta name="run-{name}" content="{escape(value)}" />\n'
        f'<link rel="stylesheet" href="{root}run/run.css" />\n'
        f'<script type="module" src="{root}run/run.js"></script>\n'
    )


def page_data(cells: Sequence[dict[str, Any]], dark: dict[str, str]) -> str:
    """Return what the script needs to know of a page, as JSON."""
    data = {"cells": list(map(stored, cells)), "dark": dark}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
