"""One label for a work, in the text and in the list: [Kingma and Ba, 2015].

The list of `sphinxcontrib.bibtex` gets a style with such labels, and its references
show the label of the entry that they lead to, with the letter that tells two works of
the same authors and year apart. Formulas in a title become formulas.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import count
from string import ascii_lowercase
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from pybtex.database import Entry, Person  # type: ignore[import-untyped]
from pybtex.plugin import register_plugin  # type: ignore[import-untyped]
from pybtex.richtext import Text  # type: ignore[import-untyped]
from pybtex.style.formatting.alpha import Style  # type: ignore[import-untyped]
from pybtex.style.labels import BaseLabelStyle  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform

STYLE = "author_and_year"
FORMULA = re.compile(r"\$([^$]+)\$")


def last_name(person: Person) -> str:
    """Return the last name with its particles, "de Moivre"."""
    parts = (*person.prelast_names, *person.last_names)
    return " ".join(str(Text.from_latex(part)) for part in parts)


def label(entry: Entry) -> str:
    """Name a work by its authors, of three or more the first alone, and its year."""
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [last_name(person) for person in people] or [entry.key]
    who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return f"{who}, {entry.fields.get('year', 'undated')}"


class AuthorYearLabels(BaseLabelStyle):  # type: ignore[misc]
    """Labels of a bibliography, "2016a" and "2016b" where two would be the same."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        """Yield the label of each entry, in the order of the list."""
        labels = [label(entry) for entry in sorted_entries]
        times = Counter(labels)
        place: defaultdict[str, Iterator[int]] = defaultdict(count)
        for text in labels:
            letter = ascii_lowercase[next(place[text])] if times[text] > 1 else ""
            yield text + letter


class AuthorYearStyle(Style):  # type: ignore[misc]
    """Entries sorted and formatted as in the style alpha, with other labels."""

    default_label_style = AuthorYearLabels


class Formulas(SphinxPostTransform):
    """Make formulas of what stands between dollars in the entries.

    The list is there from priority 5 on.
    """

    default_priority = 6

    def run(self, **kwargs: Any) -> None:
        """Replace them, in every text of every entry."""
        for entry in self.document.findall(nodes.citation):
            for text in list(entry.findall(nodes.Text)):
                parts = FORMULA.split(text.astext())
                if len(parts) > 1:
                    kinds = (nodes.Text, lambda part: nodes.math(part, part))
                    found = [kinds[i % 2](part) for i, part in enumerate(parts)]
                    text.parent.replace(text, found)


def use_labels(app: Sphinx, config: Config) -> None:
    """Choose the style of the list, and references that show its labels."""
    config.bibtex_default_style = STYLE
    config.bibtex_reference_style = "label"


def setup(app: Sphinx) -> None:
    """Register with pybtex and Sphinx."""
    register_plugin("pybtex.style.formatting", STYLE, AuthorYearStyle)
    app.add_post_transform(Formulas)
    app.connect("config-inited", use_labels)
