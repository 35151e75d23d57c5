"""Tables that fit: what a style sheet has to know of them and cannot see.

A screen that is too narrow for a table of numbers scrolls it beside its first column.
Sentences side by side cannot be read that way: on a phone there a row becomes a card,
and each cell says the name of its column, which CSS can write if the cell has it. On a
wide screen a table that is too wide for the text takes the margin, too. And the
columns that `show.dots` names are drawn: a dot beside each number.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from deepopt_lib.book.dots import places

# The least number of characters in the longest cell of a column of text: the class of
# its cells, and how many characters each line of it should hold.
KINDS = ((24, "long", 19), (12, "words", 11))
DOTS = "dots"  # the class of a table with drawn columns, and of their number
TRACKS = (0, 29, 18, 11)  # characters that a track takes: of none, one, two, or more
MOST_TRACKS = 3  # that are told apart by the class
ASKED = re.compile(r"<!-- dots: ([\d, log]+) -->")  # as `show.dots` writes it
CARDS = "cards"  # the class of a table whose rows become cards
WIDE = "full-width"  # of one for which the theme clears the margin
COLUMN = 76  # characters of a table that fit beside the contents at 1200 pixels
GAP = 3  # what is between two columns, in characters
NUMBER = "text-right"  # as MyST calls the cells of a column of numbers
NO_LABEL = (nodes.math, nodes.image, nodes.raw)  # an attribute has only characters

Column = tuple[nodes.Element, ...]  # its name and its cells


class told_cell(nodes.entry):  # type: ignore[misc]  # noqa: N801
    """A cell with attributes of HTML: the name of its column, the place of its dot."""


def visit_told_cell(writer: Any, node: nodes.Element) -> None:
    """Open a cell."""
    writer.body.append(writer.starttag(node, "td", "", **node["told"]))


def depart_told_cell(writer: Any, node: nodes.Element) -> None:
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
    count = len(cells) // rows
    columns = [tuple(cells[i::count]) for i in range(count)]
    kinds = [kind(column) for column in columns]
    for column, (class_, _) in zip(columns, kinds, strict=True):
        for entry in column[1:] if class_ else ():
            entry["classes"].append(class_)
    tracks = sum("drawn" in column[0]["classes"] for column in columns)
    width = sum(least + GAP for _, least in kinds)
    width += tracks * TRACKS[min(tracks, MOST_TRACKS)]
    if width > COLUMN:
        table["classes"].append(WIDE)
    if tracks:
        return
    names = [column[0] for column in columns]
    named = not any(list(name.findall(x)) for name in names for x in NO_LABEL)
    if named and [class_ for class_, _ in kinds].count(KINDS[0][1]) >= 2:
        table["classes"].append(CARDS)
        for name, *below in columns:
            for entry in below:
                tell(entry, {"data-label": name.astext()})


def tell(entry: nodes.Element, told: dict[str, str]) -> None:
    """Give a cell attributes of HTML."""
    cell = told_cell("", *entry.children, told=told)
    cell.update_all_atts(entry)
    entry.replace_self(cell)


def draw(table: nodes.Element, marks: str) -> None:
    """Draw columns of a table, named as in "1, 3 log", as dots on a line."""
    cells, rows = entries(table), len(list(table.findall(nodes.row)))
    width = len(cells) // rows
    columns = [mark.split() for mark in marks.split(",")]
    table["classes"] += [DOTS, f"{DOTS}-{min(len(columns), MOST_TRACKS)}"]
    for i, *log in columns:
        name, *below = cells[int(i) :: width]
        name["classes"].append("drawn")
        dots, zero = places([entry.astext() for entry in below], bool(log))
        for entry, dot in zip(below, dots, strict=True):
            if dot is not None:
                entry["classes"].append("dot")
                style = f"--at: {dot.at:g}; --low: {dot.low:g}; --high: {dot.high:g}"
                style += f"; --zero: {zero:g}" if zero >= 0 else ""
                tell(entry, {"style": style})


def draw_asked(page: nodes.Element) -> None:
    """Draw the tables before a comment that asks for it, and drop the comment."""
    for comment in list(page.findall(nodes.raw)):
        if asked := ASKED.fullmatch(comment.astext().strip()):
            above = comment.parent[comment.parent.index(comment) - 1]
            draw(tables(above)[-1], asked[1])
            comment.parent.remove(comment)


class Tables(SphinxPostTransform):
    """Look at the tables of a page after `boxes` has changed what is around them."""

    default_priority = 850
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Draw those that ask for it, then mark all."""
        draw_asked(self.document)
        for table in tables(self.document):
            mark(table)


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_node(told_cell, html=(visit_told_cell, depart_told_cell))
    app.add_post_transform(Tables)
