"""The tones of a color: as a line, as text, and both on a dark page."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DARK", "ON_BAR", "TEXT", "TONES", "Tone"]


class Tone(NamedTuple):
    """One color, as six hexadecimal digits.

    Attributes
    ----------
    line
        For lines, markers and areas on white, 3:1 or more.
    text
        For text on white, 4.5:1 or more.
    dark
        For all of them on near-black (#121212), 4.5:1 or more.
    """

    line: str
    text: str
    dark: str


TONES = {
    "blue": Tone("#0072b2", "#0069a3", "#3f97df"),
    "vermilion": Tone("#d55e00", "#b34f00", "#f0752b"),
    "green": Tone("#009e73", "#007d5b", "#3ccb9e"),
    "pink": Tone("#cc79a7", "#ad5486", "#f0b3d7"),
    "gray": Tone("#808080", "#6a6a6a", "#8e8e8e"),
    "ink": Tone("#4a5056", "#4a5056", "#b6bcc2"),
}
"""The colors of the figures, which also color-blind readers tell apart, in each mode.

A color that is not among them stays as it is in both: black on a bright map of colors.
"""

TEXT = {tone.line: tone.text for tone in TONES.values()}
"""The tone for text of each color for lines."""

ON_BAR = {"#ffffff": "#fefefe", "#000000": "#010101"}
"""White and black where they stand on a bar, of which the color has a dark tone."""

DARK = {
    **{light: tone.dark for tone in TONES.values() for light in tone[:2]},
    **dict.fromkeys(ON_BAR.values(), "#121212"),  # the dark tones of bars are bright
}
"""What each tone becomes on a dark page."""
