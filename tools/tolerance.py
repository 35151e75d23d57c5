"""A plugin of pytest: what nbval does not compare, and how far numbers may move.

Pictures are not compared, only whether there is one: its text, ``<Figure ...>``.

A cell whose metadata say ``{"compare": {"atol": 0.2}}`` agrees with what is stored if
the words do, and each number to within 0.2. All other cells are compared by nbval, text
by text. `tools.portable.declared` holds the rules for who may declare what.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from deepopt_lib.core import check_number
from tools.notebooks import PICTURES
from tools.printed import difference, texts

try:
    from nbval.plugin import IPyNbCell
except ImportError:  # the tests of the library need no notebook
    IPyNbCell = None


def tolerance(metadata: Mapping[str, Any]) -> float | None:
    """Return the tolerance that a cell declares; None if it declares none.

    Raises
    ------
    ValueError
        If ``compare`` is anything but ``{"atol": a positive number}``.
    """
    compare = metadata.get("compare")
    if compare is None:
        return None
    if not isinstance(compare, Mapping) or set(compare) != {"atol"}:
        raise ValueError(f'compare must be {{"atol": a number}}, got {compare!r}')
    return check_number("compare.atol", compare["atol"], 0, float("inf"), "()")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave pictures out; give a cell that declares a tolerance its own comparison."""
    if IPyNbCell is None or not isinstance(item, IPyNbCell):
        return
    notebook = item.parent
    notebook.skip_compare = (*{*notebook.skip_compare, *PICTURES},)
    try:
        atol = tolerance(item.cell.metadata)
    except ValueError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from error
    if atol is None:
        return
    exactly = item.compare_outputs

    def compare_outputs(test: Any, ref: Any, skip_compare: Any = None) -> bool:
        near = difference(texts(ref), texts(test)).within(atol)
        return near or bool(exactly(test, ref, skip_compare))

    item.compare_outputs = compare_outputs
