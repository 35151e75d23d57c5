"""An article without what only a screen has: scripts, controls, folds."""

from __future__ import annotations

from bs4 import Comment, Tag

# Folded code is left out; a figure that answers the hand stands at its default.
ON_SCREEN_ONLY = (
    "script, style, noscript, button, form, input, .headerlink, .toctree-wrapper, "
    "details.code-fold, details.hide, picture.drawn-dark, picture > source, .controls, "
    ".sd-stretched-link, .live-controls, .live-handle, .live-cells, .live-heard, "
    ".live-hint"
)
NO_LONGER_TRUE = " Drag the slider, or use the arrow keys."
ATTRIBUTES = ("loading", "decoding", "data-runs", "tabindex")


def make_plain(body: Tag) -> None:
    """Take out of an article what does nothing on paper; solutions stand open."""
    for comment in body.find_all(string=lambda text: isinstance(text, Comment)):
        comment.extract()
    for tag in body.select(ON_SCREEN_ONLY):
        tag.decompose()
    for tag in body.select("a.drawn, picture"):
        tag.unwrap()
    for box in body.select("details"):
        box.name = "div"
        if box.summary:
            box.summary.name = "p"
    for caption in body.select("figure.do-player figcaption"):
        caption.string = caption.get_text().replace(NO_LONGER_TRUE, "")
    for empty in body.select("output, div.cell_output, div.cell"):
        if not empty.get_text(strip=True) and not empty.select("img, svg, table"):
            empty.decompose()
    for tag in body.find_all(True):
        for name in ATTRIBUTES:
            tag.attrs.pop(name, None)
