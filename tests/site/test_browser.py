"""Every page in a real browser: requests, console, math, axe, phone, weight."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.site.conftest import Site
from tests.site.pages import page_names

PAGES = [name for name in page_names() if name != "index.html"]  # a redirect
pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built (make book)")

MAX_BYTES = 1_000_000  # gzip, pictures included
# What axe finds in the theme itself, on every page, and we leave as it is.
THEME = {
    "label-content-name-mismatch": "the search button shows its shortcut Ctrl + K, "
    "which its accessible name leaves out",
    "region": "the theme's skip link and back-to-top button stand outside landmarks",
}
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
# axe takes seconds for thousands of tokens and formula parts in a few colors: keep one
# token of each kind, and a letter in the color of the text for each formula.
THIN_OUT = """() => {
  const seen = new Set();
  for (const token of document.querySelectorAll("pre span, .sig span")) {
    const box = token.closest(".cell_output, .admonition, .sig, pre");
    const key = `${token.className} ${box.className}`;
    if (seen.has(key) && !token.children.length) token.remove();
    seen.add(key);
  }
  document.querySelectorAll(".katex").forEach((node) => node.replaceWith("x"));
}"""


def accessibility(page: Page, mode: str, rules: list[str] | None = None) -> list[str]:
    """Run axe on a page in one color mode; return what is not the theme's own."""
    page.emulate_media(color_scheme=mode, reduced_motion="reduce")  # type: ignore[arg-type]
    page.wait_for_function(
        "mode => document.documentElement.dataset.theme === mode", arg=mode
    )
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    result = Axe().run(page, options=options)
    return [
        f"{mode}: {violation['id']}: {node['html'][:160]} {node['failureSummary']}"
        for violation in result.response["violations"]
        for node in violation["nodes"]
        if violation["id"] not in THEME
    ]


@pytest.mark.parametrize("name", PAGES)
def test_page(site: Site, name: str) -> None:
    """Load a page, make it as narrow as a phone, switch it to dark: no problem."""
    visit = site.visit(name)
    page, own = visit.page, (site.address, "data:")
    problems = [f"foreign: {url}" for url in visit.requests if not url.startswith(own)]
    if visit.size > MAX_BYTES:
        problems.append(f"heavy: {visit.size:,} bytes over the wire")
    problems += [f"math: {text}" for text in page.evaluate(UNRENDERED)]
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.add_style_tag(content="* { content-visibility: visible !important }")
    page.set_viewport_size({"width": 390, "height": 844})
    problems += [f"wider than a phone: {text}" for text in page.evaluate(TOO_WIDE)]
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate(TWO_FRAMES)
    page.evaluate(THIN_OUT)
    problems += accessibility(page, "light")
    problems += accessibility(page, "dark", ["color-contrast", "link-in-text-block"])
    problems += [f"failed: {url}" for url in visit.failed]
    problems += [f"console: {text}" for text in visit.console]
    assert not problems, "\n" + "\n".join(problems)


def test_address_of_the_site_leads_to_the_first_page(site: Site) -> None:
    page = site.browser.new_context().new_page()
    page.goto(f"{site.address}/")
    page.wait_for_url("**/chapters/index.html")
    page.context.close()
