"""The pages of the built site, in the order of the table of contents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from bs4 import BeautifulSoup, Tag

from tools.copies.plain import make_plain
from tools.serve import HTML

ROOT = Path(__file__).parents[2]
TOC = ROOT / "_toc.yml"
CSS = Path(__file__).parent


@dataclass(frozen=True)
class Article:
    """One page: its name in the site, its part of the book, its title, its body."""

    name: str  # chapters/practice/momentum
    part: str  # 4 Practice; empty for the first page
    title: str
    body: Tag

    @property
    def slug(self) -> str:
        """The name as part of a file's name or an id: practice-momentum."""
        return slug(self.name)

    @property
    def finding(self) -> Tag | None:
        """The paragraph that opens the page with what it found."""
        return self.body.select_one("section > p:not(.page-facts)")


def slug(name: str) -> str:
    """Return the name of a page as part of a file's name or an id."""
    return name.removeprefix("chapters/").replace("/", "-")


def order(toc: Path = TOC) -> Iterator[tuple[str, str]]:
    """Yield part and name of each page, the first page without a part.

    Raises
    ------
    ValueError
        If the table of contents names no first page.
    """
    contents = yaml.safe_load(toc.read_text("utf8"))
    if not isinstance(contents, dict) or "root" not in contents:
        raise ValueError(f"{toc} names no first page (root)")
    yield "", contents["root"]
    for part in contents.get("parts", []):
        for name in files(part.get("chapters", [])):
            yield part.get("caption", ""), name


def files(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the pages of some entries, each before those below it."""
    for entry in entries:
        yield entry["file"]
        yield from files(entry.get("sections", []))


def read(site: Path = HTML, toc: Path = TOC) -> list[Article]:
    """Read the pages of a built site, without what only a screen has.

    Raises
    ------
    ValueError
        If a page of the table of contents is not built, or has no article.
    """
    found = []
    for part, name in order(toc):
        path = site / f"{name}.html"
        if not path.is_file():
            raise ValueError(f"{name} is not built in {site}: make book")
        page = BeautifulSoup(path.read_text("utf8"), "html.parser")
        body = page.select_one("article.bd-article")
        heading = body and body.h1
        if not body or not heading:
            raise ValueError(f"{path} has no article with a title")
        make_plain(body)
        found.append(Article(name, part, heading.get_text().strip(), body))
    return found


def book_title(articles: list[Article]) -> tuple[str, str]:
    """Return title and subtitle of the book: what its first page is called."""
    title, _, subtitle = articles[0].title.partition(": ")
    return title, subtitle[:1].upper() + subtitle[1:]


def part_starts(articles: list[Article]) -> list[bool]:
    """Say of each page whether it is the first of its part."""
    before = ["", *(article.part for article in articles)]
    return [
        bool(article.part) and article.part != last
        for article, last in zip(articles, before, strict=False)
    ]
