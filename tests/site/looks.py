"""How one page looks, in the order of a reader's day: each step says what is wrong.

A page is loaded once for all of them. Each leaves the page so that the next may follow;
`narrow` opens what folds, so what is folded is asked about before.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, TimeoutError, ViewportSize

from tests.site import fits
from tests.site.conftest import DESKTOP
from tests.site.fits import NARROW, PAPER, PHONE, WIDE, ZOOMED, problems, resize
from tests.site.hand import drawn, lost_default, specs, wrong_answers
from tests.site.pages import chapter_names
from tools.heights import measure
from tools.serve import HTML

CHAPTERS = chapter_names()
LINK = 'class="drawn"'
NO_LESSONS = ("references", "performance", "reproducibility", "source_errata", "solve")
MOST = 0.15  # of a page's height may be code

UNRENDERED = r"""() => {
  const copy = document.querySelector("article, main").cloneNode(true);
  copy.querySelectorAll("pre, code, script, style, annotation, .katex").forEach(
    (node) => node.remove());
  const text = copy.textContent;
  const raw = ["$$", "\\(", "\\[", "\\begin{", "\\frac", ":::", "<!--"];
  const signs = raw.filter((sign) => text.includes(sign));
  const math = [...document.querySelectorAll("span.math, div.math")];
  const empty = math.filter((node) => !node.querySelector(".katex"));
  const errors = [...document.querySelectorAll(".katex-error")];
  const nodes = [...empty, ...errors].map((node) => node.outerHTML.slice(0, 200));
  return [...signs, ...nodes];
}"""
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
LIGHT_CAPTIONS = """() => [...document.querySelectorAll("figcaption, figcaption p, " +
  "figcaption .caption-text")].filter((node) => getComputedStyle(node).fontWeight !==
  "400").map((node) => node.textContent.slice(0, 60))"""
THEME = "mode => { document.documentElement.dataset.theme = mode }"
# Of each figure that is not folded: its file and its box.
SHOWN = """() => [...document.querySelectorAll("a.drawn")].filter((link) =>
  link.checkVisibility()).map((link) => {
  const seen = [...link.querySelectorAll("img")].filter((x) => x.checkVisibility());
  const box = seen[0].getBoundingClientRect();
  return { count: seen.length, file: seen[0].currentSrc.split("/").pop(),
    width: box.width, ratio: box.width / box.height,
    natural: seen[0].naturalWidth / seen[0].naturalHeight };
})"""
# Whether each is alone, the right one and in its proportions; a browser takes its time.
RIGHT = f"""end => ({SHOWN})().every((it) => it.count === 1 && it.file.endsWith(end) &&
  it.file.includes("-phone") === end.includes("-phone") && it.width > 330 &&
  Math.abs(it.ratio / it.natural - 1) < 0.01)"""
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
ON_A_PHONE = (fits.HEADERS, fits.STICKY, fits.CARDS, fits.EQUATIONS, fits.CODE)


def is_lesson(name: str) -> bool:
    """Tell a page that teaches from one that lists."""
    return name in CHAPTERS and Path(name).stem not in NO_LESSONS


def first(page: Page, name: str) -> list[str]:
    """Look at the page as it comes: the idea is shown, the rest of the code folds."""
    found = [f"math: {text}" for text in page.evaluate(UNRENDERED)]
    found += [f"light caption: {text}" for text in page.evaluate(LIGHT_CAPTIONS)]
    if not is_lesson(name):
        return found
    if page.evaluate(STATE) != ["closed", "false"]:
        found.append(f"folds and switch: {page.evaluate(STATE)}")
    found += ["a fold before the first figure"] * page.evaluate(BEFORE_A_FIGURE)
    found += [f"code: {text}" for text in page.evaluate(ODD_BLOCKS)]
    return found + ["Show code"] * ("Show code" in page.content())


def figures(page: Page, name: str, size: ViewportSize) -> list[str]:
    """See whether each figure is the one of the width and the mode."""
    if LINK not in (HTML / name).read_text("utf8"):
        return []
    width, found = "-phone" if size["width"] < 600 else "", []
    for mode in ("dark", "light"):
        page.evaluate(THEME, mode)
        end = f"{width}-{mode}.svg"
        with contextlib.suppress(TimeoutError):
            page.wait_for_function(RIGHT, arg=end, timeout=10_000)
        if not page.evaluate(RIGHT, end):
            found.append(f"figures, {end}: {page.evaluate(SHOWN)}")
    return found


def live_figures(page: Page, name: str) -> list[str]:
    """Move the figures that answer, and let them come back."""
    text = (HTML / name).read_text(encoding="utf8")
    models = re.findall(r'class="live" data-model="(\w+)"', text)
    if [model for model, _, _ in specs(page)] != models:
        return [f"live: {specs(page)} for {models}"]
    found = []
    for index in range(len(models)):
        default = drawn(page, index)
        found += wrong_answers(page, index)[:20]
        found += lost_default(page, index, default)
    return found


def wide(page: Page, name: str) -> list[str]:
    """Look at it on a wide screen and on paper."""
    resize(page, WIDE)
    found = [f"1440: {text}" for text in problems(page, fits.WIDE_TABLES)]
    share = measure(page, WIDE["width"])["code"]
    if is_lesson(name) and share > MOST:
        found.append(f"{100 * share:.1f} % of the page is code")
    page.emulate_media(media="print")
    resize(page, PAPER)
    found += [f"print: {text}" for text in problems(page, fits.PRINTED)]
    page.emulate_media(media="screen")
    return found


def narrow(page: Page, name: str) -> list[str]:
    """Open all that folds, on a phone, on a narrow one, and at 200 % of a desktop."""
    page.evaluate(OPEN)
    resize(page, PHONE)
    found = figures(page, name, PHONE)
    for script in ON_A_PHONE if name in CHAPTERS else ():
        found += [f"390: {text}" for text in problems(page, script)]
    sizes: dict[str, Any] = {"390": PHONE, "320": NARROW, "200 %": ZOOMED}
    for label, size in sizes.items():
        page.set_viewport_size(size)
        found += [f"{label}: {x}" for x in page.evaluate(TOO_WIDE) + page.evaluate(CUT)]
    resize(page, DESKTOP)
    return found
