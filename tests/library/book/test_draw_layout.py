"""Every drawing: well-formed, described, legible, and nothing upon anything else."""

import itertools
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.display import HTML

from deepopt_lib.book import draw
from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import text_width
from deepopt_lib.book.draw.paint import COLORS
from deepopt_lib.book.tones import TONES
from tests.library.book.drawn import Box, Drawn
from tests.library.registry import ROOT

PHONE = 358  # px that a phone leaves for a drawing
EYE = np.eye(4)
OTHERS: dict[str, Callable[[], HTML]] = {
    "csr full": partial(draw.csr, np.ones((2, 4))),
    "csr wide": partial(draw.csr, np.eye(4, 7) * -1.5),
    "block 4": partial(draw.block_sparse, np.kron(np.eye(2), np.ones((4, 4))), 4),
    "two_four other": partial(draw.two_four, [1, 2, 3, 4, -4, -3, -2, -1]),
    "tape other": partial(draw.tape, -1.5, 0.25, 2.0),
    "minibatch 14": partial(draw.minibatch, 14, 2, 3),
    "minibatch singles": partial(draw.minibatch, 14, 1),
    "minibatch halves": partial(draw.minibatch, 8, 4),
    "velocity slow": partial(draw.velocity, (0.1, 1.0), 0.5, 0.7, 20),
    "softmax 8": partial(draw.online_softmax, np.arange(8.0), 4),
    "private others": partial(draw.private_sgd, [[3, 1], [-1, 2]], 0.5, 1.5, 0),
    "grid 2": partial(draw.quantization_grid, [-0.4, 0.3], 2, -1.0, 1.0),
    "grid 4": partial(draw.quantization_grid, [0.1, 0.9], 4, 0.0, 1.0),
    "state 8": partial(draw.state_blocks, [1, 2, 3, 4, -1, 9, 8, 7], 4),
    "bits 3": partial(draw.straight_through, 3),
    "book 3": partial(draw.code_book, [[0, 1], [2, 0]], [1.0, 2.0, -3.0]),
    "book flat": partial(draw.code_book, [[0, 1], [2, 3]], [1, 2, 3, 4]),
    "low rank square": partial(draw.low_rank, 64, 64, 4),
    "low rank flat": partial(draw.low_rank, 128, 1024, 32),
    "lora large": partial(draw.lora, 4096, 4096, 8),
    "surgeon plain": partial(draw.brain_surgeon, [0.3, -0.2, 1, -2], EYE),
    "distillation 3": partial(draw.distillation, [3, 2, 1], ("a", "b", "c"), 2.0),
    "deep two": partial(draw.deep_compression, [4e6, 2e6, 1e6, 9e5]),
    "ring 3": partial(draw.ring, 3),
    "zero 2": partial(draw.zero, 2, 2, 12, 2),
    "pipeline 2": partial(draw.pipeline, 2, 5),
    "feedback 5": partial(draw.error_feedback, [0.5, 0.75, 1.0, 0.25, 0.5]),
    "roofline other": partial(draw.roofline, 1e12, 2e13, {"one": 0.5, "two": 100.0}),
    "memory 3": partial(draw.memory, [("a", 1e3, 1), ("b", 1e6, 10), ("c", 1e9, 100)]),
}
ALL = {name: getattr(draw, name) for name in draw.__all__} | OTHERS
every = pytest.mark.parametrize("name", ALL)
SHEET = (ROOT / "_static" / "draw.css").read_text("utf-8")
PAGES = {"light": "#ffffff", "dark": "#121212"}
CACHE: dict[str, Drawn] = {}


def look(name: str) -> Drawn:
    if name not in CACHE:
        CACHE[name] = Drawn(ALL[name]())
    return CACHE[name]


def overlap(a: Box, b: Box) -> tuple[float, float]:
    """Return how far two boxes overlap, across and down; negative is a gap."""
    return (
        min(a[2], b[2]) - max(a[0], b[0]),
        min(a[3], b[3]) - max(a[1], b[1]),
    )


@every
def test_it_is_described(name: str) -> None:
    shown = look(name)
    svg = shown.svg
    assert shown.figure.attrib == {"class": "drawing"}
    assert svg.attrib["role"] == "img"
    title, desc = svg.findtext("title"), svg.findtext("desc")
    assert title and desc and svg.attrib["aria-label"] == f"{title}: {desc}"
    assert len(desc) > 60 and desc.endswith(".")
    caption = shown.figure.findtext("figcaption")
    assert caption and len(caption) > 60 and caption.endswith(".")


