"""What a message leaves out, and where it is added, drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from IPython.display import HTML

from deepopt_lib.book.draw.kit import Canvas
from deepopt_lib.book.draw.metrics import WIDTH
from deepopt_lib.core.checks import check_number

__all__ = ["error_feedback"]


def error_feedback(
    gradients: Sequence[float] = (0.75, 0.75, 0.75, 0.75),
    code: Callable[[float], float] = math.floor,
    *,
    caption: str = "Error feedback. What the code leaves out stays here, and is added "
    "to the next gradient before it is coded: late, but not lost.",
) -> HTML:
    """Draw what is sent of gradients, what stays, and where that is added.

    Parameters
    ----------
    gradients : sequence of float
        Three to five, > 0.
    code : callable
        What is sent of a number, from 0 to the number; by default its whole part.

    Raises
    ------
    ValueError
        If there are not 3 to 5 gradients > 0 and at most 1, or ``code`` sends less than
        nothing or more than there is.
    """
    if not 3 <= len(gradients) <= 5:
        raise ValueError(f"gradients must be 3 to 5, got {len(gradients)}")
    rows, e = [], 0.0  # what stayed, what comes, what is sent
    for g in gradients:
        check_number("gradient", g, 0, 1, "(]")
        sent = check_number("code", code(g + e), 0, g + e, "[]")
        rows.append((e, g, sent))
        e = e + g - sent
    c = Canvas(
        "Error feedback",
        f"{len(rows)} bars of two parts, what stayed and the new gradient. Sent are "
        + ", ".join(f"{u:g}" for *_, u in rows)
        + "; what remains goes along an arrow into the next bar.",
        236,
    )
    unit, base, w = 66.0, 196.0, 54.0
    gap = (WIDTH - 4 - 64) / len(rows)
    for k, (stayed, g, sent) in enumerate(rows):
        x, rest = 64 + k * gap, stayed + g - sent
        top = base - unit * (stayed + g)
        c.box(
            x, base - unit * stayed, w, unit * stayed, color="pink", tint=0.4, round=0
        )
        c.box(x, top, w, unit * g, color="blue", tint=0.3, round=0)
        c.text(x + w / 2, top + unit * g / 2, f"{g:g}", name="gradient")
        if stayed > 0.25:
            c.text(x + w / 2, base - unit * stayed / 2, f"{stayed:g}", name="stayed")
        c.arrow((x + w / 2, top - 4), (x + w / 2, 36), color="vermilion",
                width=2 if sent else 1, dashed=not sent)  # fmt: skip
        c.text(x + w / 2, 25, f"{sent:g}", color="vermilion", bold=True, name="sent")
        if rest and k < len(rows) - 1:
            middle, low = x + (w + gap) / 2, base - 12
            c.arrow((x + w + 3, low), (x + gap - 3, low), color="pink")
            c.text(middle, base + 12, f"{rest:g}", color="pink", name="kept")
    c.curve([(56, base), (WIDTH - 4, base)], width=1)
    c.text(4, 25, "sent", at="start", color="vermilion", bold=True)
    c.text(4, 110, "new", at="start", color="blue", bold=True)
    c.text(4, base + 12, "stays", at="start", color="pink", bold=True)
    total = f"sent {sum(u for *_, u in rows):g} of {sum(gradients):g}, {e:g} stays"
    c.text(WIDTH / 2, 228, total, name="total")
    return c.figure(caption)
