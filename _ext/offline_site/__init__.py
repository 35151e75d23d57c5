"""Sphinx extension: a site that asks no other host for anything, and loads fast.

Each change is made where Sphinx has a place for it, so that no finished page is opened
again: formulas by `formulas`, boxes in the document tree by `boxes`, tables in it by
`tables`, code by `code`, figures by `figures`, the tags of other pictures and citations
by `writer`, scripts, style sheets and the description in the context of a page's
template by `head`. What all pages share is joined once, at the end, by `styles`. The
labels of works are made by `labels`, what citations show of them by `previews`, and
what a search finds by `search`, with `sections` and `wording`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from offline_site import (
    boxes,
    code,
    facts,
    figures,
    formulas,
    head,
    labels,
    previews,
    search,
    tables,
    writer,
)

Page = tuple[str, dict[str, Any], str]
HEADER_START = ["toggle-primary-sidebar.html", "mark.html"]


def use_our_templates(app: Sphinx, config: Config) -> None:
    """Let our templates come before the theme's; show the mark above an article."""
    config.templates_path.insert(0, str(Path(__file__).with_name("templates")))
    config.html_theme_options.setdefault("article_header_start", HEADER_START)


def address_of_the_site(app: Sphinx) -> Iterator[Page]:
    """Yield the page that leads to the first page, if that has another name."""
    if app.config.root_doc != "index":
        yield "index", {}, "redirect.html"


def no_empty_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, *rest: Any
) -> tuple[str, str] | None:
    """Show a type alias, and a protocol, without a signature that says nothing."""
    is_type = what == "data" or getattr(thing, "_is_protocol", False)
    return ("", "") if is_type else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    formulas.render_with_pip_node()
    boxes.setup(app)
    code.setup(app)
    facts.setup(app)
    figures.setup(app)
    tables.setup(app)
    labels.setup(app)
    previews.setup(app)
    search.setup(app)
    head.setup(app)
    app.set_translator("html", writer.Writer)
    app.connect("config-inited", use_our_templates)
    app.connect("html-collect-pages", address_of_the_site)
    app.connect("autodoc-process-signature", no_empty_signature)
    # The style sheets to join are noted by the process that writes the pages.
    return {"parallel_read_safe": True, "parallel_write_safe": False}