@every
def test_it_needs_nothing_of_the_page(name: str) -> None:
    text = look(name).text
    assert not re.search(r"<(style|script|image|use)|\bid=|url\(|http", text)
    assert ALL[name]().data == text  # no chance, no counter


@every
def test_it_is_low_and_its_text_large_on_a_phone(name: str) -> None:
    shown = look(name)
    assert shown.high <= 0.6 * shown.wide
    assert min(w.size for w in shown.words) * PHONE / shown.wide >= 11


@every
def test_words_are_few_and_within_the_drawing(name: str) -> None:
    shown = look(name)
    for words in shown.words:
        left, top, right, bottom = words.box
        assert left >= 0 and right <= shown.wide, words
        assert top >= 0 and bottom <= shown.high, words
        assert len(words.text.split()) <= 8, words


@every
def test_no_words_upon_others(name: str) -> None:
    for a, b in itertools.combinations(look(name).words, 2):
        across, down = overlap(a.box, b.box)
        assert not (across > -2 and down > -1), f"{a.text!r} upon {b.text!r}"


@every
def test_no_words_upon_an_edge(name: str) -> None:
    """Words are within a box or outside of it."""
    shown = look(name)
    for words in shown.words:
        left, top, right, bottom = words.box
        for box, _ in shown.rects():
            across, down = overlap(words.box, box)
            inside = (
                box[0] <= left and right <= box[2] and box[1] <= top < bottom <= box[3]
            )
            assert inside or across < 0.5 or down < 0.5, f"{words.text!r} upon {box}"


@every
def test_boxes_are_apart_or_one_within_the_other(name: str) -> None:
    boxes = [box for box, _ in look(name).rects()]
    for a, b in itertools.combinations(boxes, 2):
        nested = any(
            p[0] - 0.2 <= q[0]
            and p[1] - 0.2 <= q[1]
            and q[2] <= p[2] + 0.2
            and q[3] <= p[3] + 0.2
            for p, q in ((a, b), (b, a))
        )
        assert nested or min(overlap(a, b)) < 0.5, f"{a} upon {b}"


@every
def test_all_marks_are_within_the_drawing(name: str) -> None:
    shown = look(name)
    points = [p for path in shown.paths() for p in path]
    points += [p for (x0, y0, x1, y1), _ in shown.rects() for p in ((x0, y0), (x1, y1))]
    for x, y, r in shown.circles():
        points += [(x - r, y - r), (x + r, y + r)]
    x, y = np.array(points).T
    assert x.min() >= 1 and x.max() <= shown.wide - 1
    assert y.min() >= 1 and y.max() <= shown.high - 1


@every
def test_margins_are_even(name: str) -> None:
    """What is drawn fills the height, so that the caption is not far below."""
    shown = look(name)
    low = [w.box[3] for w in shown.words] + [box[3] for box, _ in shown.rects()]
    low += [y for path in shown.paths() for _, y in path]
    low += [y + r for _, y, r in shown.circles()]
    assert shown.high - max(low) < 15


@every
def test_colors_are_those_of_the_book(name: str) -> None:
    shown = look(name)
    for e in shown.svg.iter():
        for key in ("fill", "stroke"):
            assert e.get(key, "none") in {"none", *COLORS.values()}
        for word in e.get("class", "").split():
            assert re.search(rf"^\.{word} \{{", SHEET, re.MULTILINE), word
        if e.tag in ("rect", "path", "circle", "text"):
            assert e.get("class")


def themed(mode: str) -> dict[str, str]:
    """Return the variables of the style sheet in one mode."""
    light, dark = re.findall(r"\.drawing \{(\s+--[^}]*)\}", SHEET)
    return dict(
        re.findall(r"--draw-([\w-]+): (#\w{6})", dark if mode == "dark" else light)
    )


