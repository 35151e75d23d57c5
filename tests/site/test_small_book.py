"""A book of two pages: what the extension changes, and what a second build keeps."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import zlib
from importlib.resources import files
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("small book")  # it is built once
START = """# Start

{cite}`kingma2015`

A first sentence, with $a^2$ and a cut.

![one](a.png) ![two](a.png)

```{list-table}
* - outer
  - | a | b |
    | - | - |
    | 1 | 2 |
```

<table class="raw"><tr><td>1</td></tr></table>

:::{prf:algorithm} One
:label: one
First.
:::

:::{prf:algorithm} Two
:label: two
Second.
:::

:::{exercise} Try
:label: try
How?
:::

:::{solution} try
:class: dropdown
So.
:::
"""


def picture() -> bytes:
    """Return a PNG of 3 x 2 pixels."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0))]
    parts += [(b"IDAT", zlib.compress(bytes(8))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def build(book: Path) -> None:
    """Run the plain command."""
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "-q"]
    done = subprocess.run(command, cwd=book, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    for name in ("_ext", "_static"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("_config.yml", "references.bib"):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: start\nchapters:\n- file: page\n"
    )
    (folder / "a.png").write_bytes(picture())
    (folder / "start.md").write_text(START)
    (folder / "page.md").write_text("# Page\n\nNothing but text.\n")
    build(folder)
    return folder


def page(book: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((book / f"_build/html/{name}.html").read_text(), "html.parser")


def linked(soup: BeautifulSoup) -> list[str]:
    """Return the style sheets of a page by name."""
    found = soup.select("link[rel=stylesheet]")
    return [str(x["href"]).split("?")[0].rsplit("/", 1)[-1] for x in found]


def test_pictures_have_a_place_and_only_the_first_is_loaded_at_once(book: Path) -> None:
    one, two = page(book, "start").select("article img")
    for image in (one, two):
        assert (image["width"], image["height"]) == ("3", "2")
        assert image["decoding"] == "async" and not image.get("style")
    assert "loading" not in one.attrs and two["loading"] == "lazy"


def test_tables_scroll_nested_or_raw(book: Path) -> None:
    tables = page(book, "start").select("article table")
    assert len(tables) == 3
    for table in tables:
        assert isinstance(table.parent, Tag)
        assert table.parent["class"] == ["pst-scrollable-table-container"]


def test_a_solution_folds_and_no_id_is_there_twice(book: Path) -> None:
    soup = page(book, "start")
    [box] = soup.select("details.solution.dropdown")
    summary = box.find("summary", recursive=False)
    assert isinstance(summary, Tag)
    assert summary.get_text().startswith("Solution to") and not summary.find("a")
    assert "So." in box.get_text() and not soup.select("div.dropdown.admonition")
    ids = [str(tag["id"]) for tag in soup.select("[id]")]
    assert len(ids) == len(set(ids))


def test_the_description_is_the_first_sentence_in_plain_text(book: Path) -> None:
    for name, text in {
        "start": "A first sentence, with and a cut.",
        "page": "Nothing but text.",
        "search": "Search: DeepOpt, a book on optimization for deep learning.",
        "index": "DeepOpt starts at its first chapter.",
    }.items():
        soup = page(book, name)
        [tag] = soup.select("meta[name=description]")
        assert tag["content"] == text
        assert len(soup.select("meta[name=viewport]")) == 1


def test_a_page_links_one_style_sheet_and_those_it_asks_for(book: Path) -> None:
    assert linked(page(book, "page")) == ["site.css"]
    assert linked(page(book, "start")) == ["site.css", "katex.min.css"]
    css = (book / "_build/html/_static/site.css").read_text()
    assert "details.folded" in css and "@import" not in css and len(css) < 200_000


def test_no_script_holds_up_a_page_or_comes_twice(book: Path) -> None:
    for name in ("start", "page", "search"):
        scripts = page(book, name).select("head script")
        sources = [str(x["src"]) for x in scripts if x.get("src")]
        assert len(sources) == len(set(sources))
        assert all(x.get("defer") is not None for x in scripts if x.get("src"))
        for unused in ("thebe", "togglebutton", "fontawesome", "design-tabs"):
            assert not any(unused in source for source in sources)
        tools = [x for x in sources if "searchtools" in x or "searchindex" in x]
        assert bool(tools) == (name == "search")


def test_the_scripts_of_others_are_copied_as_they_are(book: Path) -> None:
    [theme] = files("pydata_sphinx_theme").joinpath("theme").iterdir()
    scripts = [
        p for p in theme.joinpath("static/scripts").iterdir() if p.name.endswith(".js")
    ]
    assert scripts
    for script in scripts:
        copy = book / "_build/html/_static/scripts" / script.name
        assert copy.read_bytes() == script.read_bytes()


def test_the_address_of_the_site_leads_to_the_first_page(book: Path) -> None:
    [tag] = page(book, "index").select("meta[http-equiv=refresh]")
    assert tag["content"] == "0; url=start.html"


def test_a_second_build_leaves_the_other_pages_alone(book: Path) -> None:
    html = book / "_build/html"
    before = (html / "start.html").read_bytes()
    css = (html / "_static/site.css").read_text()
    (book / "page.md").write_text("# Page\n\nAnother text.\n")
    build(book)
    assert (html / "start.html").read_bytes() == before
    assert "Another text." in (html / "page.html").read_text()
    assert (html / "_static/site.css").read_text() == css
    build(book)  # nothing is left to do
    assert (html / "_static/site.css").read_text() == css
