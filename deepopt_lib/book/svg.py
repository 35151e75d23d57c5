"""Figures as SVG: small, the same bytes at every run, and twice in a notebook's output.

The text is text: whoever shows it uses the letters of the system, which are as wide as
those of Matplotlib or less.
"""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from importlib import import_module
from io import BytesIO, StringIO
from typing import Any

import matplotlib as mpl
from IPython.core.getipython import get_ipython
from matplotlib.collections import Collection, QuadMesh
from matplotlib.figure import Figure
from PIL import Image

from deepopt_lib.book.legible import SMALLEST
from deepopt_lib.book.widths import NARROW, drawn_at

__all__ = ["FONT", "NARROW_TYPE", "bundle", "fewer_colors", "install", "render"]

NARROW_TYPE = "application/vnd.deepopt.narrow+svg"
"""The mimetype of a figure drawn for a phone."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
SETTINGS: dict[Any, str] = {"svg.fonttype": "none", "svg.hashsalt": "deepopt"}
NO_DATE = dict.fromkeys(["Creator", "Date", "Format", "Type"])
HEAVY = 2000  # parts from which on an artist is stored as pixels
PIXELS = 200  # of these, per inch
SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
HREF = f"{{{LINK}}}href"
LONG = re.compile(r"-?\d*\.\d{3,}(?:e-?\d+)?")
FAMILY = re.compile(r"font-family: [^;]*;? ?")
SIZE = re.compile(r"(?<=font-size:)([\d.]+)(?=px)")
UNTURNED = re.compile(r"\s*rotate\(-?0(?: [^)]*)?\)")


def install() -> None:
    """Have the notebook that this runs in, if any, store each figure by `bundle`."""
    shell = get_ipython()
    if shell is None or shell.display_formatter is None:
        return
    if "inline" in mpl.get_backend():  # registers PNG when it is loaded
        import_module("matplotlib_inline.backend_inline")
    for formatter in shell.display_formatter.formatters.values():
        formatter.pop(Figure, None)
    shell.display_formatter.mimebundle_formatter.for_type(Figure, bundle)


def bundle(fig: Figure) -> dict[str, str]:
    """Return a figure at both widths by mimetype, on white in its own."""
    wide = float(fig.get_size_inches()[0])
    return {
        "image/svg+xml": render(fig, wide, ground="#fff"),
        NARROW_TYPE: render(fig, NARROW),
    }


def render(fig: Figure, width: float, ground: str = "") -> str:
    """Return a figure at a width in inches as SVG; ``ground`` is a color behind it."""
    for heap in fig.findobj(Collection):
        parts = heap.get_array() if isinstance(heap, Collection) else None
        if isinstance(heap, QuadMesh) or len(() if parts is None else parts) > HEAVY:
            heap.set_rasterized(True)
    drawn = StringIO()
    with mpl.rc_context(SETTINGS), drawn_at(fig, width):
        fig.savefig(drawn, format="svg", dpi=PIXELS, metadata=NO_DATE)
    return _compact(drawn.getvalue(), ground)


def _compact(text: str, ground: str = "") -> str:
    """Return Matplotlib's SVG without what a reader does not see."""
    root = ET.fromstring(text)
    for found in root.findall(f"{{{SVG}}}metadata"):
        root.remove(found)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    for node in root.iter():
        _shorten(node, used)
    for formula in root.iter(f"{{{SVG}}}text"):
        _join(formula)
    _clean(root)
    root.set("font-family", FONT)
    if ground:
        root.set("style", f"background:{ground}")
    for node in root.iter():
        node.text = node.text if (node.text or "").strip() else None
        node.tail = None
    for node in root:
        node.tail = "\n"
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", LINK)
    return ET.tostring(root, encoding="unicode")


def _shorten(node: ET.Element, used: set[str]) -> None:
    """Shorten the attributes of an element; drop an id that nothing refers to."""
    if node.get("id") not in used:
        node.attrib.pop("id", None)
    for key, value in list(node.attrib.items()):
        if key == HREF and value.startswith("data:"):
            node.set(key, fewer_colors(value))
            continue
        value = LONG.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), value)
        if key == "style":
            value = re.sub(r"([;:]) ", r"\1", FAMILY.sub("", value))
        elif key == "d":
            value = re.sub(r"\s*([A-Za-z])\s*", r"\1", value).strip()
        elif key == "transform":
            value = UNTURNED.sub("", value)
        elif key == "x" and node.tag == f"{{{SVG}}}tspan":
            value = value.split()[0]  # of each letter, in another font
        node.set(key, value)
        if not value:
            del node.attrib[key]


def _join(formula: ET.Element) -> None:
    """Join the letters of a formula that stand side by side; make no text too small.

    Another font than Matplotlib's would pull them apart.
    """
    last, at = None, 0.0
    for part in list(formula):
        style = part.get("style", "")
        part.set("style", SIZE.sub(lambda m: f"{max(float(m[1]), SMALLEST):g}", style))
        x, size = float(part.get("x", 0)), float(SIZE.findall(style)[0])
        same = last is not None and all(
            part.get(key) == last.get(key) for key in ("y", "style")
        )
        if last is not None and same and 0 < x - at < 0.75 * size:
            last.text = (last.text or "") + (part.text or "")
            formula.remove(part)
        else:
            last = part
        at = x


def _clean(node: ET.Element) -> None:
    """Drop what is not seen; replace each group without attributes by what it holds."""
    for child in list(node):
        _clean(child)
        if child.tag == f"{{{SVG}}}g" and not child.attrib:
            at = list(node).index(child)
            node[at : at + 1] = list(child)
        elif child.tag == f"{{{SVG}}}path" and child.get("style") == "fill:none":
            node.remove(child)


def fewer_colors(address: str) -> str:
    """Return an embedded picture with at most 256 colors: a third of the bytes.

    One of them is transparent.
    """
    head, _, data = address.partition(",")
    picture = Image.open(BytesIO(base64.b64decode(data))).convert("RGBA")
    few = picture.convert("RGB").quantize(255, dither=Image.Dither.NONE)
    few.putpalette([*(few.getpalette() or []), *bytes(768)][:768])
    few.paste(255, mask=picture.getchannel("A").point(lambda a: 255 * (a < 128)))
    stored = BytesIO()
    few.save(stored, "png", optimize=True, transparency=255)
    fewer = base64.b64encode(stored.getvalue()).decode()
    return f"{head},{fewer}" if len(fewer) < len(data) else address