def channels(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def contrast(a: np.ndarray, b: np.ndarray) -> float:
    def luminance(c: np.ndarray) -> float:
        c = np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return float(c @ [0.2126, 0.7152, 0.0722]) + 0.05

    high, low = sorted([luminance(a), luminance(b)], reverse=True)
    return high / low


@pytest.mark.parametrize("mode", PAGES)
def test_every_color_stands_out_from_the_page(mode: str) -> None:
    page, found = channels(PAGES[mode]), themed(mode)
    assert len(found) == 2 * len(COLORS) - 1
    for name, color in found.items():
        least = 4.5 if name.endswith("-text") else 3
        assert contrast(channels(color), page) >= least, name


@pytest.mark.parametrize("mode", PAGES)
def test_shapes_have_the_colors_of_the_figures(mode: str) -> None:
    found = themed(mode)
    for name in set(COLORS) - {"ink"}:
        tone = TONES[name]
        assert found[name] == (tone.dark if mode == "dark" else tone.line)


@pytest.mark.parametrize("mode", PAGES)
@every
def test_words_stand_out_from_what_they_stand_on(name: str, mode: str) -> None:
    """With the style sheet, and without it, where words have the page's own color."""
    shown, page, found = look(name), channels(PAGES[mode]), themed(mode)
    ink = found["ink-text"]
    for words, e in zip(shown.words, shown.svg.iter("text"), strict=True):
        x, y = (words.box[0] + words.box[2]) / 2, (words.box[1] + words.box[3]) / 2
        for theme in (found, COLORS | {"ink": ink}):
            below = page
            for (x0, y0, x1, y1), rect in shown.rects("draw-f-"):
                if x0 <= x <= x1 and y0 <= y <= y1:
                    (color,) = re.findall(r"draw-f-(\w+)", rect.attrib["class"])
                    tint = float(rect.get("fill-opacity", 1))
                    below = tint * channels(theme[color]) + (1 - tint) * below
            color = e.attrib["class"].removeprefix("draw-t-")
            text = channels(theme.get(f"{color}-text", ink))
            assert contrast(text, below) >= 4.5, words.text


def test_widths_are_about_those_of_a_wide_face() -> None:
    for name in ALL:
        for words in look(name).words:
            real = words.box[2] - words.box[0]
            guess = text_width(words.text, bold=False)
            assert 0.8 * real < guess < 1.35 * real + 6, words.text


def test_the_same_hand_draws_all() -> None:
    shown = [look(name) for name in ALL]
    assert len({(s.wide, s.size) for s in shown}) == 1
    assert len(draw.__all__) == 23
    assert Path(draw.__file__).parent.name == "draw"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Canvas("", "seen", 100), "title must say what is seen, got ''"),
        (lambda: Canvas("what", " ", 100), "alt must say what is seen, got ' '"),
        (lambda: Canvas("a", "b", 100).figure(""), "caption must say what is learned"),
        (lambda: Canvas("a", "b", 100).text(5, 50, "far"), "'far' does not fit"),
        (lambda: Canvas("a", "b", 100).text(438, 50, "far"), "'far' does not fit"),
        (lambda: Canvas("a", "b", 100).text(90, 4, "high"), "'high' does not fit"),
        (lambda: Canvas("a", "b", 100).text(90, 97, "low"), "'low' does not fit"),
        (
            lambda: Canvas("a", "b", 100).box(0, 0, 9, 9, color="red"),
            r"color must be one of .*, got 'red'",
        ),
        (
            lambda: Canvas("a", "b", 100).cells(0, 0, ["wide"], w=20),
            "'wide' is wider than its cell of 20 units",
        ),
    ],
)
def test_the_pen_refuses(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_words_are_escaped() -> None:
    canvas = Canvas("a < b", 'the "sum" & more', 100)
    canvas.text(200, 50, "x < y & z", name='"n"')
    shown = Drawn(canvas.figure("1 < 2 & so on"))
    assert shown.words[0].text == "x < y & z" and shown.words[0].name == '"n"'
    assert shown.svg.attrib["aria-label"] == 'a < b: the "sum" & more'
    assert shown.figure.findtext("figcaption") == "1 < 2 & so on"


def test_an_arrow_points_to_its_end_and_needs_a_length() -> None:
    canvas = Canvas("a", "b", 100)
    canvas.arrow((10, 10), (10, 10))
    canvas.arrow((10, 10), (50, 40), color="blue", dashed=True)
    assert len(canvas.marks) == 2
    shown = Drawn(canvas.figure("c"))
    assert shown.tips("blue") == [(50, 40)]
    (line,) = shown.paths("draw-s-blue")
    assert line == [(10.0, 10.0), (44.4, 35.8)]
    assert shown.text.count("stroke-dasharray") == 1
