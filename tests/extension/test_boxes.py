"""Boxes fold without a script; tables of raw HTML scroll, one box for each."""

from __future__ import annotations

from bs4 import BeautifulSoup, Tag
from docutils import nodes  # type: ignore[import-untyped]
from offline_site import boxes, head


def test_nested_tables_share_the_box_of_the_outermost() -> None:
    inner = "<table id='b'><tr><td><table id='c'></table></td></tr></table>"
    html = f"<p>x<br>y</p><table id='a'><tr><td>{inner}</td></tr></table><table id='d'>"
    soup = BeautifulSoup(boxes.scrollable(html), "html.parser")
    scroll = soup.select(f"div.{boxes.SCROLLS}")
    outermost = [box.find("table", recursive=False) for box in scroll]
    assert [t["id"] for t in outermost if isinstance(t, Tag)] == ["a", "d"]
    assert [t.get("id") for t in soup.find_all("table")] == ["a", "b", "c", "d"]
    assert str(soup).count("</table>") == 4


def test_a_folded_box_keeps_its_content_and_its_title_without_links() -> None:
    link = nodes.reference("", "Exercise 1", refid="ex")
    title, text = nodes.title("", "Solution to ", link), nodes.paragraph("", "text")
    box = nodes.admonition("", title, text, classes=["solution", "dropdown"], ids=["a"])
    found = boxes.fold(box)
    assert found["classes"] == ["solution", "dropdown"] and found["ids"] == ["a"]
    assert isinstance(found[0], boxes.summary)
    assert found[0].astext() == "Solution to Exercise 1"
    assert not list(found[0].findall(nodes.reference)) and found[1] is text


def test_a_note_without_a_title_folds_under_its_name() -> None:
    found = boxes.fold(nodes.note("", nodes.paragraph("", "text")))
    assert [child.astext() for child in found] == ["Note", "text"]


def test_a_description_leaves_out_formulas_and_citations() -> None:
    text = nodes.paragraph("", "It takes ")
    text += [nodes.math("", r"\kappa"), nodes.Text(" steps "), nodes.strong("", "once")]
    text += nodes.inline("", "[Pol64]", classes=["bibtex-citation"])
    text += nodes.Text(" .")
    assert head.shorten(head.plain(text)) == "It takes steps once."


def test_a_description_is_cut_at_a_word() -> None:
    found = head.shorten("word, " * 60)
    assert len(found) <= head.LIMIT and found.endswith("word…")
