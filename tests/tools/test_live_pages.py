"""Which pages run in the browser: each of them, or it is said why not."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.live.pages import CANNOT, code_of, name_of, reason
from tools.live.runtime import PACKAGES
from tools.live.stand_in import stand_in
from tools.notebooks import ROOT, notebooks

PAGES = {name_of(path): path for path in notebooks()}
EXPECTED = {
    "chapters/appendix/reproducibility",
    "chapters/outlook/hardware_codesign",
    "chapters/outlook/parallel_and_distributed",
    "chapters/performance",
    "chapters/references",
    "chapters/solve",
}
# Parts of Python's library that a browser has not, or that do nothing there.
MISSING = {"multiprocessing", "signal", "socket", "threading", "curses", "fcntl"}


def imported(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_each_page_runs_or_is_on_the_list() -> None:
    assert {page for page in PAGES if reason(page)} == set(CANNOT) == EXPECTED
    assert len(PAGES) - len(EXPECTED) > 20


@pytest.mark.parametrize("page", CANNOT)
def test_the_code_of_a_page_that_does_not_run_has_the_sign_of_its_reason(
    page: str,
) -> None:
    sign, why = CANNOT[page]
    assert re.search(sign, code_of(PAGES[page]))
    assert why[0].islower() and why.endswith(".")
    assert reason(page) == why


@pytest.mark.parametrize("page", sorted(set(PAGES) - set(CANNOT)))
def test_a_page_that_runs_imports_only_what_is_there(page: str) -> None:
    there = {
        "deepopt_lib",
        *PACKAGES,
        *stand_in(print, print),
        *sys.stdlib_module_names,
    }
    for name in imported(code_of(PAGES[page])):
        assert {name, name.split(".")[0]} & (there - MISSING), name


def test_a_page_that_does_not_run_would_fail_that_test() -> None:
    code = code_of(PAGES["chapters/outlook/parallel_and_distributed"])
    assert {"psutil", "signal"} <= set(imported(code))


def test_a_name_is_that_of_the_page() -> None:
    chapters = Path("book/chapters")
    path = chapters / "practice" / "momentum.ipynb"
    assert name_of(path, chapters) == "chapters/practice/momentum"
    assert (ROOT / "chapters").is_dir()
