"""The numbers of the pages hold on every variant of arithmetic, or declare how far."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools.notebooks import CHAPTERS, ROOT, notebooks
from tools.portable.declared import problems, tolerances
from tools.portable.record import RECORD, compared, load_record
from tools.portable.variants import VARIANTS


@pytest.fixture(scope="module")
def record() -> Any:
    assert RECORD.is_file(), "there is no portability.json: make portable"
    return load_record()


def test_every_variant_was_run_or_is_skipped_with_a_reason(record: Any) -> None:
    told = record["variants"]
    assert {variant.name for variant in VARIANTS} <= set(told), "make portable"
    assert sum(not each["skipped"] for each in told.values()) >= 8


@pytest.mark.parametrize(
    "path", notebooks(), ids=lambda p: p.relative_to(CHAPTERS).as_posix()
)
def test_numbers_hold_or_declare_how_far_they_move(record: Any, path: Path) -> None:
    assert problems(path, record) == []


def test_nine_of_ten_compared_cells_are_exact() -> None:
    cells = sum(len(compared(path)) for path in notebooks())
    declared = sum(len(tolerances(path)) for path in notebooks())
    assert declared <= 0.1 * cells


def test_the_oldest_releases_are_those_of_the_project() -> None:
    """constraints-oldest.txt pins the lower bounds of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["fast"]]
    bounds = dict(line.split(">=") for line in asked)
    lines = (ROOT / "constraints-oldest.txt").read_text("utf8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert set(pins) == set(bounds)
    for name, bound in bounds.items():
        assert f"{pins[name]}.".startswith(f"{bound}.")
