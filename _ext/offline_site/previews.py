"""The works of the bibliography as one small file, for the cards beside citations.

``_static/previews.js`` loads it from the site itself when a reader first asks for a
work. What else a card shows is taken from the page that it is on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.config import Config

FILE = "_static/works.json"


def works(body: str) -> dict[str, str]:
    """Return the entry of each work of a page, as HTML, by its id."""
    soup = BeautifulSoup(body, "html.parser")
    return {
        str(entry["id"]): "".join(p.decode_contents() for p in entry.find_all("p"))
        for entry in soup.select(".citation[id]")
    }


def write_works(
    app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any
) -> None:
    """Write the file, if this is the page of the bibliography."""
    if tree and next(tree.findall(nodes.citation), None) is not None:
        path = Path(app.outdir, FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(works(context["body"]), ensure_ascii=False)
        path.write_text(text, encoding="utf8")


def leave_tooltips_out(app: Sphinx, config: Config) -> None:
    """Leave out the title that each citation would have: it is the entry once more."""
    config.bibtex_tooltips = False


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.connect("html-page-context", write_works)
    app.connect("config-inited", leave_tooltips_out)
