"""What a cell has shown, put in place of what is stored, in Chromium without Python."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.site.conftest import Site
from tools.serve import serving

SHOW = Path(__file__).parents[2] / "tools" / "live" / "show.js"
TABLE = "| name | loss |\n| :-- | --: |\n| a | 1.5 |\n| $x$ | 2.5 |"
PLACE = """<div id="place"><div class="pst-scrollable-table-container"><table>
<thead><tr><th><p>name</p></th><th><p>loss</p></th></tr></thead><tbody><tr><td><p>a</p>
</td><td><p>1.5</p></td></tr><tr><td><p><span class="katex">x</span></p></td>
<td><p>2.5</p></td></tr></tbody></table></div></div>"""
DRAWN = """<div id="place"><figure><a class="drawn" href="l.svg"><picture class=
"drawn-light"><source srcset="p.svg"><img alt="seen"></picture><picture class=
"drawn-dark"><source srcset="q.svg"><img alt="seen"></picture></a></figure></div>"""
CALL = """async ({ html, outputs, stored }) => {
  const { show } = await import("/show.js");
  document.body.innerHTML = html;
  const place = document.getElementById("place"), before = place.innerHTML;
  const result = show(place, outputs, { outputs: stored }, { "#0072b2": "#3f97df" });
  return { ...result, kept: place.innerHTML === before };
}"""
MARKDOWN, SVG = "text/markdown", "image/svg+xml"


def out(text: str, kind: str = MARKDOWN, **more: str) -> dict[str, str]:
    return {"kind": kind, "text": text, **more}


@pytest.fixture(scope="module")
def tab(running_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("show")
    shutil.copyfile(SHOW, folder / "show.js")
    (folder / "index.html").write_text("<!DOCTYPE html><title>Show</title><body>")
    context = running_site.new_context()
    with serving(folder) as address:
        page = context.new_page()
        page.goto(address)
        yield page
    context.close()


def shown(
    tab: Page, outputs: list[dict[str, str]], stored: list[dict[str, str]],
    html: str = PLACE,
) -> dict[str, Any]:  # fmt: skip
    given = {"html": html, "outputs": outputs, "stored": stored}
    found: dict[str, Any] = tab.evaluate(CALL, given)
    return found


def test_what_is_the_same_stays_as_it_is(tab: Page) -> None:
    found = shown(tab, [out(TABLE.replace(" --: ", " --:  "))], [out(TABLE)])
    assert (found["same"], found["compared"], found["kept"]) == (True, 1, True)


def test_of_a_table_only_the_cells_that_differ_are_written(tab: Page) -> None:
    fresh = TABLE.replace("1.5", "**1.7** <i>")
    assert not shown(tab, [out(fresh)], [out(TABLE)])["same"]
    changed = tab.locator(".run-changed")
    assert changed.count() == 1
    assert changed.inner_html().strip() == "<p><strong>1.7</strong> &lt;i&gt;</p>"
    first = tab.locator("#place > div table")
    assert first.locator(".katex").count() == 1
    stored = tab.locator(".run-stored table p").all_text_contents()
    assert stored == ["name", "loss", "a", "1.5", "x", "2.5"]
    assert tab.locator(".run-stored").get_attribute("open") is None


def test_a_table_of_another_shape_is_written_anew(tab: Page) -> None:
    fresh = "| one \\| two |\n| --: |\n| `3` |"
    shown(tab, [out(fresh)], [out(TABLE)])
    made = tab.locator("#place > div table")
    assert made.locator("th").inner_text() == "one | two"
    assert made.locator("td").get_attribute("class") == "text-right"
    assert made.locator("td code").inner_text() == "3"


def test_what_draws_dots_is_not_shown(tab: Page) -> None:
    dots = "\n\n<!-- dots: 1 log -->"
    shown(tab, [out(TABLE.replace("1.5", "1.7") + dots)], [out(TABLE + dots)])
    assert tab.locator(".run-changed").all_inner_texts() == ["1.7"]
    assert tab.locator("#place > *").count() == 2  # and what is stored
    assert "dots" not in tab.locator("#place").inner_text()


def test_text_an_error_and_code_are_shown_as_text(tab: Page) -> None:
    code = out("```python\na < b\n```")
    error = out("Traceback <cell 1>", "error", name="ValueError")
    found = shown(tab, [out("1 < 2", "stream"), code, error], [out("3", "stream")])
    assert found["failed"] == "ValueError"
    assert tab.locator("#place > pre").all_inner_texts() == [
        "1 < 2", "a < b", "Traceback <cell 1>",
    ]  # fmt: skip
    assert tab.locator("#place > .run-error").count() == 1


def test_a_figure_is_drawn_at_both_widths_in_both_modes(tab: Page) -> None:
    text = '<svg style="background:#fff" stroke="#0072b2"/>'
    stored = [out("", SVG)]
    found = shown(tab, [out(text, SVG, narrow="<svg/>")], stored, DRAWN)
    assert (found["same"], found["figures"], found["compared"]) == (True, 1, 0)
    read = """async ([selector, name]) =>
        (await fetch(document.querySelector(selector)[name])).text()"""
    light, dark = (
        tab.evaluate(read, [f".drawn-{mode} img", "src"]) for mode in ("light", "dark")
    )
    assert light == '<svg stroke="#0072b2"/>' and dark == '<svg stroke="#3f97df"/>'
    assert tab.evaluate(read, [".drawn-dark source", "srcset"]) == "<svg/>"
    assert tab.evaluate(read, ["a.drawn", "href"]) == light
    assert tab.locator(".drawn-light img").get_attribute("alt") == "seen"


def test_a_figure_that_is_not_stored_is_added(tab: Page) -> None:
    shown(tab, [out("<svg/>", SVG, narrow="<svg/>"), out(TABLE)], [out(TABLE)])
    assert tab.locator("#place > .run-figure img").count() == 1
    assert tab.locator("#place > div table").count() == 1


def test_numbers_of_the_text_are_compared_by_name(tab: Page) -> None:
    fresh = [out("1", "glue", name="one"), out("2", "glue", name="two"), out(TABLE)]
    stored = [out("1", "glue", name="one"), out("3", "glue", name="two"), out(TABLE)]
    found = shown(tab, fresh, stored)
    assert (found["glued"], found["moved"], found["same"]) == (2, ["two"], True)


def test_what_the_browser_has_not_leaves_what_is_stored(tab: Page) -> None:
    text = "Traceback\ntools.live.stand_in.NotHereError: a thing is not there"
    found = shown(tab, [out(text, "error", name="NotHereError")], [out(TABLE)])
    assert found["kept"] and found["absent"] == "a thing is not there"
    assert not found.get("failed") and not found.get("compared")
    assert json.dumps(found["moved"]) == "[]"
