"""How pictures and citations are written: Sphinx's writer, with other attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.util.images import get_image_size
from sphinx.writers.html5 import HTML5Translator


class Writer(HTML5Translator):
    """Reserves the place of each picture; loads those further down when they are near.

    Names no role of a citation: ARIA does not allow them where docutils puts them.
    """

    meta: list[str]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pictures = 0
        # The theme's template has it.
        self.meta = [tag for tag in self.meta if 'name="viewport"' not in tag]

    def visit_image(self, node: nodes.Element) -> None:
        """Measure the picture before its address becomes that of the site."""
        size = get_image_size(str(Path(self.builder.srcdir, node["uri"])))
        place: dict[str, str] = {"decoding": "async"}
        if size and "width" not in node:
            place |= {"width": str(size[0]), "height": str(size[1])}
        if self.pictures:
            place["loading"] = "lazy"
        self.pictures += 1
        node["place"] = place
        super().visit_image(node)

    def starttag(
        self,
        node: nodes.Element,
        tagname: str,
        suffix: str = "\n",
        empty: bool = False,
        **attributes: Any,
    ) -> str:
        """Write a tag, that of a picture with the place it takes."""
        if tagname == "img":
            attributes |= node.get("place", {})
        return str(super().starttag(node, tagname, suffix, empty, **attributes))

    def visit_citation(self, node: nodes.Element) -> None:
        """Open an entry of the references, and before the first their list."""
        if not isinstance(node.previous_sibling(), nodes.citation):
            self.body.append('<div class="citation-list">\n')
        self.body.append(self.starttag(node, "div", CLASS="citation"))
