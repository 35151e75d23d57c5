"""Tables, equations and code fit a phone, a wide screen and paper: nothing is cut."""

from __future__ import annotations

import pytest
from playwright.sync_api import ViewportSize

from tests.site import fits
from tests.site.conftest import Site
from tests.site.fits import NARROW, PHONE, WIDE, problems, resize
from tests.site.looks import TOO_WIDE
from tests.site.pages import chapter_names
from tools.serve import HTML

CHAPTERS = chapter_names()
pytestmark = pytest.mark.skipif(
    not CHAPTERS, reason="the book is not built (make book)"
)
# The last but one of some targets: those behind it have room to scroll.
FOLLOW = """(what) => {
  const target = [...document.querySelectorAll(what)].at(-2);
  location.hash = target.id || target.parentElement.id;
}"""
BELOW_THE_HEADER = """(what) => {
  const target = [...document.querySelectorAll(what)].at(-2).getBoundingClientRect();
  const header = document.querySelector(".bd-header-article").getBoundingClientRect();
  return target.top - header.bottom;
}"""
# How far the widest table reaches beyond the text.
BEYOND = """(tables) => Math.max(...tables.map((table) => {
  const cell = table.closest("section").getBoundingClientRect();
  return table.getBoundingClientRect().right - cell.right;
}))"""


def with_most(what: str) -> str:
    """Return the page that has something most often."""
    return max(CHAPTERS, key=lambda name: (HTML / name).read_text("utf8").count(what))


@pytest.mark.parametrize("size", [PHONE, NARROW])
def test_buttons_are_large_enough_for_a_finger(site: Site, size: ViewportSize) -> None:
    page = site.visit(CHAPTERS[0]).page
    resize(page, size)
    assert problems(page, fits.TARGETS) == []


@pytest.mark.parametrize("size", [PHONE, WIDE])
@pytest.mark.parametrize("what", ["section[id] > h2", "div.math[id]"])
def test_what_a_link_leads_to_is_in_sight(
    site: Site, size: ViewportSize, what: str
) -> None:
    page = site.visit(with_most('class="eqno"')).page
    resize(page, size)
    page.evaluate(FOLLOW, what)
    page.wait_for_timeout(300)
    assert 0 <= page.evaluate(BELOW_THE_HEADER, what) < 200


def test_the_link_of_a_heading_is_seen_when_it_has_the_focus(site: Site) -> None:
    page = site.visit(CHAPTERS[0]).page
    link = page.locator("article h2 > .headerlink").first
    opacity = "link => getComputedStyle(link).opacity"
    assert link.evaluate(opacity) == "0"
    page.keyboard.press("Tab")  # from now on the focus is that of a keyboard
    link.focus()
    assert link.evaluate("link => link === document.activeElement")
    assert link.evaluate(opacity) == "1"


def test_contents_make_room_for_a_wide_table(site: Site) -> None:
    page = site.visit(with_most("full-width")).page
    resize(page, WIDE)
    tables = page.locator("section > div.cell table.full-width")
    assert tables.evaluate_all(BEYOND) > 40
    tables.first.evaluate("table => table.scrollIntoView({ block: 'center' })")
    page.wait_for_selector(".bd-sidebar-secondary.hide", state="attached")


def test_without_scripts_there_are_cards_and_cues(site: Site) -> None:
    context = site.browser.new_context(java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    page.goto(f"{site.address}/{with_most('data-label')}", wait_until="load")
    assert problems(page, fits.CARDS) == []
    tables = "all(`${box}:not(:has(.cards))`)"
    assert problems(page, f"for (const t of {tables}) check(hasCue(t), '', t);") == []
    assert page.evaluate(TOO_WIDE) == []
    context.close()
