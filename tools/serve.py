"""Serve the built book as a real host would, for as long as a test or a tool needs it.

Text is compressed: the tests weigh what a page sends, and Lighthouse times it on a slow
line. To read the book, ``make serve`` starts Python's own server.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import io
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

HTML = Path(__file__).parents[1] / "_build" / "html"
TEXT = {".css", ".html", ".inv", ".ipynb", ".js", ".json", ".md", ".svg", ".txt"}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve files quietly, text compressed."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, stored: bool, **options: Any) -> None:
        self.stored = stored
        super().__init__(*args, **options)

    def end_headers(self) -> None:
        """Send the headers, with a word on what the browser may keep."""
        if not self.stored:
            self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def send_head(self) -> IO[bytes] | None:  # type: ignore[override]
        """Send the headers and return the body, compressed where that helps."""
        path = Path(self.translate_path(self.path))
        gzipped = "gzip" in self.headers.get("Accept-Encoding", "")
        if not gzipped or path.suffix not in TEXT or not path.is_file():
            return super().send_head()
        body = gzip.compress(path.read_bytes(), 6)
        self.send_response(200)
        self.send_header("Content-Type", f"{self.guess_type(path)}; charset=utf-8")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:  # type: ignore[override]
        """Copy the body; a browser that leaves in the middle is no error."""
        with contextlib.suppress(ConnectionError):
            shutil.copyfileobj(source, outputfile)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(folder: Path = HTML, *, stored: bool = True) -> Iterator[str]:
    """Serve ``folder`` for the length of a with block and give its address.

    Without ``stored`` the browser keeps no file: it loads each page as if for the
    first time.
    """
    handler = partial(Handler, directory=str(folder), stored=stored)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
