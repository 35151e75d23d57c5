"""What a reader does on a page by keyboard: open a solution, step a player.

By keyboard, because a mouse can miss what still moves. The page is asked by scripts of
a line, because Playwright's own waiting and clicking loads a large script first.
"""

from __future__ import annotations

from playwright.sync_api import Page

# A hidden solution: its box, and what of it is not to be seen before it is asked for.
HIDDEN = {
    ".solution.dropdown": "section",
    ".tag_hide-cell details": ".cell_input",
}
SHOWN = """([boxes, inside]) => [...document.querySelectorAll(boxes)].map((box) => {
  const node = box.querySelector(inside);
  return [box.outerHTML.slice(0, 120), Boolean(node?.getBoundingClientRect().height
    && node.checkVisibility({ visibilityProperty: true }))];
})"""
FOCUS = """(selector) => {
  document.querySelector(selector)?.focus();
  return document.activeElement.matches(selector);
}"""
PLAYER = """() => {
  const player = document.querySelector(".do-player");
  return [player.innerHTML, player.querySelector("input").value];
}"""


def unhidden_solutions(page: Page) -> list[str]:
    """Say which solutions are seen unasked, or not seen when asked for."""
    problems, count = [], 0
    for selector, inside in HIDDEN.items():
        boxes = page.evaluate(SHOWN, [selector, inside])
        count += len(boxes)
        problems += [f"solution shown unasked: {box}" for box, shown in boxes if shown]
        if boxes:
            page.evaluate(FOCUS, f"{selector} summary")
            page.keyboard.press("Enter")
            box, shown = page.evaluate(SHOWN, [selector, inside])[0]
            problems += [] if shown else [f"solution does not open: {box}"]
    exercises = page.query_selector("article .exercise")
    return problems if count or not exercises else ["no hidden solution on this page"]


def stuck_player(page: Page) -> list[str]:
    """Step the first player of the page; say if it does not follow."""
    if not page.evaluate(FOCUS, ".do-player input[type=range]"):
        return ["player: no slider takes the focus"]
    page.keyboard.press("Home")
    before, _ = page.evaluate(PLAYER)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    after, value = page.evaluate(PLAYER)
    problems = [] if value == "2" else [f"player: two steps lead to {value}"]
    if after == before:
        problems.append("player: the picture does not follow the slider")
    return problems
