"""Every entry is cited, every citation has an entry, every entry has an address."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENTRY = re.compile(r"^@(\w+)\{([^,\s]+),\n(.*?)\n\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^  (\w+) = \{(.*)\},?$", re.MULTILINE)
DOI = re.compile(r"10\.\d{4,9}/\S+")
ARXIV = re.compile(r"\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}")
TEXT = (ROOT / "references.bib").read_text(encoding="utf8")
# Read line by line here and with pybtex on the page: the two have to agree.
ENTRIES = {key: dict(FIELD.findall(body)) for _, key, body in ENTRY.findall(TEXT)}


def pages() -> list[Path]:
    """Return what the table of contents lists."""
    toc = (ROOT / "_toc.yml").read_text(encoding="utf8")
    names = re.findall(r"(?:root|file): (\S+)", toc)
    return [
        p for n in names for e in (".ipynb", ".md") if (p := ROOT / f"{n}{e}").is_file()
    ]


def cited(path: Path) -> list[str]:
    """Return the keys that a page cites, in its text or in a caption."""
    text = path.read_text(encoding="utf8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        parts = [
            "".join(c["source"])
            if c["cell_type"] == "markdown"
            else str(c["metadata"].get("mystnb", ""))
            for c in cells
        ]
        text = "\n\n".join(parts)
    roles = re.findall(r"\{cite[^}]*\}`([^`]*)`", text)
    return [key.strip() for keys in roles for key in keys.split(",")]


CITED = {path: cited(path) for path in pages()}


def test_the_file_is_read_as_a_whole() -> None:
    assert len(ENTRIES) == len(re.findall(r"^@", TEXT, re.MULTILINE)) > 100
    assert list(ENTRIES) == sorted(ENTRIES)
    assert all({"author", "title", "year"} <= set(f) for f in ENTRIES.values())


def test_every_entry_is_cited() -> None:
    everywhere = {key for keys in CITED.values() for key in keys}
    assert sorted(set(ENTRIES) - everywhere) == []


def test_every_citation_has_an_entry() -> None:
    lost = {
        str(path.relative_to(ROOT)): unknown
        for path, keys in CITED.items()
        if (unknown := sorted(set(keys) - set(ENTRIES)))
    }
    assert lost == {}


@pytest.mark.parametrize("key", ENTRIES)
def test_every_entry_has_an_address(key: str) -> None:
    fields = ENTRIES[key]
    assert {"doi", "eprint", "url"} & set(fields), f"{key} cannot be looked up"
    assert DOI.fullmatch(fields.get("doi", "10.1000/x")), fields["doi"]
    assert ARXIV.fullmatch(fields.get("eprint", "0000.0000")), fields["eprint"]
    assert ("eprint" in fields) == (fields.get("archivePrefix") == "arXiv")
    assert re.match(r"https?://\S+$", fields.get("url", "https://x"))


def test_no_work_has_two_entries() -> None:
    titles = [re.sub(r"\W", "", f["title"]).lower() for f in ENTRIES.values()]
    addresses = [
        f"{kind} {fields[kind].lower()}"
        for fields in ENTRIES.values()
        for kind in ("doi", "eprint", "url")
        if kind in fields
    ]
    for found in (titles, addresses):
        assert [what for what, n in Counter(found).items() if n > 1] == []


def test_the_page_reports_what_is_counted_here() -> None:
    [page] = [path for path in CITED if path.stem == "references"]
    cells = json.loads(page.read_text(encoding="utf8"))["cells"]
    stored = {
        output["metadata"]["scrapbook"]["name"]: "".join(*output["data"].values())
        for cell in cells
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    }
    works = {key for keys in CITED.values() for key in keys}
    assert int(stored["ref_works"]) == len(works)
    assert int(stored["ref_citations"]) == sum(map(len, CITED.values()))
