"""What a table is told of itself: columns of text, too wide for the text, cards."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from docutils import nodes  # type: ignore[import-untyped]
from offline_site import tables

LONG = "a sentence, at some length"
SHORT = LONG[:23]
NUMBER = ["text-right"]


def cell(content: str | nodes.Node, classes: list[str]) -> nodes.entry:
    inside = nodes.Text(content) if isinstance(content, str) else content
    return nodes.entry("", nodes.paragraph("", "", inside), classes=[*classes])


def table(
    names: list[str | nodes.Node], *rows: list[str], numbers: tuple[int, ...] = ()
) -> nodes.table:
    """Return a table as MyST makes it; ``numbers`` are columns set to the right."""

    def row(cells: list[str | nodes.Node]) -> nodes.row:
        kinds = [NUMBER if i in numbers else ["text-left"] for i in range(len(cells))]
        return nodes.row("", *map(cell, cells, kinds))

    group = nodes.tgroup("", *[nodes.colspec() for _ in names], cols=len(names))
    group += nodes.thead("", row(names))
    group += nodes.tbody("", *[row([*each]) for each in rows])
    return nodes.table("", group)


def marked(found: nodes.table) -> nodes.table:
    tables.mark(found)
    return found


def classes(found: nodes.table) -> list[list[str]]:
    """Return what was added to the cells below the header, row by row."""
    return [
        [c for c in entry["classes"] if c not in ("text-left", *NUMBER)]
        for body in found.findall(nodes.tbody)
        for entry in body.findall(nodes.entry)
    ]


def labels(found: nodes.table) -> list[str]:
    return [e["told"]["data-label"] for e in found.findall(tables.told_cell)]


def test_rows_of_sentences_become_cards_and_cells_know_their_column() -> None:
    names: list[str | nodes.Node] = ["claim", "paper", "n"]
    found = marked(table(names, [LONG, LONG, "3"], ["a", "b", "4"], numbers=(2,)))
    assert found["classes"] == ["cards"]
    assert labels(found) == ["claim", "paper", "n"] * 2
    assert classes(found) == [["long"], ["long"], []] * 2
    last = list(found.findall(tables.told_cell))[-1]
    assert last.astext() == "4" and last["classes"] == NUMBER
    assert len(list(found.findall(nodes.entry))) == 9


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [
        ([[LONG, SHORT]], ()),  # one column of sentences leaves room for another
        ([[LONG, LONG]], (1,)),  # an interval is long, but no sentence
    ],
)
def test_other_tables_stay_tables(
    rows: list[list[str]], numbers: tuple[int, ...]
) -> None:
    found = marked(table(["a", "b"], *rows, numbers=numbers))
    assert found["classes"] == [] and labels(found) == []


def test_a_column_is_as_long_as_its_longest_cell_not_its_name() -> None:
    found = marked(table([LONG, "b", "c"], ["x", "x" * 12, "x" * 11], ["x"] * 3))
    assert classes(found) == [[], ["words"], []] * 2


def test_a_formula_cannot_be_the_name_in_a_card() -> None:
    formula = nodes.math("", r"\mu")
    found = marked(table(["a", formula], [LONG, LONG]))
    assert found["classes"] == [] and labels(found) == []
    assert classes(found) == [["long"], ["long"]]


@pytest.mark.parametrize(("digits", "found"), [(35, []), (36, ["full-width"])])
def test_what_is_wider_than_the_text_takes_the_margin(
    digits: int, found: list[str]
) -> None:
    values = ["1" * digits, "1" * 35]  # with the gaps beside them, 76 characters
    assert marked(table(["a", "b"], values, numbers=(0, 1)))["classes"] == found


def test_sentences_break_and_words_do_not() -> None:
    assert tables.kind((cell("a b", []), cell("x y " * 30, []))) == ("long", 19)
    word = "x" * 40
    assert tables.kind((cell("a b", []), cell(word, []))) == ("long", 40)
    assert tables.kind((cell(word, NUMBER), cell("1 ± 2", NUMBER))) == ("", 40)
    assert tables.kind((cell("a b", NUMBER), cell("1 ± 2", NUMBER))) == ("", 5)
    assert tables.kind((cell("a b", []),)) == ("", 1)


def test_what_is_no_grid_is_left_alone() -> None:
    inner = table(["a", "b"], [LONG, LONG])
    outer = table(["a", "b"], [LONG, LONG])
    next(iter(outer.findall(nodes.entry))).append(inner)
    spanned = table(["a", "b"], [LONG, LONG])
    next(iter(spanned.findall(nodes.entry)))["morecols"] = 1
    stub = table(["a", "b"], [LONG, LONG])
    next(iter(stub.findall(nodes.colspec)))["stub"] = 1
    headless = table(["a", "b"], [LONG, LONG])
    head = next(iter(headless.findall(nodes.thead)))
    head.parent.remove(head)
    for found in (inner, outer, spanned, stub, headless):
        tables.mark(found)
        assert "cards" not in str(found) and "long" not in str(found)


def test_a_cell_is_written_with_the_name_of_its_column() -> None:
    def starttag(node: nodes.Element, tag: str, suffix: str, **more: str) -> str:
        return f"<{tag} {more}>{suffix}"

    writer = SimpleNamespace(body=[], starttag=starttag)
    node = tables.told_cell("", told={"data-label": "paper"})
    tables.visit_told_cell(writer, node)
    tables.depart_told_cell(writer, node)
    assert "".join(writer.body) == "<td {'data-label': 'paper'}></td>\n"


def drawn(marks: str, *columns: list[str]) -> tuple[nodes.table, list[str]]:
    """Draw columns of a table beside one of names; return the styles of its cells."""
    rows = [["name", *cells] for cells in zip(*columns, strict=True)]
    names: list[str | nodes.Node] = ["", *("n" for _ in columns)]
    page = nodes.section("", table(names, *rows))
    page += nodes.raw("", f"<!-- dots: {marks} -->\n", format="html")
    tables.draw_asked(page)
    assert not list(page.findall(nodes.raw))
    found = next(iter(page.findall(nodes.table)))
    return found, [e["told"]["style"] for e in found.findall(tables.told_cell)]


def test_a_column_is_drawn_between_its_least_and_its_largest_number() -> None:
    found, styles = drawn("1", ["98", "99", "100 [98, 102]", "?"])
    assert found["classes"] == ["dots", "dots-1"]
    assert styles == [
        "--at: 0; --low: 0; --high: 0",
        "--at: 0.25; --low: 0.25; --high: 0.25",
        "--at: 0.5; --low: 0; --high: 1",
    ]
    assert classes(found)[::2] == [[]] * 4  # the names
    assert classes(found)[1::2] == [["dot"], ["dot"], ["dot"], []]


def test_columns_have_scales_of_their_own_and_zero_where_it_is() -> None:
    found, styles = drawn("1, 3 log, 2", ["-1", "3"], ["1", "4"], ["10", "1,000"])
    assert found["classes"] == ["dots", "dots-3"]
    assert styles[0] == "--at: 0; --low: 0; --high: 0; --zero: 0.25"
    assert styles[1] == "--at: 0.25; --low: 0.25; --high: 0.25; --zero: 0"
    assert styles[2] == "--at: 0; --low: 0; --high: 0"


def test_a_drawn_table_has_no_cards() -> None:
    found, _ = drawn("2", [LONG, LONG], ["1", "2"])
    assert "cards" not in found["classes"]


def test_tracks_need_room_as_well() -> None:
    columns = [["1234", "2"]] * 5
    narrow, _ = drawn("1", *columns)
    wide, _ = drawn("1, 2, 3, 4, 5", *columns)
    for found in (narrow, wide):
        tables.mark(found)
    assert ["full-width" in found["classes"] for found in (narrow, wide)] == [
        False,
        True,
    ]
