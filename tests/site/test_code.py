"""Code on demand: little of it at first, all of it at a press, none of it lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.site.conftest import Site
from tests.site.looks import STATE, is_lesson
from tests.site.pages import chapter_names

LESSONS = [name for name in chapter_names() if is_lesson(name)]
pytestmark = pytest.mark.skipif(not LESSONS, reason="the book is not built (make book)")


def press(page: Page, key: str) -> None:
    """Press the switch by keyboard."""
    page.locator(".code-switch").focus()
    page.keyboard.press(key)


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
