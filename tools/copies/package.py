"""The files of an ePub that list the others: package, contents, container, cover."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from tools.copies.articles import Article, part_starts
from tools.copies.xhtml import as_text

MEDIA = {
    ".css": "text/css",
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".xhtml": "application/xhtml+xml",
}
CONTAINER = (
    '<?xml version="1.0" encoding="utf-8"?>\n<container version="1.0" '
    'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
    'full-path="book/package.opf" media-type="application/oebps-package+xml"/>'
    "</rootfiles></container>\n"
)
ACCESSIBLE = "".join(
    f'<meta property="schema:{name}">{value}</meta>'
    for name, values in {
        "accessMode": ("textual", "visual"),
        "accessModeSufficient": ("textual",),
        "accessibilityFeature": (
            "alternativeText",
            "MathML",
            "structuralNavigation",
            "tableOfContents",
        ),
        "accessibilityHazard": ("none",),
        "accessibilitySummary": ("Figures have descriptions, formulas are MathML.",),
    }.items()
    for value in values
)


@dataclass(frozen=True)
class Item:
    """A file of the package: its path in it, what it has inside, what it is."""

    path: str
    properties: str = ""

    @property
    def key(self) -> str:
        """Its id in the package."""
        return "f-" + self.path.replace("/", "-")


def page(title: str, body: str) -> str:
    """Return an XHTML document."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html>\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" '
        'xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en"><head>'
        f"<title>{escape(title)}</title>"
        '<link rel="stylesheet" type="text/css" href="style.css"/></head>'
        f"<body>{body}</body></html>\n"
    )


def package(
    facts: Mapping[str, str], items: Iterable[Item], spine: Iterable[str]
) -> str:
    """Return the package document; ``facts`` are title, author, rights, version."""
    told = {name: escape(text) for name, text in facts.items()}
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"deepopt:{facts['title']}")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    manifest = "".join(
        f'<item id="{item.key}" href="{item.path}" media-type="{media(item.path)}"'
        + (f' properties="{item.properties}"/>' if item.properties else "/>")
        for item in items
    )
    order = "".join(f'<itemref idref="{Item(path).key}"/>' for path in spine)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<package version="3.0" '
        'unique-identifier="id" xml:lang="en" xmlns="http://www.idpf.org/2007/opf">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">urn:uuid:{name}</dc:identifier>'
        f"<dc:title>{told['title']}</dc:title><dc:language>en</dc:language>"
        f"<dc:creator>{told['author']}</dc:creator>"
        f"<dc:rights>{told['rights']}</dc:rights>"
        f'<meta property="dcterms:modified">{now}</meta>{ACCESSIBLE}</metadata>'
        f"<manifest>{manifest}</manifest><spine>{order}</spine></package>\n"
    )


def media(path: str) -> str:
    """Return the media type of a file.

    Raises
    ------
    ValueError
        If a book may not contain it.
    """
    suffix = path[path.rfind(".") :]
    if suffix not in MEDIA:
        raise ValueError(f"an ePub has no place for {path}")
    return MEDIA[suffix]


def navigation(articles: list[Article]) -> str:
    """Return the contents: parts, their pages, the sections of each."""
    rows, open_part = [], False
    for article, starts in zip(articles, part_starts(articles), strict=True):
        if starts:
            rows.append("</ol></li>" if open_part else "")
            rows.append(f"<li><span>{escape(article.part)}</span><ol>")
            open_part = True
        rows.append(entry(article))
    rows.append("</ol></li>" if open_part else "")
    return page(
        "Contents",
        '<nav epub:type="toc" id="toc" role="doc-toc"><h1>Contents</h1>'
        f"<ol>{''.join(rows)}</ol></nav>",
    )


def entry(article: Article) -> str:
    """Return a page's line of the contents, its sections below it."""
    file = f"{article.slug}.xhtml"
    below = "".join(
        f'<li><a href="{file}#{section["id"]}">{as_text(section.h2)}</a></li>'
        for section in article.body.select("section[id]:has(> h2)")
        if section.h2
    )
    sections = f"<ol>{below}</ol>" if below else ""
    return f'<li><a href="{file}">{escape(article.title)}</a>{sections}</li>'


def cover_picture(title: str, subtitle: str) -> str:
    """Return the picture of the book on a shelf."""
    words, lines = subtitle.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 22:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    told = "".join(
        f'<text x="80" y="{480 + 58 * i}" font-size="44">{escape(line)}</text>'
        for i, line in enumerate(lines)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 1200" width="800" '
        'height="1200" font-family="sans-serif" fill="#1f2328">'
        '<rect width="800" height="1200" fill="#fff"/>'
        '<rect width="800" height="24" fill="#005a8c"/>'
        f'<text x="76" y="390" font-size="120" font-weight="700">{escape(title)}</text>'
        f"{told}</svg>\n"
    )
