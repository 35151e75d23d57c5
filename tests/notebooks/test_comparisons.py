"""Every comparison goes through the protocol, or says why it is none."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tools import comparisons
from tools.notebooks import CHAPTERS, code_cells, name, notebooks

each = pytest.mark.parametrize("path", notebooks(), ids=name)


@each
def test_what_compares_is_fair_or_says_what_it_is(path: Path) -> None:
    unclear = [c for c in comparisons.cells(path) if not known(c.how)]
    assert unclear == []


@each
def test_no_verdict_is_typed(path: Path) -> None:
    assert comparisons.typed(path) == []


def known(how: str) -> bool:
    return how in ("protocol", *comparisons.KINDS)


def test_most_comparisons_of_methods_go_through_the_protocol() -> None:
    """The count; what shows one run alone is the exception."""
    total: Counter[str] = sum(comparisons.count().values(), Counter())
    assert total["protocol"] > total["illustration"]


def test_every_kept_result_belongs_to_a_page() -> None:
    """Each file has a comparison of that name, each comparison a file."""
    code = "\n".join(
        "".join(cell["source"]) for path in notebooks() for cell in code_cells(path)
    )
    named = re.findall(r'f?"([a-z0-9-]*(?:\{[^}]*\}[a-z0-9-]*)*)"', code)
    shapes = [
        re.sub(r"\\\{.*?\\\}", "[a-z0-9-]+", re.escape(n))
        for n in set(named)
        if len(n) > 6
    ]
    for path in (CHAPTERS / "trials").glob("*.json"):
        assert any(re.fullmatch(shape, path.stem) for shape in shapes), path.name


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("assert a < b", 1),
        ("assert x.y >= 2 * z[0]", 1),
        ("assert 0 < a < b", 1),
        ("assert all(a < b for a, b in pairs)", 1),
        ("assert a > 3", 0),
        ("assert 2 / 3 < a < 1e-3 * 5", 0),
        ("assert a == b", 0),
        ("a < b", 0),
    ],
)
def test_what_orders_two_quantities(code: str, expected: int) -> None:
    assert len(list(comparisons.compares(ast.parse(code)))) == expected


def test_names_of_results_are_followed() -> None:
    known: set[str] = set()
    for code, asks in [
        ("race = trials.Comparison('a', both).run()", True),
        ("d, e = race.ahead('a', 'b'), 3", True),
        ("low = d.low", False),
        ("other = 5", False),
    ]:
        assert comparisons.learn(ast.parse(code), known) is asks
    assert known == {"race", "d", "e", "low"}
    assert comparisons.rests(ast.parse("low > x"), known)
    assert comparisons.rests(ast.parse("x < trials.paired(a, b).high"), known)
    assert not comparisons.rests(ast.parse("other > x"), known)
