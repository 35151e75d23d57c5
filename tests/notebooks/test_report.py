"""The stored run covers every notebook, and the tool that makes it tells the truth."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tools import report
from tools.busy import SAID
from tools.notebooks import (
    CHAPTERS,
    NUMBER,
    PAGE,
    ROOT,
    asserts,
    describe,
    notebooks,
    texts,
)

FOUND = [p.relative_to(CHAPTERS).as_posix() for p in notebooks()]


@pytest.fixture(scope="module")
def record() -> Any:
    return json.loads(report.RECORD.read_text(encoding="utf8"))


def test_the_record_lists_the_notebooks_that_exist(record: Any) -> None:
    assert sorted(record["notebooks"]) == sorted(FOUND)


@pytest.mark.parametrize("name", FOUND)
def test_each_passed_within_its_limit(record: Any, name: str) -> None:
    row = record["notebooks"].get(name, {})
    assert row.get("passed") is True
    assert 0 < row["seconds"] < report.promised(name)
    assert all(cell["asserts"] for cell in row["exempt"])


@pytest.mark.parametrize("name", FOUND)
def test_it_is_the_notebook_that_ran(record: Any, name: str) -> None:
    now = describe(CHAPTERS / name)
    then = record["notebooks"].get(name, {})
    for what in ("title", "cells", "exempt"):
        assert then.get(what) == now[what], "make report"


def claims(source: str) -> list[ast.Assert]:
    """Return what a cell asserts only where the machine is quiet."""
    return [
        found
        for block in ast.walk(ast.parse(source))
        if isinstance(block, ast.With)
        and any("when_quiet(" in ast.unparse(item) for item in block.items)
        for found in ast.walk(block)
        if isinstance(found, ast.Assert)
    ]


@pytest.mark.parametrize("name", FOUND)
def test_each_exempt_cell_makes_a_claim_about_time(name: str) -> None:
    """Only such a cell may say that nothing is confirmed: the others are compared."""
    cells = json.loads((CHAPTERS / name).read_text(encoding="utf8"))["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            exempt = "nbval-ignore-output" in cell["metadata"].get("tags", [])
            assert exempt == bool(claims("".join(cell["source"])))


@pytest.mark.parametrize("name", FOUND)
def test_no_page_was_stored_on_a_busy_machine(name: str) -> None:
    cells = json.loads((CHAPTERS / name).read_text(encoding="utf8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [text for text in texts(outputs) if SAID in text], "make execute"


def test_claims_are_found() -> None:
    inside = "with core.when_quiet(t):\n    for a in b:\n        assert a\nassert c"
    assert [ast.unparse(found.test) for found in claims(inside)] == ["a"]
    assert asserts(inside) == ["a", "c"]
    assert claims("with core.Watch() as w:\n    assert a") == []


def test_the_record_has_the_pinned_versions(record: Any) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf8").splitlines()
    pins = {line.lower().replace("_", "-") for line in lines if "==" in line}
    used = {k: v for group in record["packages"].values() for k, v in group.items()}
    assert {f"{k}=={v}".lower().replace("_", "-") for k, v in used.items()} <= pins


def write(path: Path, *cells: tuple[str, str, list[str]]) -> Path:
    """Write a notebook of (source, stored output, tags)."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    notebook.cells.append(nbformat.v4.new_markdown_cell("# A title\n\nA text."))
    for i, (source, shown, tags) in enumerate(cells, 1):
        cell = nbformat.v4.new_code_cell(
            source, metadata={"tags": tags}, execution_count=i
        )
        if shown:
            cell.outputs = [
                nbformat.v4.new_output(
                    "execute_result", {"text/plain": shown}, execution_count=i
                )
            ]
        notebook.cells.append(cell)
    nbformat.write(notebook, path)
    return path


