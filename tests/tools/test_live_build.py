"""What LIVE=1 adds to a built site: marks in its pages, a folder, and nothing else."""

import json
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tools.live.__main__ import FOLDER, SCRIPTS, build
from tools.live.marks import head_lines, mark, page_data, stored, with_head
from tools.live.project import glued_only, library, read_later
from tools.notebooks import ROOT

GLUE = "application/papermill.record/text/plain"


def cell(source: str, *outputs: dict[str, Any], tags: str = "") -> dict[str, Any]:
    metadata = {"tags": tags.split()} if tags else {}
    return {
        "cell_type": "code",
        "source": source.splitlines(keepends=True),
        "metadata": metadata,
        "outputs": list(outputs),
    }


def result(kind: str, text: str) -> dict[str, Any]:
    data = {kind: [text], "text/plain": ["<thing>"]}
    return {"output_type": "execute_result", "metadata": {}, "data": data}


def glued(name: str, text: str) -> dict[str, Any]:
    metadata = {"scrapbook": {"name": name}}
    return {"output_type": "display_data", "metadata": metadata, "data": {GLUE: [text]}}


STREAM = {"output_type": "stream", "name": "stdout", "text": ["said\n"]}
CELLS = [
    cell("a = 1 < 2\n", glued("n", "3")),
    cell("table(a)", glued("m", "4"), result("text/markdown", "| a |\n| --: |\n| 1 |")),
    cell("idea()", result("text/plain", "2")),
    cell("print()", STREAM, tags="nbval-ignore-output"),
    cell("source(a)", result("text/markdown", "```python\nb\n```"), tags="hide-output"),
    cell("hidden()", result("text/plain", "5"), tags="remove-cell"),
    cell("a = 1 < 2\n"),
]
# As the site has it: results first, their code in folds, twice the same code.
PAGE = """<!DOCTYPE html>
<html><head><title>One</title>
</head><body><article class="bd-article"><h1>One – é</h1>
<div class="cell container"><div class="cell_output">table</div></div>
<details class="code-fold"><div class="cell"><div class="cell_input"><pre>a = 1 &lt; 2
</pre></div></div><div class="cell"><div class="cell_input"><pre>table(a)</pre></div>
</div>
</details><div class="cell"><div class="cell_input"><pre>idea()</pre></div>
<div class="cell_output">2</div></div> <div class="cell"><div class="cell_output">said
</div></div><details class="code-fold"><div class="cell"><div class="cell_input"><pre>
print()</pre></div></div><div class="cell"><div class="cell_input"><pre>source(a)</pre>
</div><div class="cell_output">b</div></div><div class="cell"><div class="cell_input">
<pre>a = 1 &lt; 2</pre></div></div></details></article></body></html>
"""


def numbers(html: str, name: str) -> list[tuple[int, str]]:
    found = re.findall(rf'<div data-{name}="(\d+)"[^>]*>(?:\s|<[^>]*>)*([^<]*)', html)
    return [(int(number), text.strip()) for number, text in found]


def test_code_and_outputs_have_the_numbers_of_their_cells() -> None:
    html = mark(PAGE, CELLS, "one")
    assert numbers(html, "cell") == [
        (0, "a = 1 &lt; 2"), (1, "table(a)"), (2, "idea()"), (3, "print()"),
        (4, "source(a)"), (6, "a = 1 &lt; 2"),
    ]  # fmt: skip
    assert numbers(html, "output") == [(1, "table"), (2, "2"), (3, "said"), (4, "b")]


def test_nothing_else_of_the_page_changes() -> None:
    html = with_head(mark(PAGE, CELLS, "one"), "one", head_lines("a/b/one", "", "47"))
    lines = html.partition("</title>\n")[2].partition("</head>")[0]
    assert re.sub(r' data-(cell|output)="\d+"', "", html.replace(lines, "", 1)) == PAGE
    assert 'src="../../run/run.js"' in lines and 'content="47"' in lines


def test_a_page_of_another_notebook_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one has code that .*'idea\(\)'"):
        mark(PAGE, [*CELLS[:2], cell("other()"), *CELLS[3:]], "one")
    with pytest.raises(ValueError, match="one shows 4 outputs, its notebook has 3"):
        mark(PAGE, [cell("a = 1 < 2"), cell("table(a)"), *CELLS[2:]], "one")
    with pytest.raises(ValueError, match="one has no head"):
        with_head("<body></body>", "one", "")


def test_what_is_stored_is_told_as_the_session_tells_it() -> None:
    assert stored(CELLS[1]) == {
        "source": "table(a)",
        "outputs": [
            {"kind": "glue", "name": "m", "text": "4"},
            {"kind": "text/markdown", "text": "| a |\n| --: |\n| 1 |"},
        ],
    }
    assert stored(CELLS[3])["timing"] is True
    assert stored(CELLS[3])["outputs"] == [{"kind": "stream", "text": "said\n"}]
    picture = stored(cell("draw()", result("image/svg+xml", "<svg/>")))
    assert picture["outputs"] == [{"kind": "image/svg+xml", "text": ""}]
    data = json.loads(page_data(CELLS, {"#0072b2": "#3f97df"}))
    assert len(data["cells"]) == len(CELLS) and data["dark"] == {"#0072b2": "#3f97df"}


