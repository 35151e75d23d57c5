"""Tables that fit: what a style sheet has to know of them and cannot see.

A screen that is too narrow for a table of numbers scrolls it beside its first column.
Sentences side by side cannot be read that way: on a phone there a row becomes a card,
and each cell says the name of its column, which CSS can write if the cell has it. On a
wide screen a table that is too wide for the text takes the margin, too.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# The least number of characters in the longest cell of a column of text: the class of
# its cells, and how many characters each line of it should hold.
KINDS = ((24, "long", 19), (12, "words", 11))
CARDS = "cards"  # the class of a table whose rows become cards
WIDE = "full-width"  # of one for which the theme clears the margin
COLUMN = 76  # characters of a table that fit beside the contents at 1200 pixels
GAP = 3  # what is between two columns, in characters
NUMBER = "text-right"  # as MyST calls the cells of a column of numbers
NO_LABEL = (nodes.math, nodes.image, nodes.raw)  # an attribute has only characters

Column = tuple[nodes.Element, ...]  # its name and its cells


class labelled_cell(nodes.entry):  # type: ignore[misc]  # noqa: N801
    """A cell that knows the name of its column."""


def visit_labelled_cell(writer: Any, node: nodes.Element) -> None:
    """Open a cell."""
    label = {"data-label": node["label"]}
    writer.body.append(writer.starttag(node, "td", "", **label))


def depart_labelled_cell(writer: Any, node: nodes.Element) -> None:
    """Close it."""
    writer.body.append("</td>\n")


def is_plain(table: nodes.Element) -> bool:
    """Tell a table of one header and a grid of cells, neither in nor around another."""
    above = table.parent
    while above is not None and not isinstance(above, nodes.entry):
        above = above.parent
    nested = above is not None or any(node is not table for node in tables(table))
    heads = [len(head) for head in table.findall(nodes.thead)]
    spans = any({"morerows", "morecols"} & {*e.attributes} for e in entries(table))
    stubs = any(column.get("stub") for column in table.findall(nodes.colspec))
    return heads == [1] and not (nested or spans or stubs)


def tables(node: nodes.Element) -> list[nodes.Element]:
    """Return the tables in a part of the document, itself included."""
    return list(node.findall(nodes.table))


def entries(table: nodes.Element) -> list[nodes.Element]:
    """Return the cells of a table, row by row, its header first."""
    return list(table.findall(nodes.entry))


def kind(column: Column) -> tuple[str, int]:
    """Return the class of a column's cells, if any, and the width it needs."""
    name, *cells = [entry.astext() for entry in column]
    longest = max(map(len, cells), default=0)
    if NUMBER in column[0]["classes"]:
        return "", max(longest, word(name))
    for least, class_, width in KINDS:
        if longest >= least:
            return class_, max(width, *map(word, (name, *cells)))
    return "", max(map(word, (name, *cells)))


def word(text: str) -> int:
    """Return the length of the longest word, which is not broken."""
    return max(map(len, text.split()), default=0)


def mark(table: nodes.Element) -> None:
    """Give a table, and the cells of its columns of text, the classes that they need.

    Where two columns hold sentences, each cell gets the name of its column.
    """
    if not is_plain(table):
        return
    cells, rows = entries(table), len(list(table.findall(nodes.row)))
    width = len(cells) // rows
    columns = [tuple(cells[i::width]) for i in range(width)]
    kinds = [kind(column) for column in columns]
    for column, (class_, _) in zip(columns, kinds, strict=True):
        for entry in column[1:] if class_ else ():
            entry["classes"].append(class_)
    if sum(least + GAP for _, least in kinds) > COLUMN:
        table["classes"].append(WIDE)
    names = [column[0] for column in columns]
    named = not any(list(name.findall(x)) for name in names for x in NO_LABEL)
    if named and [class_ for class_, _ in kinds].count(KINDS[0][1]) >= 2:
        table["classes"].append(CARDS)
        for name, *below in columns:
            for entry in below:
                label = labelled_cell("", *entry.children, label=name.astext())
                label.update_all_atts(entry)
                entry.replace_self(label)


class Tables(SphinxPostTransform):
    """Look at the tables of a page after `boxes` has changed what is around them."""

    default_priority = 850
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Mark them."""
        for table in tables(self.document):
            mark(table)


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_node(labelled_cell, html=(visit_labelled_cell, depart_labelled_cell))
    app.add_post_transform(Tables)
