"""Figures as SVG, for a page and for a phone: what is drawn, and what is left as is."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from deepopt_lib.book import plot, svg
from deepopt_lib.book.ends import end_labels, width_of, wrap
from deepopt_lib.book.tones import ON_BAR, TONES
from deepopt_lib.book.widths import NARROW, drawn_at

mpl.use("agg")
TEXTS = "{http://www.w3.org/2000/svg}text"
LONG = "A title that is a sentence is longer than a phone is wide, and so it breaks"


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    with mpl.rc_context():
        plot.style()
        yield
        plt.close("all")


def lines(*names: str) -> Axes:
    """Return axes with a line for each method, labeled by its name."""
    ax = plot.figure(LONG, "step", "loss", log="y")
    for i, name in enumerate(names):
        ax.plot([0, 1000], [1, 0.1 * (i + 1)], color=plot.VERMILION, label=name)
    return ax


def figure_of(ax: Axes) -> Figure:
    fig = ax.get_figure(root=True)
    assert fig is not None
    return fig


def texts(drawn: str) -> list[ET.Element]:
    return list(ET.fromstring(drawn).iter(TEXTS))


def words(drawn: str) -> list[str]:
    return ["".join(text.itertext()).strip() for text in texts(drawn)]


def sizes(drawn: str) -> list[float]:
    return [float(size) for size in re.findall(r"font-size:([\d.]+)px", drawn)]


def test_the_same_figure_has_the_same_bytes_and_few() -> None:
    first, second = (svg.bundle(figure_of(lines("a", "b"))) for _ in "ab")
    assert first == second
    assert list(first) == ["image/svg+xml", svg.NARROW_TYPE]
    assert all(len(drawn) < 12_000 for drawn in first.values())
    for drawn in first.values():
        assert "<!--" not in drawn and "metadata" not in drawn and "date" not in drawn
        assert not re.search(r"\d\.\d{3}", drawn)
    assert [("background:#fff" in drawn) for drawn in first.values()] == [True, False]


def test_a_figure_is_as_it_was_after_it_was_drawn_for_a_phone() -> None:
    fig, axes = plot.panels(2, LONG)
    for ax in axes:
        ax.set(title=LONG, ylabel="loss")
        plot.line(ax, [0, 1], [0, 1], "SGD", label="a label of several words")
        plot.label_ends(ax)

    def state() -> list[Any]:
        return [
            *map(tuple, [fig.get_size_inches()]),
            fig.get_suptitle(),
            *[(ax.get_title(loc="left"), ax.get_subplotspec()) for ax in axes],
            *[(t.get_text(), t.get_color(), t.get_fontsize()) for t in axes[0].texts],
            axes[1].yaxis.get_tick_params()["labelleft"],
        ]

    before = state()
    with drawn_at(fig, NARROW):
        assert state() != before
    assert state() == before


def test_on_a_phone_panels_stand_below_each_other_with_their_own_labels() -> None:
    fig, axes = plot.panels(3, LONG)
    axes[0].set_ylabel("loss")
    with drawn_at(fig, NARROW):
        places = [ax.get_position() for ax in axes]
        assert np.ptp([place.x0 for place in places]) < 0.01
        assert places[0].y0 > places[1].y1 and places[1].y0 > places[2].y1
        assert [ax.get_ylabel() for ax in axes] == ["loss"] * 3
        assert all(ax.yaxis.get_tick_params()["labelleft"] for ax in axes[1:])
        assert fig.get_size_inches()[0] == NARROW
        assert "\n" in fig.get_suptitle()
    assert [ax.get_ylabel() for ax in axes] == ["loss", "", ""]


def test_panels_stand_side_by_side_in_as_many_columns_as_asked() -> None:
    fig, axes = plot.panels(4, "title", columns=2)
    with drawn_at(fig, NARROW):
        places = [ax.get_position() for ax in axes]
    assert places[0].y0 == places[1].y0 > places[2].y0 == places[3].y0
    assert places[0].x0 == places[2].x0 < places[1].x0 == places[3].x0


@pytest.mark.parametrize(("n", "columns"), [(5, 5), (8, 4), (7, 4)])
def test_pictures_stay_side_by_side(n: int, columns: int) -> None:
    fig, axes = plot.panels(n, "title")
    for ax in axes:
        ax.imshow(np.eye(3))
        ax.set_axis_off()
    with drawn_at(fig, NARROW):
        lefts = {round(ax.get_position().x0, 6) for ax in axes}
    assert len(lefts) == columns


@pytest.mark.parametrize("columns", [0, 4, 1.0])
def test_columns_are_at_most_the_panels(columns: Any) -> None:
    with pytest.raises(ValueError, match=r"^columns must be an int in \[1, 3\], got"):
        plot.panels(3, "title", columns=columns)


@pytest.mark.parametrize("width", [7.0, NARROW])
def test_text_is_large_enough_inside_and_in_a_tone_for_text(width: float) -> None:
    ax = lines("one label", "another")
    ax.text(500, 0.5, "small", fontsize=5, color=plot.GREEN)
    plot.label_ends(ax)
    drawn = svg.render(figure_of(ax), width)
    assert min(sizes(drawn)) >= 8.5
    found = {style for text in texts(drawn) if (style := text.get("style"))}
    fills = set(re.findall(r"fill:(#\w+)", " ".join(found)))
    assert fills == {TONES[name].text for name in ("ink", "green", "vermilion")}
    assert all(color in drawn for color in (plot.VERMILION, plot.INK))
    for text in texts(drawn):
        if "x" in text.attrib and "middle" not in text.get("style", ""):
            long = width_of("".join(text.itertext()), sizes(text.get("style", ""))[0])
            turned = "rotate" in text.get("transform", "")
            assert turned or float(text.get("x", 0)) + long <= 72 * width


def test_labels_at_ends_break_or_become_a_legend() -> None:
    ax = lines("PyTorch, fused and fast", "mine")
    plot.label_ends(ax)
    fig = figure_of(ax)
    with drawn_at(fig, NARROW):
        shown = [label.get_text() for label in end_labels(ax)]
        assert shown == ["mine", "PyTorch, fused\nand fast"] and not fig.legends
    label = "averylongwordthatdoesnotbreak"
    ax = lines(label, "mine")
    plot.label_ends(ax)
    fig = figure_of(ax)
    with drawn_at(fig, NARROW):
        assert not any(label.get_visible() for label in end_labels(ax))
        assert [t.get_text() for t in fig.legends[0].get_texts()] == ["mine", label]
    assert all(label.get_visible() for label in end_labels(ax)) and not fig.legends


def test_a_legend_stands_below_the_axes_on_a_phone() -> None:
    ax = lines("one", "two", "three")
    inside, fig = ax.legend(), figure_of(ax)
    with drawn_at(fig, NARROW):
        [outside] = fig.legends
        assert not inside.get_visible()
        fig.draw_without_rendering()
        box = outside.get_window_extent()
        assert box.y1 < ax.get_window_extent().y0 and box.x1 < fig.bbox.x1
    assert inside.get_visible() and not fig.legends


def test_a_label_wider_than_its_axis_is_whole() -> None:
    ax = lines("one")
    ax.set(xlabel="energy of one inference at full speed (µJ)", yscale="linear")
    ax.set_yticks([0, 1], ["a name that takes half of the width", "b"])
    fig = figure_of(ax)
    with drawn_at(fig, NARROW):
        fig.draw_without_rendering()
        box = ax.xaxis.label.get_window_extent()
        assert box.x0 > 0 and box.x1 < fig.bbox.x1 + 1
    assert ax.xaxis.label.get_horizontalalignment() == "center"


def test_numbers_below_an_axis_do_not_overlap_and_words_break() -> None:
    ax = lines("one")
    ax.set_xticks(range(0, 1001, 50), [f"{x:,}" for x in range(0, 1001, 50)])
    drawn = svg.render(figure_of(ax), NARROW)
    kept = [word for word in words(drawn) if word.replace(",", "").isdigit()]
    assert kept[0] == "0" and 3 < len(kept) < 12
    ax.set_xticks([250, 750], ["pixels in place", "pixels that were shuffled"])
    drawn = svg.render(figure_of(ax), NARROW)
    assert {"pixels that were", "shuffled"} <= set(words(drawn))
    assert ax.get_xticklabels()[1].get_text() == "pixels that were shuffled"


def test_white_on_a_bright_bar_becomes_black() -> None:
    ax = plot.figure("title", "share", "")
    for i, color in enumerate([plot.BLUE, plot.VERMILION]):
        ax.barh(i, 1, color=color)
        ax.text(0.5, i, f"{i}", color="white", ha="center", va="center")
    ax.text(0.5, 3, "above", color="white")
    drawn = svg.render(figure_of(ax), 7)
    fill = {"".join(t.itertext()): (t.get("style") or "")[-7:] for t in texts(drawn)}
    assert fill["0"] == ON_BAR["#ffffff"]
    assert ON_BAR["#000000"] in {s[-7:] for s in fill.values()}
    assert fill["above"].endswith("ffffff") or "white" in fill["above"]


def test_an_artist_may_stand_elsewhere_on_a_phone() -> None:
    ax = lines("one")
    text = ax.text(900, 0.5, "here")
    plot.phone(text, {"position": (100, 0.5), "text": "there"})
    fig = figure_of(ax)
    with drawn_at(fig, 7.0):
        assert text.get_position() == (900, 0.5)
    with drawn_at(fig, NARROW):
        assert (text.get_position(), text.get_text()) == ((100, 0.5), "there")
    assert (text.get_position(), text.get_text()) == ((900, 0.5), "here")
    with pytest.raises(ValueError, match="an artist has no place"):
        plot.phone(text, {"position": (1, 1), "place": (0, 0)})
    with drawn_at(fig, NARROW):
        assert text.get_position() == (100, 0.5)


def test_a_map_of_colors_is_pixels_with_what_is_transparent() -> None:
    ax = plot.figure("title", "x", "y")
    x, y = np.meshgrid(np.arange(300), np.arange(200))
    ax.pcolormesh(np.where(x < y, np.nan, np.sin(x / 50) * y))
    drawn = svg.render(figure_of(ax), 7)
    assert len(drawn) < 60_000
    [data] = re.findall(r'href="(data:image/png;base64,[^"]*)', drawn)
    picture = Image.open(BytesIO(base64.b64decode(data.partition(",")[2])))
    alpha = np.asarray(picture.convert("RGBA"))[..., 3]
    assert picture.mode == "P" and set(np.unique(alpha)) == {0, 255}
    assert abs(np.mean(alpha == 0) - 1 / 3) < 0.02


@pytest.mark.parametrize(
    ("room", "broken"),
    [(1000, "one two\nthree"), (45, "one two\nthree"), (20, "one\ntwo\nthree")],
)
def test_wrap(room: float, broken: str) -> None:
    assert wrap("one two\nthree", 10, room) == broken
    assert width_of("one two\nthree", 10) == width_of("one two", 10)


def test_a_notebook_stores_both_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    formatter: Any = DisplayFormatter()
    formatter.formatters["image/png"].for_type(Figure, lambda fig: b"x")
    shell = SimpleNamespace(display_formatter=formatter)
    monkeypatch.setattr(svg, "get_ipython", lambda: shell)
    plot.style()
    data, _ = formatter.format(figure_of(lines("one")))
    assert set(data) == {"image/svg+xml", svg.NARROW_TYPE, "text/plain"}
    assert data["text/plain"].startswith("<Figure size")


def test_changes_are_undone_when_drawing_fails() -> None:
    fig = figure_of(lines("one"))
    size = tuple(fig.get_size_inches())
    with pytest.raises(IndexError), drawn_at(fig, NARROW):
        assert fig.get_size_inches()[2] == NARROW
    assert tuple(fig.get_size_inches()) == size
