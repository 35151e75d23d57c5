"""Figures that answer, in Chromium: what the page computes is what Python computes."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from deepopt_lib import core
from deepopt_lib.book import live
from tests.library.live import MODELS, NETWORKS, figures
from tests.site.conftest import Site
from tests.site.hand import (
    MOVE,
    TIME,
    drawn,
    lost_default,
    settings,
    specs,
    stuck_keys,
    wrong_answers,
)
from tests.site.pages import page_names
from tools.serve import HTML

STATIC = Path(__file__).parents[2] / "_static"
BUDGET = 14_000  # bytes of script and style sheet, gzip
QUICK = 2.0  # milliseconds for a redraw
NAMES = list(MODELS)
PAGES = [
    name
    for name in page_names()
    if 'class="live"' in (HTML / name).read_text(encoding="utf8")
]


def document(figures: dict[str, str], script: bool = True) -> str:
    """Return a page with all figures, our script and our style sheet in it."""
    code = (STATIC / "live.js").read_text("utf8") if script else ""
    return (
        '<!DOCTYPE html><html lang="en" data-theme="light"><head><title>Figures</title>'
        '<meta charset="utf-8"/><meta name="viewport" content="width=device-width"/>'
        f"<style>{(STATIC / 'live.css').read_text('utf8')}</style></head><body><main>"
        f"<h1>Figures</h1>{''.join(figures.values())}</main>"
        f"<script>{code}</script></body></html>"
    )


@pytest.fixture(scope="module")
def browser(running_site: Site) -> Browser:
    return running_site.browser


@pytest.fixture(scope="module")
def all_figures() -> dict[str, str]:
    shown = figures()
    return {name: shown[name].data for name in NAMES}


@pytest.fixture(scope="module")
def sheet(browser: Browser, all_figures: dict[str, str]) -> Iterator[Page]:
    """Return a page with every figure, and no site around it."""
    page = browser.new_page(viewport={"width": 900, "height": 900})
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_content(document(all_figures))
    yield page
    page.close()
    assert not said


def test_script_and_style_sheet_are_small() -> None:
    sizes = [
        len(gzip.compress((STATIC / name).read_bytes()))
        for name in ("live.js", "live.css")
    ]
    assert sum(sizes) < BUDGET, sizes


def test_each_figure_answers(sheet: Page) -> None:
    found = specs(sheet)
    assert [name for name, _, _ in found] == NAMES
    assert all(spec for _, spec, _ in found)
    assert not sheet.query_selector("form[hidden]")


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_the_page_draws_the_default_as_python_does(
    browser: Browser, sheet: Page, all_figures: dict[str, str], index: int
) -> None:
    """The script's first drawing is compared with the markup that it found."""
    still = browser.new_page()
    still.set_content(document(all_figures, script=False))
    assert drawn(sheet, index)[-1] and not lost_default(
        sheet, index, drawn(still, index)
    )
    still.close()


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_a_figure_computes_what_python_computes(sheet: Page, index: int) -> None:
    problems = wrong_answers(sheet, index, seed=index)
    assert not problems, "\n".join(problems[:20])


@pytest.mark.parametrize("index", range(len(NAMES)), ids=NAMES)
def test_a_figure_follows_the_keyboard_and_says_so(sheet: Page, index: int) -> None:
    assert not stuck_keys(sheet, index)


def test_a_redraw_is_quick(sheet: Page) -> None:
    with core.Watch() as machine:
        times = {}
        for index, name in enumerate(NAMES):
            times[name] = sheet.evaluate(TIME, index)
            machine.sample()
    with core.when_quiet(machine):
        assert max(times.values()) < QUICK, times


