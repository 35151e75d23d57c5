"""What a reader does: search, download, switch to dark."""

from __future__ import annotations

import json

import nbformat
import pytest
from playwright.sync_api import expect

from tests.site.conftest import Site
from tests.site.pages import chapter_names, document
from tools.serve import HTML

CHAPTERS = chapter_names()
pytestmark = pytest.mark.skipif(
    not CHAPTERS, reason="the book is not built (make book)"
)


def test_search_finds_a_chapter(site: Site) -> None:
    page = site.open(CHAPTERS[0])
    page.keyboard.press("Control+k")
    page.keyboard.type("gradient descent")
    page.keyboard.press("Enter")
    results = page.locator("#search-results li a")
    expect(results.first).to_be_visible(timeout=15_000)
    assert any(
        "gradient_descent" in (a.get_attribute("href") or "") for a in results.all()
    )


@pytest.mark.xdist_group("files")
@pytest.mark.parametrize("name", CHAPTERS)
def test_download_is_a_notebook(name: str) -> None:
    [link] = [
        a for a in document(name).links if a.endswith(".ipynb") and "_sources" in a
    ]
    path = (HTML / name).parent / link
    notebook = json.loads(path.read_text(encoding="utf8"))
    nbformat.validate(notebook)
    assert any(cell["outputs"] for cell in notebook["cells"] if "outputs" in cell)


def test_dark_mode_is_remembered(site: Site) -> None:
    page = site.open(CHAPTERS[0])
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
