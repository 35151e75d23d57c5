"""What a page asks of its reader: the line below its title, with the minutes counted.

The line is a paragraph of the notebook, ``Basic · before: ... · in practice: ...``. The
minutes are not typed: they follow from the words, figures and tables of the page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

FACTS = "page-facts"
LEVEL = re.compile(r"(Basic|Intermediate|Advanced)(?= ·|$)")
WORDS = 200  # a minute, of a text that has formulas in it
LOOKS = 0.25  # minutes for a figure or a table


def minutes(page: nodes.Element) -> int:
    """Return how long a page takes, without the solutions of its exercises."""
    words, looks = 0, 0
    for node in page.findall():
        if _within(node, _is_solution):
            continue
        if isinstance(node, nodes.figure | nodes.table):
            looks += 1
        elif isinstance(node, nodes.paragraph) and not _within(node, _is_table):
            words += len(node.astext().split())
    return math.ceil(words / WORDS + LOOKS * looks)


def _within(node: nodes.Node, test: Callable[[nodes.Node], bool]) -> bool:
    while node.parent is not None:
        node = node.parent
        if test(node):
            return True
    return False


def _is_solution(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Element) and "solution" in node.get("classes", [])


def _is_table(node: nodes.Node) -> bool:
    return isinstance(node, nodes.table)


class Facts(SphinxPostTransform):
    """Mark the line of facts, and add the minutes, before code is folded."""

    default_priority = 140
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Look at the first paragraph below the title."""
        section = next(self.document.findall(nodes.section), None)
        paragraphs = [n for n in section or [] if isinstance(n, nodes.paragraph)]
        if not paragraphs or not LEVEL.match(paragraphs[0].astext()):
            return
        line = paragraphs[0]
        line["classes"].append(FACTS)
        first = next(line.findall(nodes.Text))
        told = LEVEL.sub(rf"\1 · {minutes(self.document)} minutes", str(first), count=1)
        first.parent.replace(first, nodes.Text(told))


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_post_transform(Facts)
