"""Print the whole book as one PDF: the built site, joined, through Chromium.

    python -m tools.pdf                 _build/html -> _build/deepopt.pdf
    python -m tools.pdf --site a/html --out b.pdf

It is printed twice: the first time tells on which page each article begins.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page

from tools.browser import open_browser
from tools.copies.articles import CSS, ROOT, TOC, Article, read
from tools.copies.links import connect
from tools.copies.outline import page_numbers
from tools.copies.paper import Print, document
from tools.serve import HTML

OUT = HTML.parent / "deepopt.pdf"
MARK = ROOT / "_static" / "favicon.svg"
WIDTH = 643  # CSS pixels between the margins of print.css
MINUTES = 10 * 60_000  # a long book on a busy machine
READY = """async () => {
    await Promise.all([...document.images].map(i => i.decode().catch(() => {})));
    await document.fonts.ready;
}"""


def sheets(site: Path, name: str) -> list[str]:
    """Return the style sheets of a page, as addresses from the top of the site."""
    page = BeautifulSoup((site / f"{name}.html").read_text("utf8"), "html.parser")
    found = page.select('link[rel="stylesheet"]')
    base = posixpath.dirname(name)
    hrefs = [str(tag["href"]).partition("?")[0] for tag in found]
    return [posixpath.normpath(posixpath.join(base, href)) for href in hrefs]


def make(browser: Browser, site: Path, toc: Path, out: Path) -> int:
    """Print the site to ``out``, whole or not at all; return the number of pages.

    Raises
    ------
    ValueError
        If a page is missing, or begins elsewhere in the second print than in the first.
    """
    authors = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["author"]
    with temporary(site) as file, open_page(browser) as page:
        pages: dict[str, int] = {}
        for again in (False, True):
            articles = joined(site, toc)
            names = dict.fromkeys(s for a in articles for s in sheets(site, a.name))
            links = [address(site, name) for name in names]
            how = Print(links, MARK.as_uri(), authors)
            file.write_text(document(articles, how, pages), "utf8")
            pdf = print_file(page, file)
            found = page_numbers(pdf)
            if again and any(found[a.slug] != pages[a.slug] for a in articles):
                raise ValueError("the contents moved the pages that they name")
            pages = {article.slug: found[article.slug] for article in articles}
    write(out, pdf)
    return pdf.count(b"/Type /Page\n")


def joined(site: Path, toc: Path) -> list[Article]:
    """Read the articles, and let them point to each other in one document."""
    articles = read(site, toc)
    connect(articles, lambda page, place: f"#{place}", lambda file: address(site, file))
    return articles


def address(site: Path, file: str) -> str:
    """Return the address of a file of the site for a document elsewhere."""
    return (site / file).resolve().as_uri()


@contextmanager
def temporary(site: Path) -> Iterator[Path]:
    """Give a file for the joined document and remove it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "book.html"


@contextmanager
def open_page(browser: Browser) -> Iterator[Page]:
    """Open a window as wide as the text on the paper."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 1000})
    page.emulate_media(media="print", color_scheme="light")
    page.set_default_timeout(MINUTES)
    yield page
    page.close()


def print_file(page: Page, file: Path) -> bytes:
    """Load a document, make everything fit, print it with outline and tags."""
    page.goto(file.as_uri())
    page.evaluate(READY)
    page.evaluate((CSS / "fit.js").read_text("utf8"))
    return page.pdf(
        prefer_css_page_size=True, print_background=True, outline=True, tagged=True
    )


def write(out: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    part.write_bytes(content)
    os.replace(part, out)


def main() -> None:
    """Print the book."""
    parser = argparse.ArgumentParser(description="Print the built book as one PDF.")
    parser.add_argument("--site", type=Path, default=HTML, help="the built site")
    parser.add_argument("--toc", type=Path, default=TOC, help="its order")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    with open_browser() as browser:
        count = make(browser, args.site, args.toc, args.out)
    size = args.out.stat().st_size / 1e6
    print(f"The book is at {args.out}: {count} pages, {size:.1f} MB")


if __name__ == "__main__":
    main()
