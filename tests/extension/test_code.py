"""What computes a result folds after it; the idea, and what a solution shows, stays."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from docutils import nodes  # type: ignore[import-untyped]
from offline_site import code

IGNORED = ("nbval-ignore-output",)


def element(kind: str, *children: nodes.Node, **attributes: object) -> nodes.container:
    return nodes.container("", *children, nb_element=kind, **attributes)


def cell(
    source: str | None,
    *outputs: nodes.Node,
    tags: tuple[str, ...] = (),
    mode: str | None = "input",
) -> nodes.container:
    """Return a code cell as myst-nb makes it; its source is ``None`` if removed."""
    block = nodes.literal_block("", source or "", language="python")
    parts = [] if source is None else [element("cell_code_source", block)]
    parts += [element("cell_code_output", *outputs)]
    found = element("cell_code", *parts, cell_metadata={"tags": list(tags)})
    if mode:
        found["hide_mode"] = mode
    return found


def section(title: str, *children: nodes.Node) -> nodes.section:
    return nodes.section("", nodes.title("", title), *children)


def text(words: str) -> nodes.paragraph:
    return nodes.paragraph("", words)


def figure() -> nodes.figure:
    return nodes.figure("", nodes.image(uri="a.png"))


def page(*children: nodes.Node) -> nodes.Element:
    """Return a page of these parts, arranged."""
    found = nodes.container("", section("Page", *children))
    code.Arrangement(found).run()
    return found


def shown(node: nodes.Node) -> list[str]:
    """Return what is seen of a page, a line each; "label: inputs" for a fold."""
    if isinstance(node, code.code_fold):
        what = node["label"].split(" · ")[0]
        return [f"{what}: {' | '.join(child.astext() for child in node)}"]
    if isinstance(node, nodes.figure):
        return ["figure"]
    if isinstance(node, nodes.TextElement | nodes.raw):
        return [node.astext()]
    return [line for child in node.children for line in shown(child)]


def labels(node: nodes.Element) -> list[str]:
    return [fold["label"] for fold in node.findall(code.code_fold)]


def test_inputs_fold_after_the_next_result_across_paragraphs() -> None:
    helper, glued = cell("import numpy"), cell("def f(): ...")
    found = page(helper, text("one"), glued, text("two"), cell("f()", text("3")))
    fold = "How this was computed: import numpy | def f(): ... | f()"
    assert shown(found) == ["Page", "one", "two", "3", fold]


def test_each_result_has_a_fold_of_its_own() -> None:
    found = page(cell("a", text("A")), cell("b", text("B")), cell(None, text("C")))
    folds = [f"How this was computed: {name}" for name in "ab"]
    assert shown(found) == ["Page", "A", folds[0], "B", folds[1], "C"]


def test_a_result_without_input_takes_what_waits() -> None:
    found = page(cell("a"), cell(None, text("A")))
    assert shown(found) == ["Page", "A", "How this was computed: a"]


def test_what_waits_does_not_cross_a_heading_of_level_2_but_one_of_level_3() -> None:
    deep = section("Deep", text("three"), cell("c", text("C")), cell("d"))
    found = page(
        cell("a"), text("one"), section("Two", cell("b"), deep), section("Three")
    )
    assert shown(found) == [
        *("Page", "one", "Code of this section: a", "Two", "Deep", "three", "C"),
        *("How this was computed: b | c", "Code of this section: d", "Three"),
    ]
    last = found[0][3]
    assert last[0].astext() == "Two" and isinstance(last[-1], code.code_fold)


@pytest.mark.parametrize("picture", [figure(), nodes.raw("", "<svg/>", format="html")])
def test_there_is_no_fold_before_the_first_figure(picture: nodes.Node) -> None:
    sign = shown(picture)[0]
    found = page(cell("a", text("A")), section("Two", cell("b")), section("Three"))
    assert len(labels(found)) == 2
    first = section("Two", cell("b", text("B")), cell("c", picture), cell("d"))
    found = page(cell("a", text("A")), first)
    assert shown(found) == [
        *("Page", "A", "Two", "B", sign, "How this was computed: a | b | c"),
        "Code of this section: d",
    ]


def test_a_drawing_in_the_text_is_a_figure() -> None:
    found = page(cell("a", text("A")), figure(), text("one"), cell("b", text("B")))
    assert shown(found)[-3:] == ["one", "B", "How this was computed: a | b"]


def test_the_idea_is_shown_where_it_stands() -> None:
    idea = cell("w -= lr * g", text("w"), tags=("idea",))
    found = page(cell("lr = 1"), idea)
    assert shown(found) == ["Page", "w -= lr * g", "w", "How this was computed: lr = 1"]
    assert "hide_mode" not in idea
    silent = page(cell("w -= lr * g", tags=("idea",)), cell("a"))
    assert shown(silent) == ["Page", "w -= lr * g", "Code of this section: a"]


@pytest.mark.parametrize("tags", [(), ("idea",)])
def test_a_source_is_shown_and_the_call_that_shows_it_waits(
    tags: tuple[str, ...],
) -> None:
    source = nodes.literal_block("", "def f(): ...", language="python")
    call = cell("show.source(f)", source, tags=tags)
    found = page(cell("a"), call, text("one"), cell("b", text("B")))
    fold = "How this was computed: a | show.source(f) | b"
    assert shown(found) == ["Page", "def f(): ...", "one", "B", fold]


def test_a_source_that_hides_its_output_waits() -> None:
    source = nodes.literal_block("", "def f(): ...", language="python")
    long = cell("show.source(f)", source, mode="output")
    found = page(long, text("one"), cell("b", text("B")))
    assert shown(found)[:3] == ["Page", "one", "B"]
    assert labels(found) == ["How this was computed · 3 lines · run again by the tests"]
    assert "hide_mode" not in str(found)


def test_printed_text_is_a_result_and_no_source() -> None:
    printed = nodes.literal_block("", "3", classes=["output", "text_plain"])
    assert shown(page(cell("f()", printed)))[-1] == "How this was computed: f()"


@pytest.mark.parametrize("mode", ["all", "output", "input+output"])
def test_what_hides_its_output_is_left_alone(mode: str) -> None:
    hidden = cell("b", text("B"), mode=mode)
    found = page(cell("a"), hidden)
    assert hidden["hide_mode"] == mode
    assert shown(found) == ["Page", "b", "B", "Code of this section: a"]


def test_the_code_of_a_solution_is_its_answer() -> None:
    inside = section("", text("So:"), cell("b", text("B")))
    box = nodes.admonition("", inside, classes=["solution", "dropdown"])
    found = page(section("Exercises", cell("a"), box, cell("c", text("C"))))
    assert shown(found) == [
        *("Page", "Exercises", "", "So:", "b", "B", "C"),
        "How this was computed: a | c",
    ]
    assert "hide_mode" not in str(found)


def test_a_label_counts_lines_that_are_not_blank() -> None:
    found = page(cell("a\n\n  \nb"), cell("c", text("C")), cell("d", text("D")))
    assert labels(found) == [
        "How this was computed · 3 lines · run again by the tests",
        "How this was computed · 1 line · run again by the tests",
    ]


def test_a_label_claims_no_comparison_of_what_was_timed() -> None:
    alone = page(cell("a", tags=IGNORED), cell("b", text("B"), tags=IGNORED))
    assert labels(alone) == [
        "How this was computed · 2 lines · a timing: run, not compared"
    ]
    both = page(cell("a"), cell("b", text("B"), tags=IGNORED))
    assert labels(both) == [
        "How this was computed · 2 lines · run again by the tests, timings not compared"
    ]


def test_a_place_to_link_to_stays_and_is_there_once() -> None:
    silent, loud = cell("a"), cell("b", text("B"))
    silent["ids"], loud["ids"] = ["silent"], ["loud"]
    found = page(silent, loud)
    ids = [i for node in found.findall(nodes.container) for i in node["ids"]]
    assert sorted(ids) == ["loud", "silent"]


def test_blocks_of_a_fold_are_separate_and_its_line_is_no_text() -> None:
    [fold] = page(cell("a"), cell("b", text("B"))).findall(code.code_fold)
    assert [len(child) for child in fold] == [1, 1]
    assert fold.astext() == "a\n\nb"
    writer = SimpleNamespace(body=[], starttag=lambda *_, CLASS: f'<details "{CLASS}">')
    fold["label"] = "a < b"
    code.visit_fold(writer, fold)
    code.depart_fold(writer, fold)
    html = '<details "code-fold"><summary>a &lt; b</summary>\n</details>\n'
    assert "".join(writer.body) == html
