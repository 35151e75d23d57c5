"""A panel: two axes and the marks between them, drawn by Python once."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepopt_lib.book.live.cells import Cells, Label
from deepopt_lib.book.live.frame import WIDTH, Axis, Frame
from deepopt_lib.book.live.markers import Markers
from deepopt_lib.book.live.marks import Boxes, Line, Points

__all__ = ["Mark", "Panel"]

Mark = Line | Points | Markers | Boxes | Cells | Label


@dataclass(frozen=True)
class Panel:
    """What is drawn over two axes; ``alt`` says what is seen before anything moves.

    The axes stay as they are while the reader moves, so that pictures can be compared.
    A ``bare`` panel has no ticks. ``height`` is in units, of which a panel is 320 wide.

    Raises
    ------
    ValueError
        If there is no mark, or ``alt`` is empty.
    """

    x: Axis
    y: Axis
    marks: Sequence[Mark] = field(default_factory=list)
    alt: str = ""
    height: int = 230
    bare: bool = False

    def __post_init__(self) -> None:
        """Check that there is something to see, and words for it."""
        if not self.marks:
            raise ValueError("a panel needs a mark, got none")
        if not self.alt.strip():
            raise ValueError("alt must say what is seen, got an empty text")

    @property
    def frame(self) -> Frame:
        """The coordinates."""
        return Frame(self.x, self.y, self.height, self.bare)

    def spec(self) -> dict[str, Any]:
        """Return what ``live.js`` has to know."""
        return {
            "x": self.x.spec(),
            "y": self.y.spec(),
            "box": list(self.frame.box),
            "height": self.height,
            "marks": [mark.spec() for mark in self.marks],
        }

    def markup(self, values: Mapping[str, Any]) -> str:
        """Return the picture of some results, with its key."""
        frame = self.frame
        left, top, width, height = frame.box
        drawn = "".join(mark.svg(frame, values) for mark in self.marks)
        return (
            f'<div class="live-panel"><div class="live-stage">'
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} '
            f'{self.height}" role="img" aria-label="{html.escape(self.alt)}" '
            f'font-size="12" fill="currentColor">{frame.svg()}'
            f'<svg x="{left}" y="{top}" width="{width}" height="{height}" '
            f'overflow="hidden">{drawn}</svg></svg></div>{self._key()}</div>'
        )

    def _key(self) -> str:
        """Return the samples of the marks that have a label."""
        samples = [
            '<span><svg xmlns="http://www.w3.org/2000/svg" width="26" height="10" '
            f'aria-hidden="true">{mark.sample()}</svg> {html.escape(mark.label)}</span>'
            for mark in self.marks
            if mark.label
        ]
        return f'<p class="live-key">{"".join(samples)}</p>' if samples else ""
