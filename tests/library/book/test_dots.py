"""Where a number in a cell lies, and which columns have no scale."""

from __future__ import annotations

import pytest

from deepopt_lib.book import dots, show
from deepopt_lib.book.dots import Dot


@pytest.mark.parametrize(
    ("cell", "dot"),
    [
        ("97.3", (97.3, 97.3, 97.3)),
        ("**1,024 B**", (1024, 1024, 1024)),
        ("−0.4 [−1.2, 0.5]", (-0.4, -1.2, 0.5)),
        ("97.3 ± 0.25", (97.3, 97.05, 97.55)),
        ("2 to 3 ms", (2.5, 2, 3)),
        ("< 1.5e-03", (0.0015, 0.0015, 0.0015)),
        ("at 3", None),
        ("", None),
    ],
)
def test_a_cell_is_read(cell: str, dot: tuple[float, ...] | None) -> None:
    assert dots.read(cell) == (None if dot is None else pytest.approx(Dot(*dot)))


def test_a_scale_starts_at_zero_where_that_is_near() -> None:
    far, zero = dots.places(["60", "80", "100"])
    assert [dot.at for dot in far if dot] == [0, 0.5, 1] and zero == -1
    near, zero = dots.places(["40", "100"])
    assert [dot.at for dot in near if dot] == [0.4, 1] and zero == 0
    below, zero = dots.places(["-40", "-100"])
    assert [dot.at for dot in below if dot] == [0.6, 0] and zero == 1


def test_equal_numbers_are_in_the_middle_and_a_log_has_no_zero() -> None:
    assert dots.places(["3", "3", ""]) == ([Dot(0.5, 0.5, 0.5)] * 2 + [None], -1)
    logs, zero = dots.places(["1", "10", "100"], log=True)
    assert [dot.at for dot in logs if dot] == [0, 0.5, 1] and zero == -1


def test_a_bar_widens_the_scale() -> None:
    found, zero = dots.places(["0.5 [-1, 2]", "1"])
    assert found == [Dot(0.5, 0, 1), pytest.approx(Dot(2 / 3, 2 / 3, 2 / 3), abs=1e-3)]
    assert zero == 0.333


@pytest.mark.parametrize(
    ("cells", "log", "message"),
    [
        (["none", ""], False, "'n' has no number: .'none', ''."),
        (["2.3 MB", "10 kB"], False, r"'n' has several units: \['MB', 'kB'\]"),
        (["1", "0"], True, "'n': '0' has no place by magnitude"),
        (["1 [0, 2]", "3"], True, "no place by magnitude"),
    ],
)
def test_a_column_without_a_scale(cells: list[str], log: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dots.check_column("n", cells, log)


def test_equal_units_with_spreads_and_failures_are_one_scale() -> None:
    dots.check_column("n", ["2 ms", "1 to 3 ms", "−2 ± 1 ms (2 failed)"], log=False)


def test_the_site_is_told_which_columns_it_draws() -> None:
    header, rows = ["a", "b", "c"], [["x", 1.5, "2 [1, 3]"], ["y", 2.5, ""]]
    shown = show.dots(header, rows).data
    assert shown.startswith("| a | b | c |\n")
    assert shown.endswith("\n\n<!-- dots: 1, 2 -->")
    assert "<!-- dots: 2 -->" in show.dots(header, rows, of=["c"]).data
    marked = show.dots(header, rows, of=["c"], log=["b"], bold=1).data
    assert "<!-- dots: 1 log, 2 -->" in marked and "**2.5**" in marked


@pytest.mark.parametrize(
    ("rows", "of", "message"),
    [
        ([], (), "no row for the columns"),
        ([["x", "y"]], (), "no column of .* has numbers"),
        ([["x", 1]], ("c",), "no column is named .'c'."),
        ([["x", 1]], ("a",), "'a' has no number"),
    ],
)
def test_a_plot_without_numbers_is_refused(
    rows: list[list[object]], of: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        show.dots(["a", "b"], rows, of=of)


def test_claims_that_hold_come_first() -> None:
    shown = show.checks("In 200 runs", {"a": True, "b": False, "c": True}).data
    assert shown == "In 200 runs, this holds:\n\n- a\n- c\n\nThis does not:\n\n- b\n"
    assert show.checks("Here", {"b": False}).data.startswith("Here, this does not:")


def test_what_is_no_claim_or_no_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="no claim about 'runs'"):
        show.checks("runs", {})
    with pytest.raises(ValueError, match="'a' must be true or false, got 3"):
        show.checks("runs", {"a": 3})
    with pytest.raises(ValueError, match="full stop: 'three'"):
        show.sentence("three")
    assert show.sentence("Three.").data == "Three."