def test_a_click_and_a_drag_set_the_start(sheet: Page) -> None:
    stage = sheet.query_selector('figure[data-model="valley"] .live-stage')
    assert stage is not None
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    unit = box["width"] / 320

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + (44 + 264 * x) * unit, box["y"] + (26 + 164 * y) * unit

    def start() -> list[float]:
        sheet.wait_for_timeout(60)
        found: list[float] = sheet.evaluate(
            """() => { const { x, y } = document.querySelector(
              'figure[data-model="valley"]').live.settings; return [x, y]; }"""
        )
        return found

    sheet.mouse.click(*at(0.75, 0.25))
    assert start() == pytest.approx([2, 1], abs=0.1)
    assert start() == [round(value, 1) for value in start()]
    sheet.mouse.move(*at(0.75, 0.25))
    sheet.mouse.down()
    sheet.mouse.move(*at(0.25, 0.5), steps=3)
    assert start() == pytest.approx([-2, 0], abs=0.1)
    sheet.mouse.up()
    assert start() == pytest.approx([-2, 0], abs=0.1)
    sheet.mouse.move(*at(0.9, 0.9))
    assert start() == pytest.approx([-2, 0], abs=0.1)
    sheet.keyboard.press("Shift+ArrowRight")
    sheet.keyboard.press("ArrowUp")
    assert start() == pytest.approx([-1, 0.1], abs=0.1)


def test_a_cell_is_clicked_on_and_off(sheet: Page) -> None:
    figure = 'figure[data-model="sparse_formats"]'
    cell = sheet.locator(f"{figure} .live-cells button").nth(10)
    before = cell.get_attribute("aria-pressed")
    cell.click()
    sheet.wait_for_timeout(60)
    assert {before, cell.get_attribute("aria-pressed")} == {"true", "false"}
    assert cell.get_attribute("aria-label") == "row 2, column 3"
    sheet.keyboard.press("ArrowDown")
    sheet.keyboard.press("ArrowLeft")
    reached = sheet.locator(f"{figure} .live-cells button[tabindex='0']")
    assert reached.count() == 1  # one stop of the tab key
    assert reached.get_attribute("aria-label") == "row 3, column 2"


LOOKED = """() => {
  const figure = document.querySelector('figure[data-model="pareto"]');
  const [, input] = figure.querySelectorAll(".live-pick output, .live-pick input");
  const drawn = [...figure.querySelectorAll(".live-stage [data-mark]")].slice(-2);
  return [input.getAttribute("aria-valuetext"), ...drawn.map((t) => t.textContent)];
}"""


def test_a_mark_tells_what_it_is(sheet: Page) -> None:
    """By a click or a tap anywhere near, by the mouse over it, and by the keyboard."""
    stage = sheet.query_selector('figure[data-model="pareto"] .live-stage')
    assert stage is not None
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    unit = box["width"] / 320

    def place(name: str, down: float = 0) -> tuple[float, float]:
        (one,) = (n for n in NETWORKS if n.name == name)
        x = 44 + 264 * math.log(one.size / 1e3) / math.log(500)
        y = 26 + 264 * (95.5 - one.accuracy) / 6
        return box["x"] + x * unit, box["y"] + (y + down) * unit

    def told() -> str:
        sheet.wait_for_timeout(60)
        spoken, name, numbers = sheet.evaluate(LOOKED)
        assert spoken == f"{name}, {numbers}"
        return str(spoken)

    sentence = sheet.text_content('figure[data-model="pareto"] .live-text')
    sheet.mouse.click(*place("narrow", down=25))
    assert told() == "narrow, 16,600 bytes, 91.2 %"
    sheet.mouse.move(*place("tiny", down=-5))
    assert told() == "tiny, 1,068 bytes, 90.1 %"
    sheet.mouse.move(*place("tiny", down=-15))  # beside it: what was told stays
    assert told() == "tiny, 1,068 bytes, 90.1 %"
    sheet.focus('figure[data-model="pareto"] .live-pick input')
    sheet.keyboard.press("ArrowRight")
    assert told() == "few, 9,531 bytes, 93.9 %"
    sheet.keyboard.press("End")
    assert told() == "whole, 360,840 bytes, 94.8 %"
    assert sentence == sheet.text_content('figure[data-model="pareto"] .live-text')


