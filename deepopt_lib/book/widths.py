"""A figure at the width of a page or of a phone: as one would draw it there.

`drawn_at` changes a finished figure and changes it back. On a phone, panels of one row
stand below each other, labels at the ends of lines break or become a legend, and a
legend leaves the axes for the place below them. At both widths the title starts at the
left edge and breaks where it has to, and every text is legible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, SubplotSpec
from matplotlib.text import Text

from deepopt_lib.book.ends import LINE, EndLabel, end_labels, settle, width_of, wrap
from deepopt_lib.book.legible import change, legible
from deepopt_lib.book.ticks import shift, thin

__all__ = ["NARROW", "drawn_at", "on_phone", "stack_in"]

NARROW = 3.55  # inches: a phone of 390 px shows it at its own size
TITLE = 11.0  # points
HEAD = 0.3  # inches, of a title
BESIDE = 80.0  # points that labels beside the axes may take
HANDLE = 36.0  # points that a legend takes beside a word
ROW = 0.2  # inches, of a legend
LEGEND = 9.0  # points

Placed = dict[Axes, SubplotSpec]  # axes but for those of color bars and insets
_columns: WeakKeyDictionary[Figure, int | None] = WeakKeyDictionary()
_properties: WeakKeyDictionary[Artist, Mapping[str, Any]] = WeakKeyDictionary()


def on_phone(artist: Artist, properties: Mapping[str, Any]) -> None:
    """Note what is different about an artist on a phone."""
    _properties[artist] = {**_properties.get(artist, {}), **properties}


def stack_in(fig: Figure, columns: int | None) -> None:
    """Note how many panels of a row stand side by side on a phone, if that was said."""
    _columns[fig] = columns


@contextmanager
def drawn_at(fig: Figure, width: float) -> Iterator[None]:
    """Give a figure a width in inches, and what follows from it, for a with block."""
    with ExitStack() as undo:
        wide, height = map(float, fig.get_size_inches())
        undo.callback(fig.set_size_inches, wide, height)
        axes = {ax: spec for ax in fig.axes if (spec := ax.get_subplotspec())}
        if width < wide:
            for artist in fig.findobj(lambda found: found in _properties):
                change(undo, artist, _properties[artist])
            height = _restack(undo, fig, axes, height)
        more = _title(undo, fig, axes, 72 * width)
        fig.set_size_inches(width, height + more * TITLE * LINE / 72)
        fig.draw_without_rendering()
        legible(undo, fig)
        for ax in axes:
            _head(undo, ax)
            if width < wide:
                _below(undo, fig, ax, alone=len(axes) == 1)
        fig.draw_without_rendering()
        for ax in axes:
            settle(ax)
            thin(undo, ax)
            shift(undo, ax)
        yield


def _title(undo: ExitStack, fig: Figure, axes: Placed, room: float) -> int:
    """Put the title at the left edge; return how many lines it has more than one."""
    words = fig.get_suptitle()
    undo.callback(fig.suptitle, words)
    if not words and len(axes) == 1:
        for text in _titles(*axes):
            words = text.get_text()
            change(undo, text, {"text": ""})
    broken = wrap(words, TITLE, room - 8)
    fig.suptitle(broken, x=4 / room, ha="left", fontsize=TITLE)
    return broken.count("\n")


def _head(undo: ExitStack, ax: Axes) -> None:
    """Break the title of a panel to the width of its axes."""
    room = 72 * ax.get_window_extent().width / ax.figure.dpi
    for text in _titles(ax):
        size = float(text.get_fontsize())
        change(undo, text, {"text": wrap(text.get_text(), size, room)})


def _titles(ax: Axes) -> list[Text]:
    """Return the titles of some axes that are not empty."""
    own = [text for text in ax.get_children() if isinstance(text, Text)]
    return [text for text in own if text not in ax.texts and text.get_text()]


def _restack(undo: ExitStack, fig: Figure, axes: Placed, height: float) -> float:
    """Put panels of one row below each other; return the new height in inches."""
    if len(axes) < 2:
        return height
    old = next(iter(axes.values()))
    n_rows, n_columns = old.get_gridspec().get_geometry()
    n = len(axes)
    pictures = 1 if any(ax.axison for ax in axes) else n if n <= 5 else -(-n // 2)
    columns = _columns.get(fig) or pictures
    rows = -(-n // columns)
    grid = GridSpec(rows, columns, figure=fig)
    for i, (ax, spec) in enumerate(axes.items()):
        undo.callback(ax.set_subplotspec, spec)
        ax.set_subplotspec(grid[divmod(i, columns)])
        if i and i % columns == 0:
            _own_labels(undo, axes, ax)
    wide = float(fig.get_size_inches()[0])
    scale = min(1.0, NARROW / columns * n_columns / wide)
    return HEAD + rows * scale * (height - HEAD) / n_rows


def _own_labels(undo: ExitStack, axes: Placed, ax: Axes) -> None:
    """Label the y axis of a panel as the first of those that share it with others."""
    joined = ax.get_shared_y_axes().joined
    first = next((other for other in axes if joined(ax, other)), ax)
    if first is ax:
        return
    shown = ax.yaxis.get_tick_params().get("labelleft", True)
    undo.callback(ax.tick_params, axis="y", which="both", labelleft=shown)
    ax.tick_params(axis="y", which="both", labelleft=True)
    if not ax.get_ylabel():
        undo.callback(ax.set_ylabel, "")
        ax.set_ylabel(first.get_ylabel())


def _below(undo: ExitStack, fig: Figure, ax: Axes, *, alone: bool) -> None:
    """Break labels at the ends of lines; put them and a legend below the axes.

    The labels if there is no room beside the axes, the legend if these are ``alone``:
    beside other panels they are as wide on a phone as on a page.
    """
    handles, words = _legend(undo, ax) if alone else ([], [])
    labels = end_labels(ax)
    for label in labels:
        broken = wrap(label.get_text(), float(label.get_fontsize()), BESIDE)
        change(undo, label, {"text": broken})
    if labels and not _fits(ax, labels):
        handles += [label.drawn for label in labels]
        words += [label.get_text().replace("\n", " ") for label in labels]
        for label in labels:
            change(undo, label, {"visible": False})
    if handles:
        widest = max(width_of(word, LEGEND) for word in words) + HANDLE
        n = max(1, int(72 * NARROW // widest))
        drawn = fig.legend(
            handles, words, loc="outside lower left", ncols=n, fontsize=LEGEND
        )
        undo.callback(drawn.remove)
        wide, height = fig.get_size_inches()
        fig.set_size_inches(wide, height + ROW * -(-len(words) // n))


def _legend(undo: ExitStack, ax: Axes) -> tuple[list[Any], list[str]]:
    """Hide the legend of some axes; return its handles and words, if there is one."""
    found = ax.get_legend()
    if found is None:
        return [], []
    words = [text.get_text() for text in found.get_texts()]
    handles, known = ax.get_legend_handles_labels()
    change(undo, found, {"visible": False})
    return list(handles if known == words else found.legend_handles), words


def _fits(ax: Axes, labels: Sequence[EndLabel]) -> bool:
    """Tell whether there is room for labels beside the axes."""
    size = max(float(label.get_fontsize()) for label in labels)
    widest = max(width_of(label.get_text(), size) for label in labels)
    return widest <= 1.2 * BESIDE and sum(label.room(ax) for label in labels) < 1.1
