"""On which page of a PDF a named place is, read from a file that Chromium wrote.

Its writer (Skia) stores dictionaries as plain text, and each place that a link leads to
in the catalog's ``/Dests``. That is all that a table of contents needs; other PDFs need
not be like that.
"""

from __future__ import annotations

import re

OBJECT = re.compile(rb"(?:^|[\r\n])(\d+) 0 obj\s(.*?)\sendobj", re.DOTALL)
STREAM = re.compile(rb"stream\r?\n.*", re.DOTALL)
REFERENCE = re.compile(rb"(\d+) 0 R")
PLACE = re.compile(rb"/([^\s/\[\]()<>]+)\s*\[\s*(\d+) 0 R")
ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")


def page_numbers(pdf: bytes) -> dict[str, int]:
    """Return the page of each named place, counted from 1.

    Raises
    ------
    ValueError
        If the file has no page tree, or no place that a link leads to.
    """
    objects = {int(m[1]): STREAM.sub(b"", m[2]) for m in OBJECT.finditer(pdf)}
    roots = [o for o in objects.values() if b"/Catalog" in o]
    if not roots:
        raise ValueError("the PDF has no catalog")
    tree = pointed(roots[-1], b"/Pages")
    numbers = {page: i for i, page in enumerate(leaves(objects, tree), start=1)}
    places = objects.get(pointed(roots[-1], b"/Dests"), b"")
    found = {
        ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), name).decode(): numbers[int(page)]
        for name, page in PLACE.findall(places)
    }
    if not found:
        raise ValueError("no link of the PDF leads to a place in it")
    return found


def pointed(body: bytes, key: bytes) -> int:
    """Return the number of the object that an entry of a dictionary points to, or 0."""
    found = re.search(re.escape(key) + rb"\s+(\d+) 0 R", body)
    return int(found[1]) if found else 0


def leaves(objects: dict[int, bytes], node: int) -> list[int]:
    """Return the pages below a node of the page tree, in their order."""
    kids = re.search(rb"/Kids\s*\[(.*?)\]", objects[node], re.DOTALL)
    if kids is None:
        return [node]
    below = [int(m) for m in REFERENCE.findall(kids[1])]
    return [page for kid in below for page in leaves(objects, kid)]
