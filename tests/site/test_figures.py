"""Figures as SVG: legible at each width, in both modes; enlarged; to be had."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page

from deepopt_lib.book.svg import NARROW_TYPE
from tests.site.conftest import Site
from tests.site.looks import LINK, SHOWN
from tests.site.pages import chapter_names
from tools.notebooks import CHAPTERS
from tools.serve import HTML

DRAWN = [n for n in chapter_names() if LINK in (HTML / n).read_text("utf8")]
drawn_pages = pytest.mark.parametrize("name", DRAWN)
needs_figures = pytest.mark.skipif(not DRAWN, reason="no figure is stored as SVG")

# In a file: too small at a width, pale on a background, over each other, or cut off.
FAULTS = """([width, ground]) => {
  const root = document.documentElement, faults = [];
  const scale = width / root.viewBox.baseVal.width;
  const bright = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((c) => c / 255).map((c) =>
      c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [low, high] = [bright(a), bright(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const leaves = [...root.querySelectorAll("text")].filter((t) => t.textContent.trim());
  const edge = root.getBoundingClientRect();
  const seen = leaves.map((text) => ({ text, word: text.textContent.trim(),
    box: text.getBoundingClientRect() }));
  for (const { text, word, box } of seen) {
    for (const part of [text, ...text.children]) {
      const style = getComputedStyle(part);
      if (part.firstElementChild) continue;
      const size = parseFloat(style.fontSize) * scale;
      if (size < 11) faults.push(`${word}: ${size.toFixed(1)} px`);
      if (contrast(style.fill, ground) >= 4.5) continue;
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      const under = document.elementsFromPoint(x, y).filter((e) =>
        !e.closest("text") && /^(path|image|use|rect)$/.test(e.tagName) &&
        (e.tagName === "image" || /\\d/.test(getComputedStyle(e).fill)));
      const ok = under.some((e) => e.tagName === "image" ||
        contrast(style.fill, getComputedStyle(e).fill) >= 4.5);
      if (!ok) faults.push(`${word}: ${style.fill} on ${ground}`);
    }
    const whole = box.left > edge.left - 1 && box.right < edge.right + 1 &&
      box.top > edge.top - 1 && box.bottom < edge.bottom + 1;
    if (!whole) faults.push(`${word}: cut`);
  }
  const unit = edge.width / root.viewBox.baseVal.width;
  seen.forEach((a, i) => seen.slice(i + 1).forEach((b) => {
    const [x, y] = [["left", "right"], ["top", "bottom"]].map(([from, to]) =>
      Math.min(a.box[to], b.box[to]) - Math.max(a.box[from], b.box[from]));
    if (x > 1.5 * unit && y > 4 * unit) faults.push(`${a.word} over ${b.word}`);
  }));
  return faults;
}"""
GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 18, 18)"}


def files(name: str) -> list[str]:
    """Name the figures of a page, without width and mode."""
    text = (HTML / name).read_text("utf8")
    found = [part.split('"')[0] for part in text.split(f'{LINK} href="')[1:]]
    return [Path(file).name.removesuffix("-light.svg") for file in found]


@pytest.mark.parametrize("name", chapter_names())
def test_each_figure_that_a_notebook_has_for_a_phone_is_on_its_page(name: str) -> None:
    path = CHAPTERS / Path(name).relative_to("chapters").with_suffix(".ipynb")
    cells = json.loads(path.read_text("utf8"))["cells"]
    stored = [o for c in cells for o in c.get("outputs", ()) if "data" in o]
    assert len(files(name)) == sum(NARROW_TYPE in output["data"] for output in stored)


@drawn_pages
def test_text_is_legible_and_whole(site: Site, name: str) -> None:
    page = site.visit(name).page
    faults = {}
    for figure in files(name):
        for width, at in (("-phone", 341), ("", 736)):
            for mode, ground in GROUNDS.items():
                file = f"{figure}{width}-{mode}.svg"
                page.goto(f"{site.address}/_images/{file}")
                if found := page.evaluate(FAULTS, [at, ground]):
                    faults[file] = found
    assert not faults


def opened(page: Page) -> bool:
    return bool(page.evaluate("document.querySelector('dialog.zoom').open"))


@needs_figures
@pytest.mark.parametrize("mode", GROUNDS)
def test_enter_enlarges_and_escape_leads_back(site: Site, mode: str) -> None:
    page = site.open(DRAWN[0])
    page.evaluate("mode => { document.documentElement.dataset.theme = mode }", mode)
    link = page.locator("a.drawn").first
    link.focus()
    page.keyboard.press("Enter")
    assert opened(page)
    large = page.locator("dialog.zoom img")
    assert str(large.get_attribute("src")).endswith(f"-{mode}.svg")
    style = "node => getComputedStyle(node).filter"
    assert large.evaluate(style) == "none"  # the theme darkens pictures
    assert large.get_attribute("alt") == link.locator("img").first.get_attribute("alt")
    before, after = (x.bounding_box() for x in (link, large))
    assert before and after and after["width"] > 1.3 * before["width"]
    assert page.evaluate("document.activeElement.textContent") == "Close"
    label = page.locator("dialog.zoom").get_attribute("aria-label")
    assert str(label).endswith("enlarged")
    page.keyboard.press("Escape")
    assert not opened(page)
    assert page.evaluate("document.activeElement.className") == "drawn"
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # on the button that has the focus
    assert not opened(page)


@needs_figures
def test_a_tap_enlarges_on_a_phone_and_the_file_can_be_had(site: Site) -> None:
    page = site.open(DRAWN[0])
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("a.drawn").first.click()
    assert opened(page)
    large = page.locator("dialog.zoom img").bounding_box()
    assert large is not None and large["width"] > 660
    with page.expect_download() as download:
        page.get_by_text("Download SVG").click()
    name = files(DRAWN[0])[0]
    assert download.value.suggested_filename == f"{name}.svg"
    text = (HTML / "_images" / f"{name}-light.svg").read_bytes()
    assert download.value.path().read_bytes() == text
    page.get_by_text("Close", exact=True).click()
    assert not opened(page)


@needs_figures
def test_paper_has_the_light_one(site: Site) -> None:
    page = site.open(DRAWN[0])
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    for figure in page.evaluate(SHOWN):
        assert figure["count"] == 1 and figure["file"].endswith("-light.svg")


@needs_figures
def test_without_a_script_the_link_leads_to_the_file(site: Site) -> None:
    context = site.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.address}/{DRAWN[0]}")
    link = page.locator("a.drawn").first
    assert link.locator("img").count() == 2 and link.locator("img").first.is_visible()
    target = urljoin(page.url, str(link.get_attribute("href")))
    page.goto(target)
    assert page.content().startswith("<svg")
    context.close()
