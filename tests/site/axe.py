"""What axe finds on a page in one color mode, with the colors judged on samples."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

# What axe finds in the theme itself, on every page, and we leave as it is.
THEME = {
    "label-content-name-mismatch": "the search button shows its shortcut Ctrl + K, "
    "which its accessible name leaves out",
    "region": "the theme's skip link and back-to-top button stand outside landmarks",
}
COLORS = ["color-contrast", "link-in-text-block"]
# Contrast is nine tenths of what axe costs, and its verdict on a text depends on the
# text's own look and on the ground it stands on. In the article and in its table of
# contents nothing lies over anything else, so the ground is what the ancestors paint:
# texts that agree in that, in their own look, and in tag, class and inline style, get
# the same verdict. One of each such kind is judged: if there is one, one in view and
# with two letters, because axe passes over what is scrolled away and over signs, and
# gives no verdict on a single letter. Every other text, which may scroll under
# another box, is judged itself. All other rules still see every element, but for the
# code's tokens that are no sample and the parts of formulas, of which no other rule
# asks anything.
SAMPLE = r"""() => {
  const GROUND = ["backgroundColor", "backgroundImage", "opacity", "filter",
    "mixBlendMode"];
  const LOOK = ["color", "fontSize", "fontWeight", "textShadow"];
  const BARE = "rgba(0, 0, 0, 0)|none|1|none|normal";
  const read = (style, names) => names.map((name) => style[name]).join("|");
  const PASSED_OVER = new RegExp("[!-/:-@[-`{-~\xa2\xa3\xa5\xa7\xb1\u1d00-\u1dff" +
    "\u2000-\u206f\u20a0-\u27bf\u2e00-\u2e7f\ue000-\uf8ff]", "g");
  const worth = (node, view) => {  // as a sample
    const text = [...node.childNodes].filter((child) => child.nodeType === 3)
      .map((child) => child.data).join("").trim();
    if (!text || !node.checkVisibility({ visibilityProperty: true })) return 0;
    const { left, top } = node.getBoundingClientRect();
    const seen = !view || (left < view.right && top < view.bottom);
    const letters = text.replace(PASSED_OVER, "").length;
    return letters ? 2 + 2 * seen + (letters > 1) : 1;
  };
  document.querySelectorAll(".katex").forEach((node) => node.replaceWith("x"));
  const grounds = new Map(), views = new Map(), kinds = new Map();
  for (const node of document.body.querySelectorAll("*")) {
    const style = getComputedStyle(node), own = read(style, GROUND);
    const under = grounds.get(node.parentNode) ?? "";
    const ground = own === BARE ? under : `${under}/${own}`;
    grounds.set(node, ground);
    const view = views.get(node.parentNode);
    views.set(node, style.overflow === "visible" ? view : node.getBoundingClientRect());
    const value = worth(node, view);
    if (!value) continue;
    const key = [ground, node.tagName, node.getAttribute("class"),
      node.getAttribute("style"), style.position, read(style, LOOK)].join("|");
    if (value > (kinds.get(key)?.value ?? 0)) kinds.set(key, { value, node });
    if (!node.closest("article, .page-toc")) node.dataset.sample = "";
  }
  for (const { node } of kinds.values()) node.dataset.sample = "";
  for (const token of [...document.querySelectorAll("pre span, .sig span")].reverse())
    if (!token.children.length && !("sample" in token.dataset)) token.remove();
}"""
MODE = """async (mode) => {
  const shown = () => document.documentElement.dataset.theme;
  for (let frame = 0; frame < 600 && shown() !== mode; frame += 1)
    await new Promise(requestAnimationFrame);
  if (shown() !== mode) throw new Error(`the page stays ${shown()}, not ${mode}`);
}"""
SETTINGS = """axe.configure({ rules: [
  { id: "color-contrast", selector: "[data-sample], input, select, textarea" }] })"""
RUN = """(options) => axe.run({ resultTypes: ["violations"], ...options }).then(
  ({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(
    ({ html, failureSummary }) => [id, `${html.slice(0, 160)} ${failureSummary}`])))"""


def violations(page: Page) -> list[str]:
    """Return what axe finds in light mode, and of colors in dark mode.

    The page is thinned out: it is of no other use afterwards.
    """
    page.evaluate(f"{AXE_SCRIPT}; {SETTINGS}")
    return in_mode(page, "light") + in_mode(page, "dark", COLORS)


def in_mode(page: Page, mode: str, rules: list[str] | None = None) -> list[str]:
    """Run axe, or only some of its rules; return what is not the theme's own."""
    page.emulate_media(color_scheme=mode)  # type: ignore[arg-type]
    page.evaluate(MODE, mode)
    page.evaluate(SAMPLE)
    options: dict[str, Any] = {}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    found = page.evaluate(RUN, options)
    return [f"{mode}: {rule}: {text}" for rule, text in found if rule not in THEME]
