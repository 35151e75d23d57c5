"""Notebooks for students, without what they have to find; slides that need no host."""

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.tools import small_site
from tools import course
from tools.copies import reveal
from tools.copies.checks import of_solution
from tools.copies.exercises import of_notebook
from tools.copies.markdown import blocks
from tools.copies.names import needed_cells, of_code
from tools.copies.slides import first_sentence
from tools.copies.xhtml import fragment


@pytest.fixture
def made(tmp_path: Path) -> Path:
    site, toc, chapters = small_site.write(tmp_path)
    archive = tmp_path / "reveal.tgz"
    with tarfile.open(archive, "w:gz") as package:
        for name in reveal.FILES:
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(name)
            package.addfile(member, io.BytesIO(name.encode()))
    out = tmp_path / "course"
    put_old = out / "old.txt"
    put_old.parent.mkdir()
    put_old.write_text("of the last time")
    told = course.make(site, toc, chapters, out, archive)
    assert told == "2 exercises in 1 notebooks, slides of 2 pages"
    return out


def cells(made: Path, kind: str) -> list[str]:
    path = made / "chapters/practice-second.ipynb"
    return [c["source"] for c in json.loads(path.read_text())["cells"]
            if c["cell_type"] == kind]  # fmt: skip


def test_a_notebook_has_texts_and_checks_but_no_solution(made: Path) -> None:
    nbformat.validate(nbformat.read(made / "chapters/practice-second.ipynb", 4))
    text = "\n".join(cells(made, "markdown"))
    assert "## Exercise 1 (Double it)" in text and "## Exercise 2 (Loop)" in text
    assert "Double $x_{\\max} < 1$ `y`, see (1)." in text
    assert "*The check asks for* `secret`." in text
    code = "\n".join(cells(made, "code"))
    assert "sum(twice)" not in code and "math.comb" not in code
    assert "unused" not in code
    assert not (made / "old.txt").exists()
    assert (made / "chapters/trials/race.json").is_file()
    assert "2 in all" in (made / "README.md").read_text()


def test_a_right_answer_passes_and_a_wrong_one_does_not(made: Path) -> None:
    code = cells(made, "code")
    setup, check = code[:-3], code[-2]
    given: dict[str, Any] = {}
    for cell in setup:
        exec(cell, given)
    exec(check, {**given, "secret": 6})
    with pytest.raises(AssertionError):
        exec(check, {**given, "secret": 5})


def test_a_loop_whose_asserts_need_its_inside_is_a_frame() -> None:
    check = of_solution(
        ["for k in range(3):\n    f = k\n    assert f == k\n    f += 1"]
    )
    assert check.frame == "for k in range(3):\n    ...\n    assert f == k"
    assert (check.asserts, check.names) == ("", ("f",))
    check = of_solution(["a = [1]\nfor k in a:\n    assert k", "def g(): assert 0"])
    assert check.frame == "" and "assert k" in check.asserts
    assert check.names == ("a",)


@pytest.mark.parametrize(
    ("source", "needs", "binds", "changes"),
    [
        ("x = f(y)", "f y", "x", ""),
        ("x = x + 1", "x", "x", ""),
        ("x += 1", "x", "x", ""),
        ("import a.b as c", "", "c", ""),
        ("for i in r: s = i", "r", "i s", ""),
        ("w[0] = v", "v w", "", "w"),
        ("rows.append(z)", "rows z", "", "rows"),
        ("rows = []\nrows.append(z)", "z", "rows", ""),
        ("def g(a): return a + h(q)", "h q", "g", ""),
        ("def g(a): a[0] = 1", "", "g", ""),
        ("t = [k * m for k in n]", "m n", "t", ""),
        ("print(len(u))", "u", "", ""),
        ("d: int = e", "e", "d", ""),
    ],
)
def test_names(source: str, needs: str, binds: str, changes: str) -> None:
    names = of_code(source)
    assert {*names.needs} == {*needs.split()}
    assert {*names.binds} == {*binds.split()}
    assert {*names.changes} == {*changes.split()}


def test_cells_are_those_that_a_name_rests_on() -> None:
    page = [
        "import numpy as np",
        "a = 1",
        "a = 2",
        "b = a",
        "np.seed()",
        "b.x = 3",
        "c = b",
    ]
    assert needed_cells(page, frozenset({"c"})) == [2, 3, 5, 6]
    assert needed_cells(page, frozenset({"np"})) == [0]
    assert needed_cells(page, frozenset({"nowhere"})) == []


def test_a_solution_belongs_to_an_exercise_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "page.ipynb"

    def write(text: str) -> None:
        cell = {"cell_type": "markdown", "source": text}
        path.write_text(json.dumps({"cells": [cell]}))

    write(":::{solution-start} ex-a\n:::")
    with pytest.raises(ValueError, match="a solution of ex-a, no exercise"):
        of_notebook(path)
    write(":::{exercise} A\n:label: ex-a\n:::\n:::{solution-start} ex-a\n:::")
    with pytest.raises(ValueError, match="the solution of ex-a does not end"):
        of_notebook(path)


def test_markdown_reads_as_the_page_does() -> None:
    html = (
        "<p>a <em>b</em> <strong>c</strong> 2*3 <a href='https://d.e/'>f</a></p>"
        "<ol><li><p>g</p></li><li><p>h</p><pre>i\n</pre></li></ol>"
        "<table><tr><th>j</th></tr><tr><td><p>k</p></td></tr></table>"
    )
    assert blocks(fragment(html)) == (
        "a *b* **c** 2\\*3 [f](https://d.e/)\n\n"
        "1. g\n2. h\n   \n   ```\n   i\n   ```\n\n"
        "| j |\n| :-- |\n| k |"
    )
    assert blocks(fragment(small_site.DISPLAYED)) == "$$\nx_{\\max} < 1\n$$"


def test_slides_go_from_the_finding_to_what_to_take_away(made: Path) -> None:
    text = (made / "slides/practice-second.html").read_text()
    shown = re.findall(r'<section><div class="fit">(.*?)</div></section>', text, re.S)
    assert len(shown) == 5
    assert "<h1>Second &amp; last</h1>" in shown[0] and "The finding" in shown[0]
    assert "assets/one-light.svg" in shown[1]
    assert "The idea" in shown[2] and "(1)" in shown[2] and "<svg" in shown[2]
    assert "(Double it)" in shown[3] and "Take this." in shown[4]
    assert "doubled" not in text
    assert "First sentence. And" in text  # slides stand alone: no links among pages
    assert (made / "slides/assets/one-light.svg").is_file()
    assert (made / "slides/assets/LICENSE").read_text() == "LICENSE"
    assert not (made / "slides/first.html").exists()
    listing = (made / "slides/index.html").read_text()
    assert "practice-third.html" in listing
    for page in (made / "slides").glob("*.html"):
        for address in re.findall(r'(?:src|href)="([^"]*)"', page.read_text()):
            assert (page.parent / address).is_file(), address


def test_sentences_are_kept_whole() -> None:
    long = "word " * 60
    paragraph = fragment(f"<p>One <em>a. b</em> is. {long}end. Three.</p>").p
    assert paragraph
    assert first_sentence(paragraph) == "One <em>a. b</em> is. "
    assert (
        first_sentence(fragment("<p>A &lt; b. C.</p>").p or paragraph) == "A &lt; b. C."
    )


def test_only_the_archive_that_is_meant_is_unpacked(tmp_path: Path) -> None:
    other = tmp_path / "other.tgz"
    other.write_bytes(b"something else")
    with pytest.raises(SystemExit, match=r"other\.tgz is not reveal\.js"):
        reveal.fetch(other)
