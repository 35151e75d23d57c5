"""Every page in a real browser: requests, console, math, solutions, phone, axe."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.site.axe import violations
from tests.site.conftest import DESKTOP, Site
from tests.site.pages import chapter_names, page_names
from tests.site.play import stuck_player, unhidden_solutions
from tools.serve import HTML

CHAPTERS = chapter_names()
# "index.html" is a redirect. The longest come first: a worker that took one up last
# would keep the other waiting.
PAGES = sorted(
    (name for name in page_names() if name != "index.html"),
    key=lambda name: -(HTML / name).stat().st_size,
)
pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built (make book)")

UNRENDERED = r"""() => {
  const copy = document.querySelector("article, main").cloneNode(true);
  copy.querySelectorAll("pre, code, script, style, annotation, .katex").forEach(
    (node) => node.remove());
  const text = copy.textContent;
  const raw = ["$$", "\\(", "\\[", "\\begin{", "\\frac"];
  const signs = raw.filter((sign) => text.includes(sign));
  const math = [...document.querySelectorAll("span.math, div.math")];
  const empty = math.filter((node) => !node.querySelector(".katex"));
  const errors = [...document.querySelectorAll(".katex-error")];
  const nodes = [...empty, ...errors].map((node) => node.outerHTML.slice(0, 200));
  return [...signs, ...nodes];
}"""
OPEN = """() => {
  document.querySelectorAll("details").forEach((details) => details.open = true);
  const sheet = document.createElement("style");
  sheet.textContent = "* { content-visibility: visible !important }";
  document.head.append(sheet);
}"""
TOO_WIDE = """() => {
  const clipped = (node) => node.tagName !== "HTML" && node.tagName !== "BODY"
    && (getComputedStyle(node).overflowX !== "visible" || clipped(node.parentElement));
  const limit = document.documentElement.clientWidth + 1;
  if (document.documentElement.scrollWidth <= limit) return [];
  const wide = [...document.querySelectorAll("body *")].filter((node) =>
    node.getBoundingClientRect().right > limit && !clipped(node.parentElement));
  return ["page", ...wide.slice(0, 5).map((node) => node.outerHTML.slice(0, 120))];
}"""
TWO_FRAMES = (
    "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
)


def too_wide_for_a_phone(page: Page) -> list[str]:
    """Open all that folds on a narrow screen; name what does not fit it."""
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate(OPEN)  # after the step before: the whole page is laid out once less
    found = page.evaluate(TOO_WIDE)
    page.set_viewport_size(DESKTOP)
    page.evaluate(TWO_FRAMES)
    return [f"wider than a phone: {text}" for text in found]


@pytest.mark.parametrize("name", PAGES)
def test_page(site: Site, name: str) -> None:
    """Load a page, use it, make it as narrow as a phone, then dark: no problem."""
    visit = site.visit(name)
    page = visit.page
    problems = [f"math: {text}" for text in page.evaluate(UNRENDERED)]
    if name in CHAPTERS:
        problems += unhidden_solutions(page)
    if 'class="do-player' in (HTML / name).read_text("utf8"):
        problems += stuck_player(page)
    problems += too_wide_for_a_phone(page)
    problems += violations(page)
    problems += visit.problems()
    assert not problems, "\n" + "\n".join(problems)


def test_address_of_the_site_leads_to_the_first_page(site: Site) -> None:
    page = site.new_context().new_page()
    page.goto(f"{site.address}/")
    page.wait_for_url("**/chapters/index.html")
    page.context.close()
