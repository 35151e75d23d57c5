"""Does a page fit a phone, a wide screen and paper? Scripts that name what does not."""

from __future__ import annotations

from playwright.sync_api import Page, ViewportSize

PHONE: ViewportSize = {"width": 390, "height": 844}
NARROW: ViewportSize = {"width": 320, "height": 640}
WIDE: ViewportSize = {"width": 1440, "height": 900}
ZOOMED: ViewportSize = {"width": 640, "height": 450}  # a desktop at 200 %
PAPER: ViewportSize = {"width": 680, "height": 1000}  # A4 without its margins
TWO_FRAMES = (
    "new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))"
)

# What the scripts below use: boxes that hold more than they show, a name for each node.
TOOLS = """
  const box = ".pst-scrollable-table-container";
  const all = (what, part = document) => [...part.querySelectorAll(what)];
  const scrolls = (node) => node.scrollWidth > node.clientWidth + 1;
  const place = (node) => node.getBoundingClientRect();
  const style = (node, part) => getComputedStyle(node, part);
  const hasCue = (node) => style(node).backgroundAttachment.includes("local");
  const bad = [];
  const check = (good, what, node) => {
    if (!good) bad.push(`${what}: ${node.tagName} ${node.innerText.slice(0, 60)}`);
  };
"""
# No column of a table that scrolls is wider than its values and the longest word of its
# name: a wider one looks empty, with its values at the right end, out of sight.
HEADERS = """
  const pen = document.createElement("canvas").getContext("2d");
  const range = document.createRange();
  const width = (node) => (range.selectNodeContents(node), place(range).width);
  const least = (node) => Math.max(width(node), parseFloat(style(node).minWidth) || 0);
  const tables = all(`${box} > table:not(.cards)`);
  for (const table of tables.filter((t) => scrolls(t.parentElement)))
    all("thead th", table).forEach((head, i) => {
      const { fontWeight, fontSize, fontFamily, paddingRight } = style(head);
      pen.font = `${fontWeight} ${fontSize} ${fontFamily}`;
      const words = head.textContent.split(/[\\s-]+/);
      const cells = all(`tbody td:nth-child(${i + 1})`, table);
      const needs = cells.map(least);
      needs.push(...words.map((word) => pen.measureText(word).width));
      const track = Math.max(...cells.map((c) => parseFloat(style(c).paddingLeft)));
      const most = Math.max(...needs) + track + parseFloat(paddingRight) + 6;
      check(head.offsetWidth <= most, "header does not wrap", head);
      check(!scrolls(head), "header cut", head);
    });
"""
# The first column stays, above the others, with a shade while they are under it.
STICKY = """
  for (const part of all(box).filter(scrolls)) {
    const cell = part.querySelector("tbody td");
    cell.scrollIntoView({ block: "center" });
    const before = style(cell).boxShadow;
    part.scrollLeft = 1e4;
    await TWO_FRAMES;
    const { left, right, top } = place(cell);
    const edge = place(part);
    const stays = Math.abs(left - edge.left) < 2 && right < edge.left + edge.width / 2;
    check(stays, "first column", part);
    const top_ = document.elementFromPoint(left + 4, top + 8);
    check(cell.contains(top_), "first column under others", part);
    check(before !== style(cell).boxShadow, "no shade beside it", part);
    check(hasCue(part), "no cue", part);
    check(part.tabIndex === 0, "not by keyboard", part);
    part.scrollLeft = 0;
  }
""".replace("TWO_FRAMES", TWO_FRAMES)
CARDS = """
  for (const table of all("table.cards")) {
    const names = all("thead th", table).map((head) => head.textContent.trim());
    check(!scrolls(table.parentElement), "cards scroll", table);
    for (const row of all("tbody tr", table)) {
      check(style(row).display === "block", "no card", row);
      all("td", row).forEach((cell, i) => {
        const label = style(cell, "::before").content;
        check(label.startsWith(JSON.stringify(names[i])), "no label", cell);
        check(cell.offsetHeight || !cell.textContent.trim(), "not shown", cell);
      });
    }
  }
"""
# An equation only a little too wide is in one line; a wider one has a box to scroll in,
# if it does not break. Its number is in sight beside it.
EQUATIONS = """
  for (const part of all(".katex-display")) {
    const bases = all(".base", part).map(place);
    const fit = Number(part.firstElementChild.style.getPropertyValue("--fit"));
    const line = bases.reduce((sum, { width }) => sum + width + 1, 0);
    check(fit >= 0.85 && fit <= 1, "size", part);
    const little = (line / fit) * 0.85 <= part.clientWidth;
    check(!little || line <= part.clientWidth + 1, "not shrunk", part);
    const { left, right } = place(part);
    const cut = bases.some((base) => base.left < left - 1 || base.right > right + 1);
    check(!cut || (scrolls(part) && part.tabIndex === 0), "equation cut", part);
    check(hasCue(part), "no cue", part);
    const number = part.parentElement.querySelector(".eqno");
    if (number) {
      const there = place(number).width > 0 && place(number).left >= right - 1;
      check(there && place(number).right <= innerWidth, "number", part);
    }
  }
"""
CODE = """
  for (const block of all("article div.highlight pre")) {
    check(parseFloat(style(block).fontSize) >= 12, "small print", block);
    const said = block.closest(".output.text_plain, .output.stream");
    check(said ? !scrolls(block) : hasCue(block), "code cut", block);
  }
"""
PRINTED = """
  for (const node of all(`${box}, article :is(pre, p, figure), .katex-display`))
    check(node.offsetHeight < 2 || !scrolls(node), "cut", node);
  for (const node of all(`${box}, .katex-display, .katex-html`))
    check(place(node).right <= innerWidth + 1, "beyond the paper", node);
  const buttons = "button, nav, .headerlink, .bd-sidebar, .bd-header-article";
  for (const node of all(buttons)) check(!node.checkVisibility(), "printed", node);
  for (const { lastElementChild: end } of all("details.solution"))
    check(end.checkVisibility() && end.offsetHeight, "solution closed", end);
  const text = document.querySelector("article section > p:not([class])");
  const points = parseFloat(style(text).fontSize) * 0.75;
  check(points >= 10 && points <= 11, `${points} points`, text);
"""
WIDE_TABLES = """
  for (const part of all(box)) {
    check(!scrolls(part), "cut", part);
    check(place(part).right <= innerWidth - 16, "outside", part);
  }
"""
TARGETS = """
  const buttons = all(".bd-header-article button").filter((b) => b.offsetWidth);
  check(buttons.length > 4, "buttons missing", document.body);
  for (const button of buttons) {
    const { width, height, left, right } = place(button);
    check(width >= 44 && height >= 44, `${width} by ${height}`, button);
    check(left >= 0 && right <= innerWidth, "outside", button);
  }
"""


def problems(page: Page, script: str) -> list[str]:
    """Run one of the scripts above; say what is bad."""
    found: list[str] = page.evaluate(f"async () => {{ {TOOLS} {script} return bad; }}")
    return found


def resize(page: Page, size: ViewportSize) -> None:
    """Give a page another size, and the time to follow it."""
    page.set_viewport_size(size)
    for _ in range(3):  # observers, then what they ask for, then that drawn
        page.evaluate(TWO_FRAMES)
