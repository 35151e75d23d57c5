"""The description of a page: the start of its first paragraph, as plain text."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class FirstParagraph(HTMLParser):
    """Collects the text of the first plain paragraph, without formulas or citations."""

    SKIPPED = ("math", "bibtex-citation", "headerlink")

    def __init__(self) -> None:
        super().__init__()
        self.text, self.state = "", "before"
        self.depth = 0  # inside something skipped

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Enter the first ``<p>`` that has no class; count what is to be skipped."""
        names = (dict(attrs).get("class") or "").split()
        if self.state == "before" and tag == "p" and not attrs:
            self.state = "in"
        elif self.state == "in" and (self.depth or set(names) & set(self.SKIPPED)):
            self.depth += tag not in ("br", "img")

    def handle_endtag(self, tag: str) -> None:
        """Leave the paragraph, or one level of what is skipped."""
        if self.depth:
            self.depth -= 1
        elif self.state == "in" and tag == "p":
            self.state = "after"

    def handle_data(self, data: str) -> None:
        """Keep the text of the paragraph."""
        if self.state == "in" and not self.depth:
            self.text += data


def summary(body: str) -> str:
    """Return the start of a page's first paragraph as plain text."""
    parser = FirstParagraph()
    parser.feed(body[:50_000])  # the rest of a long page is not looked at
    return shorten(re.sub(r"\s+([.,;:)])", r"\1", parser.text))


def shorten(text: str, limit: int = 160) -> str:
    """Cut a text at a word, at a length that a search engine shows."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    return text[: limit - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
