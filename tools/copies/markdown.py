"""A piece of a page as Markdown for a notebook: text, formulas, lists, code."""

from __future__ import annotations

import re

from bs4 import Tag
from bs4.element import NavigableString, PageElement

BLOCKS = ("p", "ul", "ol", "pre", "div", "section", "figure", "table", "blockquote")
MARKS = {"em": "*", "i": "*", "strong": "**", "b": "**"}


def blocks(tag: Tag) -> str:
    """Return the blocks in a tag, an empty line between them."""
    parts: list[str] = []
    inline = ""
    for node in [*tag.children, None]:
        if node is not None and not (isinstance(node, Tag) and node.name in BLOCKS):
            inline += spans(node)
            continue
        parts += [" ".join(inline.split())] * bool(inline.strip())
        inline = ""
        if isinstance(node, Tag):
            parts.append(block(node))
    return "\n\n".join(filter(None, parts))


def block(tag: Tag) -> str:
    """Return one block."""
    if tag.name in ("ul", "ol"):
        items = tag.find_all("li", recursive=False)
        signs = [
            f"{i}. " if tag.name == "ol" else "- " for i in range(1, len(items) + 1)
        ]
        return "\n".join(
            sign + blocks(item).replace("\n", "\n" + " " * len(sign))
            for sign, item in zip(signs, items, strict=True)
        )
    if tag.name == "pre":
        return f"```\n{tag.get_text().strip()}\n```"
    if tag.name == "table":
        return table(tag)
    source = tag.select_one(".katex-display annotation")
    if is_math(tag) and source:
        return f"$$\n{source.get_text().strip()}\n$$"
    return blocks(tag)


def table(tag: Tag) -> str:
    """Return a table with its first row as the head."""
    rows = [
        [" ".join(blocks(cell).split()) for cell in row.find_all(["th", "td"])]
        for row in tag.find_all("tr")
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines[:1], "|" + " :-- |" * len(rows[0]), *lines[1:]])


def spans(node: PageElement | None) -> str:
    """Return what stands within a line."""
    if isinstance(node, NavigableString):
        return re.sub(r"([*_$\\])", r"\\\1", str(node))
    if not isinstance(node, Tag):
        return ""
    source = node.select_one("annotation") if is_math(node) else None
    if source:
        return f"${source.get_text().strip()}$"
    if node.name == "code":
        return f"`{node.get_text()}`"
    text = "".join(map(spans, node.children))
    if node.name == "a" and str(node.get("href", "")).startswith("http"):
        return f"[{text}]({node['href']})"
    mark = MARKS.get(node.name, "")
    return f"{mark}{text}{mark}"


def is_math(tag: Tag) -> bool:
    """Say whether a tag is a formula, displayed or not."""
    return "math" in (tag.get("class") or [])
