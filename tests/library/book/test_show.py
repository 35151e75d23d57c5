"""Values that one page reads from the stored outputs of another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deepopt_lib.book import kept, show

PREFIX = "application/papermill.record/"


def glued(name: str, text: Any, mime: str = "text/plain") -> dict[str, Any]:
    """Return an output as ``glue(name, value, display=False)`` stores it."""
    return {
        "output_type": "display_data",
        "data": {PREFIX + mime: text},
        "metadata": {"scrapbook": {"mime_prefix": PREFIX, "name": name}},
    }


@pytest.fixture
def chapters(tmp_path: Path) -> Path:
    """Return a folder of chapters with one notebook, practice/momentum."""
    cells = [
        {"cell_type": "markdown", "source": ["# Title"]},
        {"cell_type": "code", "outputs": [glued("loss", "'0.29'"), glued("n", "8")]},
        {
            "cell_type": "code",
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "x"},
                {"output_type": "display_data", "data": {}, "metadata": {}},
                glued("curve", "", "image/png"),
                glued("table", ["<IPython.core.", "display.Markdown object>"]),
            ],
        },
    ]
    folder = tmp_path / "chapters" / "practice"
    folder.mkdir(parents=True)
    (folder / "momentum.ipynb").write_text(json.dumps({"cells": cells}))
    return folder.parent


@pytest.mark.parametrize("inside", [".", "practice"])
@pytest.mark.parametrize("chapter", ["practice/momentum", "practice/momentum.ipynb"])
def test_stored_values_come_back_with_their_types(
    chapters: Path, inside: str, chapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(chapters / inside)
    assert kept.stored(chapter) == {
        "loss": "0.29",
        "n": 8,
        "table": "<IPython.core.display.Markdown object>",
    }
    assert list(kept.stored(chapter, "n", "loss").items()) == [
        ("n", 8),
        ("loss", "0.29"),
    ]


@pytest.mark.parametrize(
    ("inside", "chapter", "names", "message"),
    [
        ("..", "practice/momentum", (), "no folder 'chapters' at or above"),
        (".", "momentum", (), "there is no notebook 'momentum' in"),
        (
            ".",
            "practice/momentum",
            ("n", "gain", "curve"),
            r"'practice/momentum' glues no \['gain', 'curve'\], "
            r"only \['loss', 'n', 'table'\]",
        ),
    ],
)
def test_what_is_missing_is_named(
    chapters: Path,
    inside: str,
    chapter: str,
    names: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(chapters / inside)
    with pytest.raises(ValueError, match=message):
        kept.stored(chapter, *names)


def test_a_page_of_the_book_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3] / "chapters" / "practice")
    values = kept.stored("principles/sparse_matrices", "half")
    assert values == {"half": "50 %"}


def experiment(folder: Path, monkeypatch: pytest.MonkeyPatch, **content: Any) -> None:
    """Write reproductions/pruning.json, and go to a page of the book beside it."""
    (folder / "chapters" / "practice").mkdir(parents=True)
    (folder / "reproductions").mkdir()
    path = folder / "reproductions" / "pruning.json"
    path.write_text(json.dumps(content), encoding="utf8")
    monkeypatch.chdir(folder / "chapters" / "practice")


def test_a_reproduction_is_shown_with_its_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = {f"{piece}/{seed}": {"seconds": 90} for piece in "ab" for seed in (0, 1)}
    claim = ["no loss", "1.64 → 1.59 %", "1.60 → 1.61 %", "reproduced"]
    experiment(tmp_path, monkeypatch, runs=runs, claims=[claim])
    shown = show.reproduction("pruning").data
    assert "| no loss | 1.64 → 1.59 % | 1.60 → 1.61 % | *reproduced* |" in shown
    assert "2 seeds, 6 minutes" in shown
    assert "make reproduce RUN=pruning" in shown


def test_what_was_not_run_to_its_end_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment(tmp_path, monkeypatch, runs={"a/0": {"seconds": 90}})
    for name in ("pruning", "adam"):
        with pytest.raises(ValueError, match=f"'{name}' was not run to its end"):
            show.reproduction(name)
