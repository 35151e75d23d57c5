"""The line of facts below a title, and the minutes that it counts."""

from __future__ import annotations

import pytest
from docutils import nodes  # type: ignore[import-untyped]
from docutils.utils import new_document  # type: ignore[import-untyped]
from offline_site import facts


def page(*parts: nodes.Node) -> nodes.document:
    document = new_document("page")
    document += nodes.section("", nodes.title("", "Momentum"), *parts)
    return document


def words(n: int) -> nodes.paragraph:
    return nodes.paragraph("", " ".join(["word"] * n))


def table(n: int) -> nodes.table:
    return nodes.table("", nodes.tgroup("", nodes.tbody("", words(n))))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([words(200)], 1),
        ([words(201)], 2),
        ([words(100), nodes.bullet_list("", nodes.list_item("", words(101)))], 2),
        ([words(200), nodes.figure("")], 2),
        ([words(150), table(1000)], 1),  # a table is looked at
        ([words(10), *[table(1)] * 5], 2),
        ([words(10), nodes.container("", words(900), classes=["solution"])], 1),
        ([words(10), nodes.container("", table(9), classes=["solution"])], 1),
    ],
)
def test_minutes_follow_from_words_and_looks(
    parts: list[nodes.Node], expected: int
) -> None:
    assert facts.minutes(page(*[p.deepcopy() for p in parts])) == expected


@pytest.mark.parametrize("level", ["Basic", "Intermediate", "Advanced"])
def test_the_line_is_marked_and_told_the_minutes(level: str) -> None:
    line = nodes.paragraph("", "", nodes.Text(f"{level} · before: "), nodes.emphasis())
    document = page(line, words(500))
    facts.Facts(document).run()
    assert line["classes"] == [facts.FACTS]
    assert line.astext() == f"{level} · 3 minutes · before: "
    assert len(line) == 2  # what follows the words is kept


@pytest.mark.parametrize("text", ["Basics first.", "A finding · before", ""])
def test_other_lines_are_left_alone(text: str) -> None:
    line = nodes.paragraph("", text)
    facts.Facts(page(line)).run()
    assert line["classes"] == [] and line.astext() == text
