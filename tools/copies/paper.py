"""One HTML document for the printer: title page, contents, all articles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from bs4 import Tag
from bs4.element import NavigableString

from tools.copies.articles import CSS, Article, book_title, part_starts

DEEPEST = 6
CLOSING = tuple(".,;:?!)")
HIDDEN = ".katex-mathml"


@dataclass(frozen=True)
class Print:
    """What a document is printed with: addresses of style sheets and mark, authors."""

    sheets: list[str]
    mark: str
    authors: str


def document(articles: list[Article], how: Print, pages: Mapping[str, int]) -> str:
    """Return the document; ``pages`` has the number of each article's first page."""
    title, _ = book_title(articles)
    links = "".join(f'<link rel="stylesheet" href="{escape(s)}">' for s in how.sheets)
    style = (CSS / "print.css").read_text("utf8") + "".join(
        map(running_heads, articles)
    )
    starts = part_starts(articles)
    body = "".join(map(on_paper, articles, starts))
    return (
        '<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>{links}<style>{style}</style></head><body>"
        f"{cover(articles, how.authors, how.mark)}{contents(articles, pages)}"
        f'<main class="bd-content">{body}</main></body></html>'
    )


def running_heads(article: Article) -> str:
    """Return the rule of the pages of an article: the part left, the title right."""
    left, right = map(in_css, (article.part, article.title))
    return (
        f"@page {article.slug} {{ @top-left {{ content: {left}; }} "
        f"@top-right {{ content: {right}; }} }}\n"
    )


def in_css(text: str) -> str:
    """Return a text as a string of a style sheet within HTML."""
    return json.dumps(text, ensure_ascii=False).replace("<", r"\3c ")


def cover(articles: list[Article], authors: str, mark: str = "") -> str:
    """Return the title page, with the address of the book's mark if it has one."""
    title, subtitle = book_title(articles)
    finding = articles[0].finding
    told = finding.decode_contents() if finding else ""
    drawn = f'<img src="{escape(mark)}" alt="">' if mark else ""
    return (
        f'<section class="cover">{drawn}<p class="title">{escape(title)}</p>'
        f'<p class="subtitle">{escape(subtitle)}</p><p class="finding">{told}</p>'
        f'<p class="authors">{escape(authors)}</p></section>'
    )


def contents(articles: list[Article], pages: Mapping[str, int]) -> str:
    """Return the table of contents; a number that is not known yet takes its place."""
    rows = []
    for article, starts in zip(articles, part_starts(articles), strict=True):
        if starts:
            rows.append(f"</ul><p>{escape(article.part)}</p><ul>")
        rows.append(
            f'<li><a href="#{article.slug}">{escape(article.title)}</a><i></i>'
            f"<b>{pages.get(article.slug, 0)}</b></li>"
        )
    listed = "".join(rows)
    return f'<nav class="page-numbers"><h1>Contents</h1><ul>{listed}</ul></nav>'


def on_paper(article: Article, starts: bool) -> str:
    """Return an article, the first of a part below the name of the part.

    That name is a heading, so that the outline of the PDF has three
    levels: part, page, section.
    """
    deepen(article)
    describe_formulas(article)
    head = f'<h1 class="part">{escape(article.part)}</h1>' if starts else ""
    return (
        f'<article class="bd-article" id="{article.slug}" style="page: {article.slug}">'
        f"{head}{article.body.decode_contents()}</article>"
    )


def deepen(article: Article) -> None:
    """Move the headings of an article one level down, to be below its part's."""
    shift = 1 if article.part else 0
    for heading in article.body.select("h1, h2, h3, h4, h5, h6"):
        if heading.name == "h1":
            heading["class"] = "page-title"
        heading.name = f"h{min(int(heading.name[1]) + shift, DEEPEST)}"


def describe_formulas(article: Article) -> None:
    """Let a formula be one thing, read out as its TeX source, not fifty spans."""
    for formula in article.body.select(".katex"):
        source, hidden = formula.select_one("annotation"), formula.select_one(HIDDEN)
        if source and hidden:
            formula["role"] = "img"
            formula["aria-label"] = " ".join(source.get_text().split())
            hidden.decompose()
            keep_close(formula)


def keep_close(formula: Tag) -> None:
    """Let what closes a phrase after a formula stay in the formula's last line.

    KaTeX makes boxes, and Chromium breaks a line between a box and a full stop.
    """
    whole = formula.parent
    after = whole.next_sibling if whole else None
    boxes = formula.select(".katex-html > .base")
    if boxes and isinstance(after, NavigableString) and after[:1] in CLOSING:
        sign = Tag(name="span", attrs={"class": "closing"})
        sign.string = after[0]
        boxes[-1].wrap(Tag(name="span", attrs={"class": "together"})).append(sign)
        formula["aria-label"] = f"{formula['aria-label']}{after[0]}"
        after.replace_with(after[1:])