class FakeRuntime:
    def contents(self) -> dict[str, bytes]:
        return {"pyodide.mjs": b"python" * 10**6}


@pytest.fixture
def book(tmp_path: Path) -> tuple[Path, Path]:
    """A project of two pages, and its built site."""
    root, site = tmp_path / "project", tmp_path / "site"
    for page in ("chapters/practice/one", "chapters/solve"):
        for path in (root / f"{page}.ipynb", site / f"{page}.html"):
            path.parent.mkdir(parents=True, exist_ok=True)
        (root / f"{page}.ipynb").write_text(json.dumps({"cells": CELLS}))
        (site / f"{page}.html").write_text(PAGE)
    for name in ("deepopt_lib/core/one.py", "deepopt_lib/data/files/one.npz",
                 "tools/live/session.py", "tools/live/marks.py",
                 "chapters/trials/one.json"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("content")
    return root, site


def test_a_site_gets_a_folder_and_a_page_its_button_or_the_reason(
    book: tuple[Path, Path],
) -> None:
    root, site = book
    (site / FOLDER).mkdir()
    (site / FOLDER / "of_the_last_time.whl").write_text("old")
    told = build(site, FakeRuntime(), root)  # type: ignore[arg-type]
    assert told.startswith("1 of 2 pages run in the browser, which loads 6.0 MB")
    files = {p.relative_to(site / FOLDER).as_posix() for p in site.rglob("*")
             if p.is_file() and p.is_relative_to(site / FOLDER)}  # fmt: skip
    data = {"deepopt_lib/data/files/one.npz", "chapters/trials/one.json",
            "chapters/practice/one.ipynb", "chapters/solve.ipynb"}  # fmt: skip
    assert files == {
        *SCRIPTS, "library.zip", "files.json", "pages/chapters/practice/one.json",
        "pyodide/pyodide.mjs", *(f"files/{name}" for name in data),
    }  # fmt: skip
    assert set(json.loads((site / FOLDER / "files.json").read_text())) == data
    one = (site / "chapters/practice/one.html").read_text()
    assert 'name="run-size" content="6"' in one and 'data-cell="2"' in one
    other = (site / "chapters/solve.html").read_text()
    assert 'name="run-not" content="it computes nothing' in other
    assert "data-cell" not in other
    with pytest.raises(ValueError, match="has been changed already"):
        build(site, FakeRuntime(), root)  # type: ignore[arg-type]


def test_a_site_that_is_not_whole_stays_as_it_is(book: tuple[Path, Path]) -> None:
    root, site = book
    (site / "chapters/solve.html").unlink()
    with pytest.raises(ValueError, match="chapters/solve is not built"):
        build(site, FakeRuntime(), root)  # type: ignore[arg-type]
    assert (site / "chapters/practice/one.html").read_text() == PAGE
    assert not (site / FOLDER).exists()


def test_the_library_is_packed_whole_and_the_same_each_time(
    book: tuple[Path, Path],
) -> None:
    root, _ = book
    with zipfile.ZipFile(BytesIO(library(root))) as archive:
        assert archive.namelist() == [
            "deepopt_lib/core/one.py",
            "tools/live/session.py",
        ]
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
    assert library(root) == library(root)
    with zipfile.ZipFile(BytesIO(library())) as archive:
        names = set(archive.namelist())
    assert {"deepopt_lib/book/player.html", "deepopt_lib/optim/rules.py"} <= names
    assert {"tools/live/session.py", "tools/live/stand_in.py"} <= names
    assert not any("__pycache__" in name for name in names)


def test_of_a_notebook_only_what_it_glues_is_read_elsewhere(
    book: tuple[Path, Path],
) -> None:
    [kept] = json.loads(glued_only({"cells": CELLS}))["cells"]
    names = [o["metadata"]["scrapbook"]["name"] for o in kept["outputs"]]
    assert names == ["n", "m"] and "source" not in kept
    assert json.loads(read_later(book[0])["chapters/solve.ipynb"])["cells"] == [kept]


def test_the_usual_build_knows_nothing_of_it() -> None:
    usual = [ROOT / "_config.yml", *(ROOT / "_static").glob("*.*s")]
    usual += [p for kind in ("*.py", "*.html") for p in (ROOT / "_ext").rglob(kind)]
    assert len(usual) > 20
    for path in usual:
        text = path.read_text("utf8")
        assert "run/run" not in text and "tools.live" not in text
    assert not {p.name for p in (ROOT / "_static").iterdir()} & {*SCRIPTS}
