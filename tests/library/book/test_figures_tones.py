"""Colors that one can read and tell apart, on white and on near-black."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from deepopt_lib.book.legible import luminance
from deepopt_lib.book.tones import DARK, ON_BAR, TEXT, TONES

WHITE, BLACK = "#ffffff", "#121212"
# What a reader sees who lacks one kind of cones: Machado, Oliveira, Fernandes (2009).
SEEN = {
    "all": np.eye(3),
    "no red": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "no green": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ]
    ),
}
XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)


def contrast(a: str, b: str) -> float:
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def lab(color: str, seen: np.ndarray) -> np.ndarray:
    c = np.array(to_rgb(color))
    linear = seen @ np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    white = XYZ @ np.ones(3)
    f = np.cbrt(np.clip(XYZ @ np.clip(linear, 0, 1) / white, 0.008856, None))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("name", TONES)
def test_each_tone_is_legible_where_it_is_used(name: str) -> None:
    tone = TONES[name]
    assert contrast(tone.line, WHITE) >= 3
    assert contrast(tone.text, WHITE) >= 4.5
    assert contrast(tone.dark, BLACK) >= 4.5
    assert {DARK[tone.line], DARK[tone.text]} == {tone.dark}


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("kind", ["line", "dark"])
def test_lines_are_told_apart(kind: str, seen: str) -> None:
    colors = [getattr(tone, kind) for name, tone in TONES.items() if name != "ink"]
    for a, b in combinations(colors, 2):
        assert np.linalg.norm(lab(a, SEEN[seen]) - lab(b, SEEN[seen])) > 9.5, (a, b)


def test_on_a_bar_one_of_the_two_is_legible_in_both_modes() -> None:
    for tone in TONES.values():
        assert max(contrast(tone.line, color) for color in ON_BAR.values()) >= 4.5
        for color in ON_BAR.values():
            assert contrast(tone.dark, DARK[color]) >= 4.5


def test_colors_are_six_small_digits_and_none_is_two_things() -> None:
    for color in (*DARK, *DARK.values(), *TEXT, *TEXT.values(), *ON_BAR):
        assert len(color) == 7 and color == color.lower()
    assert not set(DARK) & set(DARK.values())


@pytest.mark.parametrize("kind", ["live", "draw"])
def test_what_moves_and_what_is_drawn_has_the_colors_of_the_figures(kind: str) -> None:
    text = (Path(__file__).parents[3] / "_static" / f"{kind}.css").read_text("utf8")
    dark: dict[str, str] = {}
    light: dict[str, str] = {}
    for block in re.findall(r"[^{}]+\{[^{}]+\}", text):
        found = dict(re.findall(rf"--{kind}-(\w+): ?(#\w+)", block))
        (dark if 'theme="dark"' in block.split("{")[0] else light).update(found)
    light |= dict(re.findall(rf"var\(--{kind}-(\w+), ?(#\w+)\)", text))
    for name in ("blue", "vermilion", "green", "pink", "gray"):
        assert (light[name], dark[name]) == (TONES[name].line, TONES[name].dark), name
