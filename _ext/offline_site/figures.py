"""Figures as SVG: four files for each, of which a reader loads the one that fits.

A notebook stores a figure at the width of a page, and as another type the one for a
phone. Before a page is read (`keep_narrow`), the second is taken out of the notebook
and put beside the file that myst-nb will write for the first. Before the page is
written (`Figures`), both get a dark variant and stand in two ``<picture>`` elements, of
which the style sheet shows the one of the mode. They are in a link to the file, which
the script makes enlarge the figure.
"""

from __future__ import annotations

import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.osutil import relative_uri

from deepopt_lib.book.svg import NARROW_TYPE
from deepopt_lib.book.tones import DARK

WIDE_TYPE = "image/svg+xml"
PHONE = "(max-width: 600px)"
MODES = ("light", "dark")
GROUND = re.compile(r' style="background:[^"]*"', re.ASCII)
SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"')
COLOR = re.compile("|".join(DARK))


class drawing(nodes.General, nodes.Element):  # type: ignore[misc]  # noqa: N801
    """A figure in its four variants."""


def keep_narrow(app: Sphinx, page: str, source: list[str]) -> None:
    """Take the figures for a phone out of a notebook, and keep each as a file."""
    if NARROW_TYPE not in source[0]:
        return
    folder = Path(app.outdir).parent / "jupyter_execute"  # where myst-nb writes
    folder.mkdir(parents=True, exist_ok=True)
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            narrow = "".join(data.pop(NARROW_TYPE, ""))
            if narrow and WIDE_TYPE in data:
                lines = "".join(data[WIDE_TYPE]).splitlines()
                name = hashlib.sha256("\n".join(lines).encode()).hexdigest()
                narrow_file(folder / f"{name}.svg").write_text(narrow, "utf8")
    source[0] = json.dumps(notebook)


def narrow_file(wide: Path) -> Path:
    """Return the file of a figure for a phone, beside that for a page."""
    return wide.with_suffix(".narrow.svg")


def in_mode(text: str, mode: str) -> str:
    """Return an SVG without its background, in the colors of a mode."""
    text = GROUND.sub("", text, count=1)
    return COLOR.sub(lambda m: DARK[m[0]], text) if mode == "dark" else text


def size(text: str) -> str:
    """Return the attributes that keep the place of an SVG, in CSS pixels."""
    found = SIZE.search(text)
    if found is None:
        raise ValueError(f"an SVG without a size in points: {text[:80]!r}")
    width, height = (round(float(points) * 96 / 72) for points in found.groups())
    return f'width="{width}" height="{height}"'


def draw(page: nodes.Element, source: Path, site: Path) -> None:
    """Replace each picture of a page in ``source`` that has a variant for a phone."""
    for i, image in enumerate(list(page.findall(nodes.image))):
        wide = source / image["uri"]
        if wide.suffix != ".svg" or not narrow_file(wide).is_file():
            continue
        name = next(iter(image.parent["ids"]), wide.stem[:16])
        texts = {"": wide.read_text("utf8")}
        texts["-phone"] = narrow_file(wide).read_text("utf8")
        write(site / "_images", name, texts)
        sizes = {width: size(text) for width, text in texts.items()}
        alt = image.get("alt", "")
        image.replace_self(drawing("", name=name, alt=alt, sizes=sizes, first=not i))


def write(folder: Path, name: str, texts: dict[str, str]) -> None:
    """Write a figure of two widths in both modes."""
    folder.mkdir(parents=True, exist_ok=True)
    for mode in MODES:
        for width, text in texts.items():
            file = folder / f"{name}{width}-{mode}.svg"
            file.write_text(in_mode(text, mode), "utf8")


class Figures(SphinxPostTransform):
    """Change the pictures of a page after `code` has seen them."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Write the four files of each figure and note where they are."""
        draw(self.document, Path(self.env.srcdir), Path(self.app.outdir))


def visit_drawing(writer: Any, node: nodes.Element) -> None:
    """Write a link to the file, with a picture for each mode."""
    builder, sizes = writer.builder, node["sizes"]
    page = builder.get_target_uri(builder.current_docname)
    base = relative_uri(page, f"_images/{node['name']}")
    parts = [f'<a class="drawn" href="{base}-light.svg">']
    for mode in MODES:
        wait = "" if node["first"] and mode == "light" else ' loading="lazy"'
        parts.append(
            f'<picture class="drawn-{mode}"><source media="{PHONE}" '
            f'srcset="{base}-phone-{mode}.svg" {sizes["-phone"]} />'
            f'<img src="{base}-{mode}.svg" {sizes[""]} alt="{escape(node["alt"])}" '
            f'decoding="async"{wait} /></picture>'
        )
    writer.body.append("".join(parts) + "</a>\n")


def depart_drawing(writer: Any, node: nodes.Element) -> None:
    """Nothing is left open."""


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_node(drawing, html=(visit_drawing, depart_drawing))
    app.connect("source-read", keep_narrow)
    app.add_post_transform(Figures)
