"""What a reader does: search, download, switch to dark, open a solution, play."""

from __future__ import annotations

import json

import nbformat
import pytest
from playwright.sync_api import expect

from tests.site.conftest import Site
from tests.site.pages import document, page_names
from tools.serve import HTML

CHAPTERS = [
    name
    for name in page_names()
    if (HTML / "_sources" / name).with_suffix(".ipynb").is_file()
]
pytestmark = pytest.mark.skipif(
    not CHAPTERS, reason="the book is not built (make book)"
)


def with_class(name: str) -> list[str]:
    """Return the chapters on which an element of this class occurs."""
    return [c for c in CHAPTERS if f'class="{name}' in (HTML / c).read_text("utf8")]


def test_search_finds_a_chapter(site: Site) -> None:
    page = site.visit(CHAPTERS[0]).page
    page.keyboard.press("Control+k")
    page.keyboard.type("gradient descent")
    page.keyboard.press("Enter")
    results = page.locator("#search-results li a")
    expect(results.first).to_be_visible(timeout=15_000)
    assert any(
        "gradient_descent" in (a.get_attribute("href") or "") for a in results.all()
    )


@pytest.mark.parametrize("name", CHAPTERS)
def test_download_is_a_notebook(site: Site, name: str) -> None:
    [link] = [
        a for a in document(name).links if a.endswith(".ipynb") and "_sources" in a
    ]
    path = (HTML / name).parent / link
    notebook = json.loads(path.read_text(encoding="utf8"))
    nbformat.validate(notebook)
    assert any(cell["outputs"] for cell in notebook["cells"] if "outputs" in cell)


def test_dark_mode_is_remembered(site: Site) -> None:
    page = site.visit(CHAPTERS[0]).page
    shown = "[document.documentElement.dataset.theme, getComputedStyle(document.body)"
    shown += ".backgroundColor]"
    start = page.evaluate(shown)
    assert start[0] == "light"
    switch = page.locator(".theme-switch-button:visible").first
    for _ in range(3):  # auto, light, dark
        if page.evaluate(shown)[0] == "dark":
            break
        switch.click()
    theme, color = page.evaluate(shown)
    assert theme == "dark"
    assert color != start[1]
    page.reload(wait_until="load")
    assert page.evaluate(shown) == [theme, color]


@pytest.mark.parametrize("name", CHAPTERS)
def test_solutions_are_hidden_until_asked_for(site: Site, name: str) -> None:
    page = site.visit(name).page
    boxes = page.locator(".solution.dropdown").all()
    folded = page.locator(".tag_hide-cell details").all()
    assert boxes or folded, "no hidden solution on this page"
    for box in boxes:
        expect(box.locator("section").first).to_be_hidden()
    for details in folded:
        expect(details.locator(".cell_input")).to_be_hidden()
    # By keyboard: the page scrolls smoothly, and a mouse can miss what still moves.
    if boxes:
        boxes[0].locator("summary").first.press("Enter")
        expect(boxes[0].locator("section").first).to_be_visible()
    if folded:
        folded[0].locator("summary").press("Enter")
        expect(folded[0].locator(".cell_input")).to_be_visible()


@pytest.mark.parametrize("name", with_class("do-player"))
def test_player_is_stepped_by_keyboard(site: Site, name: str) -> None:
    page = site.visit(name).page
    player = page.locator(".do-player").first
    slider = player.locator("input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    at_start = player.inner_html()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "2"
    assert player.inner_html() != at_start, "the picture does not follow the slider"
