"""Labels of works: authors and year, the same in the text and in the list."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docutils import nodes  # type: ignore[import-untyped]
from docutils.utils import new_document  # type: ignore[import-untyped]
from offline_site import labels, previews
from pybtex.database import Entry, Person  # type: ignore[import-untyped]


def work(*authors: str, year: str = "2016", **fields: str) -> Any:
    people = [Person(name) for name in authors]
    fields = {"title": "T", "year": year} | fields
    return Entry("article", fields=fields, persons={"author": people} if people else {})


@pytest.mark.parametrize(
    ("authors", "label"),
    [
        (["Polyak, Boris T."], "Polyak, 2016"),
        (["Kingma, D. P.", "Ba, J."], "Kingma and Ba, 2016"),
        (["Abadi, M.", "Chu, A.", "Goodfellow, I."], "Abadi et al., 2016"),
        (["van den Berg, E."], "van den Berg, 2016"),
        ([r"Nov{\'a}k, P."], "Novák, 2016"),
    ],
)
def test_a_work_is_named_by_authors_and_year(authors: list[str], label: str) -> None:
    assert labels.label(work(*authors)) == label


def test_what_has_no_author_or_year_has_a_label_all_the_same() -> None:
    entry = Entry("misc", fields={"title": "T"})
    entry.key = "mnist"
    assert labels.label(entry) == "mnist, undated"


def test_the_same_authors_and_year_get_letters() -> None:
    works = [work("Han, S."), work("Ba, J."), work("Han, S."), work("Han, S.")]
    found = list(labels.AuthorYearLabels().format_labels(works))
    assert found == ["Han, 2016a", "Ba, 2016", "Han, 2016b", "Han, 2016c"]


def test_the_list_uses_these_labels() -> None:
    [entry] = labels.AuthorYearStyle().format_entries([work("Polyak, B.", journal="J")])
    assert entry.label == "Polyak, 2016"


def test_a_formula_in_a_title_becomes_one() -> None:
    document = new_document("page")
    paragraph = nodes.paragraph("", "does not need $O(n^2)$ memory.")
    document += nodes.citation("", nodes.label("", "A"), paragraph)
    document += nodes.paragraph("", "no $5 here, no $6")
    labels.Formulas(document).run()
    kinds = [type(node) for node in paragraph]
    assert kinds == [nodes.Text, nodes.math, nodes.Text]
    assert paragraph[1].astext() == "O(n^2)"
    assert "$" not in paragraph.astext() and "$5" in document.astext()


def test_the_entries_of_a_page_are_one_small_file(tmp_path: Path) -> None:
    body = """<div class="citation-list"><div class="citation" id="id1">
      <span class="label">A</span><p>One, <em>two</em>.</p></div></div>
      <p id="x">no</p>"""
    tree = new_document("references")
    app: Any = SimpleNamespace(outdir=tmp_path)
    previews.write_works(app, "page", "", {"body": body}, tree)
    assert not (tmp_path / previews.FILE).exists()  # no bibliography on it
    tree += nodes.citation("", nodes.label("", "A"), nodes.paragraph("", "One"))
    previews.write_works(app, "references", "", {"body": body}, tree)
    written = json.loads((tmp_path / previews.FILE).read_text("utf8"))
    assert written == {"id1": "One, <em>two</em>."}
