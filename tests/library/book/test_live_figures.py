"""The figures that answer, as they stand without a script: sound and legible."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

from deepopt_lib.book import live
from deepopt_lib.book.live.frame import WIDTH, Frame, place
from deepopt_lib.book.live.words import fill, number
from tests.library.live import MODELS, differences, figures, given, run

FIGURES = {name: shown.data for name, shown in figures().items()}
PHONE = 342  # pixels of a panel where the window is 390 wide
each_figure = pytest.mark.parametrize("name", FIGURES)


def tree(name: str) -> ElementTree.Element:
    return ElementTree.fromstring(FIGURES[name])


def spec(name: str) -> dict[str, Any]:
    (text,) = [s.text for s in tree(name).iter("script") if s.get("type")]
    found: dict[str, Any] = json.loads(text or "")
    return found


def start(name: str) -> dict[str, Any]:
    """Return the model's arguments before anything is moved."""
    found: dict[str, Any] = dict(spec(name)["given"])
    for control in spec(name)["controls"]:
        if control["kind"] == "slider":
            (box,) = (
                i
                for i in tree(name).iter("input")
                if i.get("data-name") == control["name"]
            )
            found[control["name"]] = control["values"][int(box.get("value", ""))]
        elif control["kind"] == "choice":
            (box,) = (
                i
                for i in tree(name).iter("input")
                if i.get("checked") and i.get("name") == f"{name}-{control['name']}"
            )
            found[control["name"]] = box.get("value")
        elif control["kind"] == "point":
            found |= dict(zip(control["names"], control["value"], strict=True))
        else:
            found[control["name"]] = control["value"]
    return found


def test_every_model_has_a_figure() -> None:
    assert set(FIGURES) == set(MODELS)


def test_a_figure_is_the_same_every_time() -> None:
    assert {name: shown.data for name, shown in figures().items()} == FIGURES


@each_figure
def test_a_figure_is_sound_and_says_what_is_seen(name: str) -> None:
    figure = tree(name)
    assert figure.tag == "figure"
    assert figure.get("class") == "live" and figure.get("data-model") == name
    (form,) = figure.iter("form")
    assert form.get("hidden")  # no control that would do nothing without the script
    pictures = [s for s in figure.iter() if s.get("role") == "img"]
    assert len(pictures) == len(spec(name)["panels"])
    for picture in pictures:
        assert len(picture.get("aria-label", "")) > 30
    text = {p.get("class"): p.text for p in figure.iter("p")}
    assert len(text["live-title"] or "") > 20
    assert "{" not in (text["live-text"] or "{")
    (caption,) = figure.iter("figcaption")
    assert (caption.text or "").endswith(".")
    assert not any(e.get("id") for e in figure.iter())  # two figures share a page


@each_figure
def test_text_is_legible_on_a_phone_and_stays_inside(name: str) -> None:
    for picture in tree(name).iter():
        if picture.get("role") != "img":
            continue
        size = float(picture.get("font-size", ""))
        assert size * PHONE / WIDTH >= 11
        for label in picture.findall("{http://www.w3.org/2000/svg}text"):
            wide = 0.56 * size * len(label.text or "")
            x, anchor = float(label.get("x", "")), label.get("text-anchor")
            left = x - {"start": 0, "middle": wide / 2, "end": wide}[str(anchor)]
            assert left >= -4 and left + wide <= WIDTH + 4, label.text


@each_figure
def test_the_default_is_what_the_model_says(name: str) -> None:
    arguments = start(name)
    results = MODELS[name](**arguments, **given(name))
    text = fill(spec(name)["text"], arguments | results)
    assert text in [p.text for p in tree(name).iter("p")]


@each_figure
def test_the_script_in_the_figure_computes_the_same(name: str) -> None:
    (code,) = [s.text or "" for s in tree(name).iter("script") if not s.get("type")]
    call = f"{name}.model({{ ...{json.dumps(start(name))}, ...{name}.rules }})"
    browser = run(f"{code}\nconst {name} = deepoptLive.{name};\n{call}")
    python = MODELS[name](**start(name), **given(name))
    assert not differences(python, browser)


@each_figure
def test_nothing_in_a_figure_ends_a_script_or_asks_another_host(name: str) -> None:
    assert FIGURES[name].count("</script>") == 2
    others = FIGURES[name].replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "//" not in re.sub(r"//(<!\[CDATA\[|\]\])", "", others)
    assert not re.search(r"\beval\(|new Function", FIGURES[name])


@pytest.mark.parametrize(
    ("x", "form", "text"),
    [
        (0, "6", "0"),
        (1234567.0, "6", "1.23457 × 10⁶"),
        (999999.5, "6", "1 × 10⁶"),
        (123456.7, "3", "123,000"),
        (0.00012345, "3", "0.000123"),
        (0.000012345, "3", "1.23 × 10⁻⁵"),
        (0.125, ".2", "0.13"),
        (2.5, ".0", "3"),
        (-1234.5, ".1", "−1,234.5"),
        (10, "3", "10"),
        (100.0, "2", "100"),
        (math.inf, "3", "∞"),
        (-math.inf, "3", "−∞"),
        (math.nan, "3", "–"),
    ],
)
def test_numbers_are_written_for_readers(x: float, form: str, text: str) -> None:
    assert number(x, form) == text