def test_a_look_takes_no_word_from_what_is_said(sheet: Page) -> None:
    """A slider is moved, then a mark looked at in the same frame: both arrive."""
    heard = """async () => {
      const figure = document.querySelector('figure[data-model="pareto"]');
      const move = (name, by) => {
        const input = figure.querySelector(`input[data-name="${name}"]`);
        input.value = Number(input.value) + by;
        input.dispatchEvent(new Event("input"));
      };
      move("picked", -1);
      move("budget", -1);
      await new Promise((done) => setTimeout(done, 100));
      move("picked", -1);
      await new Promise((done) => setTimeout(done, 900));
      const [shown, said] = [".live-text", ".live-heard"].map((p) =>
        figure.querySelector(p).textContent);
      return [shown, said];
    }"""
    shown, said = sheet.evaluate(heard)
    assert shown == said


def test_what_is_said_aloud_is_not_seen_twice(sheet: Page) -> None:
    for heard in sheet.locator(".live-heard").all():
        box = heard.bounding_box()
        assert box is not None and box["width"] <= 1 and box["height"] <= 1


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_inside_the_figures(sheet: Page, mode: str) -> None:
    from axe_playwright_python.base import AXE_SCRIPT

    sheet.evaluate(AXE_SCRIPT)
    sheet.evaluate(
        """(mode) => {
          document.documentElement.dataset.theme = mode;
          const dark = mode === "dark", { style } = document.body;
          style.background = dark ? "#121212" : "#fff";
          style.color = dark ? "#e6e6e6" : "#222";
        }""",
        mode,
    )
    found: list[Any] = sheet.evaluate(
        "axe.run('figure.live').then(({ violations }) => violations.map("
        "({ id, nodes }) => [id, nodes[0].html.slice(0, 200)]))"
    )
    assert not found


def test_figures_fit_a_phone(sheet: Page) -> None:
    sheet.set_viewport_size({"width": 320, "height": 800})
    wide = sheet.evaluate("document.documentElement.scrollWidth")
    sheet.set_viewport_size({"width": 900, "height": 900})
    assert wide <= 320


EVERYTHING: dict[str, Any] = {
    "a": 1e-5,
    "b": 0.5,
    "word": "one",
    "x": 1.0,
    "y": 0.5,
    "on": [1, 0, 0, 1],
    "mark": 1,
}
PLACES: dict[str, list[Any]] = {
    "px": [0.25, 1.0, 1.5],
    "py": [1.0, 2.0, 3.0],
    "what": ["first", "<second>", "third"],
    "more": ["1", "2 & 2", "3"],
}


def everything(**start: Any) -> str:
    """Return a figure with every control and every mark, from wherever it starts."""
    at = EVERYTHING | start
    sizes = [1e-7, 1e-5, 0.0625, 0.125, 1.0, 999.5, 123456.7, 999999.6, 1e7]
    marks: list[Any] = [
        live.Line(x="xs", y="ys", label="line"),
        live.Line(x="xs", y="some", steps=True),
        live.Points(x="x", y="y"),
        live.Points(x="none", y="none"),
        live.Points(x="minus", y="y"),
        *(live.Markers(x="xs", y="some", shape=s, size=9) for s in "osDv^*"),
        live.Markers(look="Adam", x="picked_x", y="y", shape="s", hollow=True),
        live.Boxes(x0=0.0, x1="xs", y0="y", y1="ys"),
        live.Label(x="hidden", y="y", text="{a:3} {word} {b:.2}"),
        live.Cells(values="shades", texts="texts", rows=2, columns=2, most=0.57),
    ]
    shown: str = live.figure(
        passed_on,
        [
            live.Slider("a", "A", sizes, at["a"], "m"),
            live.Slider("b", "B", [0.0, 0.125, 0.5, 2.5, 7.0], at["b"]),
            live.Choice("word", "Word", {"one": "1", "two": "2 < 3"}, at["word"]),
            live.Point(("x", "y"), "Dot", (at["x"], at["y"]), (0.1, 0.01)),
            live.Pattern("on", "Cells", 2, 2, at["on"]),
            live.Pick(
                "mark",
                "Mark",
                {k: PLACES[k] for k in ("px", "py")},
                {k: PLACES[k] for k in ("what", "more")},
                at["mark"],
            ),
        ],
        [
            live.Panel(live.Axis(0, 2), live.Axis(0, 4), marks, "Every kind of mark."),
            live.Panel(
                live.Axis(1e-3, 10, log=True), live.Axis(1, 0), marks, "The same, bent."
            ),
        ],
        title="Everything at once",
        text="{a} {a:3} {b:.0} {b:1} {word} {inverse:2} {minus:.1} {endless} {unknown}",
        caption="All of it.",
        lists={"numbers": "xs", "words": "texts"},
        given=PLACES,
    ).data
    return shown


