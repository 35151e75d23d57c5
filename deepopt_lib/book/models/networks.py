"""Compressed networks to choose from, by bytes, accuracy and family."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from IPython.display import HTML

from deepopt_lib.book.live.cells import Label
from deepopt_lib.book.live.controls import Choice, Slider, even
from deepopt_lib.book.live.frame import Axis
from deepopt_lib.book.live.handles import Pick
from deepopt_lib.book.live.markers import Markers
from deepopt_lib.book.live.marks import Boxes, Line
from deepopt_lib.book.live.markup import figure
from deepopt_lib.book.live.panel import Mark, Panel
from deepopt_lib.book.models.pareto import pareto
from deepopt_lib.core.checks import check_int, check_number

__all__ = ["Network", "compressed_networks"]

BYTES = (1e3, 5e5)  # the ends of the axes
PERCENT = (89.5, 95.5)
KILOBYTES = (1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 50, 70, 100, 150, 200, 300, 400)
START: Mapping[str, Any] = {"family": "all", "budget": 10, "target": 94.0}
FAMILIES = {  # by the name of the result: the family, its look, its marker
    "control": ("control", "control", "o"),
    "small_bits": ("small, few bits", "control", "s"),
    "quantized": ("quantized", "quantized", "s"),
    "shared": ("shared", "shared", "D"),
    "pruned": ("pruned", "pruned", "o"),
    "low_rank": ("low rank", "low rank", "v"),
    "whole": ("Deep Compression", "Deep Compression", "*"),
}


class Network(NamedTuple):
    """One network: what it is called, of which family, bytes, accuracy in percent."""

    name: str
    family: str
    size: float
    accuracy: float


def compressed_networks(
    networks: Sequence[Network], apart: Iterable[tuple[str, str]]
) -> HTML:
    """Show which network is best for so many bytes, and which the smallest so good.

    ``apart`` are the pairs of names that differ beyond chance. Numbers are rounded as
    in a table: whole bytes, tenths of a percent.

    Raises
    ------
    ValueError
        If there are fewer than two, two have one name, a family is not known, a size
        or an accuracy is beyond the axes, or a pair names what there is not.
    """
    rows = [_checked(one) for one in networks]
    check_int("networks", len(rows), 2)
    rows.sort(key=lambda one: (one.size, -one.accuracy))
    names = [one.name for one in rows]
    sizes, accuracies = [one.size for one in rows], [one.accuracy for one in rows]
    says = [f"{one.size:,} bytes, {one.accuracy:.1f} %" for one in rows]
    families = [one.family for one in rows]
    given: dict[str, Any] = {
        "names": names,
        "says": says,
        "families": families,
        "sizes": sizes,
        "accuracies": accuracies,
        "apart": _triangle(names, apart),
    }
    best = pareto(picked=0, **START, **given)["best"]
    shown = [f for f, _, _ in FAMILIES.values() if f in families]
    return figure(
        pareto,
        [
            Slider("budget", "Budget", KILOBYTES, START["budget"], "kB"),
            Slider(
                "target", "Target accuracy", even(*PERCENT, 61), START["target"], "%"
            ),
            Pick(
                "picked",
                "Look at",
                {"sizes": sizes, "accuracies": accuracies},
                {"names": names, "says": says},
                max(best, 0),
            ),
            Choice("family", "Family", {f: f for f in ("all", *shown)}, "all"),
        ],
        [_panel(shown, _alt(rows, best))],
        title="For ten kilobytes, be small from the start or compress all the way",
        text="For {budget} kB {within}. For {target} % {reaching}. Both: {both} of "
        "{count} networks.",
        caption="Bytes and test accuracy of the table, means of five seeds. Not told "
        "apart: the 95 % interval of the difference holds zero. The staircase is the "
        "front of the means. Click or tap a mark to read its numbers.",
        given=given,
    )


def _checked(one: Network) -> Network:
    """Return a network with the digits that are shown."""
    check_number(f"bytes of {one.name}", one.size, *BYTES)
    check_number(f"accuracy of {one.name}", one.accuracy, *PERCENT)
    known = [family for family, _, _ in FAMILIES.values()]
    if one.family not in known:
        raise ValueError(f"family must be one of {known}, got {one.family!r}")
    size, accuracy = round(float(one.size)), round(float(one.accuracy), 1)
    return one._replace(size=size, accuracy=accuracy)


def _triangle(names: Sequence[str], apart: Iterable[tuple[str, str]]) -> list[str]:
    """Return for each network which of those before it differ from it, as 0 and 1."""
    places = {name: i for i, name in enumerate(names)}
    if len(places) < len(names):
        raise ValueError(f"every network needs a name of its own, got {names}")
    pairs = set()
    for pair in apart:
        if missing := sorted(set(pair) - set(places)):
            raise ValueError(f"apart names {missing}, which are no networks")
        pairs.add(frozenset(places[name] for name in pair))
    return [
        "".join("1" if frozenset((i, j)) in pairs else "0" for j in range(i))
        for i in range(len(names))
    ]


def _alt(rows: Sequence[Network], best: int) -> str:
    """Return what is seen before anything moves."""
    seen = f"Accuracy against bytes of {len(rows)} networks, and their front: it rises"
    seen += f" steeply up to {START['budget']} kB"
    if best < 0:
        return f"{seen}, where none fits."
    return f"{seen}, where {rows[best].name} stands, and is almost level from there."


def _panel(shown: Sequence[str], alt: str) -> Panel:
    """Return the picture: what meets both, the front, the families, one looked at."""
    ring = functools.partial(Markers, "ink", hollow=True)
    rule = functools.partial(Line, "ink", width=1)
    says = functools.partial(
        Label, "ink", x=BYTES[1], y=PERCENT[0], anchor="end", halo=True
    )
    families = [
        Markers(look, family, "sizes", key, shape, 12 if shape == "*" else 8)
        for key, (family, look, shape) in FAMILIES.items()
        if family in shown
    ]
    marks: list[Mark] = [
        Boxes("ink", x0=1.0, x1="limit", y0="target", y1=100.0, faint=0.1),
        rule("budget, target", "limit", (0.0, 100.0), dash="--"),
        rule("", (1.0, 1e9), "target", dash="--"),
        rule("front", "front_x", "front_y", steps=True),
        Markers("gray", "", "sizes", "accuracies", "o", size=3),
        *families,
        ring("within both", "both_x", "both_y", "o", size=17),
        ring("looked at", "picked_x", "picked_y", "s", size=24),
        says(text="{name}", shift=(-6, -24)),
        says(text="{numbers}", shift=(-6, -8)),
    ]
    ticks = {1e3: "1 kB", 1e4: "10 kB", 1e5: "100 kB"}
    x = Axis(*BYTES, "bytes", log=True, ticks=ticks)
    y = Axis(*PERCENT, "test accuracy, %", ticks={k: f"{k}" for k in range(90, 96)})
    return Panel(x, y, marks, alt, 330)
