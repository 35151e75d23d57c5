"""What schematics are made of: arrows, braces and cells, and the finished figure."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from IPython.display import HTML

from deepopt_lib.book.draw.metrics import SIZE, WIDTH, path, text_width, written
from deepopt_lib.book.draw.paint import paint
from deepopt_lib.book.draw.pen import MARGIN, Pen, Point

__all__ = ["Canvas"]


class Canvas(Pen):
    """A `Pen` that draws what is put together, and hands out the figure."""

    def arrow(
        self,
        start: Point,
        end: Point,
        *,
        color: str = "ink",
        width: float = 1.5,
        dashed: bool = False,
        head: float = 7.0,
    ) -> None:
        """Draw an arrow; a short one gets a shorter head. No length, no arrow."""
        (x0, y0), (x1, y1) = start, end
        length = math.hypot(x1 - x0, y1 - y0)
        if not length:
            return
        head = min(head, 0.7 * length)
        ux, uy = head * (x1 - x0) / length, head * (y1 - y0) / length
        bx, by, wing = x1 - ux, y1 - uy, 0.42
        self.curve([start, (bx, by)], color=color, width=width, dashed=dashed)
        left = (bx - wing * uy, by + wing * ux)
        right = (bx + wing * uy, by - wing * ux)
        self.curve([end, left, right], color=color, tint=1, edge=False)

    def brace(self, x0: float, x1: float, y: float, words: str) -> None:
        """Draw a brace below x0 to x1, with words at its tip or as near as they fit."""
        middle, r = (x0 + x1) / 2, min(6.0, (x1 - x0) / 4)
        d = path("M", x0, y, "q", 0, 6, r, 6, "H", middle - r, "q", r, 0, r, 6)
        d += path("q", 0, -6, r, -6, "H", x1 - r, "q", r, 0, r, -6)
        self.marks.append(f'<path d="{d}" {paint("gray", 0)}/>')
        half = text_width(words) / 2 + MARGIN
        self.text(min(max(middle, half), WIDTH - half), y + 21, words)

    def cells(
        self,
        x: float,
        y: float,
        words: Sequence[str],
        *,
        w: float,
        h: float = 26.0,
        colors: Sequence[str] | str = "gray",
        tints: Sequence[float] | float = 0.2,
        name: str = "",
    ) -> None:
        """Draw a row of cells; each with its words, its color and its tint.

        Raises
        ------
        ValueError
            If words are wider than their cell.
        """
        for i, word in enumerate(words):
            color = colors if isinstance(colors, str) else colors[i]
            tint = tints if isinstance(tints, int | float) else tints[i]
            if text_width(word) > w - 2:
                raise ValueError(f"{word!r} is wider than its cell of {w:g} units")
            self.box(x + i * w, y, w, h, color=color, tint=tint, round=0)
            if word:
                self.text(x + (i + 0.5) * w, y + h / 2, word, name=name)

    def figure(self, caption: str) -> HTML:
        """Return the drawing with its caption.

        Raises
        ------
        ValueError
            If the caption is empty.
        """
        if not caption.strip():
            raise ValueError(f"caption must say what is learned, got {caption!r}")
        title, alt = html.escape(self.title), html.escape(self.alt)
        wide, high = written(WIDTH), written(self.height)
        body = "\n".join(self.marks)
        return HTML(  # type: ignore[no-untyped-call]
            f'<figure class="drawing">\n'
            f'<svg viewBox="0 0 {wide} {high}" width="{wide}" '
            f'style="max-width:100%;height:auto" role="img" '
            f'aria-label="{title}: {alt}" font-family="sans-serif" '
            f'font-size="{written(SIZE)}" fill="none" stroke-width="1.5" '
            f'stroke-linecap="round" stroke-linejoin="round">\n'
            f"<title>{title}</title>\n<desc>{alt}</desc>\n{body}\n</svg>\n"
            f"<figcaption>{html.escape(caption)}</figcaption>\n</figure>"
        )
