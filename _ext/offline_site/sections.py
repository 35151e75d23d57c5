"""The sections of a page as a search shows them: title, text, and where they begin.

A word of a glossary is one, too. Code, citations, solutions and the line below a title
are left out, and of a formula all but single letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import unescape

from docutils import nodes  # type: ignore[import-untyped]
from sphinx import addnodes

from offline_site.facts import FACTS
from offline_site.head import shorten

SKIPPED = (
    *(nodes.literal_block, nodes.raw, nodes.comment, addnodes.toctree),
    addnodes.glossary,  # each of its words is found by itself
)
LEFT_OUT = ("solution", "bibtex-citation", FACTS)


def formula(node: nodes.Node) -> str:
    r"""Return a formula as text: a letter as it is read, ``\alpha`` as α, else dots."""
    name = node.astext().strip()
    letter = unescape(f"&{name[1:]};") if name.startswith("\\") else name
    return letter if len(letter) == 1 else "…"


def readable(node: nodes.Node) -> str:
    """Return the text of a node without code, citations, and what a fold hides."""
    if isinstance(node, nodes.Text):
        return str(node.astext())
    if isinstance(node, nodes.math | nodes.math_block):
        return formula(node)
    if isinstance(node, SKIPPED) or any(box in node["classes"] for box in LEFT_OUT):
        return ""
    space = "" if isinstance(node, nodes.TextElement) else " "
    return space.join(map(readable, node.children))


def parts(page: nodes.Element) -> Iterator[tuple[str, str, list[nodes.Node]]]:
    """Yield anchor, title and own content of each section and word of a glossary."""
    for section in page.findall(nodes.section):
        if not isinstance(next(iter(section), None), nodes.title):
            continue  # the content of a proof or an exercise
        top = not isinstance(section.parent, nodes.section)
        inner = [n for n in section[1:] if not is_titled(n)]
        anchor = "" if top or not section["ids"] else section["ids"][0]
        yield anchor, " ".join(readable(section[0]).split()), inner
    for term in page.findall(nodes.term):
        if term["ids"]:  # of a glossary
            yield term["ids"][0], readable(term), term.parent[1:]


def is_titled(node: nodes.Node) -> bool:
    """Tell a section that is found by itself."""
    return isinstance(node, nodes.section) and isinstance(node[0], nodes.title)


def opening(content: Iterable[nodes.Node]) -> str:
    """Return the first paragraphs, cut to what a result shows."""
    shown = nodes.paragraph | nodes.definition
    texts = (readable(n) for n in content if isinstance(n, shown))
    return shorten(" ".join(texts))
