"""A page's exercises as a notebook for students: text, empty cells, checks."""

from __future__ import annotations

from typing import Any

from bs4 import Tag

from tools.copies.articles import Article
from tools.copies.checks import Check, of_solution
from tools.copies.exercises import Exercise
from tools.copies.markdown import blocks
from tools.copies.names import needed_cells, of_code

FOLDED = {"jupyter": {"source_hidden": True}}
SETUP = """## Setup

Run this first: what the exercises and their checks take from the page."""
CHECK = "# The check: no output means that it holds.\n"
ANSWER = "# Your answer\n"
FRAME = """# Your answer: put it in place of each ... (the asserts check it)
"""


def notebook(article: Article, exercises: list[Exercise]) -> dict[str, Any]:
    """Return a notebook of the exercises of a page.

    Raises
    ------
    ValueError
        If the page does not show one of them.
    """
    cells = [text(f"# Exercises: {article.title}\n\n{opening(article)}")]
    setup = setup_cells(exercises)
    if setup:
        cells += [text(SETUP), *(code(source, FOLDED) for source in setup)]
    for exercise in exercises:
        box = article.body.find(id=exercise.label)
        if not isinstance(box, Tag):
            raise ValueError(f"{article.name} does not show {exercise.label}")
        cells += of_exercise(box, of_solution(exercise.solution))
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def opening(article: Article) -> str:
    """Say where the solutions are."""
    return (
        f"From the page *{article.title}* of the book, which has the solutions. "
        "Every exercise has a cell for the answer and, where a machine can tell, a "
        "check: the asserts of the solution that the book's own tests run. The numbers "
        "of equations, figures and exercises are those of the page."
    )


def setup_cells(exercises: list[Exercise]) -> list[str]:
    """Return the cells of the page that solutions and their checks rest on."""
    chosen: set[int] = set()
    page: tuple[str, ...] = ()
    for exercise in exercises:
        needs = of_code("\n".join(exercise.solution)).needs
        chosen |= set(needed_cells(exercise.before, needs))
        page = max(page, exercise.before, key=len)
    return [page[i] for i in sorted(chosen)]


def of_exercise(box: Tag, check: Check) -> list[dict[str, Any]]:
    """Return the cells of one exercise: its text, the answer, the check."""
    title = box.select_one(".admonition-title")
    heading = " ".join(title.get_text().split()) if title else "Exercise"
    told = blocks(box.section) if box.section else ""
    if check.names:
        names = ", ".join(f"`{name}`" for name in check.names)
        told += f"\n\n*The check asks for* {names}."
    answer = FRAME + check.frame + "\n" if check.frame else ANSWER
    cells = [text(f"## {heading}\n\n{told}"), code(answer)]
    return cells + ([code(CHECK + check.asserts)] if check.asserts else [])


def text(source: str) -> dict[str, Any]:
    """Return a cell of Markdown."""
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source: str, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a cell of code that has not been run."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": metadata or {},
        "outputs": [],
        "source": source,
    }
