"""Photograph pages of the built book: phone, tablet and desktop, light and dark.

    python -m tools.screenshots                             every page
    python -m tools.screenshots chapters/background         one page, all its six views
    python -m tools.screenshots --width 390 --mode dark --full chapters/background

The pictures go to ``_build/screenshots``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Browser

from tools.browser import open_browser
from tools.serve import HTML, serving

WIDTHS = {390: 844, 768: 1024, 1440: 900}
MODES = ("light", "dark")
OUT = HTML.parent / "screenshots"


def photograph(
    browser: Browser, site: str, page_name: str, width: int, mode: str, full: bool
) -> Path:
    """Store one view of one page and return where."""
    context = browser.new_context(
        viewport={"width": width, "height": WIDTHS[width]},
        color_scheme="dark" if mode == "dark" else "light",
    )
    page = context.new_page()
    page.goto(f"{site}/{page_name}.html", wait_until="networkidle")
    if full:  # pictures further down load when they come near
        page.add_style_tag(content="* { content-visibility: visible !important }")
        page.evaluate(
            "document.querySelectorAll('img').forEach(i => i.loading = 'eager')"
        )
        page.wait_for_function("[...document.images].every(i => i.complete)")
        page.wait_for_load_state("networkidle")
        page.evaluate("Promise.all([...document.images].map(i => i.decode()))")
    path = OUT / f"{page_name.replace('/', '-')}-{width}-{mode}.png"
    page.screenshot(path=path, full_page=full)
    context.close()
    return path


def main() -> None:
    """Photograph the pages that the command line names."""
    parser = argparse.ArgumentParser(description="Photograph pages of the built book.")
    parser.add_argument("pages", nargs="*", help="such as chapters/background")
    parser.add_argument("--width", type=int, choices=WIDTHS, action="append")
    parser.add_argument("--mode", choices=MODES, action="append")
    parser.add_argument("--full", action="store_true", help="the whole page")
    args = parser.parse_args()
    chapters = sorted((HTML / "chapters").rglob("*.html"))
    pages = [page.removesuffix(".html") for page in args.pages] or [
        str(path.relative_to(HTML).with_suffix("")) for path in chapters
    ]
    OUT.mkdir(parents=True, exist_ok=True)
    with serving() as site, open_browser() as browser:
        for page in pages:
            for width in args.width or WIDTHS:
                for mode in args.mode or MODES:
                    print(photograph(browser, site, page, width, mode, args.full))


if __name__ == "__main__":
    main()
