"""The map on the first page says what the chapters have measured."""

import re

import pytest

from tools.map import COSTS, INDEX, MAP, drawn


def test_map_is_up_to_date_and_leads_to_pages() -> None:
    text = INDEX.read_text(encoding="utf8")
    assert drawn(text) == text, "run `python tools/map.py`"
    links = re.findall(r"\]\(([\w/]+\.ipynb)\)", text)
    assert all((INDEX.parent / link).is_file() for link in links)
    assert len(links) >= sum(len(gains) for _, gains in MAP)


def test_every_cost_is_attacked() -> None:
    assert {cost for _, gains in MAP for cost in gains} == set(COSTS)


def test_a_number_that_no_chapter_has_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = "practice/momentum"
    monkeypatch.setattr("tools.map.MAP", [("x", {"steps": (page, lambda g: g["no"])})])
    with pytest.raises(KeyError):
        drawn(INDEX.read_text(encoding="utf8"))
