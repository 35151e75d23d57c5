"""Code on demand: the idea is shown, what else computes a result folds after it.

A notebook stays as it is. On its page the input of a cell waits for the next result,
the next output that is shown, and stands in one fold after it; what waits at the end
of a section of level 2 gets a fold there. Before the first figure of a page there is
no fold. A cell tagged ``idea`` keeps its input, and so does one in a solution. What
`show.source` shows is the idea, but for a cell tagged ``hide-output``, of which the
source waits, too. Other cells that hide their output are left to myst-nb.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform

RESULT, REST = "How this was computed", "Code of this section"
COMPARED, RUN = "run again by the tests", "a timing: run, not compared"
MIXED = f"{COMPARED}, timings not compared"
NOT_COMPARED = (
    "nbval-ignore-output"  # the tag of a cell of which nbval only asks to run
)
PICTURES = ("<figure", "<svg", "<img")
HEADER_END = ["code-switch.html", "article-header-buttons.html"]


class code_fold(nodes.General, nodes.Element):  # type: ignore[misc]  # noqa: N801
    """The inputs of some cells, of which only a line is seen until it is opened."""


def visit_fold(writer: Any, node: nodes.Element) -> None:
    """Open a details element and write its line, which is not part of the text."""
    writer.body.append(writer.starttag(node, "details", CLASS="code-fold"))
    writer.body.append(f"<summary>{escape(node['label'])}</summary>\n")


def depart_fold(writer: Any, node: nodes.Element) -> None:
    """Close it."""
    writer.body.append("</details>\n")


def label(what: str, cells: list[nodes.Element]) -> str:
    """Say what a fold of inputs is for, how long it is, how far the tests check it."""
    lines = "\n".join(cell.astext() for cell in cells).splitlines()
    count = sum(bool(line.strip()) for line in lines)
    compared = {NOT_COMPARED not in tags(cell) for cell in cells}
    word = MIXED if len(compared) > 1 else COMPARED if True in compared else RUN
    return f"{what} · {count} line{'s' * (count != 1)} · {word}"


def tags(cell: nodes.Element) -> list[str]:
    """Return the tags of a cell."""
    return list(cell["cell_metadata"].get("tags", []))


def part_of(cell: nodes.Element, kind: str) -> nodes.Element | None:
    """Return the source or the output of a cell, if it has one."""
    name = f"cell_code_{kind}"
    return next((node for node in cell if node.get("nb_element") == name), None)


def is_cell(node: nodes.Node) -> bool:
    """Tell the code cell of a notebook."""
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def is_picture(node: nodes.Node) -> bool:
    """Tell a figure or picture, also one in HTML."""
    if isinstance(node, nodes.raw):
        return any(sign in node.astext() for sign in PICTURES)
    return isinstance(node, nodes.figure | nodes.image)


def is_code(output: nodes.Element) -> bool:
    """Tell an output that is code itself: what ``show.source`` shows."""
    return bool(output.children) and all(
        isinstance(node, nodes.literal_block) and "output" not in node["classes"]
        for node in output
    )


def in_solution(node: nodes.Element) -> bool:
    """Tell what stands in the solution of an exercise."""
    while node.parent is not None and "solution" not in node.get("classes", []):
        node = node.parent
    return "solution" in node.get("classes", [])


def sections(node: nodes.Element) -> list[nodes.Element]:
    """Return the sections right below a node."""
    return [child for child in node if isinstance(child, nodes.section)]


class Arrangement:
    """One page on the way: which inputs wait, and whether a figure has been seen."""

    def __init__(self, page: nodes.Element) -> None:
        self.page = page
        self.waiting: list[nodes.Element] = []  # what is folded of some cells
        self.seen = not any(map(is_picture, page.findall()))

    def run(self) -> None:
        """Go through the page from top to bottom."""
        for top in sections(self.page) or [self.page]:
            below = sections(top)
            self.go_through(n for n in list(top) if n not in below)
            self.fold(top, top.index(below[0]) if below else len(top), REST)
            for section in below:
                self.go_through([section])
                self.fold(section, len(section), REST)

    def go_through(self, part: Iterable[nodes.Node]) -> None:
        """Look at the cells and figures of a part of the page."""
        for node in [n for child in part for n in child.findall()]:
            self.seen |= is_picture(node)
            if is_cell(node):
                self.seen |= any(map(is_picture, node.findall()))
                self.take(node)

    def take(self, cell: nodes.Element) -> None:
        """Take away what is folded of a cell; after a result, leave what waits."""
        source, output = part_of(cell, "source"), part_of(cell, "output")
        mode = cell.get("hide_mode", "input")
        is_source = output is not None and is_code(output)
        with_output = mode == "output" and is_source
        if mode != "input" and not with_output:
            return
        cell.attributes.pop("hide_mode", None)
        if in_solution(cell):
            return
        parent, place = cell.parent, cell.parent.index(cell) + 1
        is_idea = "idea" in tags(cell) and not is_source
        folded = [] if source is None or is_idea else [source]
        folded += [output] if with_output else []
        if folded:
            waits = cell.copy()
            for part in folded:
                cell.remove(part)
                waits += part
            self.waiting.append(waits)
        if not any(part.children for part in cell):
            parent.remove(cell)
        elif folded:
            waits["ids"] = []  # they stay with what is shown
        if output is not None and output.children and not is_source:
            self.fold(parent, place, RESULT)

    def fold(self, parent: nodes.Element, place: int, what: str) -> None:
        """Put what waits into a fold, if there may be one here."""
        if self.waiting and self.seen:
            text = label(what, self.waiting)
            parent.insert(place, code_fold("", *self.waiting, label=text))
            self.waiting = []


class Code(SphinxPostTransform):
    """Arrange the code of a page, when the type of each output is chosen (4).

    It comes before myst-nb folds what hides its input (199).
    """

    default_priority = 150
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Fold what is not the idea."""
        Arrangement(self.document).run()


def add_switch(app: Sphinx, config: Config) -> None:
    """Put the switch "All code" before the other buttons above an article."""
    config.html_theme_options.setdefault("article_header_end", HEADER_END)


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_node(code_fold, html=(visit_fold, depart_fold))
    app.add_post_transform(Code)
    app.connect("config-inited", add_switch)
