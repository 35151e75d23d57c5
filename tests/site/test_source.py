"""The site's files: links, anchors, titles, pictures, no address of another host."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import unquote, urlsplit

import pytest

from tests.site.pages import document, page_names
from tools.serve import HTML

PAGES = page_names()
each_page = pytest.mark.parametrize("name", PAGES)
pytestmark = [
    pytest.mark.skipif(not PAGES, reason="the book is not built (make book)"),
    pytest.mark.xdist_group("files"),  # each is parsed once
]


@each_page
def test_links_inside_the_site_resolve(name: str) -> None:
    broken = []
    for link in document(name).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link in ("", "#"):
            continue
        target = HTML / name
        if parts.path:
            target = (HTML / name).parent / unquote(parts.path)
        if not target.resolve().is_file():
            broken.append(link)
        elif parts.fragment and target.suffix == ".html":
            other = document(target.resolve().relative_to(HTML.resolve()).as_posix())
            if unquote(parts.fragment) not in other.ids:
                broken.append(link)
    assert not broken


@each_page
def test_nothing_is_loaded_from_another_host(name: str) -> None:
    foreign = [a for a in document(name).assets if re.match(r"(?:[a-z]+:)?//", a)]
    assert not foreign


def test_style_sheets_load_nothing_from_another_host() -> None:
    for path in HTML.rglob("*.css"):
        text = path.read_text(encoding="utf8")
        assert not re.search(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", text), path


@each_page
def test_page_has_title_and_description(name: str) -> None:
    page = document(name)
    assert page.title.strip()
    assert 20 <= len(page.description) <= 170, page.description
    assert not re.search(r"[$\\{}]|&#|<", page.description)


def test_titles_and_descriptions_differ() -> None:
    for what in ("title", "description"):
        count = Counter(getattr(document(name), what) for name in PAGES)
        assert max(count.values()) == 1, count.most_common(1)


@each_page
def test_images_have_alt_text_and_size(name: str) -> None:
    for image in document(name).images:
        assert image.get("alt", "").strip(), image
        if image["src"].endswith((".png", ".svg")):
            assert image.get("width"), image
            assert image.get("height"), image


@each_page
def test_ids_are_unique(name: str) -> None:
    double = [i for i, n in Counter(document(name).ids).items() if n > 1]
    assert not double
