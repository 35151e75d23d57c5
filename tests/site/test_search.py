"""The search of the built site: what is first, where it lands, what it marks there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page

from tests.site.conftest import Site

# A query, the page (and section) that a reader means, and how far down it may stand.
QUERIES = [
    ("bf16", "faq.html#float64-float32-or-bfloat16", 1),
    ("bfloat16", "faq.html#float64-float32-or-bfloat16", 1),
    ("quantisation", "principles/quantization.html", 1),
    ("8-bit", "practice/quantization.html", 1),
    ("int8", "practice/quantization.html", 1),
    ("LoRA", "principles/low_rank_adaptation.html", 1),
    ("low rank adaptation", "principles/low_rank_adaptation.html", 1),
    ("momentum", "principles/momentum.html", 1),
    ("Nesterov", "principles/momentum.html#nesterov", 1),
    ("distillation", "outlook/knowledge_distillation.html", 1),
    ("roofline", "outlook/hardware_codesign.html#the-roofline", 1),
    ("all-reduce", "outlook/parallel_and_distributed.html#what-an-all-reduce", 1),
    ("weight decay", "outlook/adaptive_learning.html#weight-decay", 1),
    ("out of memory", "solve.html", 1),
    ("OOM", "solve.html", 1),
    ("NaN", "solve.html", 1),
    ("how far can I prune", "faq.html#how-far-can-i-prune", 1),
    ("optimiser", "faq.html#which-optimizer-should-i-try-first", 1),
    ("condition number", "principles/gradient_descent.html", 1),
    ("Huffman", "practice/model_compression.html", 1),
    ("attention memory", "outlook/network_structure.html", 1),
    ("fine-tuning", "principles/low_rank_adaptation.html", 3),
    ("data parallel", "outlook/parallel_and_distributed.html", 3),
    ("DDP", "outlook/parallel_and_distributed.html", 3),
    ("mixed precision", "glossary.html#term-mixed-precision", 3),
    ("gradient accumulation", "faq.html#is-gradient-accumulation", 3),
    ("learning rate schedule", "principles/stochastic_gradient_descent.html", 3),
    ("differential privacy", "outlook/challenges.html", 3),
    ("pruning", "practice/model_compression.html", 3),
    ("zero point", "principles/quantization.html", 3),
    ("value_and_grad", "api/autodiff.html#deepopt_lib.autodiff.value_and_grad", 1),
]
FIND = """query => Search.results(query).map(({ page, anchor }) =>
  `${page}.html` + (anchor && `#${anchor}`))"""


@pytest.fixture
def search_page(site: Site) -> Page:
    page = site.open("search.html")
    page.wait_for_function("Search.hasIndex()")
    return page


def find(page: Page, query: str) -> list[str]:
    """Return the addresses of the results below ``chapters/``, best first."""
    found: list[str] = page.evaluate(FIND, query)
    return [address.removeprefix("chapters/") for address in found]


def test_readers_find_what_they_mean(search_page: Page) -> None:
    wrong = {}
    for query, wanted, most in QUERIES:
        first = find(search_page, query)[:most]
        if not any(address.startswith(wanted) for address in first):
            wrong[query] = first
    assert len(QUERIES) >= 25 and wrong == {}


def test_names_of_the_library_come_last(search_page: Page) -> None:
    for query in ("momentum", "huffman", "quantization", "history"):
        is_api = [
            a.startswith("api/") and ".html#deep" in a for a in find(search_page, query)
        ]
        assert True in is_api and is_api == sorted(is_api), query


def test_both_spellings_find_the_same(search_page: Page) -> None:
    for one, other in [
        ("quantisation", "quantization"),
        ("optimiser", "optimizer"),
        ("bf16", "bfloat16"),
        ("8-bit", "int8"),
        ("OOM", "out of memory"),
        ("DDP", "data parallel"),
    ]:
        assert find(search_page, one) == find(search_page, other) != []


def test_no_page_takes_all_the_first_places(search_page: Page) -> None:
    pages = [a.partition("#")[0] for a in find(search_page, "quantization")[:8]]
    assert max(map(pages.count, pages)) <= 3


def test_results_have_a_text_without_the_source_of_formulas(site: Site) -> None:
    page = site.visit("search.html?q=condition+number").page
    page.wait_for_selector("ul.search li")
    texts = page.locator("ul.search p.context").all_inner_texts()
    assert len(texts) > 5
    assert not [t for t in texts if re.search(r"[\\${}]|import ", t)]
    assert (
        page.locator("#search-results .search-summary").inner_text().endswith("first.")
    )


def test_more_results_come_when_they_are_asked_for(site: Site) -> None:
    page = site.visit("search.html?q=momentum").page
    page.wait_for_selector("ul.search li")
    assert page.locator("ul.search li").count() == 30
    page.get_by_role("button", name=re.compile("Show .* more")).click()
    assert page.locator("ul.search li").count() > 30


def test_a_result_lands_at_its_section_and_marks_little(site: Site) -> None:
    page = site.open("search.html?q=nesterov")  # a visit would forget the query
    page.locator("ul.search li a", has_text="Nesterov damps what is steep").click()
    page.wait_for_selector("mark")
    assert page.url.endswith("principles/momentum.html#nesterov-damps-what-is-steep")
    assert page.locator("section#nesterov-damps-what-is-steep mark").count() == 3
    assert page.locator("mark, .highlighted").count() == 3
    assert page.locator("mark").first.inner_text().lower() == "nesterov"
    top = page.locator("section#nesterov-damps-what-is-steep h2").bounding_box()
    assert top is not None and -5 < top["y"] < 400
    page.keyboard.press("Escape")
    assert page.locator("mark").count() == 0
    page.reload()  # the next visit marks nothing
    assert page.locator("mark").count() == 0


def test_nothing_found_is_said(site: Site) -> None:
    page = site.visit("search.html?q=zzyzx").page
    page.wait_for_function("document.querySelector('.search-summary')?.textContent")
    assert "Nothing has these words" in page.locator(".search-summary").inner_text()


def test_the_icon_leaves_the_first_letter_free(site: Site) -> None:
    page = site.visit("search.html?q=momentum").page
    icon = page.locator(".bd-search-container .bd-search i").bounding_box()
    field = page.locator(".bd-search-container .bd-search input")
    start = field.evaluate(
        "f => f.getBoundingClientRect().x + parseFloat(getComputedStyle(f).paddingLeft)"
    )
    assert icon is not None and icon["x"] + icon["width"] < start