def test_a_template_takes_texts_and_numbers() -> None:
    values = {"a": 0.5, "word": "half", "b": 2 / 3}
    assert fill("{word}: {a}, {b:2}, {b:.1}", values) == "half: 0.5, 0.67, 0.7"


@pytest.mark.parametrize(
    ("axis", "value", "share"),
    [
        (live.Axis(2, 6), 3, 0.25),
        (live.Axis(6, 2), 3, 0.75),
        (live.Axis(0.01, 100, log=True), 1, 0.5),
        (live.Axis(1, 10, log=True), 0, -20),
        (live.Axis(0, 1), 1e9, 21),
    ],
)
def test_an_axis_places_a_value(axis: live.Axis, value: float, share: float) -> None:
    assert axis.share(value) == pytest.approx(share, abs=1e-12)


def test_ticks_are_round_and_within() -> None:
    assert list(live.Axis(-1.5, 1.5).marked().values()) == ["−1", "0", "1"]
    assert list(live.Axis(0, 150).marked().values()) == ["0", "50", "100", "150"]
    powers = live.Axis(1e-14, 1e3, log=True).marked()
    assert list(powers.values()) == ["10⁻¹⁴", "10⁻¹⁰", "10⁻⁶", "0.01", "100"]
    assert all(np.diff(list(powers)) > 0)


@pytest.mark.parametrize("bit", [-1e-14, 1e-14])
def test_the_last_bit_moves_neither_a_tick_nor_a_mark(bit: float) -> None:
    for low, high in ((0.1, 1e4), (1e-7, 1.0), (1e-5, 10.0)):
        whole = live.Axis(low, high, log=True).marked()
        moved = live.Axis(low * (1 + bit), high * (1 - bit), log=True).marked()
        assert moved == whole and min(whole) == pytest.approx(low)
    assert place(1.25 * (1 + bit)) == place(1.25) == 1.3


def test_marks_are_where_the_results_are() -> None:
    frame = Frame(live.Axis(0, 10), live.Axis(0, 1), 166)
    assert frame.box == (44, 26, 264, 100)
    values = {"x": [0, 5, 10], "y": [0.0, math.nan, 1.0], "one": 5, "half": 0.5}

    def path(mark: Any) -> str:
        found = re.search(r' d="([^"]*)"', mark.svg(frame, values))
        assert found is not None
        return found[1]

    assert path(live.Line(x="x", y="y")) == "M0 100M264 0"
    assert path(live.Line(x="x", y="half")) == "M0 50L132 50L264 50"
    assert path(live.Line(x="x", y="x", steps=True)) == "M0 100H132V-400H264V-900"
    assert path(live.Points(x="one", y=(0.0, 1.0))) == "M132 100h0M132 0h0"
    assert path(live.Boxes(x0=0.0, x1="one", y0=0.0, y1="y")) == (
        "M0 100H132V100H0ZM0 100H132V0H0Z"
    )


def test_a_marker_has_the_shape_of_its_method() -> None:
    frame = Frame(live.Axis(0, 10), live.Axis(0, 1), 166)

    def drawn(**changed: Any) -> str:
        mark = live.Markers(x=5.0, y=(0.5, math.nan), **changed)
        assert mark.outline in mark.spec()
        return mark.svg(frame, {})

    assert ' d="M132 50m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"' in drawn(size=10)
    assert ' d="M132 50m4.4 4.4l-8.8 0 0 -8.8 8.8 0z"' in drawn(shape="s", size=10)
    assert drawn(look="quantized") == drawn(look="vermilion", shape="s")
    assert drawn(look="Deep Compression").count(" ") > drawn(look="shared").count(" ")
    assert 'fill="none" stroke="currentColor"' in drawn(hollow=True)
    assert 'fill-opacity="0.5"' in drawn(faint=0.5)
    large = live.Markers(x=0.0, y=0.0, size=24, hollow=True)
    assert "m-4 0a4 4" in large.sample()  # the key is ten high
    with pytest.raises(ValueError, match=r"shape must be one of .*, got 'h'"):
        live.Markers(look="Muon", x=0.0, y=0.0)


def test_a_mark_to_pick_is_one_of_several() -> None:
    def pick(value: int = 1, says: tuple[str, ...] = ("a", "<b>")) -> live.Pick:
        places = {"x": [0.0, 1.0], "y": [2.0, 3.0]}
        return live.Pick("one", "One", places, {"names": says}, value)

    assert pick().start() == {"one": 1}
    assert "<output>&lt;b&gt;</output>" in pick().markup("figure")
    assert 'max="1" value="1"' in pick().markup("figure")
    with pytest.raises(ValueError, match=r"one must be an int in \[0, 1\], got 2"):
        pick(2)
    with pytest.raises(ValueError, match=r"one needs lists of one length, got .*3"):
        pick(says=("a", "b", "c"))
    with pytest.raises(ValueError, match="marks of one must be an int >= 2, got 1"):
        live.Pick("one", "One", {"x": [0.0], "y": [1.0]}, {"names": ["a"]})


