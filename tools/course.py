"""Make what a course needs of the built site: notebooks for students, and slides.

    python -m tools.course                 _build/html -> _build/course

The notebooks have the exercises with the asserts of their solutions, but not the
solutions; the slides are HTML (reveal.js) that asks no host for anything.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from html import escape
from pathlib import Path

from tools.copies import reveal
from tools.copies.articles import CSS, ROOT, TOC, Article, book_title, read
from tools.copies.exercises import of_notebook
from tools.copies.links import connect
from tools.copies.slides import slides
from tools.copies.student import notebook
from tools.serve import HTML

OUT = HTML.parent / "course"
STATIC = ROOT / "_static"
SHEETS = ("reveal.css", "katex/katex.min.css", "draw.css", "live.css", "slides.css")
# `deepopt_lib.trials` finds what comparisons have computed beside the notebooks here.
NOTEBOOKS, KEPT = "chapters", "trials"
SCRIPTS = ("reveal.js", "slides.js")
OWN = (STATIC / "draw.css", STATIC / "live.css", CSS / "slides.css", CSS / "slides.js")
LEFT_OUT = ("api", "references", "glossary", "teach", "solve")
README = CSS / "course.md"


def make(site: Path, toc: Path, chapters: Path, out: Path, archive: Path) -> str:
    """Write the course in place of an old one, and say what is in it.

    Raises
    ------
    ValueError
        If a page or the text of an exercise is missing.
    """
    articles = read(site, toc)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        new = Path(folder) / "course"
        pages, exercises = write_notebooks(articles, chapters, new / NOTEBOOKS)
        count = write_slides(articles, site, new / "slides", archive)
        title, _ = book_title(articles)
        told = README.read_text("utf8").format(
            title=title, pages=pages, exercises=exercises, slides=count
        )
        (new / "README.md").write_text(told, "utf8")
        shutil.rmtree(out, ignore_errors=True)
        new.rename(out)
    return f"{exercises} exercises in {pages} notebooks, slides of {count} pages"


def write_notebooks(
    articles: list[Article], chapters: Path, out: Path
) -> tuple[int, int]:
    """Write a notebook for each page with exercises; return how many of both.

    What the comparisons of the pages have computed goes with them.
    """
    out.mkdir(parents=True)
    if (chapters / KEPT).is_dir():
        shutil.copytree(chapters / KEPT, out / KEPT)
    pages = total = 0
    for article in articles:
        path = chapters / f"{article.name.removeprefix('chapters/')}.ipynb"
        exercises = of_notebook(path) if path.is_file() else []
        if exercises:
            made = json.dumps(
                notebook(article, exercises), ensure_ascii=False, indent=1
            )
            (out / f"{article.slug}.ipynb").write_text(made + "\n", "utf8")
            pages, total = pages + 1, total + len(exercises)
    return pages, total


def write_slides(articles: list[Article], site: Path, out: Path, archive: Path) -> int:
    """Write the slides of each page that is taught, and what they load."""
    assets = out / "assets"
    reveal.unpack(archive, assets)
    shutil.copytree(STATIC / "katex", assets / "katex")
    for file in OWN:
        shutil.copyfile(file, assets / file.name)
    taught = [article for article in articles if is_taught(article)]
    copies = Copies(site, assets)
    connect(taught, lambda page, place: "", copies.address)
    book, _ = book_title(articles)
    sheets, scripts = ([f"assets/{n}" for n in names] for names in (SHEETS, SCRIPTS))
    for article in taught:
        for link in article.body.select("a:not([href^=http])"):
            link.unwrap()
        made = slides(article, sheets, scripts, book)
        copies.keep(made)
        (out / f"{article.slug}.html").write_text(made, "utf8")
    (out / "index.html").write_text(listing(taught, book), "utf8")
    return len(taught)


class Copies:
    """Pictures of the site: those that a slide shows are copied to the assets."""

    def __init__(self, site: Path, assets: Path) -> None:
        self.site, self.assets = site, assets
        self.files: dict[str, str] = {}

    def address(self, file: str) -> str:
        """Return where a picture of the site will be for the slides."""
        name = f"assets/{Path(file).name}"
        self.files[name] = file
        return name

    def keep(self, html: str) -> None:
        """Copy the pictures that a document shows."""
        for name, file in self.files.items():
            if f'"{name}"' in html:
                shutil.copyfile(self.site / file, self.assets / Path(file).name)


def is_taught(article: Article) -> bool:
    """Say whether a page has slides: not the first, and none that is looked up."""
    return bool(article.part) and not article.slug.startswith(LEFT_OUT)


def listing(articles: list[Article], book: str) -> str:
    """Return the page that leads to the slides of each page."""
    rows = "".join(
        f'<li><a href="{a.slug}.html">{escape(a.title)}</a></li>' for a in articles
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(book)}: slides</title>"
        '<link rel="stylesheet" href="assets/slides.css"></head>'
        f'<body><main class="listing"><h1>{escape(book)}: slides</h1><ul>{rows}</ul>'
        "</main></body></html>\n"
    )


def main() -> None:
    """Make the course."""
    parser = argparse.ArgumentParser(description="Make notebooks and slides.")
    parser.add_argument("--site", type=Path, default=HTML, help="the built site")
    parser.add_argument("--toc", type=Path, default=TOC, help="its order")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    chapters = ROOT / "chapters"
    told = make(args.site, args.toc, chapters, args.out, reveal.fetch())
    print(f"The course is in {args.out}: {told}")


if __name__ == "__main__":
    main()
