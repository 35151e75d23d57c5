"""One style sheet in the place of many, without the rules that no page uses."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

BUNDLE = "site.css"
ALONE = ("katex", "sphinx-design", "thebe", "togglebutton")  # not on every page
LAST = ("icons.css", "custom.css")  # ours overrule the theme
LINK = re.compile(r'[ \t]*<link\b(?=[^>]*rel="stylesheet")[^>]*href="([^"?]*)[^>]*>\n?')
NAME = re.compile(r"[\w-]+")


def read_style(static: Path, name: str) -> str:
    """Return a style sheet without comments, its imports in place, its URLs adapted."""
    text = (static / name).read_text(encoding="utf8").replace('@charset "UTF-8";', "")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)

    def here(relative: str) -> str:
        return os.path.normpath(os.path.join(os.path.dirname(name), relative))

    def moved(match: re.Match[str]) -> str:
        if re.match(r"data:|#|/|https?:", match[2]):
            return match[0]
        return f"url({match[1]}{here(match[2])}{match[1]})"

    text = re.sub(r"url\(([\"']?)([^\"')]+)\1\)", moved, text)
    return re.sub(
        r"""@import\s+(?:url\()?["']?([\w./-]+)["']?\)?;""",
        lambda match: read_style(static, here(match[1])),
        text,
    ).strip()


def blocks(css: str) -> Iterator[tuple[str, str | None]]:
    """Split CSS into pairs of prelude and body; a statement has no body."""
    start = depth = 0
    opened, quote = 0, ""
    for i, sign in enumerate(css):
        if quote:
            quote = "" if sign == quote and css[i - 1] != "\\" else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "{":
            depth += 1
            opened = i if depth == 1 else opened
        elif sign == "}":
            depth -= 1
            if depth == 0:
                yield css[start:opened].strip(), css[opened + 1 : i]
                start = i + 1
        elif sign == ";" and depth == 0 and "url(" not in css[start:i]:
            yield css[start : i + 1].strip(), None
            start = i + 1


def is_used(selector: str, words: set[str]) -> bool:
    """Say whether all classes and ids that a selector asks for occur somewhere."""
    asked = re.sub(r":(?:not|is|where|has)\([^()]*\)|\[[^]]*\]", "", selector)
    return all(n in words for n in re.findall(r"[.#](-?[A-Za-z_][\w-]*)", asked))


def purge(css: str, words: set[str]) -> str:
    """Drop the rules that cannot apply, whatever a script of the site does."""
    kept = []
    for prelude, body in blocks(css):
        if body is None:
            kept.append(prelude)
        elif prelude.startswith(("@media", "@supports", "@container", "@layer")):
            inner = purge(body, words)
            kept += [f"{prelude}{{{inner}}}"] if inner else []
        elif prelude.startswith("@"):
            kept.append(f"{prelude}{{{body.strip()}}}")
        else:
            selectors = re.split(r",(?![^(\[]*[)\]])", prelude)
            used = [s.strip() for s in selectors if is_used(s, words)]
            kept += [f"{','.join(used)}{{{body.strip()}}}"] if used else []
    return "\n".join(kept)


def join_styles(static: Path, pages: list[str]) -> tuple[str, list[str]]:
    """Write all common style sheets into one; return its address and what it holds."""
    names: list[str] = []
    for page in pages:
        for match in LINK.finditer(page):
            name = match[1].split("_static/", 1)[-1]
            alone = any(word in name for word in ALONE)
            if not alone and name not in names and (static / name).is_file():
                names.append(name)
    names.sort(key=lambda name: LAST.index(name) if name in LAST else -1)
    texts = pages + [p.read_text(encoding="utf8") for p in static.rglob("*.js")]
    words = {word for text in texts for word in NAME.findall(text)}
    joined = "\n".join(purge(read_style(static, name), words) for name in names)
    (static / BUNDLE).write_text(joined, encoding="utf8")
    return f"{BUNDLE}?v={hashlib.sha256(joined.encode()).hexdigest()[:8]}", names
