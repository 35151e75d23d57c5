"""What every notebook of the book obeys; nbval checks the outputs themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.notebooks import NARROW, PICTURES, is_figure

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(
    p
    for p in (ROOT / "chapters").rglob("*.ipynb")
    if ".ipynb_checkpoints" not in p.parts
)
# Pages to look something up in: no sections of a chapter, and no exercises.
LOOK_UP = ("solve",)
# Characters of a stored picture: an SVG, or a PNG of 150 kB.
LARGEST = {kind: 200_000 if "svg" not in kind else 80_000 for kind in PICTURES}
# The labels of equations, figures, algorithms, exercises and sections.
LABEL = re.compile(
    r"^(?:\((?P<section>[\w-]+)\)=|:label: (?P<directive>[\w-]+)"
    r"|.*\$\$ *\((?P<equation>[\w-]+)\))\s*$",
    re.MULTILINE,
)


def problems(notebook: dict[str, Any], look_up: bool = False) -> Iterator[str]:
    """Yield each broken rule; a cell is named by its place, counted from 0.

    A page to ``look_up`` something in need not be built like a chapter.
    """
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "the kernel must be python3"
    cells = notebook["cells"]
    code = [(i, c) for i, c in enumerate(cells) if c["cell_type"] == "code"]
    for place, (i, cell) in enumerate(code):
        source = "".join(cell["source"])
        metadata = cell["metadata"]
        if cell["execution_count"] != place + 1:
            yield f"cell {i}: count {cell['execution_count']}, must be {place + 1}"
        lines = len(source.splitlines())
        limit = 32 if "hide-input" in metadata.get("tags", []) else 25
        if lines > limit:
            yield f"cell {i}: {lines} lines of code, {limit} are allowed"
        if place and re.search(r"^(import|from) ", source, re.MULTILINE):
            yield f"cell {i}: imports belong to the first code cell"
        if source.rstrip().endswith(";"):  # nbval shows what the semicolon hides
            yield f"cell {i}: a semicolon at the end; give the value a name"
        if re.search(r"urlopen|https?://|wget |curl |pip install", source):
            yield f"cell {i}: a notebook downloads nothing"
        if re.search(r"""["'](/(home|root|tmp|work|Users)/|[A-Z]:\\)""", source):
            yield f"cell {i}: an absolute path"
        yield from _outputs(i, cell, source)
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] != "code")
    yield from _text(cells, text)
    if not look_up:
        yield from _chapter(text)


def _outputs(i: int, cell: dict[str, Any], source: str) -> Iterator[str]:
    tags = cell["metadata"].get("tags", [])
    if exempt := {"nbval-skip", "raises-exception"} & set(tags):
        yield f"cell {i}: the tag {exempt} takes it out of the comparison"
    if "nbval-ignore-output" in tags and "assert" not in source:
        yield f"cell {i}: a timing is exempt only if its direction is asserted"
    mystnb = cell["metadata"].get("mystnb", {})
    for output in cell["outputs"]:
        data = output.get("data", {})
        if (
            output["output_type"] in ("error", "stream")
            and output.get("name") != "stdout"
        ):
            yield f"cell {i}: an error or a warning is stored"
        if is_figure(output):
            if not mystnb.get("image", {}).get("alt", "").strip():
                yield f"cell {i}: the figure has no alt text"
            if not mystnb.get("figure", {}).get("caption", "").strip():
                yield f"cell {i}: the figure has no caption"
            for kind in {*PICTURES} & {*data}:
                if len("".join(data[kind])) > LARGEST[kind]:
                    yield f"cell {i}: the figure is larger than {LARGEST[kind]:,}"
        shown = "".join(data.get("text/plain", "")) + "".join(output.get("text", ""))
        if re.search(r"<Figure|object at 0x|\bAxes\(", shown) and not is_figure(output):
            yield f"cell {i}: a repr is stored; give the last value a name"
        shown += "".join(data.get("text/markdown", ""))
        shown = re.sub(r"\]\(<?https?://\S+", "](", shown)  # numbers in addresses
        if "nbval-ignore-output" not in tags and re.search(
            r"(?<![\w`#])\d+\.\d{5,}", "" if "```" in shown else shown
        ):
            yield f"cell {i}: more decimals than a comparison can stand"


def _text(cells: list[dict[str, Any]], text: str) -> Iterator[str]:
    if not "".join(cells[0]["source"]).startswith("# "):
        yield "cell 0: a notebook starts with its title"
    if links := re.findall(r"\]\((?:\.\./)?[a-z_/]+\)", text):
        yield f"links need an ending, to work in JupyterLab as well: {links}"
    for name in re.findall(r"\{glue:\w*\}`([\w-]+)", text):
        stored = [
            o["metadata"].get("scrapbook", {}).get("name")
            for c in cells
            for o in c.get("outputs", [])
            if "metadata" in o
        ]
        if name not in stored:
            yield f"glue {name!r} is used in the text and stored by no cell"


