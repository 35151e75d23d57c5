"""The book for a reader's device: whole, well-formed, with nothing that runs."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools import small_site
from tools import epub
from tools.copies.package import Item, media, package
from tools.copies.verify import problems
from tools.copies.xhtml import as_text, check, fragment, make_xhtml

SECOND = "book/practice-second.xhtml"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    site, toc, _ = small_site.write(tmp_path)
    epub.make(site, toc, tmp_path / "out" / "small.epub")
    return tmp_path / "out" / "small.epub"


def contents(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_it_is_whole(book: Path) -> None:
    files = contents(book)
    assert next(iter(files)) == "mimetype"
    assert problems(book) == []
    assert {SECOND, "book/images/one-light.svg", "book/cover.svg"} < {*files}
    assert list(book.parent.iterdir()) == [book]
    spine = re.findall(r'itemref idref="f-(.*?)"', files["book/package.opf"])
    assert spine == [
        f"{name}.xhtml"
        for name in ("cover", "contents", "first", "practice-second", "practice-third")
    ]


def test_formulas_are_mathml_and_drawings_svg(book: Path) -> None:
    text = contents(book)[SECOND]
    assert text.count('alttext="x_{\\max} &lt; 1"') == 3
    assert "katex-html" not in text and "annotation" not in text
    assert "<msub><mi>x</mi><mi>max</mi></msub>" in text  # no third child
    assert '<svg viewBox="0 0 1 1" xmlns=' in text
    assert (
        'href="practice-second.xhtml" media-type' in contents(book)["book/package.opf"]
    )
    assert 'properties="mathml svg"' in contents(book)["book/package.opf"]


def test_the_contents_have_parts_pages_and_sections(book: Path) -> None:
    text = contents(book)["book/contents.xhtml"]
    assert "<span>1 Practice</span>" in text
    assert 'href="practice-second.xhtml#practice-second--idea">The idea<' in text
    assert "Second &amp; last" in text


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        (SECOND, lambda t: t.replace("</body>", "<script/></body>"), "has <script>"),
        (SECOND, lambda t: t.replace("second--idea", "second--eq-one"), "twice"),
        (SECOND, lambda t: t.replace("one-light", "two"), "not in the book"),
        (SECOND, lambda t: re.sub(r' alt="one"', "", t), "does not describe"),
        ("book/first.xhtml", lambda t: t.replace("--eq-one", "--x"), "not there"),
        ("book/package.opf", lambda t: t.replace('"nav"', '"x"'), "is the contents"),
        ("book/package.opf", lambda t: t.replace("image/svg+xml", "x/y"), "is called"),
        (
            "book/package.opf",
            lambda t: t.replace('idref="f-f', 'idref="x'),
            "not in the man",
        ),
        ("book/style.css", None, "not in the file"),
        ("mimetype", None, "mimetype"),
    ],
)
def test_what_is_wrong_is_found(
    book: Path, name: str, change: Callable[[str], str] | None, found: str
) -> None:
    files = contents(book)
    if change is None:
        del files[name]
    else:
        changed = change(files[name])
        assert changed != files[name]
        files[name] = changed
    with zipfile.ZipFile(book, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    assert any(found in line for line in problems(book))


def test_the_old_book_stays_when_the_new_one_is_wrong(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = book.read_bytes()
    monkeypatch.setattr(epub, "problems", lambda path: ["something"])
    with pytest.raises(ValueError, match="not right: something"):
        epub.make(tmp_path / "html", tmp_path / "_toc.yml", book)
    assert book.read_bytes() == before
    assert list(book.parent.iterdir()) == [book]


def test_no_paragraph_contains_a_block() -> None:
    body = fragment("<p>a<span><div>b</div></span></p><cite>c</cite>")
    make_xhtml(body)
    assert as_text(body) == "<div>a<div><div>b</div></div></div><span>c</span>"


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"page is not well-formed.*<p>"):
        check("<a><p></a>", "page")
    with pytest.raises(ValueError, match=r"no place for x\.js"):
        media("x.js")


def test_facts_are_escaped() -> None:
    facts = {"title": "A & B", "author": "C", "rights": "D"}
    text = package(facts, [Item("a.xhtml")], ["a.xhtml"])
    assert "<dc:title>A &amp; B</dc:title>" in text
    check(text, "package")
