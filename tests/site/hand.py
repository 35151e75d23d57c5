"""What a reader's hand does to a figure that answers, and if it answers rightly."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

from deepopt_lib.book.live.words import fill
from tests.library.live import MODELS, differences, given

SETTINGS = 20
SPECS = """() => [...document.querySelectorAll("figure.live")].map((figure) => [
  figure.dataset.model, figure.live?.spec ?? null,
  Object.fromEntries([...figure.querySelectorAll("fieldset")].map((set) => [
    set.dataset.name, [...set.querySelectorAll("input")].map((box) => box.value)
  ]))])"""
# Each control as the reader would leave it, then one redraw, and what it computed.
MOVE = """([index, wanted]) => {
  const figure = document.querySelectorAll("figure.live")[index];
  return wanted.map((values) => {
    figure.live.spec.controls.forEach((control, i) => {
      const own = figure.querySelector(`[data-name="${control.name}"]`);
      if (control.kind === "slider") own.value = values[i];
      else if (control.kind === "choice")
        own.querySelector(`[value="${values[i]}"]`).checked = true;
      else figure.live.held[i].set(values[i]);
    });
    figure.live.redraw(true);
    const text = figure.querySelector(".live-text").textContent;
    return [figure.live.settings, figure.live.results, text];
  });
}"""
DRAWN = """(index) => {
  const figure = document.querySelectorAll("figure.live")[index];
  const parts = figure.querySelectorAll(
    ".live-stage > svg, .live-text, .live-lists, .live-slider output");
  const said = [...figure.querySelectorAll("input[aria-valuetext]")].map((input) =>
    input.getAttribute("aria-valuetext"));
  return [...[...parts].map((part) => part.outerHTML), ...said];
}"""
TIME = """(index) => {
  const { redraw } = document.querySelectorAll("figure.live")[index].live;
  const times = [];
  for (let i = 0; i < 60; i += 1) {
    const start = performance.now();
    redraw(true);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[30];
}"""
FOCUS = """([index, what]) => {
  const node = document.querySelectorAll("figure.live")[index].querySelector(what);
  node?.focus();
  return Boolean(node) && document.activeElement === node;
}"""
HEARD = """(index) => {
  const figure = document.querySelectorAll("figure.live")[index];
  const [shown, heard] = [".live-text", ".live-heard"].map((p) =>
    figure.querySelector(p).textContent);
  return shown === heard;
}"""


def specs(page: Page) -> list[tuple[str, Any, dict[str, list[str]]]]:
    """Return the model, the JSON and the choices of each figure, in order."""
    found: list[Any] = page.evaluate(SPECS)
    return [tuple(one) for one in found]


def drawn(page: Page, index: int) -> list[str]:
    """Return the picture and the words of a figure as markup."""
    found: list[str] = page.evaluate(DRAWN, index)
    return found


def settings(spec: Any, choices: dict[str, list[str]], seed: int) -> list[list[Any]]:
    """Draw settings of all controls: places of sliders, values of the others."""
    draw = random.Random(seed)

    def one(control: Any) -> Any:
        if control["kind"] == "slider":
            return draw.randrange(len(control["values"]))
        if control["kind"] == "choice":
            return draw.choice(choices[control["name"]])
        if control["kind"] == "point":
            panel = spec["panels"][control["panel"]]
            return [draw.uniform(*panel[axis][:2]) for axis in "xy"]
        if control["kind"] == "pick":
            return draw.randrange(len(spec["given"][control["among"][0]]))
        share = draw.random()
        return [int(draw.random() < share) for _ in control["value"]]

    return [[one(control) for control in spec["controls"]] for _ in range(SETTINGS)]


def wrong_answers(page: Page, index: int, seed: int = 0) -> list[str]:
    """Move all controls of a figure; say where the page and Python disagree."""
    name, spec, choices = specs(page)[index]
    if spec is None:
        return [f"{name}: the figure does not answer"]
    before = drawn(page, index)
    said = page.locator("figure.live .live-text").nth(index).text_content()
    answers = page.evaluate(MOVE, [index, settings(spec, choices, seed)])
    problems, texts = [], set()
    for found, results, text in answers:
        python = MODELS[name](**spec["given"], **found, **given(name))
        problems += [f"{name} at {found}: {d}" for d in differences(python, results)]
        words = fill(spec["text"], found | python)
        problems += [] if text == words else [f"{name} says {text!r}, not {words!r}"]
        texts.add(text)
    if len(texts) < min(SETTINGS // 2, len(answers)):
        problems.append(f"{name}: {len(texts)} sentences for {len(answers)} settings")
    if drawn(page, index) == before and text != said:  # it may end where it began
        problems.append(f"{name}: the picture does not move")
    return problems


def stuck_keys(page: Page, index: int) -> list[str]:
    """Press arrow keys on each kind of control; say which does not follow."""
    name, spec, _ = specs(page)[index]
    kinds = {control["kind"] for control in spec["controls"]}
    hands = {
        "slider": ("input[type=range]", ("ArrowLeft",)),
        "choice": ("input[type=radio]:checked", ("ArrowRight",)),
        "point": (".live-handle", ("ArrowDown", "ArrowLeft")),
        "pick": (".live-pick input", ("ArrowRight",)),
        "pattern": (".live-cells button[tabindex='0']", ("ArrowRight", "Space")),
    }
    problems = []
    reset(page, index)  # else a slider may stand at its end
    for kind in sorted(kinds):
        what, keys = hands[kind]
        before = drawn(page, index)
        if not page.evaluate(FOCUS, [index, what]):
            problems.append(f"{name}: no {kind} takes the focus")
            continue
        for key in keys:
            page.keyboard.press(key)
        if not _soon(page, lambda: drawn(page, index) != before):  # noqa: B023
            problems.append(f"{name}: a {kind} does not follow the keys {keys}")
    if not _soon(page, lambda: page.evaluate(HEARD, index)):
        problems.append(f"{name}: the new sentence is not said")
    return problems


def reset(page: Page, index: int) -> None:
    """Press the reset button of a figure, and wait for a frame."""
    page.evaluate(FOCUS, [index, "button[type=reset]"])
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)


def _soon(page: Page, holds: Callable[[], bool]) -> bool:
    """Say whether something comes true within the next seconds."""
    for _ in range(60):
        if holds():
            return True
        page.wait_for_timeout(50)
    return False


def lost_default(page: Page, index: int, default: list[str]) -> list[str]:
    """Press the reset button; say if the default does not come back."""
    name = specs(page)[index][0]
    reset(page, index)
    back = _soon(page, lambda: drawn(page, index) == default)
    return [] if back else [f"{name}: reset does not reset"]
