"""What an ePub has to be, checked without Java: a part of what epubcheck checks."""

from __future__ import annotations

import posixpath
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.copies.package import media

OPF = "{http://www.idpf.org/2007/opf}"
XHTML = "{http://www.w3.org/1999/xhtml}"
PACKAGE = "book/package.opf"
NOT_ALLOWED = ("script", "form", "input", "button", "iframe", "style", "details")


def problems(path: Path) -> list[str]:
    """Return what is wrong with an ePub: an empty list if nothing is."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        first = archive.infolist()[0]
    found = []
    if first.filename != "mimetype" or first.compress_type != zipfile.ZIP_STORED:
        found.append("the first file is not a mimetype that is stored as it is")
    package = ET.fromstring(files[PACKAGE])
    items = {f"book/{item.get('href')}": item for item in package.iter(f"{OPF}item")}
    inside = {n for n in files if n.startswith("book/") and n != PACKAGE}
    found += [f"not in the manifest: {name}" for name in sorted(inside - {*items})]
    found += [f"not in the file: {name}" for name in sorted({*items} - inside)]
    found += [
        f"{name} is called {item.get('media-type')}"
        for name, item in items.items()
        if item.get("media-type") != media(name)
    ]
    keys = [item.get("id") for item in items.values()]
    spine = [ref.get("idref") for ref in package.iter(f"{OPF}itemref")]
    found += [f"not in the manifest: {key}" for key in spine if key not in keys]
    if sum("nav" in item.get("properties", "").split() for item in items.values()) != 1:
        found.append("not one file is the contents")
    pages = {n: ET.fromstring(files[n]) for n in inside if n.endswith(".xhtml")}
    return found + [
        line for name in sorted(pages) for line in of_page(name, pages, inside)
    ]


def of_page(name: str, pages: dict[str, ET.Element], inside: set[str]) -> list[str]:
    """Return what is wrong with one page."""
    found, seen = [], set()
    for tag in pages[name].iter():
        if tag.tag.removeprefix(XHTML) in NOT_ALLOWED:
            found.append(f"{name} has <{tag.tag.removeprefix(XHTML)}>")
        key = tag.get("id")
        if key in seen:
            found.append(f"{name} has the id {key} twice")
        seen |= {key} - {None}
        if tag.tag == f"{XHTML}img" and tag.get("alt") is None:
            found.append(f"{name} does not describe {tag.get('src')}")
        for address in filter(None, (tag.get("href"), tag.get("src"))):
            found += of_link(name, address, pages, inside)
    return found


def of_link(
    name: str, address: str, pages: dict[str, ET.Element], inside: set[str]
) -> list[str]:
    """Return what is wrong with one link."""
    parts = urlsplit(address)
    if parts.scheme:
        return []
    path = posixpath.join("book", unquote(parts.path)) if parts.path else name
    if path not in inside:
        return [f"{name} leads to {address}, which is not in the book"]
    places = {tag.get("id") for tag in pages[path].iter()} if path in pages else set()
    if parts.fragment and parts.fragment not in places:
        return [f"{name} leads to {address}, a place that is not there"]
    return []
