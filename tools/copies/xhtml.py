"""An article as XHTML, for readers of ePub: formulas as MathML, SVG by the letter."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from bs4 import BeautifulSoup, Tag
from bs4.dammit import EntitySubstitution
from bs4.formatter import HTMLFormatter

# HTML reads them in any case, XML does not; these are what the book draws with.
CAMEL = {
    name.lower(): name
    for name in (
        "clipPath", "foreignObject", "gradientTransform", "gradientUnits",
        "linearGradient", "markerHeight", "markerUnits", "markerWidth", "pathLength",
        "patternUnits", "preserveAspectRatio", "radialGradient", "refX", "refY",
        "textLength", "textPath", "viewBox",
    )
}  # fmt: skip
SVG = "http://www.w3.org/2000/svg"
MATHML = "http://www.w3.org/1998/Math/MathML"
# KaTeX puts this sign after a name such as max, also where scripts have no room for it.
APPLIED = "\u2061"
SCRIPTS = ("msub", "msup", "msubsup", "munder", "mover", "munderover")
BLOCKS = "div, p, ul, ol, dl, table, figure, pre, section"
# Void elements end in a slash, and no entity has a name but XML's five.
XML = HTMLFormatter(
    entity_substitution=EntitySubstitution.substitute_xml, void_element_close_prefix="/"
)


def make_xhtml(body: Tag) -> None:
    """Change an article so that `as_text` of it is XHTML that a reader of books shows.

    KaTeX's own markup, which needs its style sheet and fonts, gives way to MathML with
    the TeX source as its description; nothing of HTML 4 is left.
    """
    for formula in body.select(".katex"):
        if formula.math:
            formula.replace_with(described(formula.math.extract()))
    for tag in body.find_all(["svg", *CAMEL]):
        tag.name = CAMEL.get(tag.name, tag.name)
    for tag in body.select("svg, svg *"):
        tag.attrs = {CAMEL.get(k, k): v for k, v in tag.attrs.items()}
    for tag in body.select("svg:not(svg svg)"):
        tag["xmlns"] = SVG
    for cite in body.select("cite"):
        cite.name = "span"
    for table in body.select("table[border], table[align], col[width]"):
        for name in ("border", "align", "width"):
            table.attrs.pop(name, None)
    spread(body)


def described(math: Tag) -> Tag:
    """Return a formula without its annotation, which becomes its description."""
    source = math.find("annotation")
    if isinstance(source, Tag):
        math["alttext"] = " ".join(source.get_text().split())
        source.decompose()
    for sign in math.find_all("mo", string=APPLIED):
        if sign.parent and sign.parent.name in SCRIPTS:
            sign.decompose()
    math["xmlns"] = MATHML
    return math


def spread(body: Tag) -> None:
    """Let no paragraph or span contain a block, which XHTML does not allow."""
    for tag in body.select("p, span"):
        if tag.select_one(BLOCKS):
            tag.name = "div"


def as_text(tag: Tag) -> str:
    """Return what is in a tag as XML."""
    return tag.decode_contents(formatter=XML)


def check(text: str, name: str) -> None:
    """Raise ValueError if a document is not well-formed."""
    try:
        ET.fromstring(text)
    except ET.ParseError as error:
        line = text.splitlines()[error.position[0] - 1]
        place = line[max(error.position[1] - 60, 0) :][:120]
        raise ValueError(f"{name} is not well-formed: {error}: {place!r}") from error


def has(body: Tag, kind: str) -> bool:
    """Say whether an article has an element of a kind, such as svg."""
    return body.find(kind) is not None


def fragment(html: str) -> Tag:
    """Parse a piece of HTML."""
    return BeautifulSoup(html, "html.parser")
