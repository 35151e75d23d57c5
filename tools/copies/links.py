"""Links and ids of articles that stand in one document, or in files of their own."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote, urlsplit

from bs4 import Tag

from tools.copies.articles import Article, slug

Link = Callable[[str, str], str]  # of a page's slug and an anchor, as an address
Picture = Callable[[str], str]  # of a file of the site, as an address


def anchor(page: str, name: str = "") -> str:
    """Return an id that no other page has; without a name, that of the page itself."""
    return f"{page}--{re.sub(r'[^A-Za-z0-9_.-]', '-', name)}" if name else page


def connect(articles: Iterable[Article], link: Link, picture: Picture) -> None:
    """Rewrite ids, links and pictures of the articles.

    A link to what is not in the articles, such as a file to download, becomes text; one
    to a place that was left out leads to its page.

    Raises
    ------
    ValueError
        If two places of a page have one id.
    """
    articles = list(articles)
    known = {article.slug: name_places(article) for article in articles}
    for article in articles:
        for tag in article.body.select("a[href]"):
            connect_link(tag, article, known, link)
        for image in article.body.select("img[src]"):
            image["src"] = picture(in_site(article.name, str(image["src"])))


def name_places(article: Article) -> set[str]:
    """Give each id of a page a form of its own; return them all."""
    places = {anchor(article.slug)}
    for tag in article.body.select("[id]"):
        tag["id"] = anchor(article.slug, str(tag["id"]))
        if tag["id"] in places:
            raise ValueError(f"{article.name} has two places with the id {tag['id']}")
        places.add(str(tag["id"]))
    return places


def connect_link(
    tag: Tag, article: Article, known: dict[str, set[str]], link: Link
) -> None:
    """Rewrite one link."""
    parts = urlsplit(str(tag["href"]))
    if parts.scheme:
        return
    path = in_site(article.name, parts.path) if parts.path else f"{article.name}.html"
    page = slug(path.removesuffix(".html"))
    if not path.endswith(".html") or page not in known:
        tag.unwrap()
        return
    place = anchor(page, unquote(parts.fragment))
    tag["href"] = link(page, place if place in known[page] else anchor(page))


def in_site(page: str, address: str) -> str:
    """Return where an address on a page leads, from the top of the site."""
    folder = posixpath.dirname(page)
    return posixpath.normpath(posixpath.join(folder, unquote(urlsplit(address).path)))
