"""One style sheet of many: what applies stays and means the same, the rest goes."""

from __future__ import annotations

from pathlib import Path

import pytest
import tinycss2
from offline_site import styles


def joined(folder: Path, css: str, used: str = "", name: str = "a.css") -> str:
    """Join one style sheet, for a page with some words."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(css, encoding="utf8")
    return styles.join(folder, [name], styles.words([used]))


@pytest.mark.parametrize(
    "rule",
    [
        "p{a:b}",
        ".used{a:b}",
        "#used.also{a:b}",
        ".used > p[class~=unused]{a:b}",
        "p:not(.unused){a:b}",
        ":is(.unused,.used) p{a:b}",
        ".used::before{content:'} .unused {'}",
        '.used{background:url("data:image/svg+xml;a,{}")}',
        r".md\:used{a:b}",
        r".used\/2{a:b}",
        r".\75 sed{a:b}",
        ".used{a:b;&:hover{.unused &{c:d}}}",
        "@font-face{font-family:unused;src:url(data:x)}",
        "@keyframes unused{from{a:b}to{a:c}}",
        "@layer one,two;",
        "@page :first{margin:0}",
    ],
)
def test_what_can_apply_stays(tmp_path: Path, rule: str) -> None:
    found = joined(tmp_path, rule, '<p class="md used 2 also">')
    assert tinycss2.parse_one_rule(found).serialize() == found.strip()
    assert found.replace("\\:", ":").count("{") == rule.count("{")


@pytest.mark.parametrize(
    "rule",
    [
        ".unused{a:b}",
        "p.used#unused{a:b}",
        ".used .unused, #unused{a:b}",
        r".md\:unused{a:b}",
        r".us\65 d-not{a:b}",
        "@media print{.unused{a:b}}",
        "@media print{@supports (a:b){@layer x{.unused{a:b}}}}",
        "@container (width > 1px){.unused{a:b}}",
    ],
)
def test_what_cannot_apply_goes(tmp_path: Path, rule: str) -> None:
    assert joined(tmp_path, rule, '<p class="md used">') == ""


def test_only_the_selectors_that_cannot_apply_go(tmp_path: Path) -> None:
    css = "@media screen { .a , .b:is(.c, .d) , .e\n{ x: y }  .e { x: z } }"
    assert joined(tmp_path, css, "a b") == "@media screen {.a,.b:is(.c, .d){x: y}}\n"


def test_a_class_that_only_a_script_sets_is_used(tmp_path: Path) -> None:
    assert joined(tmp_path, ".scrolled{a:b}", 'body.classList.add("scrolled")')


def test_comments_and_the_charset_go(tmp_path: Path) -> None:
    css = '@charset "utf-8";/* 1 */ p /* 2 */ { /* 3 */ a: b /* } */ }'
    assert joined(tmp_path, css) == "p{a: b}\n"


@pytest.mark.parametrize(
    ("address", "moved"),
    [
        ("url(../fonts/a.woff2)", 'url("fonts/a.woff2")'),
        ("url('b c.png')", 'url("css/b c.png")'),
        ("URL(d.png)", 'url("css/d.png")'),
        ("url(data:image/png;base64,xyz)", "url(data:image/png;base64,xyz)"),
        ("url(/root.png)", "url(/root.png)"),
        ("url(#filter)", "url(#filter)"),
    ],
)
def test_addresses_are_seen_from_the_folder(
    tmp_path: Path, address: str, moved: str
) -> None:
    for css in ("p{{src:{} format('x')}}", "@media print{{p{{src:f(1, {})}}}}"):
        found = joined(tmp_path, css.format(address), name="css/a.css")
        assert moved in found.replace("URL(", "url(")


def test_imports_take_their_place(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/b.css").write_text('@import url("c.css");b{src:url(x.png)}')
    (tmp_path / "base/c.css").write_text("c{a:b}")
    found = joined(tmp_path, '@import "../base/b.css";a{a:b}', name="css/a.css")
    assert found.split("\n") == ["c{a:b}", 'b{src:url("base/x.png")}', "a{a:b}", ""]


def test_a_prefix_of_a_namespace_is_declared_first(tmp_path: Path) -> None:
    (tmp_path / "b.css").write_text("b{a:b}")
    (tmp_path / "c.css").write_text(
        "@namespace svg url(http://www.w3.org/2000/svg);svg|a{c:d}"
    )
    lines = styles.join(tmp_path, ["b.css", "c.css"], set()).splitlines()
    assert lines[0] == "@namespace svg url(http://www.w3.org/2000/svg);"
    assert lines[1:] == ["b{a:b}", "svg|a{c:d}"]


@pytest.mark.parametrize(
    "css",
    [
        "@namespace url(http://www.w3.org/1999/xhtml);",
        '@import "b.css" print;',
        '@import "https://example.org/b.css";',
        "@import url(//example.org/b.css);",
        "p{a:b}\n}",
        "@media print{p{a:b} x}",
        "p{a:url(b c)}",
    ],
)
def test_what_would_mean_something_else_is_refused(tmp_path: Path, css: str) -> None:
    with pytest.raises(ValueError, match=r"a\.css"):
        joined(tmp_path, css)


def test_an_import_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.css"):
        joined(tmp_path, '@import "gone.css";')
