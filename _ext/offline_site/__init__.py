"""Sphinx extension: a site that asks no other host for anything, and loads fast.

Each change is made where Sphinx has a place for it, so that no finished page is opened
again: formulas by `formulas`, boxes and tables in the document tree by `boxes`, the
tags of pictures and citations by `writer`, scripts, style sheets and the description
in the context of a page's template by `head`. What all pages share is joined once, at
the end, by `styles`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from offline_site import boxes, formulas, head, writer

Page = tuple[str, dict[str, Any], str]


def use_our_templates(app: Sphinx, config: Config) -> None:
    """Let a template of ours come before the theme's of the same name."""
    config.templates_path.append(str(Path(__file__).with_name("templates")))


def address_of_the_site(app: Sphinx) -> Iterator[Page]:
    """Yield the page that leads to the first page, if that has another name."""
    if app.config.root_doc != "index":
        yield "index", {}, "redirect.html"


def no_signature_of_data(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, *rest: Any
) -> tuple[str, str] | None:
    """Show a type alias without the signature of the class behind it."""
    return ("", "") if what == "data" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    formulas.render_with_pip_node()
    boxes.setup(app)
    head.setup(app)
    app.set_translator("html", writer.Writer)
    app.connect("config-inited", use_our_templates)
    app.connect("html-collect-pages", address_of_the_site)
    app.connect("autodoc-process-signature", no_signature_of_data)
    # The style sheets to join are noted by the process that writes the pages.
    return {"parallel_read_safe": True, "parallel_write_safe": False}
