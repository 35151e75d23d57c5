"""A figure that answers: one model, drawn by Python and moved by the browser."""

from __future__ import annotations

import html
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from IPython.display import HTML

from deepopt_lib.book.live.controls import Choice, Slider
from deepopt_lib.book.live.handles import Pattern, Pick, Point
from deepopt_lib.book.live.panel import Panel
from deepopt_lib.book.live.printer import printed
from deepopt_lib.book.live.update import Update
from deepopt_lib.book.live.words import fill, names, number

__all__ = ["Control", "figure"]

Control = Slider | Choice | Point | Pattern | Pick


def figure(
    model: Callable[..., dict[str, Any]],
    controls: Sequence[Control],
    panels: Sequence[Panel],
    *,
    title: str,
    text: str,
    caption: str,
    given: Mapping[str, Any] | None = None,
    lists: Mapping[str, str] | None = None,
) -> HTML:
    """Show what a model says, and let the reader move it.

    The default picture and sentence are drawn here and stand alone, in print and where
    no script runs. The model is printed as JavaScript beside it; ``live.js`` calls it
    at every move and draws the same marks anew.

    Parameters
    ----------
    model : callable
        Restricted Python, see `printed`: numbers, texts and lists by name from the
        values of the controls and what is ``given``.
    controls, panels : sequence
        What moves, and what is seen. Marks and texts may name results and settings.
    title, text, caption : str
        The finding; a sentence with numbers, a template (`fill`); what is shown.
    given : dict, optional
        Further arguments of the model: lists of numbers, or an `Update`.
    lists : dict, optional
        Lists among the results that are written out below, by their labels.

    Raises
    ------
    ValueError
        If the model is not restricted Python, its arguments are not what is given and
        controlled, or the sentence names what there is not.
    """
    given, lists = dict(given or {}), dict(lists or {})
    settings: dict[str, Any] = {}
    for control in controls:
        settings |= control.start()
    wanted = list(inspect.signature(model).parameters)
    if sorted(wanted) != sorted([*settings, *given]):
        raise ValueError(
            f"the model takes {wanted}, controlled and given are {[*settings, *given]}"
        )
    values = settings | model(**settings, **given)
    if missing := sorted((names(text) | set(lists.values())) - set(values)):
        raise ValueError(f"the text names {missing}, which are no results")
    name = model.__name__
    spec = {
        "controls": [control.spec() for control in controls],
        "panels": [panel.spec() for panel in panels],
        "text": text,
        "lists": list(lists.values()),
        "given": {k: v for k, v in given.items() if not isinstance(v, Update)},
    }
    rows = "".join(
        f"<dt>{html.escape(label)}</dt><dd>{_row(values[key])}</dd>"
        for label, key in lists.items()
    )
    return HTML(  # type: ignore[no-untyped-call]
        f'<figure class="live" data-model="{name}">\n'
        f'<p class="live-title">{html.escape(title)}</p>\n<div class="live-panels">\n'
        + "\n".join(panel.markup(values) for panel in panels)
        + f'\n<div class="live-desk{" live-odd" if len(panels) % 2 else ""}">\n'
        f'<form class="live-controls" hidden="hidden">'
        f"{''.join(control.markup(name) for control in controls)}"
        f'<button type="reset">Reset</button></form>\n'
        + (f'<dl class="live-lists">{rows}</dl>\n' if rows else "")
        + f'<p class="live-text">{html.escape(fill(text, values))}</p>\n</div></div>\n'
        f"<figcaption>{html.escape(caption)}</figcaption>\n"
        f'<script type="application/json">{_data(spec)}</script>\n'
        f"<script>//<![CDATA[\n{_program(model, given)}\n//]]></script>\n</figure>"
    )


def _row(values: Sequence[Any]) -> str:
    words = (v if isinstance(v, str) else number(v) for v in values)
    return html.escape(" ".join(words), quote=False)


def _data(spec: Mapping[str, Any]) -> str:
    """Return JSON that is a text of HTML and of XML as it stands."""
    text = json.dumps(spec, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _program(model: Callable[..., Any], given: Mapping[str, Any]) -> str:
    """Return a script that keeps the model where ``live.js`` finds it."""
    rules = [f"{k}: {v.code}" for k, v in given.items() if isinstance(v, Update)]
    name = model.__name__
    code = (
        f'(globalThis.deepoptLive ??= {{}}).{name} = (() => {{\n"use strict";\n'
        f"{printed(model)}\n"
        f"return {{ model: {name}, rules: {{ {', '.join(rules)} }} }};\n}})();"
    )
    return code.replace("</", "<\\/").replace("<!", "<\\!")  # only within texts
