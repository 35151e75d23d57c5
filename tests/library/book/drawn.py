"""What a reader sees of a drawing: its words and where they stand, its marks."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from IPython.display import HTML
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Words:
    """A text, its name, and the box that it fills in a wide face."""

    text: str
    name: str
    x: float
    box: Box
    size: float


@functools.cache
def width(text: str, size: float, bold: bool) -> float:
    """Return the width in DejaVu Sans, the widest of the usual faces."""
    face = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    return float(TextPath((0, 0), text, size=size, prop=face).get_extents().width)


class Drawn:
    """A parsed drawing."""

    def __init__(self, shown: HTML) -> None:
        self.text = str(shown.data)
        self.figure = ElementTree.fromstring(self.text)
        found = self.figure.find("svg")
        assert found is not None
        self.svg = found
        _, _, self.wide, self.high = map(float, self.svg.attrib["viewBox"].split())
        self.size = float(self.svg.attrib["font-size"])
        self.words = [self._words(e) for e in self.svg.iter("text")]

    def _words(self, e: ElementTree.Element) -> Words:
        size = float(e.get("font-size", self.size))
        x, y, text = float(e.attrib["x"]), float(e.attrib["y"]), str(e.text)
        w = width(text, size, "font-weight" in e.attrib)
        left = x - w * {"start": 0, "middle": 0.5, "end": 1}[e.attrib["text-anchor"]]
        box = (left, y - 0.75 * size, left + w, y + 0.05 * size)
        return Words(text, e.get("data-name", ""), x, box, size)

    def named(self, name: str) -> list[str]:
        """Return the texts of this name, in the order in which they were drawn."""
        return [w.text for w in self.words if w.name == name]

    def numbers(self, name: str) -> list[float]:
        """Return the first number in each text of this name."""
        found = [re.search(r"-?[\d,]*\.?\d+", text) for text in self.named(name)]
        return [float(m.group().replace(",", "")) for m in found if m is not None]

    def rects(self, kind: str = "") -> list[tuple[Box, ElementTree.Element]]:
        """Return boxes whose class has ``kind`` in it."""
        out = []
        for e in self.svg.iter("rect"):
            x, y, w, h = (float(e.attrib[k]) for k in ("x", "y", "width", "height"))
            if kind in e.attrib["class"]:
                out.append(((x, y, x + w, y + h), e))
        return out

    def circles(self, kind: str = "") -> list[tuple[float, float, float]]:
        """Return x, y and r of circles whose class has ``kind`` in it."""
        return [
            (float(e.attrib["cx"]), float(e.attrib["cy"]), float(e.attrib["r"]))
            for e in self.svg.iter("circle")
            if kind in e.attrib["class"]
        ]

    def paths(self, kind: str = "") -> Iterator[list[tuple[float, float]]]:
        """Yield the points of straight paths whose class has ``kind`` in it."""
        for e in self.svg.iter("path"):
            d = e.attrib["d"]
            if kind in e.attrib["class"] and "q" not in d:
                pairs = d.removeprefix("M").split("L")
                yield [(float(p.split()[0]), float(p.split()[1])) for p in pairs]

    def tips(self, color: str) -> list[tuple[float, float]]:
        """Return where the arrows of a color point."""
        return [p[0] for p in self.paths(f"draw-f-{color}") if len(p) == 3]