def passed_on(
    a: float,
    b: float,
    word: str,
    x: float,
    y: float,
    on: list[int],
    mark: int,
    px: list[float],
    py: list[float],
    what: list[str],
    more: list[str],
) -> dict[str, Any]:
    texts: list[float | str] = []
    for one in on:
        texts.append(a if one == 1 else word)
    return {
        "xs": [0.0, x / 2, x, 2.0],
        "picked_x": px[mark],
        "ys": [y, b, math.nan if b > 2 else a, 0.0],
        "some": [b, b, math.nan, a],
        "none": [y] if word == "one" else [],
        "hidden": math.nan if b > 2 else x,
        "shades": [math.nan if b > 6 else b / 8, y / 4, on[2]],
        "texts": texts,
        "inverse": 1 / a,
        "minus": -a,
        "endless": math.inf if b > 2 else -math.inf,
        "unknown": math.nan,
    }


MOVES: list[dict[str, Any]] = [
    {"a": 0.125, "b": 2.5, "word": "two", "x": 0.3, "y": 0.07, "on": [0, 0, 1, 1]},
    {"a": 999.5, "b": 0.125, "x": 2.0, "y": 1.0, "mark": 2},
    {"a": 123456.7, "b": 7.0, "on": [0, 0, 0, 0], "mark": 0},
    {"a": 999999.6, "b": 0.0, "x": 0.0, "y": 0.0},
    {"a": 1e-7, "word": "two"},
    {"a": 1e7, "on": [1, 1, 1, 1]},
]


def test_every_mark_is_moved_to_where_python_draws_it(browser: Browser) -> None:
    page, still = browser.new_page(), browser.new_page()
    page.set_content(document({"": everything()}))
    (_, spec, _), *_ = specs(page)
    sizes, shares = (control["values"] for control in spec["controls"][:2])
    for move in MOVES:
        at = EVERYTHING | move
        hands = [sizes.index(at["a"]), shares.index(at["b"]), at["word"]]
        page.evaluate(MOVE, [0, [[*hands, [at["x"], at["y"]], at["on"], at["mark"]]]])
        still.set_content(document({"": everything(**move)}, script=False))
        for here, there in zip(drawn(page, 0), drawn(still, 0), strict=True):
            assert here == there, at
    page.close()
    still.close()


def test_settings_are_drawn_from_a_seed(sheet: Page) -> None:
    _, spec, choices = specs(sheet)[NAMES.index("valley")]
    assert settings(spec, choices, 1) == settings(spec, choices, 1)
    assert settings(spec, choices, 1) != settings(spec, choices, 2)


@pytest.mark.skipif(not PAGES, reason="no page of the built book has a live figure")
@pytest.mark.parametrize("name", PAGES)
def test_figures_of_the_site(site: Site, name: str) -> None:
    """On its page a figure stands without a script; `looks` moves it."""
    text = (HTML / name).read_text(encoding="utf8")
    models = re.findall(r'class="live" data-model="(\w+)"', text)
    still = site.browser.new_context(java_script_enabled=False).new_page()
    still.goto(f"{site.address}/{name}")
    for said in still.locator("figure.live .live-text").all_text_contents():
        assert said.strip() and "{" not in said
    assert still.locator("figure.live form:visible").count() == 0
    assert still.locator("figure.live svg[role=img]:visible").count() >= len(models)
    still.context.close()
