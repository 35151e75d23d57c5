"""Serve the built book on this machine, compressed as a real host would send it.

``python tools/serve.py`` (or ``make serve``) until Ctrl-C; the site tests, Lighthouse
and the screenshots use `serving` for as long as they need it.
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import io
import mimetypes
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

HTML = Path(__file__).parents[1] / "_build" / "html"
TEXT = {".css", ".html", ".inv", ".ipynb", ".js", ".json", ".md", ".svg", ".txt"}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve files quietly, with gzip for text and a day of caching for assets."""

    protocol_version = "HTTP/1.1"

    def send_head(self) -> IO[bytes] | None:  # type: ignore[override]
        """Send the headers and return the body, compressed where that helps."""
        path = Path(self.translate_path(self.path))
        if path.is_dir() or path.suffix not in TEXT or not path.is_file():
            return super().send_head()
        body = path.read_bytes()
        kind = mimetypes.guess_type(path.name)[0] or "text/plain"
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Vary", "Accept-Encoding")
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return io.BytesIO(body)

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:  # type: ignore[override]
        """Copy the body; a browser that leaves in the middle is no error."""
        with contextlib.suppress(ConnectionError):
            shutil.copyfileobj(source, outputfile)

    def end_headers(self) -> None:
        """Let a browser keep what carries a digest in its address."""
        keep = "max-age=86400" if "/_static/" in self.path else "no-cache"
        self.send_header("Cache-Control", keep)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def start(folder: Path = HTML, port: int = 0) -> http.server.ThreadingHTTPServer:
    """Bind a server for ``folder`` to a port of this machine; 0 means any free one."""
    handler = partial(Handler, directory=str(folder))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


@contextlib.contextmanager
def serving(folder: Path = HTML) -> Iterator[str]:
    """Serve ``folder`` for the length of a with block and give its address."""
    server = start(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve the book until Ctrl-C."""
    if not HTML.is_dir():
        raise SystemExit("There is no _build/html yet: run make book first.")
    try:
        server = start(port=8000)
    except OSError:  # the usual port is taken
        server = start()
    print(
        f"DeepOpt is at http://127.0.0.1:{server.server_port} (Ctrl-C stops)",
        flush=True,
    )
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
