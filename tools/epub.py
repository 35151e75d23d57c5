"""Bind the whole book as an ePub 3, from the built site.

    python -m tools.epub                 _build/html -> _build/deepopt.epub
    python -m tools.epub --site a/html --out b.epub

Formulas are MathML, figures pictures, nothing runs. What comes out is checked, and by
epubcheck, too, where that command is installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from tools.copies import package as parts
from tools.copies.articles import CSS, ROOT, TOC, Article, book_title, read
from tools.copies.links import connect
from tools.copies.package import Item
from tools.copies.paper import cover
from tools.copies.verify import problems
from tools.copies.xhtml import as_text, check, has, make_xhtml
from tools.serve import HTML

OUT = HTML.parent / "deepopt.epub"
STATIC = ROOT / "_static"
SHEETS = (STATIC / "draw.css", STATIC / "live.css", CSS / "epub.css")
RIGHTS = "Text and figures: CC BY 4.0. Code: MIT license."
Files = dict[Item, bytes]


def make(site: Path, toc: Path, out: Path) -> int:
    """Write the ePub, whole or not at all; return the number of its files.

    Raises
    ------
    ValueError
        If a page is missing or not well-formed, or the ePub is not what it must be.
    """
    files = contents(site, toc)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.stem}.part.epub")
    try:
        bind(part, files)
        found = problems(part)
        if found:
            raise ValueError(f"the ePub is not right: {'; '.join(found[:5])}")
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
    return len(files)


def contents(site: Path, toc: Path) -> Files:
    """Return the files of the book, the pages in their order."""
    articles = read(site, toc)
    for article in articles:
        make_xhtml(article.body)
    connect(articles, lambda page, place: f"{page}.xhtml#{place}", picture)
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    facts = {"title": config["title"], "author": config["author"], "rights": RIGHTS}
    title, subtitle = book_title(articles)
    sheet = "".join(map(without_screen, SHEETS))
    files = {
        Item("cover.svg", "cover-image"): parts.cover_picture(title, subtitle),
        Item("style.css"): sheet,
        Item("cover.xhtml"): parts.page(title, cover(articles, facts["author"])),
        Item("contents.xhtml", "nav"): parts.navigation(articles),
    }
    files |= dict(map(as_file, articles))
    encoded = {item: text.encode() for item, text in files.items()}
    encoded |= {
        Item(picture(name)): (site / name).read_bytes() for name in pictures(articles)
    }
    spine = [item.path for item in encoded if item.path.endswith(".xhtml")]
    package = parts.package(facts, encoded, spine)
    return {**encoded, Item("package.opf"): package.encode()}


def as_file(article: Article) -> tuple[Item, str]:
    """Return an article as a page of its own."""
    body = f'<div id="{article.slug}">{as_text(article.body)}</div>'
    if article.part:
        body = f'<p class="part">{escape(article.part)}</p>{body}'
    text = parts.page(article.title, body)
    check(text, article.name)
    inside = {"math": "mathml", "svg": "svg"}
    properties = " ".join(p for tag, p in inside.items() if has(article.body, tag))
    return Item(f"{article.slug}.xhtml", properties), text


def picture(file: str) -> str:
    """Return where a picture of the site stands in the book."""
    return f"images/{Path(file).name}"


def pictures(articles: list[Article]) -> Iterator[str]:
    """Yield each picture that an article shows, as a file of the site, once."""
    shown = (str(i["src"]) for a in articles for i in a.body.select("img[src]"))
    for path in dict.fromkeys(shown):
        yield f"_images/{Path(path).name}"


def without_screen(sheet: Path) -> str:
    """Return a style sheet without the rules that few readers of books know."""
    text = sheet.read_text("utf8")
    return text.partition("/* Where there is room")[0]


def bind(path: Path, files: Files) -> None:
    """Write the files into one, what it is first."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", parts.CONTAINER)
        for item, content in files.items():
            archive.writestr(f"book/{item.path}", content)


def main() -> None:
    """Write the book, and let epubcheck look at it where it is installed."""
    parser = argparse.ArgumentParser(description="Bind the built book as an ePub.")
    parser.add_argument("--site", type=Path, default=HTML, help="the built site")
    parser.add_argument("--toc", type=Path, default=TOC, help="its order")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    count = make(args.site, args.toc, args.out)
    size = args.out.stat().st_size / 1e6
    print(f"The book is at {args.out}: {count} files, {size:.1f} MB")
    if command := shutil.which("epubcheck"):
        raise SystemExit(subprocess.run([command, str(args.out)]).returncode)


if __name__ == "__main__":
    main()
