"""What is changed in a finished page: plain functions from HTML to HTML."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from page_css import LINK

SCRIPT = re.compile(r"[ \t]*<script\b([^>]*)>(.*?)</script>\n?", re.S)
IMAGE = re.compile(r"<img\b([^>]*?)\s*/?>")
EMPTY_HEADER = re.compile(r"<th\b([^>]*)>(?:<p></p>)?</th>")
TABLE = re.compile(r"<table\b.*?</table>", re.S)
PNG = b"\x89PNG\r\n\x1a\n"
FOLDED = re.compile(
    r'<div class="([^"]*\bdropdown admonition|admonition[^"]*\bdropdown)"([^>]*)>'
)
TITLE = re.compile(r'<p class="admonition-title">(.*?)</p>', re.S)
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
# The theme finds out whether the reader prefers dark only after the first paint.
THEME = re.compile(r"document\.documentElement\.dataset\.theme = [^;]*;")
NO_FLASH = """{ const { mode } = document.documentElement.dataset;
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      document.documentElement.dataset.theme =
        mode === "auto" ? (dark ? "dark" : "light") : mode; }"""
TOGGLE = ("let toggle", "var togglebutton")
NOISE = (
    re.compile(r'[ \t]*<meta name="docsearch:[^>]*>\n?'),
    re.compile(
        r'<meta name="viewport" content="width=device-width, initial-scale=1" />\n?'
    ),
    re.compile(r'[ \t]*<meta name="viewport" content="width=device-width, .*?=1"/>\n?'),
    re.compile(r'[ \t]*<link rel="preload" as="script"[^>]*>\n?'),
    # Ids that sphinx-proof and sphinx-exercise give to every box alike.
    re.compile(r' id="(?:proof|exercise|solution)-content"'),
    # Roles that ARIA does not allow where docutils puts them.
    re.compile(r' role="(?:doc-biblioentry|list)"'),
)


def fold(page: str) -> str:
    """Make boxes of class dropdown details elements, which need no script to open."""
    while match := FOLDED.search(page):
        depth, end = 0, len(page)
        for tag in re.finditer(r"<div\b|</div>", page[match.start() :]):
            depth += 1 if tag[0] == "<div" else -1
            if not depth:
                end = match.start() + tag.start()
                break
        inner = TITLE.sub(plain_summary, page[match.end() : end], count=1)
        box = f'<details class="folded {match[1]}"{match[2]}>{inner}</details>'
        page = page[: match.start()] + box + page[end + len("</div>") :]
    return page


def plain_summary(title: re.Match[str]) -> str:
    """Turn a box's title into a summary; a link inside it could not be clicked."""
    text = re.sub(r"</?a\b[^>]*>", "", title[1])
    return f'<summary class="admonition-title">{text}</summary>'


def scripts(page: str, is_search: bool) -> str:
    """Drop the scripts that do nothing here and let no other hold up the page.

    The icon script (1.4 MB) and thebe are not used, Sphinx 7.4 writes inline scripts
    twice, and the search index is of use on the search page alone.
    """
    seen = set()

    def one(match: re.Match[str]) -> str:
        attributes, body = match[1], match[2]
        source = re.search(r'src="([^"?]*)', attributes)
        name = source[1].rsplit("/", 1)[-1] if source else ""
        unused = "thebe" in attributes or "THEBE" in body or "kernelName" in body
        unused = unused or "toggle" in name or body.startswith(TOGGLE)
        unused = (
            unused or name == "fontawesome.js" or (not is_search and name in SEARCH)
        )
        unused = unused or (name == "design-tabs.js" and 'class="sd-' not in page)
        if unused or (
            match[0].strip() in seen and match.start() < page.find("</head>")
        ):
            return ""
        seen.add(match[0].strip())
        if name and not re.search(r"\b(?:defer|async)\b", attributes):
            return match[0].replace("<script", "<script defer", 1)
        if body.startswith("DOCUMENTATION_OPTIONS."):  # after the deferred definition
            return match[0].replace("<script", '<script type="module"', 1)
        return match[0]

    return SCRIPT.sub(one, page)


def stylesheets(page: str, bundle: str, bundled: list[str]) -> str:
    """Put one style sheet in the place of many; KaTeX's only where there is math."""
    seen = {""}

    def one(match: re.Match[str]) -> str:
        path = match[1].split("_static/", 1)[-1]
        unused = path in seen or "thebe" in path or "togglebutton" in path
        unused = unused or ("katex" in path and 'class="katex' not in page)
        unused = unused or ("sphinx-design" in path and 'class="sd-' not in page)
        seen.add(path)
        if unused or path in bundled[1:]:
            return ""
        if path == bundled[0]:
            return (
                f'<link rel="stylesheet" href="{match[1][: -len(path)]}{bundle}" />\n'
            )
        return match[0]

    return LINK.sub(one, page)


def png_size(path: Path) -> tuple[int, int] | None:
    """Return width and height in pixels from a PNG's header."""
    with path.open("rb") as file:
        head = file.read(24)
    if head[:8] != PNG:
        return None
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def images(page: str, folder: Path) -> str:
    """Reserve the place of each picture; load those further down when they are near."""
    count = 0

    def one(match: re.Match[str]) -> str:
        nonlocal count
        source = re.search(r'src="([^":?]*\.png)"', match[1])
        if not source or not (folder / source[1]).is_file():
            return match[0]
        count += 1
        extra = ' decoding="async"' + (' loading="lazy"' if count > 1 else "")
        size = png_size(folder / source[1])
        if size and "width=" not in match[1]:
            extra += ' width="{}" height="{}"'.format(*size)
        return f"<img{match[1]}{extra} />"

    return IMAGE.sub(one, page)


def tables(page: str) -> str:
    """Give every table a box of its own to scroll in."""
    page = page.replace('<div class="pst-scrollable-table-container">', "<div>")
    page = EMPTY_HEADER.sub(r"<td\1></td>", page)  # a corner is no heading
    return TABLE.sub(lambda m: f'<div class="do-scroll">{m[0]}</div>', page)


def improve(page: str, path: Path, bundle: str, bundled: list[str]) -> str:
    """Apply everything to one page."""
    for pattern in NOISE:
        page = pattern.sub("", page)
    page = THEME.sub(NO_FLASH, page.replace('data-theme="auto"', 'data-theme="light"'))
    page = page.replace('console.log("[PST]', 'void("[PST]')  # an empty console
    page = scripts(page, is_search=path.name == "search.html")
    page = stylesheets(page, bundle, bundled)
    return tables(images(fold(page), path.parent))
