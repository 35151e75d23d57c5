"""The plain command of the ecosystem catches what it should, and names the cell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from deepopt_lib.book import svg
from tools.notebooks import NARROW
from tools.tolerance import tolerance

ROOT = Path(__file__).parents[2]


def validate(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run nbval with the book's settings on a folder with a library of its own."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval",
            "-q",
            "-rf",
            "-p",
            "no:cacheprovider",
            "-p",
            "tools.tolerance",
            "--override-ini=addopts=",
            "--nbval-current-env",
            f"--nbval-sanitize-with={ROOT / 'tests/notebooks/sanitize.cfg'}",
            f"--rootdir={folder}",
            "book.ipynb",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a library and a notebook whose second cell uses it."""
    (tmp_path / "library.py").write_text("answer = 0.125\n")
    cells = [
        nbformat.v4.new_code_cell("import library", execution_count=1),
        nbformat.v4.new_code_cell(
            "library.answer",
            execution_count=2,
            outputs=[
                nbformat.v4.new_output(
                    "execute_result", {"text/plain": "0.125"}, execution_count=2
                )
            ],
        ),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "book.ipynb")
    return tmp_path


def test_a_true_notebook_passes(folder: Path) -> None:
    result = validate(folder)
    assert result.returncode == 0, result.stdout
    assert "2 passed" in result.stdout


def test_an_edited_number_fails_and_the_cell_is_named(folder: Path) -> None:
    path = folder / "book.ipynb"
    path.write_text(path.read_text().replace('"0.125"', '"0.126"'))
    result = validate(folder)
    assert result.returncode == 1
    assert "book.ipynb::Cell 1" in result.stdout and "0.126" in result.stdout


def test_another_number_from_the_library_fails(folder: Path) -> None:
    (folder / "library.py").write_text("answer = 0.1251\n")
    result = validate(folder)
    assert result.returncode == 1
    assert "book.ipynb::Cell 1" in result.stdout and "0.1251" in result.stdout


def test_a_declared_tolerance_is_kept_exactly(folder: Path) -> None:
    """Each cell prints 0.125; what is stored is edited by the last printed digit."""
    stored = ["0.125", "0.127", "0.123", "0.128", "0.122", "[0.125]", "0.1251"]
    path = folder / "book.ipynb"
    notebook = nbformat.read(path, as_version=4)
    number = notebook.cells.pop()
    for i, text in enumerate(stored):
        cell = nbformat.from_dict({**number, "id": f"cell-{i}"})
        cell.metadata = {"compare": {"atol": 0.002}}
        cell.outputs[0].data["text/plain"] = text
        notebook.cells.append(cell)
    nbformat.write(notebook, path)
    result = validate(folder)
    failed = re.findall(r"FAILED book.ipynb::Cell (\d+)", result.stdout)
    assert [stored[int(cell) - 1] for cell in failed] == ["0.128", "0.122", "[0.125]"]


def test_a_declaration_that_means_nothing_is_named(folder: Path) -> None:
    path = folder / "book.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata["compare"] = {"atol": "much"}
    nbformat.write(notebook, path)
    result = validate(folder)
    assert result.returncode not in (0, 1)
    assert re.search(r"Cell 1: compare.atol must .*much", result.stdout + result.stderr)


@pytest.mark.parametrize(
    "compare",
    [{"atol": 0}, {"atol": -1}, {"atol": float("inf")}, {"rtol": 1}, 3, {}, []],
)
def test_other_declarations_are_refused(compare: object) -> None:
    with pytest.raises(ValueError, match="compare"):
        tolerance({"compare": compare})


DRAWS = """from IPython.display import display

class Drawing:
    def __repr__(self):
        return "<Figure size 700x360 with 1 Axes>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        return dict.fromkeys(("image/svg+xml", NARROW), f"<svg>{answer}</svg>")

display(Drawing())"""


@pytest.mark.parametrize("stored", [True, False])
def test_a_figure_is_there_but_not_compared(folder: Path, stored: bool) -> None:
    path = folder / "book.ipynb"
    notebook = nbformat.read(path, as_version=4)
    source = f"from library import answer\nNARROW = {NARROW!r}\n{DRAWS}"
    cell = nbformat.v4.new_code_cell(source, execution_count=3)
    drawn = {kind: "<svg>another</svg>" for kind in ("image/svg+xml", NARROW)}
    drawn["text/plain"] = "<Figure size 1400x720 with 1 Axes>"
    if stored:
        cell.outputs = [nbformat.v4.new_output("display_data", drawn)]
    notebook.cells.append(cell)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    result = validate(folder)
    assert ("3 passed" in result.stdout) == stored, result.stdout
    assert stored or "book.ipynb::Cell 2" in result.stdout


def test_the_type_of_a_figure_for_a_phone_is_that_of_the_library() -> None:
    assert NARROW == svg.NARROW_TYPE


def test_most_cells_declare_nothing() -> None:
    assert tolerance({}) is None and tolerance({"compare": {"atol": 0.5}}) == 0.5