def test_a_label_and_cells_say_what_the_results_are() -> None:
    frame = Frame(live.Axis(0, 2), live.Axis(1, 0), 166)
    label = live.Label(look="ink", x=1.0, y="y", text="{y:2} & more").svg(
        frame, {"y": 0.25}
    )
    assert 'x="132" y="25"' in label and ">0.25 &amp; more<" in label
    halo = live.Label(x=1.0, y=0.0, text="on a line", halo=True).svg(frame, {})
    assert halo.startswith('<text data-mark="" class="live-halo" ')
    assert "live-halo" not in label
    cells = live.Cells(values="v", texts="t", rows=1, columns=2, most=0.5)
    drawn = cells.svg(frame, {"v": [1.0, math.nan], "t": [12, ""]})
    assert 'fill-opacity="0.5"' in drawn and drawn.count('visibility="hidden"') == 1
    assert ">12</text>" in drawn


def halved(x: float) -> dict[str, Any]:
    return {"y": x / 2}


def odd(x: float) -> dict[str, Any]:
    return {"y": x, "list": ["</script>", "<!--"]}


def small(model: Any = halved, **changed: Any) -> Any:
    parts: dict[str, Any] = {
        "controls": [live.Slider("x", "x", [1, 2, 3], 2)],
        "panels": [
            live.Panel(
                live.Axis(0, 4), live.Axis(0, 2), [live.Points(x="x", y="y")], "A dot."
            )
        ],
        "title": "Half of it",
        "text": "{x} becomes {y}.",
        "caption": "A dot.",
    }
    return live.figure(model, **(parts | changed))


def test_a_small_figure() -> None:
    assert '<p class="live-text">2 becomes 1.</p>' in small().data


def test_signs_of_html_are_only_text() -> None:
    text = "{x} < {y} & <b> </script>"
    shown = small(text=text, title=text, caption=text, lists={text: "list"}, model=odd)
    figure = ElementTree.fromstring(shown.data)
    assert shown.data.count("</script>") == 2
    (data,) = [s.text for s in figure.iter("script") if s.get("type")]
    assert json.loads(data or "")["text"] == text
    assert "<" not in (data or "<")
    assert [p.text for p in figure.iter("figcaption")] == [text]
    (code,) = [s.text or "" for s in figure.iter("script") if not s.get("type")]
    call = "deepoptLive.odd.model({ x: 1 })"
    assert run(f"{code}\n{call}") == odd(1)


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the model takes \['x'\], controlled and"):
        small(given={"z": [1.0]})
    with pytest.raises(ValueError, match=r"the text names \['z'\]"):
        small(text="{z}")
    with pytest.raises(ValueError, match=r"the text names \['w'\]"):
        small(lists={"label": "w"})
    with pytest.raises(ValueError, match=r"x must start at one of its values, got 4"):
        live.Slider("x", "x", [1, 2, 3], 4)
    with pytest.raises(ValueError, match=r"values of x must be an int >= 2, got 1"):
        live.Slider("x", "x", [1], 1)
    with pytest.raises(ValueError, match=r"c must be one of \['a'\], got 'b'"):
        live.Choice("c", "c", {"a": "A"}, "b")
    with pytest.raises(ValueError, match="p must have 4 entries, got 3"):
        live.Pattern("p", "p", 2, 2, [0, 1, 0])
    with pytest.raises(ValueError, match="look must be a color or a method, got 'red'"):
        live.Line(look="red", x="x", y="y")
    with pytest.raises(ValueError, match=r"axis 'a' cannot go from 0 to 1"):
        live.Axis(0, 1, "a", log=True)
    with pytest.raises(ValueError, match=r"axis '' cannot go from 1 to 1"):
        live.Axis(1, 1)
    with pytest.raises(ValueError, match="a panel needs a mark"):
        live.Panel(live.Axis(0, 1), live.Axis(0, 1), [], "A dot.")
    with pytest.raises(ValueError, match="alt must say"):
        live.Panel(live.Axis(0, 1), live.Axis(0, 1), [live.Points(x=0.0, y=0.0)], " ")


def test_sliders_have_values_of_few_digits() -> None:
    assert live.even(0, 0.3, 4) == [0, 0.1, 0.2, 0.3]
    assert live.powers(1e-3, 1, 4) == [0.001, 0.01, 0.1, 1]
    assert live.powers(1, 10, 3, digits=3) == [1, 3.16, 10]
    with pytest.raises(ValueError, match="high must be in"):
        live.even(1, 1, 3)
    with pytest.raises(ValueError, match="low must be in"):
        live.powers(0, 1, 3)