def test_a_row_says_what_was_compared(tmp_path: Path) -> None:
    timing = "assert 1 < 2\nif True:\n    assert 3\n9.5"
    path = write(
        tmp_path / "good.ipynb",
        ("a = 1", "", []),
        ("a / 8, 2.5, 3", "(0.125, 2.5, 3)", []),
        (timing, "7.25", ["nbval-ignore-output"]),
    )
    row, failed = report.measure(path)
    assert failed == []
    assert row["passed"] and 0 < row.pop("seconds") < 60
    assert row == {
        "title": "A title",
        "cells": 3,
        "compared": 1,
        "numbers": 2,
        "figures": 0,
        "exempt": [{"cell": 2, "asserts": ["1 < 2", "3"]}],
        "passed": True,
        "runs": 1,
    }


def test_a_wrong_output_fails_and_the_cell_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.ipynb", ("1 / 8", "0.126", []), ("2", "2", []))
    row, failed = report.measure(path)
    assert failed == ["Cell 0"] and not row["passed"]


def test_a_notebook_that_cannot_be_read_fails(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.ipynb", ("1", "1", []))
    raw = json.loads(path.read_text())
    raw["nbformat"] = "x"
    path.write_text(json.dumps(raw))
    row, failed = report.measure(path)
    assert failed and not row["passed"]


def test_numbers_are_counted_and_versions_are_not() -> None:
    found = NUMBER.findall("0.125 -3.5 1.26.4 x1.5 2.5e-03 7 9.1 s a/10.1109/5.7")
    assert found == ["0.125", "-3.5", "2.5e-03", "9.1"]


def test_a_slow_run_is_repeated_and_the_shortest_kept(monkeypatch: Any) -> None:
    times = iter([31.0, 25.0, 28.0, 22.0, 5.0, 21.0])
    monkeypatch.setattr(report, "_measure", lambda path: ({"seconds": next(times)}, []))
    page = CHAPTERS / "faq.ipynb"
    assert report.measure(page) == ({"seconds": 25.0, "runs": 3}, [])
    assert report.measure(page) == ({"seconds": 5.0, "runs": 2}, [])
    ranks = CHAPTERS / "outlook" / "parallel_and_distributed.ipynb"
    assert report.measure(ranks) == ({"seconds": 21.0, "runs": 1}, [])


def test_single_notebooks_replace_their_rows_alone(
    tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    a, b, page = (tmp_path / f"{name}.ipynb" for name in ("a", "b", "page"))
    took = {a: 1.0, b: 2.0, page: 4.0}
    for name, value in {"CHAPTERS": tmp_path, "PAGE": page}.items():
        monkeypatch.setattr(report, name, value)
    monkeypatch.setattr(report, "RECORD", tmp_path / "run.json")
    monkeypatch.setattr(report, "notebooks", lambda: [a, b, page])
    monkeypatch.setattr(report, "measure", lambda path: ({"seconds": took[path]}, []))
    monkeypatch.setattr(report, "run", lambda path: (0.0, "", ""))
    monkeypatch.setattr(report, "name", lambda path: path.name)
    monkeypatch.setattr("sys.argv", ["report"])
    assert report.main() == 0
    took |= {a: 16.0, b: 32.0, page: 64.0}
    monkeypatch.setattr("sys.argv", ["report", str(b)])
    assert report.main() == 0
    record = json.loads(report.RECORD.read_text(encoding="utf8"))
    found = {name: row["seconds"] for name, row in record["notebooks"].items()}
    assert found == {"a.ipynb": 1.0, "b.ipynb": 32.0, "page.ipynb": 64.0}
    assert record["seconds"] == 33.0
    monkeypatch.setattr("sys.argv", ["report", str(tmp_path / "typo.ipynb")])
    with pytest.raises(SystemExit):
        report.main()
    assert "no notebook of the book" in capsys.readouterr().err
    assert json.loads(report.RECORD.read_text(encoding="utf8")) == record


def test_a_failure_is_not_tried_away(monkeypatch: Any) -> None:
    monkeypatch.setattr(report, "_measure", lambda path: ({"seconds": 9.0}, ["cell 1"]))
    assert report.measure(PAGE)[1] == ["cell 1"]
