"""One style sheet in the place of many, without the rules that no page uses."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import tinycss2
from tinycss2.serializer import serialize_string_value

WORD = re.compile(r"[\w-]+")
ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:|[/#]", re.IGNORECASE)  # not beside the file
# Rules that hold rules, of which each is looked at; all others stay as they are.
GROUPS = ("media", "supports", "container", "layer", "scope", "starting-style")
COMMA = tinycss2.ast.LiteralToken(0, 0, ",")

Node = Any  # of tinycss2, which has no types


def words(texts: Iterable[str]) -> set[str]:
    """Return each word of some pages and scripts: a class that is none is not used.

    A class that only a script sets is among them, whatever the script does with it.
    """
    return {word for text in texts for word in WORD.findall(text)}


def join(static: Path, names: Iterable[str], found: set[str]) -> str:
    """Return the style sheets of a folder as one in it, without the unused rules.

    Raises
    ------
    ValueError
        If one of them cannot be parsed, or would mean something else among others.
    """
    rules = [rule for name in names for rule in read(static, name)]
    # A file declares the prefixes of namespaces before anything else.
    rules.sort(key=lambda rule: _keyword(rule) != "namespace")
    return "".join(f"{rule.serialize()}\n" for rule in purge(rules, found))


def read(static: Path, name: str) -> list[Node]:
    """Return the rules of a style sheet, with those of what it imports in their place.

    Raises
    ------
    ValueError
        If it cannot be parsed, imports something from elsewhere or under a condition,
        or declares a namespace for every selector that has no prefix.
    """
    text = (static / name).read_text(encoding="utf8")
    rules = []
    for rule in _parsed(tinycss2.parse_stylesheet(text, True, True), name):
        rule, keyword = _adapted_rule(rule, name), _keyword(rule)
        alone = len(_trimmed(rule.prelude)) == 1
        if keyword == "import" and alone and not ABSOLUTE.match(_address(rule)):
            rules += read(static, _address(rule))
        elif keyword == "import" or (keyword == "namespace" and alone):
            raise ValueError(f"{name} cannot be joined: {rule.serialize()}")
        elif keyword != "charset":
            rules.append(rule)
    return rules


def purge(rules: Iterable[Node], found: set[str]) -> Iterator[Node]:
    """Yield the rules that can apply: those whose classes and ids are found."""
    for rule in rules:
        if _is_group(rule):
            rule.content = list(purge(rule.content, found))
        elif rule.type == "qualified-rule":
            used = (s for s in _selectors(rule.prelude) if found.issuperset(_asked(s)))
            rule.prelude = [token for s in used for token in (COMMA, *s)][1:]
        if rule.content != [] and (rule.prelude or rule.type == "at-rule"):
            yield rule


def _selectors(prelude: Iterable[Node]) -> Iterator[list[Node]]:
    selector: list[Node] = []
    for token in (*prelude, COMMA):
        if token == ",":
            yield _trimmed(selector)
            selector = []
        else:
            selector.append(token)


def _asked(selector: Iterable[Node]) -> Iterator[str]:
    """Yield the words of the classes and ids that an element must have.

    Those in brackets are left out: not one of ``:not(.a)`` and ``:is(.a, .b)`` has to
    be there.
    """
    for before, token in pairwise((None, *selector)):
        if token.type == "hash" or (token.type == "ident" and before == "."):
            yield from WORD.findall(token.value)


def _adapted_rule(rule: Node, name: str) -> Node:
    rule.prelude = _adapted(rule.prelude, name, _keyword(rule) == "import")
    if _is_group(rule):
        inner = _parsed(tinycss2.parse_rule_list(rule.content, True, True), name)
        rule.content = [_adapted_rule(each, name) for each in inner]
    elif rule.content is not None:
        rule.content = _trimmed(_adapted(rule.content, name))
    return rule


def _adapted(tokens: Iterable[Node], name: str, strings: bool = False) -> list[Node]:
    """Return tokens without comments, with addresses as seen from the folder.

    Strings are addresses inside of ``url()`` and after ``@import``.
    """
    kept = []
    for token in _parsed(tokens, name):
        if token.type == "whitespace":
            token.value = " "
        elif token.type == "url" or (token.type == "string" and strings):
            if token.value and not ABSOLUTE.match(token.value):
                folder = os.path.dirname(name)
                token.value = os.path.normpath(os.path.join(folder, token.value))
                quoted = f'"{serialize_string_value(token.value)}"'
                token.representation = (
                    f"url({quoted})" if token.type == "url" else quoted
                )
        elif token.type == "function":
            is_address = token.lower_name == "url"
            token.arguments = _adapted(token.arguments, name, is_address)
        elif token.type.endswith(" block"):
            token.content = _adapted(token.content, name)
        kept.append(token)
    return kept


def _parsed(nodes: Iterable[Node], name: str) -> Iterator[Node]:
    for node in nodes:
        if node.type == "error":
            raise ValueError(f"{name}, line {node.source_line}: {node.message}")
        if node.type != "comment":
            yield node


def _trimmed(tokens: list[Node]) -> list[Node]:
    solid = [i for i, token in enumerate(tokens) if token.type != "whitespace"]
    return tokens[solid[0] : solid[-1] + 1] if solid else []


def _address(rule: Node) -> str:
    """Return what ``@import "address"`` or ``@import url(address)`` names."""
    [token] = _trimmed(rule.prelude)
    return str(token.arguments[0].value if token.type == "function" else token.value)


def _keyword(rule: Node) -> str:
    return rule.lower_at_keyword if rule.type == "at-rule" else ""


def _is_group(rule: Node) -> bool:
    return _keyword(rule) in GROUPS and rule.content is not None
