"""Boxes that fold without a script, ids that occur once, tables that scroll."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.locale import admonitionlabels
from sphinx.transforms.post_transforms import SphinxPostTransform

# The theme puts each table of a document into a box of this class, to scroll in.
SCROLLS = "pst-scrollable-table-container"
# Ids that sphinx-proof and sphinx-exercise give to every box alike.
DOUBLED = {"proof-content", "exercise-content", "solution-content"}


class folded(nodes.General, nodes.Element):  # type: ignore[misc]  # noqa: N801
    """A box of which only the title is seen until a reader opens it."""


class summary(nodes.Part, nodes.TextElement):  # type: ignore[misc]  # noqa: N801
    """The title of a folded box."""


def visit_folded(writer: Any, node: nodes.Element) -> None:
    """Open a details element."""
    writer.body.append(writer.starttag(node, "details", CLASS="folded admonition"))


def depart_folded(writer: Any, node: nodes.Element) -> None:
    """Close it."""
    writer.body.append("</details>\n")


def visit_summary(writer: Any, node: nodes.Element) -> None:
    """Open the title."""
    writer.body.append(writer.starttag(node, "summary", "", CLASS="admonition-title"))


def depart_summary(writer: Any, node: nodes.Element) -> None:
    """Close it."""
    writer.body.append("</summary>\n")


def fold(box: nodes.Element) -> folded:
    """Return a box of class dropdown as one that folds, its title without links.

    A click on a link in the title would not open the box.
    """
    title, content = nodes.title(), list(box.children)
    if content and isinstance(content[0], nodes.title):
        title = content.pop(0)
    elif box.tagname in admonitionlabels:
        title += nodes.Text(admonitionlabels[box.tagname])
    for link in list(title.findall(nodes.reference)):
        link.replace_self(link.children)
    line = summary("", "", *title.children)
    return folded("", line, *content, classes=box["classes"], ids=box["ids"])


def scrollable(html: str) -> str:
    """Put each table, but none that is inside another, into a box to scroll in."""
    soup = BeautifulSoup(html, "html.parser")
    for table in soup.find_all("table"):
        if not table.find_parent("table"):
            table.wrap(soup.new_tag("div", attrs={"class": SCROLLS}))
    return str(soup)


class Boxes(SphinxPostTransform):
    """Change a page's document tree after sphinx-exercise has resolved its titles."""

    default_priority = 800
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Fold boxes, drop doubled ids, let the tables of raw HTML scroll."""
        for box in list(self.document.findall(nodes.Admonition)):
            if "dropdown" in box["classes"]:
                box.replace_self(fold(box))
        for section in self.document.findall(nodes.section):
            section["ids"] = [i for i in section["ids"] if i not in DOUBLED]
        for raw in list(self.document.findall(nodes.raw)):
            text = raw.astext()
            if raw["format"] == "html" and "<table" in text:
                raw.replace_self(nodes.raw("", scrollable(text), format="html"))


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_node(folded, html=(visit_folded, depart_folded))
    app.add_node(summary, html=(visit_summary, depart_summary))
    app.add_post_transform(Boxes)
