"""The search finds sections: an index of them, weighed here, ranked by ``search.js``.

Sphinx's index knows which page has a word. Ours knows which section, and how much the
word says about it: a number that grows with how often it is there, how short the
section is, and much if it is in a title.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple

from docutils import nodes  # type: ignore[import-untyped]
from sphinx import search
from sphinx.application import Sphinx
from sphinx.config import Config

from offline_site.sections import opening, parts, readable
from offline_site.wording import English

API = "chapters/api"
# How much a page is what readers look for; all others count as one.
ASIDE = {API: 0.2, "chapters/references": 0.4, "chapters/performance": 0.7}
ASIDE |= {"chapters/appendix": 0.6, "chapters/glossary": 0.5, "chapters/index": 0.5}
LENGTH = 120  # words of a section of usual length


class Section(NamedTuple):
    """A part of a page with a title of its own, and what each of its words weighs."""

    anchor: str  # none for the page itself
    title: str
    text: str  # its first words
    weights: dict[str, int]  # by stem


def stems(text: str, lang: search.SearchLanguage) -> list[str]:
    """Return the stems of the words that say something."""
    found = ((word, lang.stem(word)) for word in lang.split(text))
    return [
        stem
        for word, stem in found
        if lang.word_filter(word) and len(stem) > 1 and not stem.isdigit()
    ]


def weigh(
    title: list[str], page: list[str], text: list[str], share: float
) -> dict[str, int]:
    """Return what each stem weighs, at most about 40, for a page's share of readers."""
    length = 0.4 + 0.6 * len(text) / LENGTH
    weights = {word: 10 * n / (n + length) for word, n in Counter(text).items()}
    for words, most in ((title, 22), (page, 8)):
        for word in set(words):
            weights[word] = weights.get(word, 0) + most / math.sqrt(len(set(words)))
    return {word: max(1, round(share * w)) for word, w in weights.items()}


class Index(search.IndexBuilder):
    """The index of a site by section; objects of the API are found as Sphinx does."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pages: dict[str, list[Section]] = {}

    def feed(
        self, docname: str, filename: str, title: str, doctree: nodes.document
    ) -> None:
        """Take the sections of a page into the index."""
        self._titles[docname], self._filenames[docname] = title, filename
        share = next((s for p, s in ASIDE.items() if docname.startswith(p)), 1.0)
        of_page = stems(title, self.lang)
        self.pages[docname] = []
        for anchor, name, content in parts(doctree):
            text = stems(" ".join(map(readable, content)), self.lang)
            weights = weigh(stems(name, self.lang), of_page, text, share)
            section = Section(anchor, name, opening(content), weights)
            self.pages[docname].append(section)

    def prune(self, docnames: Iterable[str]) -> None:
        """Forget the other pages."""
        kept = set(docnames)
        for by_page in (self.pages, self._titles, self._filenames):
            for gone in by_page.keys() - kept:
                del by_page[gone]

    def freeze(self) -> dict[str, Any]:
        """Return what the browser gets, the pages in the order of the book."""
        names = [n for n in reading_order(self.env) if n in self.pages]
        sections: list[tuple[int, str, str, str]] = []
        words: defaultdict[str, list[int]] = defaultdict(list)
        for page, name in enumerate(names):
            for section in self.pages[name]:
                for word, weight in section.weights.items():
                    words[word] += [len(sections), weight]
                sections.append((page, *section[:3]))
        return {
            "docnames": names,
            "filenames": [self._filenames[name] for name in names],
            "titles": [self._titles[name] for name in names],
            "objects": self.get_objects({name: i for i, name in enumerate(names)}),
            "objnames": self._objnames,
            "sections": sections,
            "words": words,
            "envversion": self.env.version,
        }

    def load(self, stream: IO[str], format: Any) -> None:
        """Read what a build before this one has written.

        Raises
        ------
        ValueError
            If another version of Sphinx, or of this module, has written it.
        """
        frozen = format.load(stream)
        if frozen.get("envversion") != self.env.version or "words" not in frozen:
            raise ValueError("the index has another format")
        names = frozen["docnames"]
        self._titles.update(zip(names, frozen["titles"], strict=True))
        self._filenames.update(zip(names, frozen["filenames"], strict=True))
        self.pages = {name: [] for name in names}
        found = []
        for page, anchor, title, text in frozen["sections"]:
            found.append(Section(anchor, title, text, {}))
            self.pages[names[page]].append(found[-1])
        for word, numbers in frozen["words"].items():
            for place, weight in zip(numbers[::2], numbers[1::2], strict=True):
                found[place].weights[word] = weight


def reading_order(env: Any) -> list[str]:
    """Return the names of all pages as a reader turns them, strays last."""
    following = env.collect_relations()
    name, order = env.config.root_doc, []
    while name and name not in order:
        order.append(name)
        name = following.get(name, (None, None, None))[2]
    return order + sorted(env.all_docs.keys() - set(order))


def use_ranking(app: Sphinx, config: Config) -> None:
    """Let the script of the search page rank and show what is found."""
    config.html_search_scorer = str(Path(__file__).with_name("search.js"))


def setup(app: Sphinx) -> None:
    """Register with Sphinx, which makes its index from this name."""
    app.add_search_language(English)
    search.IndexBuilder = Index  # type: ignore[assignment, misc]
    app.connect("config-inited", use_ranking)
