"""Measure what the pages of a built site are made of, as they are first shown.

    python -m tools.heights                                      every page
    python -m tools.heights chapters/background chapters/faq     these
    python -m tools.heights --site folder --json shares.json     of another site

The height of an article is shared among code, figures, tables, folds and text (the
rest: prose, formulas, headings and the space between); a fold counts as a fold,
whatever is in it, a dot plot as a figure. Printed in percent, at two widths of the
window.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from playwright.sync_api import Browser, Page

from tools.browser import open_browser
from tools.serve import HTML, serving

WIDTHS = {1440: 900, 390: 844}  # px of the window, and its height
KINDS = ("code", "figures", "tables", "folds", "text")
# Every picture is there, and nothing waits to be laid out until it comes near.
SETTLE = """async () => {
  const sheet = document.createElement("style");
  sheet.textContent = "* { content-visibility: visible !important }";
  document.head.append(sheet);
  const pictures = [...document.images];
  pictures.forEach((picture) => { picture.loading = "eager"; });
  await Promise.all(pictures.map((picture) => picture.decode().catch(() => {})));
  await document.fonts.ready;
}"""
# The outermost element of a kind counts, what stands side by side once.
MEASURE = """() => {
  const kinds = {
    folds: "details",
    figures: "figure, img, svg, canvas, .pst-scrollable-table-container:has(> .dots)",
    tables: "table:not(.dots), .pst-scrollable-table-container:not(:has(> .dots))",
    code: "div[class*=highlight-]:not([class*=-myst-ansi])",
  };
  const spans = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
  const walk = (node) => {
    for (const child of node.children) {
      if (child.matches(".katex, aside")) continue;
      const kind = Object.keys(kinds).find((name) => child.matches(kinds[name]));
      if (!kind) { walk(child); continue; }
      const { top, bottom } = child.getBoundingClientRect();
      spans[kind].push([top, bottom]);
    }
  };
  const covered = (list) => {
    let total = 0, end = -Infinity;
    for (const [top, bottom] of list.sort((a, b) => a[0] - b[0])) {
      total += Math.max(0, bottom - Math.max(top, end));
      end = Math.max(end, bottom);
    }
    return total;
  };
  const article = document.querySelector("article.bd-article");
  walk(article);
  const { height } = article.getBoundingClientRect();
  const shares = Object.entries(spans).map(([kind, list]) => [kind, covered(list)]);
  const text = height - covered(Object.values(spans).flat());
  return { height, ...Object.fromEntries(
    [...shares, ["text", text]].map(([kind, px]) => [kind, px / height])) };
}"""


class Shares(TypedDict):
    """The height of an article in px, and the share of each kind of content in it."""

    height: float
    code: float
    figures: float
    tables: float
    folds: float
    text: float


def measure(page: Page, width: int) -> Shares:
    """Measure the page that is loaded, in a window of some px; the window stays so."""
    page.set_viewport_size({"width": width, "height": WIDTHS[width]})
    page.evaluate(SETTLE)
    found: Shares = page.evaluate(MEASURE)
    return found


def measure_site(
    browser: Browser, site: str, names: Iterable[str]
) -> dict[str, dict[int, Shares]]:
    """Measure pages by name ("chapters/faq") at every width."""
    found = {}
    page = browser.new_page(reduced_motion="reduce")
    for name in names:
        page.goto(f"{site}/{name}.html", wait_until="load")
        found[name] = {width: measure(page, width) for width in WIDTHS}
    page.close()
    return found


def table(found: dict[str, dict[int, Shares]]) -> str:
    """Show the shares, a page a row: its height in px, then percent, at each width."""
    wide = max(map(len, found))
    columns = " ".join(f"{kind:>7}" for kind in ("height", *KINDS))
    lines = [" " * wide + "".join(f" | {width} px".ljust(51) for width in WIDTHS)]
    lines += [" " * wide + f" | {columns}" * len(WIDTHS)]
    for name, by_width in found.items():
        line = name.ljust(wide)
        for each in by_width.values():
            numbers = [f"{each['height']:7,.0f}"]
            numbers += [f"{100 * each[kind]:7.1f}" for kind in KINDS]  # type: ignore[literal-required]
            line += " | " + " ".join(numbers)
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line names and print it."""
    parser = argparse.ArgumentParser(description="Measure what pages are made of.")
    parser.add_argument("pages", nargs="*", help="such as chapters/background")
    parser.add_argument("--site", type=Path, default=HTML, help="of a built site")
    parser.add_argument("--json", type=Path, help="write the numbers there, too")
    args = parser.parse_args()
    chapters = sorted((args.site / "chapters").rglob("*.html"))
    names = [page.removesuffix(".html") for page in args.pages] or [
        path.relative_to(args.site).with_suffix("").as_posix() for path in chapters
    ]
    if not names:
        raise SystemExit(f"DeepOpt: {args.site} holds no built book (make book).")
    with serving(args.site) as site, open_browser() as browser:
        found = measure_site(browser, site, names)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
