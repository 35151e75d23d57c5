"""The first page says what the chapters have measured."""

import re

import pytest

from tools.first_page import INDEX, drawn
from tools.map import COSTS, MAP, Gain


def test_map_is_up_to_date_and_leads_to_pages() -> None:
    text = INDEX.read_text(encoding="utf8")
    assert drawn(text) == text, "run `python -m tools.first_page`"
    links = re.findall(r"\]\(([\w/]+\.ipynb)\)", text)
    assert all((INDEX.parent / link).is_file() for link in links)
    assert len(links) >= sum(len(gains) for gains in MAP.values())


def test_every_cost_is_attacked() -> None:
    assert {cost for gains in MAP.values() for cost in gains} == set(COSTS)


def test_a_number_that_no_chapter_has_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = "practice/momentum"
    for gain in ("{no}", "{no/none}"):
        monkeypatch.setattr("tools.map.MAP", {"x": {"steps": (page, gain)}})
        with pytest.raises(KeyError, match="no"):
            drawn(INDEX.read_text(encoding="utf8"))


def test_a_ratio_has_two_digits_or_the_whole_part() -> None:
    gain = Gain({"a": "1,000", "b": "40", "c": "300"})
    assert gain.format("{a}: {a/b}, {a/c}") == "1,000: 25, 3.3"
