"""What a cell has printed, as words and numbers: how far two versions are apart.

`skeleton` is a text without its numbers, `numbers` are these, as they are written. Two
outputs agree within a tolerance when their skeletons are equal and each number is at
most so far from its partner. The widths of columns do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tools.notebooks import PICTURES

Text = tuple[str, str]  # the kind (stdout, text/plain, ...) and what is written

SANITIZE = Path(__file__).parents[1] / "tests" / "notebooks" / "sanitize.cfg"
# No digits of a name (float32), of a version (1.2.3) or of an address (0x1f).
NUMBER = re.compile(
    r"(?<![\w.])[-+−]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?"
    r"(?:[eE][-+]?[0-9]+)?(?![0-9A-Za-z_]|\.[0-9])"
)
SPACE = re.compile(r"[ \t]+|(?<=\|)[-:]+(?=\|)|-{3,}")


def value(number: str) -> Decimal:
    """Read a number as it is printed: thousands with commas, a typographic minus."""
    return Decimal(number.replace(",", "").replace("−", "-"))


def numbers(text: str) -> list[str]:
    """Return the numbers of a text in their order, as they are printed."""
    return NUMBER.findall(text)


def skeleton(text: str) -> str:
    """Return what is left of a text without numbers and without widths of columns."""
    lines = NUMBER.sub("#", text).splitlines()
    return "\n".join(SPACE.sub(" ", line).strip() for line in lines).strip()


@dataclass(frozen=True)
class Difference:
    """Two versions of a cell's output.

    Attributes
    ----------
    words
        Whether anything but numbers differs; the numbers are not looked at then.
    moved
        The pairs of numbers that differ, as (stored, fresh).
    """

    words: bool
    moved: tuple[tuple[str, str], ...]

    @property
    def spread(self) -> Decimal:
        """The largest distance of a pair."""
        return max((abs(value(a) - value(b)) for a, b in self.moved), default=Decimal())

    def within(self, atol: float) -> bool:
        """Say whether the words agree, and each number is at most ``atol`` away."""
        return not self.words and self.spread <= Decimal(str(atol))


def difference(stored: Iterable[Text], fresh: Iterable[Text]) -> Difference:
    """Compare two versions of a cell's texts."""
    old, new = list(stored), list(fresh)
    if old == new:
        return Difference(False, ())
    frames = [[(kind, skeleton(text)) for kind, text in texts] for texts in (old, new)]
    if frames[0] != frames[1]:
        return Difference(True, ())
    pairs = (
        pair
        for (_, a), (_, b) in zip(old, new, strict=True)
        for pair in zip(numbers(a), numbers(b), strict=True)
    )
    apart = dict.fromkeys((a, b) for a, b in pairs if value(a) != value(b))
    return Difference(False, tuple(apart))


def texts(outputs: Iterable[Mapping[str, Any]]) -> list[Text]:
    """Return each text of a cell that nbval compares, cleaned as nbval cleans it.

    In the order of their kinds: an output of several kinds promises none.
    """
    found = []
    for output in outputs:
        stream = {output.get("name", ""): output.get("text", "")}
        error = {"error": f"{output.get('ename')}: {output.get('evalue')}"}
        data = error if "ename" in output else output.get("data", stream)
        for kind, content in data.items():
            if content and kind not in PICTURES:
                text = content if isinstance(content, str) else "".join(content)
                found.append((kind, clean(text)))
    return sorted(found, key=lambda each: each[0])


def clean(text: str) -> str:
    """Replace what differs at every run: addresses in memory, sizes of figures."""
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _patterns() -> list[tuple[re.Pattern[str], str]]:
    parser = ConfigParser(interpolation=None)
    parser.read(SANITIZE, encoding="utf8")
    rules = (parser[section] for section in parser.sections())
    return [(re.compile(rule["regex"]), rule["replace"]) for rule in rules]


PATTERNS = _patterns()
