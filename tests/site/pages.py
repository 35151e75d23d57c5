"""The pages of the built site as files, and how to look at them without a browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from tools.serve import HTML

ASSETS = {"audio": "src", "embed": "src", "iframe": "src", "img": "src"}
ASSETS |= {"link": "href", "script": "src", "source": "src", "video": "src"}


def page_names() -> list[str]:
    """Name every page below ``_build/html``; none before the book is built."""
    found = (p.relative_to(HTML) for p in HTML.rglob("*.html"))
    return sorted(p.as_posix() for p in found if p.parts[0] != "_static")


def chapter_names() -> list[str]:
    """Name every page that was a notebook."""
    sources = HTML / "_sources"
    return [
        name
        for name in page_names()
        if (sources / name).with_suffix(".ipynb").is_file()
    ]


@dataclass
class Document(HTMLParser):
    """What the tests ask of one HTML file."""

    path: Path
    title: str = ""
    description: str = ""
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)
        self.in_title = False
        self.feed(self.path.read_text(encoding="utf8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.in_title = tag == "title"
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values)
        if tag == "meta" and values.get("name") == "description":
            self.description += values["content"]
        if ASSETS.get(tag) in values:
            self.assets.append(values[ASSETS[tag]])

    def handle_data(self, data: str) -> None:
        if self.in_title:
            self.title += data

    def handle_endtag(self, tag: str) -> None:
        self.in_title = False


@cache
def document(name: str) -> Document:
    """Parse a page once."""
    return Document(HTML / name)
