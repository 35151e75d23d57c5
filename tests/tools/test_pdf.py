"""The book on paper: what is joined, in which order, and on which page it begins."""

import re
from pathlib import Path

import pytest

from tests.tools import small_site
from tools import pdf
from tools.browser import NOT_FOUND, find_chromium, open_browser
from tools.copies.articles import order, read
from tools.copies.links import connect
from tools.copies.outline import page_numbers
from tools.copies.paper import Print, document

PDF = b"""%PDF-1.4
1 0 obj
<</Type /Catalog
/Pages 2 0 R
/Dests 7 0 R>>
endobj
2 0 obj
<</Type /Pages /Kids [3 0 R 4 0 R]>>
endobj
3 0 obj
<</Type /Pages /Kids [5 0 R 6 0 R]>>
endobj
4 0 obj
<</Type /Page
/Kind /last>>
endobj
5 0 obj
<</Type /Page>>
endobj
6 0 obj
<</Length 9>> stream
/Kids [1 0 R]
endstream
endobj
7 0 obj
<</a#2db [4 0 R /XYZ 0 0 0]
/second [6 0 R /XYZ 0 0 0]>>
endobj
"""


def test_a_page_comes_before_the_pages_below_it(tmp_path: Path) -> None:
    _, toc, _ = small_site.write(tmp_path)
    assert list(order(toc)) == [
        ("", "chapters/first"),
        ("1 Practice", "chapters/practice/second"),
        ("1 Practice", "chapters/practice/third"),
    ]
    toc.write_text("parts: []")
    with pytest.raises(ValueError, match="names no first page"):
        list(order(toc))


def test_a_page_that_is_not_built_is_named(tmp_path: Path) -> None:
    site, toc, _ = small_site.write(tmp_path)
    (site / "chapters/practice/third.html").unlink()
    with pytest.raises(ValueError, match="chapters/practice/third is not built"):
        read(site, toc)


def test_an_article_has_nothing_that_only_a_screen_has(tmp_path: Path) -> None:
    site, toc, _ = small_site.write(tmp_path)
    article = read(site, toc)[1]
    assert article.title == "Second & last"
    text = str(article.body)
    for gone in (
        "<script",
        "<form",
        "secret",
        "headerlink",
        "-dark",
        "lazy",
        "details",
    ):
        assert gone not in text
    assert "doubled" in text  # solutions stand open
    assert "<summary" not in text
    assert len(article.body.select("img")) == 1
    assert article.finding and "The finding" in article.finding.get_text()


def test_links_lead_to_places_in_the_document_or_are_text(tmp_path: Path) -> None:
    site, toc, _ = small_site.write(tmp_path)
    articles = read(site, toc)
    connect(articles, lambda page, place: f"#{place}", lambda file: f"x/{file}")
    hrefs = [str(a["href"]) for a in articles[0].body.select("a")]
    assert hrefs == [
        "#practice-second--eq-one",
        "https://example.org/",
        "#practice-second",  # its place was left out
    ]
    assert articles[1].body.find(id="practice-second--eq-one")
    image = articles[1].body.img
    assert image and image["src"] == "x/_images/one-light.svg"


def test_an_id_occurs_once(tmp_path: Path) -> None:
    site, toc, _ = small_site.write(tmp_path)
    path = site / "chapters/practice/third.html"
    path.write_text(path.read_text().replace("<p>", '<p id="third">'))
    with pytest.raises(
        ValueError, match="two places with the id practice-third--third"
    ):
        connect(read(site, toc), lambda page, place: "", str)


def test_the_document_has_heads_contents_and_a_part_once(tmp_path: Path) -> None:
    site, toc, _ = small_site.write(tmp_path)
    articles = read(site, toc)
    how = Print(["site.css"], "mark.svg", "Someone")
    html = document(articles, how, {"practice-second": 41})
    assert (
        '@top-left { content: "1 Practice"; } @top-right { content: "Third"; }' in html
    )
    assert html.count('<h1 class="part">1 Practice</h1>') == 1
    assert "<b>41</b>" in html and "Someone" in html and "mark.svg" in html
    assert re.search(r'<h2 class="page-title">Second', html)  # below its part
    assert re.search(r"<h3>The idea", html)
    assert 'aria-label="x_{\\max} &lt; 1."' in html
    assert "katex-mathml" not in html
    assert '<span class="base">x</span><span class="closing">.</span></span>' in html
    assert "</span> It holds" in html


def test_pages_are_counted_along_the_tree() -> None:
    assert page_numbers(PDF) == {"a-b": 3, "second": 2}
    with pytest.raises(ValueError, match="no catalog"):
        page_numbers(b"%PDF")
    with pytest.raises(ValueError, match="leads to a place"):
        page_numbers(PDF.replace(b"/Dests", b"/Other"))


def test_style_sheets_of_a_page_are_those_of_the_site(tmp_path: Path) -> None:
    site, _, _ = small_site.write(tmp_path)
    assert pdf.sheets(site, "chapters/practice/second") == ["_static/site.css"]


@pytest.mark.skipif(find_chromium() is None, reason=NOT_FOUND)
def test_chromium_prints_it(tmp_path: Path) -> None:
    site, toc, _ = small_site.write(tmp_path)
    out = tmp_path / "new" / "book.pdf"
    with open_browser() as browser:
        count = pdf.make(browser, site, toc, out)
    content = out.read_bytes()
    pages = page_numbers(content)
    assert pages["first"] == 3  # after the title page and the contents
    assert pages["practice-second"] == 4
    assert pages["practice-third"] == count == content.count(b"/Type /Page\n")
    for sign in (b"/Outlines", b"/StructTreeRoot", b"/Lang (en)", b"594.9", b"/Title"):
        assert sign in content
    assert list(out.parent.iterdir()) == [out]  # nothing half-written is left
