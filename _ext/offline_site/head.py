"""The head of a page: its description, its scripts, its style sheets."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx

from offline_site import facts, styles

BUNDLE = "site.css"  # templates/layout.html links it
# The theme's template links these itself; ours has the bundle in their place.
THEME = ("styles/theme.css", "styles/pydata-sphinx-theme.css")
LAST = ("icons.css", "custom.css", "print.css")  # ours overrule the theme
# Not for every page, so not in the bundle: linked where this is in the text. A small
# sheet is not worth a request: on a phone that costs more than its bytes.
ASKED_FOR = {
    "katex/katex.min.css": 'class="katex',
    "sphinx-design.min.css": 'class="sd-',
    "design-tabs.js": 'class="sd-tab-',
    "figures.js": 'class="drawn"',
    "live.js": 'class="live"',
}
LIMIT = 160  # characters of a description that a search engine shows


def plain(node: nodes.Node) -> str:
    """Return the text of a node, without formulas, citations and raw HTML."""
    if isinstance(node, nodes.Text):
        return str(node.astext())
    if isinstance(node, nodes.math | nodes.raw) or "bibtex-citation" in node["classes"]:
        return ""
    return "".join(plain(child) for child in node.children)


def shorten(text: str) -> str:
    """Cut a text at a word; close the gap that something left out has left."""
    text = re.sub(r" ([.,;:)])", r"\1", " ".join(text.split()))
    if len(text) <= LIMIT:
        return text
    return text[: LIMIT - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def texts(app: Sphinx, page: str, tree: nodes.document | None) -> Iterator[str]:
    """Yield what may describe a page: front matter, first paragraphs, its title."""
    yield str(app.env.metadata.get(page, {}).get("description", ""))
    for paragraph in tree.findall(nodes.paragraph) if tree else ():
        below_title = isinstance(paragraph.parent, nodes.section)
        if below_title and facts.FACTS not in paragraph["classes"]:
            yield plain(paragraph)
    title = app.env.titles[page].astext() if page in app.env.titles else page.title()
    yield f"{title}: {app.config.project}, a book on optimization for deep learning."


class Head:
    """Changes the context of each page, and joins the style sheets that all share."""

    def __init__(self) -> None:
        self.shared: list[str] = []  # none, if no page has to be written again

    def change(
        self, app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any
    ) -> None:
        """Describe the page, drop what it does not use, let no script hold it up."""
        text = next(filter(None, map(shorten, texts(app, page, tree))))
        tag = f'<meta name="description" content="{html.escape(text)}" />\n'
        context["metatags"] = (context.get("metatags") or "") + tag
        body = context.get("body") or ""
        used = [
            s for s in context["script_files"] if ASKED_FOR.get(_name(s), "") in body
        ]
        for script in used:
            # One without a file waits, too: it refers to what a deferred one defines.
            wait = {"defer": "defer"} if _name(script) else {"type": "module"}
            script.attributes.update(wait)
        context["script_files"] = used
        sheets = {_name(sheet): sheet for sheet in context["css_files"]}
        for name in sorted(sheets, key=lambda name: sheets[name].priority):
            if name not in (*ASKED_FOR, *THEME, *self.shared):
                self.shared.append(name)
        context["css_files"] = [
            sheet for name, sheet in sheets.items() if ASKED_FOR.get(name, "\0") in body
        ]

    def finish(self, app: Sphinx, error: Exception | None) -> None:
        """Write the bundle, when all extensions have copied their style sheets."""
        if error or not self.shared:
            return
        out = Path(app.outdir)
        static = out / "_static"
        found = [*out.rglob("*.html"), *static.rglob("*.js")]
        words = styles.words(path.read_text(encoding="utf8") for path in found)
        self.shared.sort(key=lambda name: LAST.index(name) if name in LAST else -1)
        css = styles.join(static, [*THEME, *self.shared], words)
        (static / BUNDLE).write_text(css, encoding="utf8")


def _name(asset: Any) -> str:
    """Return the address of a script or style sheet below ``_static``, if any."""
    return str(asset.filename or "").removeprefix("_static/")


def setup(app: Sphinx) -> None:
    """Register with Sphinx, after the theme and every extension."""
    head = Head()
    app.connect("html-page-context", head.change, priority=900)
    app.connect("build-finished", head.finish, priority=900)
