"""Cards beside links: by mouse and keyboard, not by touch, closed by Escape."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from tests.site.conftest import DESKTOP, Site

SCRIPT = Path(__file__).parents[2] / "_static" / "previews.js"
MOMENTUM = "chapters/principles/momentum.html"
CITATION = ".bibtex-citation a"
EQUATION = "a.reference[href^='#equation-eq-mom-heavy']"
FIGURE = "a.reference[href^='#fig-mom-phase']"


def hovered(page: Page, link: str) -> Locator:
    """Rest the pointer on a link, and return the card."""
    page.mouse.move(0, 0)
    page.locator(".preview").wait_for(state="detached")
    page.locator(link).first.scroll_into_view_if_needed()
    page.locator(link).first.hover()
    card = page.locator(".preview")
    card.wait_for()
    return card


def test_the_script_is_small() -> None:
    assert len(gzip.compress(SCRIPT.read_bytes())) < 3_000


def test_a_citation_shows_the_entry_loaded_once_from_the_site(site: Site) -> None:
    visit = site.visit(MOMENTUM)
    page = visit.page
    assert not [url for url in visit.requests if "works.json" in url]
    assert not page.locator(f"{CITATION}[title]").count()
    card = hovered(page, CITATION)
    assert "Some methods of speeding up" in card.inner_text()
    page.keyboard.press("Escape")
    assert card.count() == 0
    hovered(page, CITATION)
    assert len([url for url in visit.requests if "works.json" in url]) == 1
    assert visit.problems() == []


def test_an_equation_and_a_figure_are_copied_without_ids(site: Site) -> None:
    page = site.visit(MOMENTUM).page
    card = hovered(page, EQUATION)
    assert card.locator(".katex").count() and "(1)" in card.inner_text()
    assert card.locator("[id]").count() == 0
    card = hovered(page, FIGURE)
    assert "Fig." in card.inner_text() and card.locator("img, svg").count()
    box = card.bounding_box()
    assert box is not None and box["x"] >= 0
    assert box["x"] + box["width"] <= DESKTOP["width"]


def test_an_exercise_is_shown_without_its_solution(site: Site) -> None:
    page = site.visit("chapters/principles/gradient_descent.html").page
    card = hovered(page, "article a.reference[href='#ex-gd-stop']")
    assert card.inner_text().startswith("Exercise")
    assert card.locator("details, button").count() == 0


def test_the_keyboard_opens_and_leaves_a_card(site: Site) -> None:
    page = site.visit(MOMENTUM).page
    page.keyboard.press("Tab")  # the next focus is one of the keyboard
    link = page.locator(EQUATION).first
    link.focus()
    page.locator(".preview").wait_for()
    assert link.get_attribute("aria-describedby") == "preview"
    assert page.locator("#preview").get_attribute("role") == "tooltip"
    page.keyboard.press("Escape")
    assert page.locator(".preview").count() == 0
    assert link.get_attribute("aria-describedby") is None
    assert link.evaluate("link => link === document.activeElement")
    page.locator(EQUATION).nth(1).focus()
    page.locator(".preview").wait_for()
    page.keyboard.press("Tab")
    page.wait_for_function("!document.querySelector('#preview')?.matches(':empty')")
    assert page.locator(f"{EQUATION}[aria-describedby]").count() == 0


def test_the_pointer_may_rest_on_the_card(site: Site) -> None:
    page = site.visit(MOMENTUM).page
    card = hovered(page, CITATION)
    card.hover()
    page.wait_for_timeout(400)
    assert card.locator("a").count() and card.is_visible()
    page.mouse.move(2, 2)
    card.wait_for(state="detached")


def test_a_tap_follows_the_link(site: Site) -> None:
    context = site.browser.new_context(
        has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800}
    )
    site.contexts.append(context)
    page = context.new_page()
    site.load(page, MOMENTUM)
    page.locator(EQUATION).first.tap()
    page.wait_for_url("**#equation-eq-mom-heavy")
    page.wait_for_timeout(300)
    assert page.locator(".preview").count() == 0


@pytest.mark.parametrize("name", [MOMENTUM, "chapters/references.html"])
def test_labels_are_the_same_in_the_text_and_in_the_list(site: Site, name: str) -> None:
    page = site.visit(name).page
    found = page.locator(f"article {CITATION}").all_inner_texts()
    references = site.visit("chapters/references.html").page
    listed = references.locator("article .citation .label").all_inner_texts()
    assert found and set(found) <= {label.strip("[]\n ") for label in listed}
    assert not references.locator("article", has_text="$O(").count()