def _chapter(text: str) -> Iterator[str]:
    for heading in ("What goes wrong", "In practice", "Exercises", "Key takeaways"):
        if not re.search(rf"^## {heading}", text, re.MULTILINE):
            yield f"there is no section '{heading}'"
    exercises = re.findall(r"^:::\{exercise\}.*\n:label: ([\w-]+)", text, re.MULTILINE)
    solved = re.findall(r"^:::\{solution-start\} ([\w-]+)", text, re.MULTILINE)
    if len(exercises) < 3:
        yield f"{len(exercises)} exercises, at least 3 are due"
    if exercises != solved:
        yield f"exercises {exercises} do not match solutions {solved}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: str(p.relative_to(ROOT)))
def test_notebook_obeys_the_rules(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf8"))
    found = list(problems(notebook, look_up=path.stem in LOOK_UP))
    assert not found, f"{path.relative_to(ROOT)}:\n" + "\n".join(found)


def test_there_are_notebooks_and_labels_are_unique() -> None:
    labels: dict[str, Path] = {}
    for path in NOTEBOOKS:
        notebook = json.loads(path.read_text(encoding="utf8"))
        for cell in notebook["cells"]:
            found = [
                label
                for match in LABEL.finditer("".join(cell["source"]))
                for label in match.groups()
                if label
            ]
            name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
            for label in [*found, *([name] if name else [])]:
                assert label not in labels, f"{label} in {path} and {labels[label]}"
                labels[label] = path
    assert len(labels) > 2 * len(NOTEBOOKS) > 0


def sample() -> dict[str, Any]:
    """Return a small notebook that obeys every rule."""
    figure = {"image": {"alt": "A line."}, "figure": {"caption": "A line."}}
    exercises = "\n".join(
        f":::{{exercise}} E{i}\n:label: ex-{i}\n:::\n:::{{solution-start}} ex-{i}\n:::"
        for i in range(3)
    )
    headings = ("What goes wrong", "In practice", "Exercises", "Key takeaways")
    sections = "\n".join(f"## {heading}" for heading in headings)
    data = {"image/svg+xml": ["<svg>\n", "</svg>"]}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    return {
        "metadata": {"kernelspec": {"name": "python3"}},
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": ["# Title"]},
            {
                "cell_type": "code",
                "metadata": {"mystnb": figure},
                "execution_count": 1,
                "source": ["import numpy as np"],
                "outputs": [output],
            },
            {"cell_type": "markdown", "metadata": {}, "source": [sections]},
            {"cell_type": "markdown", "metadata": {}, "source": [exercises]},
        ],
    }


def test_the_sample_is_fine() -> None:
    assert list(problems(sample())) == []


def test_a_page_to_look_up_in_needs_no_sections_and_keeps_the_other_rules() -> None:
    notebook = sample()
    notebook["cells"] = notebook["cells"][:2]
    assert list(problems(notebook, look_up=True)) == []
    assert len(list(problems(notebook))) == 5  # four sections and the exercises
    notebook["cells"][1]["execution_count"] = None
    assert len(list(problems(notebook, look_up=True))) == 1


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda c: c.update(execution_count=None), "cell 1: count None"),
        (lambda c: c.update(execution_count=7), "cell 1: count 7"),
        (lambda c: c["metadata"]["mystnb"].pop("image"), "cell 1: .* no alt text"),
        (lambda c: c["metadata"]["mystnb"].pop("figure"), "cell 1: .* no caption"),
        (
            lambda c: c["outputs"][0]["data"].update({NARROW: ["<svg>" * 20_000]}),
            "cell 1: the figure is larger than 80,000",
        ),
        (lambda c: c.update(source=["x = 1\n"] * 40), "cell 1: 40 lines"),
        (lambda c: c["metadata"].update(tags=["nbval-skip"]), "cell 1: the tag"),
        (
            lambda c: c["metadata"].update(tags=["nbval-ignore-output"]),
            "cell 1: a timing is exempt only",
        ),
        (
            lambda c: c.update(outputs=[{"output_type": "stream", "name": "stderr"}]),
            "cell 1: an error or a warning",
        ),
        (
            lambda c: c["outputs"][0].update(data={"text/plain": "0.123456"}),
            "cell 1: more decimals",
        ),
        (lambda c: c.update(source=["open('/home/me/x')"]), "cell 1: an absolute"),
    ],
)
def test_a_broken_rule_is_named_with_its_cell(break_it: Any, message: str) -> None:
    notebook = sample()
    break_it(notebook["cells"][1])
    assert re.search(message, "\n".join(problems(notebook)))
