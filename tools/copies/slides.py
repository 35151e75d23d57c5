"""A page as slides: finding, figure, one section a slide, what to take away."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from bs4 import Tag

from tools.copies.articles import Article

FIGURES = "figure"
EXERCISES, TAKEAWAYS = "Exercises", "Key takeaways"
ROWS = 7  # a table with more cannot be read from the last row of seats
SENTENCE = 260  # characters of text that a slide has room for


def slides(article: Article, sheets: list[str], scripts: list[str], book: str) -> str:
    """Return the document; sheets and scripts are addresses for it."""
    links = "".join(f'<link rel="stylesheet" href="{s}">' for s in sheets)
    started = "".join(f'<script src="{s}"></script>' for s in scripts)
    shown = "".join(
        f'<section><div class="fit">{slide}</div></section>'
        for slide in each(article, book)
    )
    return (
        '<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(article.title)}</title>{links}</head><body>"
        f'<div class="reveal"><div class="slides">{shown}</div></div>'
        f"{started}</body></html>\n"
    )


def each(article: Article, book: str) -> Iterator[str]:
    """Yield what stands on each slide."""
    finding = article.finding
    told = finding.decode_contents() if finding else ""
    title = escape(article.title)
    part = f'<p class="part">{escape(article.part or book)}</p>'
    yield f'<div class="opening">{part}<h1>{title}</h1><p>{told}</p></div>'
    hero = opening_figure(article)
    if hero:
        yield f'<div class="hero">{hero}</div>'
    for section in article.body.select("section:has(> h2)"):
        heading = section.h2.get_text().strip() if section.h2 else ""
        if heading == TAKEAWAYS:
            yield listed(heading, section.select(":scope > ul > li"))
        elif heading == EXERCISES:
            titles = section.select(".exercise > .admonition-title")
            yield listed(heading, titles)
        else:
            yield of_section(section)


def opening_figure(article: Article) -> Tag | None:
    """Return the figure that stands before the first section."""
    top = article.body.section
    found = top.select(FIGURES) if top else []
    below = top.select("section:has(> h2) figure") if top else []
    return next((figure for figure in found if figure not in below), None)


def of_section(section: Tag) -> str:
    """Return a slide with a section's first sentence, equation and figure.

    Where it has no figure, a small table takes its place.
    """
    outside = ":not(.exercise *, .solution *)"
    math = section.select_one(f"div.math{outside}")
    figure = section.select_one(f"{FIGURES}{outside}") or small_table(section)
    both = math is not None and figure is not None
    parts = [f"<h2>{section.h2.decode_contents() if section.h2 else ''}</h2>"]
    lead = section.find("p", recursive=False)
    if isinstance(lead, Tag):
        parts.append(f'<p class="lead">{first_sentence(lead)}</p>')
    parts += [f'<div class="{"both" if both else "one"}">']
    parts += [f"<div>{thing}</div>" for thing in (math, figure) if thing is not None]
    return "".join([*parts, "</div>"])


def small_table(section: Tag) -> Tag | None:
    """Return the first table of a section that a slide has room for."""
    for table in section.select("table:not(.exercise *, .solution *, table *)"):
        if len(table.select("tr")) <= ROWS + 1:
            return table
    return None


def first_sentence(paragraph: Tag) -> str:
    """Return the sentences of a paragraph that a slide has room for, at least one.

    A sentence ends outside of formulas and links, with a point before a space.
    """
    kept, length = "", 0
    for node in paragraph.children:
        text = node.get_text() if isinstance(node, Tag) else str(node)
        if isinstance(node, Tag):
            source = node.select_one("annotation")
            length += len(source.get_text() if source else text)
            kept += str(node)
            continue
        for i, piece in enumerate(split_sentences(text)):
            if i and length + len(piece) > SENTENCE:
                return kept
            kept, length = kept + escape(piece, quote=False), length + len(piece)
    return kept


def split_sentences(text: str) -> list[str]:
    """Split a text after each point that ends a sentence."""
    text = " ".join(text.replace("\n", " ").split(" "))
    pieces = text.replace("? ", "?\0").replace(". ", ".\0").split("\0")
    return [piece + " " * (piece is not pieces[-1]) for piece in pieces]


def listed(heading: str, items: list[Tag]) -> str:
    """Return a slide with a list."""
    rows = "".join(f"<li>{item.decode_contents()}</li>" for item in items)
    size = ' class="many"' if len(items) > 5 else ""
    return f"<h2>{escape(heading)}</h2><ul{size}>{rows}</ul>"
