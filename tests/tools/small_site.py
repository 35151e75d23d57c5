"""A site of three pages, as `make book` would leave it, to make copies of."""

from __future__ import annotations

import json
from pathlib import Path

MATH = (
    '<span class="math"><span class="katex"><span class="katex-mathml"><math '
    'xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mrow><msub><mi>x</mi>'
    "<mi>max</mi><mo>\u2061</mo></msub></mrow>"
    '<annotation encoding="application/x-tex">x_{\\max} &lt; 1</annotation>'
    '</semantics></math></span><span class="katex-html"><span class="base">x</span>'
    "</span></span></span>"
)
SHOWN = MATH.replace("span class", "div class", 1)[: -len("</span>")] + "</div>"
DISPLAYED = SHOWN.replace("<div ", '<div id="eq-one" ', 1).replace(
    '<span class="katex">', '<span class="eqno">(1)</span><span class="katex-display">'
    '<span class="katex">', 1,
).replace("</div>", "</span></div>")  # fmt: skip
FIRST = """<section id="book"><h1>Small: a book of three pages</h1>
<p>It says <em>one</em> thing.</p><a href="practice/second.html#eq-one">second</a>
<a href="second.ipynb">file</a><a href="https://example.org/">elsewhere</a>
<a href="practice/second.html#gone">gone</a></section>"""
SECOND = f"""<section id="second"><h1>Second &amp; last
<a class="headerlink" href="#second">#</a></h1>
<p class="page-facts">Basic</p><p>The finding is {MATH}. It holds.</p>
<figure id="fig-one"><a class="drawn" href="../../_images/one-light.svg">
<picture class="drawn-light"><source srcset="x"/><img src="../../_images/one-light.svg"
alt="one" loading="lazy"/></picture><picture class="drawn-dark"><img
src="../../_images/one-dark.svg" alt="one"/></picture></a></figure>
<details class="code-fold"><summary>How</summary><pre>secret = 1</pre></details>
<section id="idea"><h2>The idea</h2>
<p>First <a href="third.html">sentence</a>. And more.</p>{DISPLAYED}
<figure class="live"><svg viewbox="0 0 1 1"><path d="M0 0"></path></svg>
<form class="live-controls"><input type="range"/></form><script>run()</script></figure>
</section><section id="exercises"><h2>Exercises</h2>
<div class="exercise admonition" id="ex-double"><p class="admonition-title">Exercise 1
(Double it)</p><section><p>Double {MATH} <code>y</code>, see <a href="#eq-one">(1)</a>.
</p><ul><li><p>one</p></li><li><p>two</p></li></ul></section></div>
<details class="solution dropdown folded admonition"><summary class="admonition-title">
Solution</summary><section><pre>doubled</pre></section></details>
<div class="exercise admonition" id="ex-loop"><p class="admonition-title">Exercise 2
(Loop)</p><section><p>Count.</p></section></div></section>
<section id="takeaways"><h2>Key takeaways</h2><ul><li><p>Take this.</p></li></ul>
</section></section>"""
THIRD = """<section id="third"><h1>Third</h1><p>Nothing more.</p></section>"""
TOC = """root: chapters/first
parts:
  - caption: 1 Practice
    chapters:
      - file: chapters/practice/second
        sections:
          - file: chapters/practice/third
"""
CELLS = [
    ("code", "import math\n\nbase = 3"),
    ("code", "unused = 1"),
    ("code", "twice = [base]\ntwice.append(base)"),
    ("markdown", ":::{exercise} Double it\n:label: ex-double\n\nDouble.\n:::\n\n"
     ":::{solution-start} ex-double\n:class: dropdown\n:::"),
    ("code", "secret = sum(twice)\nassert secret == 2 * base"),
    ("markdown", ":::{solution-end}\n:::\n\n:::{exercise} Loop\n:label: ex-loop\n\n"
     "Count.\n:::\n\n:::{solution-start} ex-loop\n:::"),
    ("code", "for k in range(3):\n    found = math.comb(3, k)\n"
     "    assert found > 0\n    print(found)"),
    ("markdown", ":::{solution-end}\n:::"),
]  # fmt: skip
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" width="9" height="9"/>'


def page(body: str, top: str) -> str:
    """Return a page of the site."""
    return (
        f'<html><head><link rel="stylesheet" href="{top}_static/site.css?v=1">'
        f'</head><body><article class="bd-article">{body}</article></body></html>'
    )


def write(folder: Path) -> tuple[Path, Path, Path]:
    """Write site, table of contents and notebooks; return where they are."""
    site, chapters = folder / "html", folder / "chapters"
    for name, body in {"first": FIRST, "practice/second": SECOND}.items():
        put(site / f"chapters/{name}.html", page(body, "../" * (name.count("/") + 1)))
    put(site / "chapters/practice/third.html", page(THIRD, "../../"))
    put(site / "_images/one-light.svg", SVG)
    put(site / "_static/site.css", "body { color: #000 }")
    put(folder / "_toc.yml", TOC)
    put(chapters / "trials/race.json", "{}")
    cells = [
        {"cell_type": kind, "source": text, "metadata": {}} for kind, text in CELLS
    ]
    put(chapters / "practice/second.ipynb", json.dumps({"cells": cells}))
    return site, folder / "_toc.yml", chapters


def put(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf8")
