"""What counts as a number in a printed text, and how far two texts are apart."""

from decimal import Decimal
from typing import Any

import pytest

from tools.printed import Difference, difference, numbers, skeleton, texts, value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("loss 0.125, 3 steps", ["0.125", "3"]),
        ("-1.5e-03 −2 +4", ["-1.5e-03", "−2", "+4"]),
        ("1,234,567 of 12,34", ["1,234,567", "12", "34"]),
        ("float32 layer1.W 1.26.4 0x1f a1 2b", []),
        ("| 7 % | 5× | (3) |", ["7", "5", "3"]),
        ("784-300-10", ["784", "300", "10"]),
        ("ends in 5.", ["5"]),
    ],
)
def test_numbers_are_found_and_names_are_not(text: str, found: list[str]) -> None:
    assert numbers(text) == found


def test_values_are_exact() -> None:
    assert value("1,234.50") == Decimal("1234.50") and value("−2e-3") == Decimal(
        "-0.002"
    )


def test_widths_of_columns_are_no_words() -> None:
    assert skeleton("| a    | 9.99 |\n|------|-----:|") == skeleton(
        "| a | 10.01 |\n|--|-:|"
    )
    assert skeleton("a 1") != skeleton("b 1")
    assert skeleton("a\n1") != skeleton("a 1")


def test_the_spread_is_the_largest_distance() -> None:
    old = [("text/plain", "a 0.48 b 12 c 7")]
    found = difference(old, [("text/plain", "a 0.47 b 15 c 7")])
    assert found == Difference(False, (("0.48", "0.47"), ("12", "15")))
    assert found.spread == 3 and found.within(3) and not found.within(2.99)
    assert difference(old, old) == Difference(False, ())


def test_the_last_printed_digit_is_seen_exactly() -> None:
    """0.3 - 0.1 is more than 0.2 in binary; what is printed is decimal."""
    found = difference([("a", "0.3")], [("a", "0.1")])
    assert found.spread == Decimal("0.2") and found.within(0.2)
    assert not difference([("a", "0.31")], [("a", "0.1")]).within(0.2)


@pytest.mark.parametrize(
    "new", [[("a", "x 1")], [("b", "y 1")], [("a", "y 1 2")], [], [("a", "y 1")] * 2]
)
def test_other_words_kinds_or_counts_have_no_tolerance(
    new: list[tuple[str, str]],
) -> None:
    found = difference([("a", "y 1")], new)
    assert found.words and not found.within(1e9)


def test_another_form_of_the_same_number_does_not_move() -> None:
    assert difference([("a", "1.50")], [("a", "1.5")]) == Difference(False, ())


def test_outputs_become_texts_as_nbval_sees_them() -> None:
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]},
        {"output_type": "display_data", "data": {"image/png": "xx", "text/plain": "f"}},
        {"output_type": "error", "ename": "E", "evalue": "at 0x7f00", "traceback": []},
    ]
    assert texts(outputs) == [
        ("error", "E: at ADDRESS"),
        ("stdout", "a\nb"),
        ("text/plain", "f"),
    ]
