"""What a page shows: tables, source, figures and the trajectory player."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from markdown_it import MarkdownIt

from deepopt_lib import optim
from deepopt_lib.book import player, plot, show
from deepopt_lib.book.tones import TEXT
from deepopt_lib.training import quadratic
from deepopt_lib.trials import Claim, Verdict, holds

mpl.use("agg")


@pytest.mark.parametrize(
    "cell", [8, -0.3, "−0.3 ± 0.1", "5,880 of 58,800", "2 ms", "~7 x"]
)
def test_numbers_stand_to_the_right(cell: object) -> None:
    assert show.table(["a"], [(cell,)]).data.splitlines()[1] == "| --: |"


@pytest.mark.parametrize("cell", ["Adam", "8 of them differ", "40 times, no loss", ""])
def test_text_stands_to_the_left(cell: object) -> None:
    assert show.table(["a"], [(cell,)]).data.splitlines()[1] == "| :-- |"


def test_table_aligns_numbers_right_and_marks_the_row_that_matters() -> None:
    shown = show.table(["rule", "loss"], [("GD", 0.12345), ("Adam", 2.0)], bold=1)
    lines = shown.data.splitlines()
    assert lines[0] == "| rule | loss |"
    assert lines[1] == "| :-- | --: |"
    assert lines[2] == "| GD | 0.123 |"
    assert lines[3] == "| **Adam** | **2** |"


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        (["a", "b"], [("x",)], r"row \['x'\] does not fit the header \['a', 'b'\]"),
        (["a", ""], [("x", "y")], r"every column needs a name, got \['a', ''\]"),
    ],
)
def test_table_refuses(header: list[str], rows: list[tuple[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        show.table(header, rows)


def cells(table: str) -> list[list[str]]:
    """Return what a reader sees of a table, row by row."""
    shown = MarkdownIt().enable("table").render(table)
    rows = re.findall("<tr>(.*?)</tr>", shown, re.DOTALL)
    return [
        [unescape(text) for text in re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in rows
    ]


def test_a_bar_or_a_line_break_in_a_cell_does_not_break_the_table() -> None:
    shown = show.table(
        ["|w|", "n"], [("a | b", 1), ("`x|y`", 2), ("one\n  two", 3)], bold=1
    )
    assert cells(shown.data) == [
        ["|w|", "n"],
        ["a | b", "1"],
        ["<strong><code>x|y</code></strong>", "<strong>2</strong>"],
        ["one two", "3"],
    ]
    paper = show.paper_here([Claim("|g| falls", "1", "2", Verdict.PARTLY)]).data
    assert cells(paper)[1][0] == "|g| falls"


@pytest.mark.parametrize("bold", [-1, 2, 1.0, True])
def test_bold_is_a_row(bold: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"^bold must be an int in \[0, 1\], got {bold}"
    ):
        show.table(["a"], [("x",), ("y",)], bold=bold)


def test_a_table_without_rows() -> None:
    assert show.table(["a", "2"], []).data.splitlines() == [
        "| a | 2 |",
        "| :-- | --: |",
    ]


def test_paper_here_shows_verdicts_that_were_computed() -> None:
    row = Claim("claim", "2 %", "3 % ± 1, n = 3", holds(True))
    assert "*reproduced*" in show.paper_here([row]).data
    typed: Any = "reproduced"
    with pytest.raises(ValueError, match="'claim': verdict must be computed, got 'rep"):
        show.paper_here([row._replace(verdict=typed)])


def test_source_is_the_code_that_runs() -> None:
    shown = show.source(optim.Adam.update).data
    assert shown.startswith("```python\ndef update(")
    assert "m = self.b1 * s.m + (1 - self.b1) * g" in shown


def test_every_method_has_a_color_with_tones() -> None:
    assert {look.color for look in plot.LOOKS.values()} <= set(TEXT)


def test_no_two_methods_look_the_same() -> None:
    looks = {k: v for k, v in plot.LOOKS.items() if k != "heavy ball"}  # = momentum
    assert len(set(looks.values())) == len(looks)


def test_line_averages_runs() -> None:
    ax = plot.figure("title", "x (1)", "y (1)", log="xy")
    x = np.array([1.0, 10.0, 100.0])
    mean = plot.line(ax, x, [3 * x**-2, 5 * x**-2], "SGD")
    assert np.allclose(mean, 4 * x**-2)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    plt.close("all")


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_axes_are_logarithmic_as_asked(log: str) -> None:
    ax = plot.figure("title", "x", "y", log=log)
    assert (ax.get_xscale() == "log", ax.get_yscale() == "log") == (
        "x" in log,
        "y" in log,
    )
    plt.close("all")


def test_an_unknown_scale_or_method() -> None:
    with pytest.raises(ValueError, match=r'^log must be "x", "y" or "xy", got \'z\'$'):
        plot.figure("title", "x", "y", log="z")
    ax = plot.figure("title", "x", "y")
    with pytest.raises(KeyError, match="Adamm"):
        plot.line(ax, [0, 1], [0, 1], "Adamm")
    plt.close("all")


def test_labels_stand_at_the_ends_and_apart() -> None:
    ax = plot.figure("title", "x", "y")
    for shift, name in enumerate(["SGD", "Adam", "Lion", "Muon"]):
        plot.line(ax, [0, 1], [0, 1 + 1e-3 * shift], name)
    assert plot.label_ends(ax, gap=0.1) == ["Muon", "Lion", "Adam", "SGD"]
    heights = [text.get_position()[1] for text in ax.texts]
    assert np.all(np.diff(heights) < -0.0999)
    plt.close("all")


def test_player_draws_every_path_and_needs_no_script() -> None:
    problem = quadratic([1.0, 4.0])
    path = np.linspace([1.0, 1.0], [0.0, 0.0], 5)
    shown = player(
        problem.f,
        {"SGD": path, "Adam": path[:3]},
        (-1, 2),
        (-1, 2),
        minimum=problem.minimum,
        caption="a < b",
        alt='two "paths"',
    ).data
    assert "@" not in re.sub(r"@media", "", shown)  # every placeholder is filled
    assert shown.count('class="run"') == 2 and 'max="4" value="4"' in shown
    assert "http" not in shown and "a &lt; b" in shown and "&quot;paths&quot;" in shown
    match = re.search(r'data-runs="([^"]*)"', shown)
    assert match is not None
    runs = json.loads(unescape(match.group(1)))
    assert [len(run["values"]) for run in runs] == [5, 3]
    assert runs[0]["values"][0] == "2.50e+00"


@pytest.mark.parametrize(
    ("path", "alt", "message"),
    [
        (np.zeros((3, 3)), "x", r"paths\['SGD'\] must be \(n, 2\), got \(3, 3\)"),
        (np.zeros((0, 2)), "x", r"paths\['SGD'\] must be \(n, 2\), got \(0, 2\)"),
        (np.zeros(2), "x", r"paths\['SGD'\] must be \(n, 2\), got \(2,\)"),
        (np.zeros((3, 2)), "", "alt must say what is seen"),
    ],
)
def test_player_refuses(path: np.ndarray, alt: str, message: str) -> None:
    problem = quadratic([1.0, 4.0])
    with pytest.raises(ValueError, match=message):
        player(
            problem.f,
            {"SGD": path},
            (-1, 1),
            (-1, 1),
            minimum=problem.minimum,
            caption="c",
            alt=alt,
        )


def test_player_needs_a_path() -> None:
    problem = quadratic([1.0, 4.0])
    with pytest.raises(ValueError, match=r"^paths must name at least one method"):
        player(
            problem.f,
            {},
            (-1, 1),
            (-1, 1),
            minimum=problem.minimum,
            caption="c",
            alt="a",
        )


@pytest.mark.parametrize("missing", ["matplotlib", "IPython"])
def test_without_the_extra_the_book_says_what_is_needed(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import deepopt_lib.book"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: {missing} is needed: install deepopt_lib with its extra [book]"
    )
