"""Figures as SVG: kept for a phone, given the colors of a mode, written with a size."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docutils import nodes  # type: ignore[import-untyped]
from offline_site import figures

from deepopt_lib.book.svg import NARROW_TYPE
from deepopt_lib.book.tones import DARK, TONES

WIDE = (
    '<svg width="504pt" height="259.2pt" viewBox="0 0 504 259.2"'
    ' style="background:#fff">'
    f'<path style="stroke:{TONES["blue"].line}"/>\n'
    f'<text style="fill:{TONES["blue"].text}">#123456</text></svg>'
)
NARROW = WIDE.replace("504", "255.6")


def app(folder: Path) -> Any:
    return SimpleNamespace(outdir=str(folder / "html"))


def notebook(**data: Any) -> list[str]:
    """Return the source of a page with one figure, as Sphinx hands it on."""
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    cells = [{"cell_type": "markdown", "source": "# A"}, {"outputs": [output]}]
    return [json.dumps({"cells": cells})]


def test_the_figure_for_a_phone_is_kept_beside_the_other(tmp_path: Path) -> None:
    lines = WIDE.splitlines(keepends=True)
    source = notebook(**{figures.WIDE_TYPE: lines, NARROW_TYPE: [NARROW]})
    figures.keep_narrow(app(tmp_path), "page", source)
    [output] = json.loads(source[0])["cells"][1]["outputs"]
    assert output["data"] == {figures.WIDE_TYPE: lines}
    [kept] = (tmp_path / "jupyter_execute").iterdir()
    assert kept.read_text() == NARROW
    # The SHA-256 of the first, as myst-nb names it.
    assert len(kept.name.removesuffix(".narrow.svg")) == 64


@pytest.mark.parametrize("data", [{"image/png": "x"}, {figures.WIDE_TYPE: WIDE}])
def test_a_page_without_one_is_left_alone(tmp_path: Path, data: Any) -> None:
    source = notebook(**data)
    before = source[0]
    figures.keep_narrow(app(tmp_path), "page", source)
    assert source == [before] and not list(tmp_path.iterdir())


def test_a_mode_has_its_colors_and_no_background() -> None:
    light, dark = (figures.in_mode(WIDE, mode) for mode in figures.MODES)
    assert "background" not in light + dark
    assert light == WIDE.replace(' style="background:#fff"', "")
    assert dark.count(TONES["blue"].dark) == 2
    assert not any(color in dark for color in DARK)
    assert "#123456" in dark


def test_a_size_is_in_pixels() -> None:
    assert figures.size(WIDE) == 'width="672" height="346"'
    with pytest.raises(ValueError, match="an SVG without a size in points: '<svg>'"):
        figures.size("<svg>")


def drawn(tmp_path: Path, *images: nodes.Element) -> nodes.document:
    """Return a page with images, each in a figure, after their change."""
    page = nodes.document(None, None)
    for i, image in enumerate(images):
        page += nodes.figure("", image, ids=[f"fig-{i}"])
    figures.draw(page, tmp_path, tmp_path / "html")
    return page


def test_a_figure_becomes_four_files_and_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(WIDE)
    (tmp_path / "a.narrow.svg").write_text(NARROW)
    images = [nodes.image(uri="a.svg", alt='a "b"') for _ in "ab"]
    page = drawn(tmp_path, *images)
    written = {p.name for p in (tmp_path / "html/_images").iterdir()}
    variants = {f"{w}-{m}.svg" for w in ("", "-phone") for m in figures.MODES}
    assert written == {f"fig-{i}{variant}" for i in (0, 1) for variant in variants}
    first, second = page.findall(figures.drawing)
    builder = SimpleNamespace(
        current_docname="b/c", get_target_uri=lambda _: "b/c.html"
    )
    writer = SimpleNamespace(builder=builder, body=[])
    figures.visit_drawing(writer, first)
    [html] = writer.body
    assert html.startswith('<a class="drawn" href="../_images/fig-0-light.svg">')
    assert html.count("<picture") == 2 and html.count('alt="a &quot;b&quot;"') == 2
    assert html.count('media="(max-width: 600px)"') == 2
    assert html.count('width="672" height="346"') == 2
    assert html.count('width="341" height="346"') == 2
    assert html.count('loading="lazy"') == 1  # what is seen first is loaded at once
    figures.visit_drawing(writer, second)
    assert writer.body[1].count('loading="lazy"') == 2


def test_other_pictures_stay(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text(WIDE)
    page = drawn(tmp_path, nodes.image(uri="a.svg"), nodes.image(uri="b.png"))
    assert len(list(page.findall(nodes.image))) == 2
    assert not (tmp_path / "html").exists()
