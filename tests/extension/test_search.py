"""The index of the search: sections, what a word weighs, spellings and synonyms."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from docutils import nodes  # type: ignore[import-untyped]
from docutils.utils import new_document  # type: ignore[import-untyped]
from offline_site import search, sections, wording
from sphinx import addnodes
from sphinx.search import js_index


def section(title: str, *content: nodes.Node, anchor: str = "") -> nodes.section:
    return nodes.section("", nodes.title("", title), *content, ids=[anchor or title])


def text(words: str) -> nodes.paragraph:
    return nodes.paragraph("", words)


def page() -> nodes.document:
    """Return a page with a section, a formula, code, a citation and a glossary."""
    formulas = nodes.paragraph("", "", nodes.math("", r"\alpha"), nodes.Text(" and "))
    formulas += [nodes.math("", r"\frac{a}{b}"), nodes.Text(" fall")]
    formulas += nodes.inline("", "[Polyak, 1964]", classes=["bibtex-citation"])
    code = nodes.literal_block("", "import numpy")
    word = nodes.term("", "heavy ball", ids=["term-heavy"])
    item = nodes.definition_list_item("", word, nodes.definition("", text("rolls")))
    listed = addnodes.glossary("", nodes.definition_list("", item))
    proof = nodes.section("", text("inside a proof"), ids=["proof-content"])
    document = new_document("page")
    inner = section("Step", formulas, code, proof, listed, anchor="step")
    document += section("Page", text("An opening."), inner)
    return document


def test_each_section_and_word_is_found_without_what_is_inside_of_it() -> None:
    found = {a: (t, sections.opening(c)) for a, t, c in sections.parts(page())}
    assert found == {
        "": ("Page", "An opening."),
        "step": ("Step", "α and … fall"),
        "term-heavy": ("heavy ball", "rolls"),
    }


def test_code_citations_and_formulas_are_no_words() -> None:
    words = " ".join(sections.readable(node) for node in page())
    assert "inside a proof" in words
    for left_out in ("numpy", "Polyak", "frac", "heavy ball"):
        assert left_out not in words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bf16", "bfloat16"),
        ("8-bit", "int8"),
        ("eight bits", "8 bit"),
        ("float16", "half precision"),
        ("DDP", "data-parallel"),
        ("out of memory", "OOM"),
        ("NaN", "it diverges"),
        ("LoRA", "low-rank adaptation"),
        ("mini-batches", "SGD"),
        ("learning rate", "step size"),
        ("quantisation-aware training", "QAT"),
    ],
)
def test_other_names_have_a_word_in_common(one: str, other: str) -> None:
    shared = set(wording.words(one)) & set(wording.words(other))
    assert shared & set(wording.SAME)


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("quantisation", "quantization"),
        ("Optimiser", "optimizer"),
        ("optimised behaviour", "optimized behavior"),
        ("analyse", "analyze"),
        ("centre", "center"),
    ],
)
def test_british_spelling_becomes_american(british: str, american: str) -> None:
    assert wording.words(british) == wording.words(american)


def test_a_text_keeps_its_own_words_and_no_name_is_seen_inside_another() -> None:
    assert {"data", "parallel", "ddp"} <= set(wording.words("data parallel"))
    for harmless in ("exploration", "an int8x", "18-bit", "landing", "damper"):
        assert not set(wording.words(harmless)) & set(wording.SAME)


def test_javascript_reads_the_rules_that_python_does() -> None:
    lines = wording.English.js_splitter_code.splitlines()
    spellings, same = (json.loads(line.partition("= ")[2][:-1]) for line in lines)
    assert [pattern for pattern, _ in spellings] == list(wording.SPELLINGS)
    assert "$1iz$2" in [form for _, form in spellings]
    assert dict(same) == wording.BOUND
    # What the two would read differently.
    assert not any(s in json.dumps([spellings, same]) for s in ("(?P", "(?<", "\\\\A"))


def test_a_title_weighs_more_than_a_text_and_a_short_title_most() -> None:
    def weight(title: str, body: str, share: float = 1.0) -> int:
        return search.weigh(title.split(), [], body.split(), share).get("lora", 0)

    body = "lora " + "word " * 80
    once, often = weight("", body), weight("", body + "lora " * 4)
    assert 0 < once < often < weight("how lora works", body) < weight("lora", body)
    assert weight("", "lora and more") > once  # in a short section
    assert weight("lora", body, 0.2) < often


def index() -> search.Index:
    """Return the index of two pages, without a site."""
    env: Any = SimpleNamespace(
        version={"": 1},
        domains={},
        all_docs=dict.fromkeys(("first", "second", "stray")),
        config=SimpleNamespace(root_doc="second"),
        collect_relations=lambda: {
            "second": (None, None, "first"),
            "first": (None, "second", None),
        },
    )
    for name in ("titles", "filenames", "mapping", "title_mapping", "all_titles"):
        setattr(env, f"_search_index_{name}", {})
    for name in ("index_entries", "objtypes", "objnames"):
        setattr(env, f"_search_index_{name}", {})
    return search.Index(env, "en", {}, "")


def fed() -> search.Index:
    found = index()
    for name in ("first", "second"):
        found.feed(name, f"{name}.md", "Page", page())
    return found


def test_pages_are_in_the_order_of_the_book_and_words_lead_to_sections() -> None:
    frozen = fed().freeze()
    assert frozen["docnames"] == ["second", "first"]
    assert [s[:3] for s in frozen["sections"]][:2] == [
        (0, "", "Page"),
        (0, "step", "Step"),
    ]
    places = frozen["words"]["fall"][::2]
    assert [frozen["sections"][i][1] for i in places] == ["step", "step"]
    assert "the" not in frozen["words"] and "1964" not in frozen["words"]


def test_what_a_build_has_written_is_read_by_the_next() -> None:
    before = fed()
    stream = io.StringIO()
    before.dump(stream, js_index)
    stream.seek(0)
    after = index()
    after.load(stream, js_index)
    assert after.freeze() == before.freeze()
    after.prune(["first"])
    assert after.freeze()["docnames"] == ["first"]


def test_an_index_of_another_format_is_refused() -> None:
    stream = io.StringIO('Search.setIndex({"envversion": {"": 1}, "terms": {}})')
    with pytest.raises(ValueError, match="another format"):
        index().load(stream, js_index)
