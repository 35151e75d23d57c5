"""Code on demand: little of it at first, all of it at a press, none of it lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.site.conftest import Site
from tests.site.pages import chapter_names
from tests.site.test_browser import OPEN, TOO_WIDE
from tools.heights import measure

NO_LESSONS = ("references", "performance", "reproducibility", "source_errata", "solve")
LESSONS = [
    n for n in chapter_names() if not n.endswith(tuple(f"{x}.html" for x in NO_LESSONS))
]
pytestmark = pytest.mark.skipif(not LESSONS, reason="the book is not built (make book)")
MOST = 0.15  # of a page's height

# Folds are "open", "closed", "both" or "none"; with the state of the switch.
STATE = """() => {
  const folds = [...document.querySelectorAll("details.code-fold")];
  const states = new Set(folds.map(({ open }) => (open ? "open" : "closed")));
  const button = document.querySelector(".code-switch");
  return [states.size > 1 ? "both" : [...states][0] ?? "none", button.ariaPressed];
}"""
BEFORE_A_FIGURE = """() => {
  const first = document.querySelector("article :is(figure, img, svg:not(.katex svg))");
  return [...document.querySelectorAll("article details")].filter((fold) => first &&
    fold.compareDocumentPosition(first) & Node.DOCUMENT_POSITION_FOLLOWING).length;
}"""
# Blocks of code without exactly one button to copy them, and folds without a block.
ODD_BLOCKS = """() => [
  ...[...document.querySelectorAll("article div.highlight")].filter((block) =>
    block.querySelectorAll("button.copybtn").length !== 1),
  ...[...document.querySelectorAll("details.code-fold")].filter((fold) =>
    !fold.querySelector(".cell_input pre")),
].map((node) => node.outerHTML.slice(0, 120))"""
CUT = """() => {
  const buttons = [...document.querySelectorAll(".bd-header-article .btn")];
  return buttons.filter((node) => {
    const { left, right, width } = node.getBoundingClientRect();
    return width && (left < 0 || right > innerWidth);
  }).map((node) => node.outerHTML.slice(0, 120));
}"""


def press(page: Page, key: str) -> None:
    """Press the switch by keyboard."""
    page.locator(".code-switch").focus()
    page.keyboard.press(key)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_shows_its_idea_and_folds_the_rest(site: Site, name: str) -> None:
    page = site.visit(name).page
    share = measure(page, 1440)["code"]
    assert share <= MOST, f"{100 * share:.1f} % of the page is code"
    assert page.evaluate(STATE) == ["closed", "false"]
    assert page.evaluate(BEFORE_A_FIGURE) == 0
    assert page.evaluate(ODD_BLOCKS) == []
    assert "Show code" not in page.content()
    page.set_viewport_size({"width": 320, "height": 640})
    page.evaluate(OPEN)
    assert page.evaluate(TOO_WIDE) + page.evaluate(CUT) == []


def test_the_switch_is_remembered_on_every_page(site: Site) -> None:
    page = site.open(LESSONS[0])
    press(page, "Enter")
    assert page.evaluate(STATE) == ["open", "true"]
    page.goto(f"{site.address}/{LESSONS[1]}", wait_until="load")
    assert page.evaluate(STATE) == ["open", "true"]
    press(page, "Space")
    assert page.evaluate(STATE) == ["closed", "false"]
    page.reload(wait_until="load")
    assert page.evaluate(STATE) == ["closed", "false"]


def test_a_page_follows_what_was_pressed_elsewhere(site: Site) -> None:
    page = site.open(LESSONS[0])
    other = page.context.new_page()
    other.goto(f"{site.address}/{LESSONS[1]}", wait_until="load")
    press(other, "Enter")
    page.wait_for_function(
        "document.querySelector('.code-switch').ariaPressed == 'true'"
    )
    assert page.evaluate(STATE) == ["open", "true"]
    page.evaluate("localStorage.removeItem('code')")  # while the browser kept the page
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow'))")
    assert page.evaluate(STATE) == ["closed", "false"]


def test_folds_are_open_before_a_script_of_the_site_runs(site: Site) -> None:
    page = site.open(LESSONS[0])
    press(page, "Enter")
    page.route("**/*.js*", lambda route: route.abort())
    page.reload(wait_until="load")
    assert page.evaluate(STATE) == ["open", "true"]


def test_a_fold_opens_by_itself_and_leaves_the_switch_alone(site: Site) -> None:
    page = site.open(LESSONS[0])
    page.locator("details.code-fold summary").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate(STATE) == ["both", "false"]
    press(page, "Enter")
    assert page.evaluate(STATE) == ["open", "true"]


def test_without_scripts_a_fold_opens_and_there_is_no_switch(site: Site) -> None:
    context = site.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.address}/{LESSONS[0]}", wait_until="load")
    fold = page.locator("details.code-fold").first
    code = fold.locator("pre").first
    assert not code.is_visible() and not page.locator(".code-switch").is_visible()
    fold.locator("summary").click()
    assert code.is_visible()
    context.close()


def test_print_leaves_out_what_is_folded(site: Site) -> None:
    page = site.open(LESSONS[0])
    page.emulate_media(media="print")
    folds = page.locator("details.code-fold")
    assert not any(fold.is_visible() for fold in folds.all())
    page.emulate_media(media="screen")
    folds.first.locator("summary").click()
    page.emulate_media(media="print")
    assert folds.first.locator("pre").first.is_visible()
